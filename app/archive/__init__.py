"""The store and its index: the only package that touches stored files.

Everything that comes in goes through one verb, `Archive.ingest`: file synced, index row committed, then success.
Verbs: `service` (settle, conflicts, delete), `queries` (search and look up), `content` (headers, frames, bytes)."""

from app.archive.arriving import IngestOutcome, Source
from app.archive.ingest import Archive

__all__ = ["Archive", "IngestOutcome", "Source"]
