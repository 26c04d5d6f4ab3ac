"""Whether a stored file is still the one that was stored: checked whenever one is opened to be read (custody.py answers
for storage commitment, comparison.py for all files at a start).

A file that has the indexed size and whose status did not change (st_ctime, which a program cannot set back as it can the time
of modification) since it was filed is taken as it is: this costs one call. Any other (changed in place, or copied back from
a backup) is read once and compared with its checksum."""

import hashlib
import logging
import os
import threading
from collections import OrderedDict

from sqlalchemy import text

from app import audit, events
from app.archive.errors import Damaged
from app.archive.models import Instance, ObjectConflict, Study
from app.db import Database
from app.kit.errors import AppError
from app.security import SYSTEM

log = logging.getLogger(__name__)
DAMAGED = ".store.damaged"  # counter: files that were found changed when they were read
_KEPT = 10_000  # files whose checksum this process knows to be right
# Seconds from the row's time to the last change that filing makes (its temporary name goes): 6 ms in the median, 22 ms at
# most with four senders. A file that took longer is read once by each process.
FILING = 0.1

_lock = threading.Lock()
_reading = [threading.Lock() for _ in range(16)]  # by file: several that want one at once read it once
_whole: OrderedDict[tuple[object, ...], bool] = OrderedDict()


def check(fd: int, instance: Instance | ObjectConflict, database: Database) -> None:
    """Raises Damaged where the open file is not the one that was stored or put on hold. What is found is logged and
    recorded, once for each state of a file."""
    state = os.fstat(fd)
    same_size = state.st_size == instance.bytes
    # A derived object (app/forward/derived.py) has no row and no time of arrival: its size must do.
    if same_size and (instance.received_at is None or _unchanged_since(instance.received_at.timestamp(), state)):
        return
    key = (state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns, instance.sha256)
    if (known := _known(key)) is None:
        with _reading[hash(key) % len(_reading)]:
            if (known := _known(key)) is None:
                known = same_size and _sha256(fd) == instance.sha256
                _remember(key, known)
                if not known:
                    log.error("the stored file of object %s differs from what was stored", instance.sop_instance_uid)
                    # Beside the caller's transaction, which may hold what this one needs.
                    threading.Thread(target=_record, args=(database, instance), daemon=True).start()
    if not known:
        raise Damaged(
            "The stored file of this object is damaged.", hint="Send the object again or restore it from a backup."
        )


def _unchanged_since(filed: float, state: os.stat_result) -> bool:
    return state.st_mtime <= filed and state.st_ctime <= filed + FILING


def _known(key: tuple[object, ...]) -> bool | None:
    with _lock:
        return _whole.get(key)


def _remember(key: tuple[object, ...], known: bool) -> None:
    with _lock:
        _whole[key] = known
        while len(_whole) > _KEPT:
            _whole.popitem(last=False)


def _sha256(fd: int) -> str:
    """The checksum of an open file, whose position stays."""
    found, position = hashlib.sha256(), 0
    while piece := os.pread(fd, 1 << 20, position):
        found.update(piece)
        position += len(piece)
    return found.hexdigest()


def _record(database: Database, instance: Instance | ObjectConflict) -> None:
    uid = instance.sop_instance_uid
    try:
        with database.write() as session:
            reason = "checksum differs"
            if isinstance(instance, ObjectConflict):
                facility_id, reason = instance.event_facility_id, "checksum of the version on hold differs"
            else:
                study = session.get(Study, instance.study_pk)
                facility_id = study.facility_id if study is not None else None
            audit.by(
                session,
                SYSTEM,
                "store.check",
                "instance",
                uid,
                outcome="failure",
                facility_id=facility_id,
                detail={"reason": reason},
            )
            events.append(session, "instance.damaged", {"sop_instance_uid": uid}, facility_id=facility_id)
            session.execute(
                text(
                    "INSERT INTO counter (name, value) VALUES (:name, 1) "
                    "ON CONFLICT (name) DO UPDATE SET value = counter.value + 1"
                ),
                {"name": DAMAGED},
            )
    except (AppError, OSError) as fault:
        log.warning("a damaged file could not be recorded: %s", fault)
