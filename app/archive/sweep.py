"""After a crash: what was under way is finished or undone, so that no partial object remains.

A temporary file is the record of its own ingest. Whose process is gone, is one of: never finished (no row: it goes, and with
it a final name it may have got), or committed (a row with its checksum: it gets its final name if it lacks it)."""

import contextlib
import logging
import os
import time
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.archive.models import Instance, ObjectConflict
from app.archive.rows import describe
from app.archive.store import ASIDE, Store, sha256_of
from app.archive.transaction import lock_index
from app.db import Database
from app.dicom.header import Header, NotDicom, scan
from app.dicom.paths import object_path

log = logging.getLogger(__name__)
ASIDE_AGE = 3600.0  # seconds; a file on hold without a row is a leftover once it is older


def sweep(store: Store, database: Database) -> int:
    """Clears what processes that are gone left behind; returns how many files that were. Safe while others run."""
    count = 0
    for folder in store.abandoned_folders():
        for path in sorted(folder.iterdir()):
            if path.name != "lock":
                reconcile(path, store, database)
                count += 1
        with contextlib.suppress(OSError):
            (folder / "lock").unlink(missing_ok=True)
            folder.rmdir()
    count += _sweep_aside(store, database)
    if count:
        log.warning("%d leftover files of a crash cleared", count)
    return count


def reconcile(temporary: Path, store: Store, database: Database) -> None:
    """Finishes or undoes the ingest that a temporary file belongs to."""
    try:
        with temporary.open("rb") as file:
            header = scan(file.fileno(), os.fstat(file.fileno()).st_size)
    except NotDicom:
        temporary.unlink(missing_ok=True)
        return
    with database.write() as session:
        lock_index(session)
        row = session.scalar(select(Instance).where(Instance.sop_instance_uid == header.sop_instance_uid))
        if row is not None and row.sha256 == sha256_of(temporary):
            if not store.full_path(row.path).exists():
                store.commit_file(temporary, row.path)
        else:
            _undo(temporary, header, store, None if row is None else row.path)
            _recover_conflict(session, temporary, header, store)
        temporary.unlink(missing_ok=True)


def _undo(temporary: Path, header: Header, store: Store, taken: str | None) -> None:
    path = object_path(
        describe(header).patient_id,
        header.study_instance_uid,
        header.series_instance_uid,
        header.sop_instance_uid,
    )
    final = store.full_path(path)
    if path != taken and final.exists() and final.samefile(temporary):
        store.remove(path)


def _recover_conflict(session: Session, temporary: Path, header: Header, store: Store) -> None:
    """A conflict that was committed: its file stays aside."""
    found = session.scalars(
        select(ObjectConflict).where(
            ObjectConflict.sop_instance_uid == header.sop_instance_uid, ObjectConflict.state == "open"
        )
    )
    for conflict in found:
        if not store.full_path(conflict.path).exists() and conflict.sha256 == sha256_of(temporary):
            store.commit_file(temporary, conflict.path)
            return


def _sweep_aside(store: Store, database: Database) -> int:
    """Files on hold whose conflict was never committed, or is decided and completed."""
    old = time.time() - ASIDE_AGE
    found = {p.stem: p for p in (store.root / ASIDE).glob("*.dcm") if p.stat().st_mtime < old}
    if not found:
        return 0
    with database.read() as session:
        known = set(session.scalars(select(ObjectConflict.id).where(ObjectConflict.id.in_(found))))
    orphans = [path for name, path in found.items() if name not in known]
    for path in orphans:
        path.unlink(missing_ok=True)
    return len(orphans)
