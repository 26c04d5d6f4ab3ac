"""Queries to other archives and the retrieval queue (NET-4, NET-5)."""
