"""The store and its index: the only room that touches stored files.

Everything that comes in goes through one verb, `Ingestor.ingest`: file synced, index row committed, then success."""
