"""The index compared with the store: objects without their file, files without an object (SEC-6).

Run in the background at each start of a worker and once a day. It looks at names and sizes only, in small steps; it reports
and never deletes. The counts are kept as counters; the log names the first objects, never a path, which holds a patient ID."""

import logging
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from app.archive.integrity import DAMAGED
from app.archive.models import Counter, DeletedFile, Instance
from app.archive.store import Store
from app.db import Database
from app.dicom.header import NotDicom, scan
from app.kit.clock import now

log = logging.getLogger(__name__)
MISSING, DIFFERING, UNINDEXED, CHECKED = ".store.missing", ".store.differing", ".store.unindexed", ".store.checked_at"
NAMES = {MISSING: "missing", DIFFERING: "differing", UNINDEXED: "unindexed", DAMAGED: "damaged", CHECKED: "checked_at"}
_STEP, _PAUSE = 500, 0.01  # objects looked at in a row, and the seconds between: no user waits for this
_NAMED = 20  # objects that the log names


class Stopped(Exception):
    """The role ends before the comparison does."""


@dataclass(slots=True)
class Comparison:
    """SOP Instance UIDs whose file is gone or has another size; files that no object has."""

    missing: list[str] = field(default_factory=list)
    differing: list[str] = field(default_factory=list)
    unindexed: list[Path] = field(default_factory=list)


def compare(store: Store, database: Database, stopping: threading.Event) -> Comparison:
    """Looks at every object and every file, writes the counts, logs what does not fit. Raises Stopped."""
    found = Comparison()
    _check_objects(store, database, stopping, found)
    _check_files(store, database, stopping, found)
    counts = {MISSING: len(found.missing), DIFFERING: len(found.differing), UNINDEXED: len(found.unindexed)}
    with database.write() as session:
        for name, value in (counts | {CHECKED: int(now().timestamp())}).items():
            _set(session, name, value)
    if any(counts.values()):
        named = ", ".join((found.missing + found.differing)[:_NAMED])
        log.warning(
            "the store does not fit the index: %d files missing, %d of another size, %d without an object; objects: %s",
            *counts.values(), named or "-",
        )  # fmt: skip
    return found


def last_result(session: Session) -> dict[str, int]:
    """Result of the last comparison, by the words of NAMES; damaged: files found changed when they were read.
    checked_at: seconds since the epoch. Empty before the first."""
    rows = session.execute(select(Counter.name, Counter.value).where(Counter.name.in_(NAMES)))
    return {NAMES[name]: value for name, value in rows}


def _set(session: Session, name: str, value: int) -> None:
    session.execute(
        text(
            "INSERT INTO counter (name, value) VALUES (:name, :value) "
            "ON CONFLICT (name) DO UPDATE SET value = excluded.value"
        ),
        {"name": name, "value": value},
    )


def _pause(stopping: threading.Event) -> None:
    if stopping.wait(_PAUSE):
        raise Stopped


def _check_objects(store: Store, database: Database, stopping: threading.Event, found: Comparison) -> None:
    last = 0
    while True:
        with database.read() as session:
            query = select(Instance.id, Instance.sop_instance_uid, Instance.path, Instance.bytes)
            rows = session.execute(query.where(Instance.id > last).order_by(Instance.id).limit(_STEP)).all()
        if not rows:
            return
        doubtful = [row for row in rows if _size(store.full_path(row.path)) != row.bytes]
        if doubtful:
            with database.read() as session:  # an object deleted meanwhile is not a fault
                still = set(session.scalars(select(Instance.id).where(Instance.id.in_([row.id for row in doubtful]))))
            for row in doubtful:
                if row.id in still:
                    missing = _size(store.full_path(row.path)) is None
                    (found.missing if missing else found.differing).append(row.sop_instance_uid)
        last = rows[-1].id
        _pause(stopping)


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def _files(root: Path) -> Iterator[Path]:
    """Every object file below the folders of patients."""
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(folder, name) for name in names if name.endswith(".dcm"))


def _check_files(store: Store, database: Database, stopping: threading.Event, found: Comparison) -> None:
    files = _files(store.root)
    doubtful: list[Path] = []
    while some := list(islice(files, _STEP)):
        doubtful += _without_object(store, database, some)
        _pause(stopping)
    for at in range(
        0, len(doubtful), _STEP
    ):  # a file has its name a moment before its row, and loses it a moment later
        found.unindexed += _without_object(store, database, doubtful[at : at + _STEP])


def _without_object(store: Store, database: Database, files: list[Path]) -> list[Path]:
    uids = {path: _uid_of(path) for path in files}
    with database.read() as session:
        known = set(session.scalars(select(Instance.path).where(Instance.sop_instance_uid.in_(set(uids.values())))))
        names = {path: path.relative_to(store.root).as_posix() for path in files}
        unknown = [path for path, name in names.items() if name not in known]
        leaving = set(
            session.scalars(select(DeletedFile.path).where(DeletedFile.path.in_([names[p] for p in unknown])))
        )
    return [path for path in unknown if names[path] not in leaving and path.exists()]


def _uid_of(path: Path) -> str:
    """The SOP Instance UID encoded in the name of a stored file (dicom.paths); for a name with a digest it is read from
    the file."""
    if "~" not in path.stem:
        return path.stem
    try:
        with path.open("rb") as file:
            return scan(file.fileno(), path.stat().st_size).sop_instance_uid
    except (NotDicom, OSError):
        return ""
