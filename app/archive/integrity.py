"""Whether a stored file is still the one that was stored: looked at whenever a whole object leaves (custody.py answers
for storage commitment, comparison.py for all files at a start).

A file that has the indexed size and was not written to since its row was committed is taken as it is: this costs one call.
Any other (changed in place, or copied back from a backup) is read once and compared with its checksum."""

import logging
import threading
from collections import OrderedDict
from pathlib import Path

from sqlalchemy import text

from app import audit, events
from app.archive.errors import Damaged
from app.archive.models import Instance, Study
from app.archive.store import sha256_of
from app.db import Database
from app.kit.errors import AppError

log = logging.getLogger(__name__)
DAMAGED = ".store.damaged"  # counter: files that were found changed when they were read
_KEPT = 10_000  # files whose checksum this process knows to be right

_lock = threading.Lock()
_whole: OrderedDict[tuple[object, ...], bool] = OrderedDict()


def check(path: Path, instance: Instance, database: Database) -> None:
    """Raises Damaged where the file is not the one that was stored, FileNotFoundError where it is gone. What is found is
    logged and recorded, once for each state of a file."""
    state = path.stat()
    same_size = state.st_size == instance.bytes
    # A derived object (app/forward/derived.py) has no row and no time of arrival: its size must do.
    known_since = instance.received_at.timestamp() if instance.received_at else state.st_mtime
    if same_size and state.st_mtime <= known_since:
        return
    key = (str(path), state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns, instance.sha256)
    with _lock:
        known = _whole.get(key)
    if known is None:
        known = same_size and sha256_of(path) == instance.sha256
        with _lock:
            _whole[key] = known
            while len(_whole) > _KEPT:
                _whole.popitem(last=False)
        if not known:
            log.error("the stored file of object %s differs from what was stored", instance.sop_instance_uid)
            # Beside the caller's transaction, which may hold what this one needs.
            threading.Thread(target=_record, args=(database, instance), daemon=True).start()
    if not known:
        raise Damaged("The stored file of this object is damaged.", hint="Restore it from a backup.")


def _record(database: Database, instance: Instance) -> None:
    uid = instance.sop_instance_uid
    try:
        with database.write() as session:
            study = session.get(Study, instance.study_pk)
            facility_id = study.facility_id if study is not None else None
            audit.record(
                session, actor_name="system", actor_kind="system", verb="store.check", outcome="failure",
                thing="instance", thing_id=uid, facility_id=facility_id, detail={"reason": "checksum differs"},
            )  # fmt: skip
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
