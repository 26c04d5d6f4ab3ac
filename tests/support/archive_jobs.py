"""Jobs of the archive run in the test, and what they left."""

from typing import Any

from app import jobs as queue
from app.archive import Archive
from app.jobs.context import JobContext


def run_job(archive: Archive, kind: Any, payload: dict[str, Any]) -> dict[str, Any]:
    """Through the real queue, as a worker does."""
    with archive.database.write() as session:
        queue.enqueue(session, "archive.test", payload)
    with archive.database.write() as session:
        claimed = queue.claim(session, ["archive.test"], "tester")
    assert claimed is not None
    result: dict[str, Any] = kind(JobContext(archive.config, archive.database, archive, claimed), claimed.payload)
    with archive.database.write() as session:
        queue.done(session, claimed.id, result)
    return result


def leftovers(archive: Archive) -> list[str]:
    return [p.name for p in (archive.config.store / ".incoming").rglob("*") if p.is_file() and p.name != "lock"]
