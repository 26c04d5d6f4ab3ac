"""The transfer log (NET-9): every operation with a peer, in both roles.

`log_operation` writes the line of the daily text log at once and hands the row to a writer of the process, which
commits what has gathered twice a second in one transaction: a modality that opens an association for each object must
not cost the index a commit each. A killed process loses at most the rows of that half second; their text lines
remain."""

import atexit
import logging
import threading
import time
import weakref
from collections import deque
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Literal

from sqlalchemy import insert

from app import events
from app.db import Database
from app.kit.clock import now
from app.kit.errors import AppError
from app.kit.logging import NETWORK, correlation_id, mask
from app.kit.phrases import NOTHING, Phrase
from app.kit.repeats import EVERY_ONE
from app.nodes.models import NetworkOperation

log = logging.getLogger(NETWORK)
_GATHER = 0.5  # seconds
_BATCH, _MOST = 500, 20_000  # rows in one transaction; rows that wait while the database is away

Result = Literal["success", "warning", "failure", "refused", "cancelled"]
SUCCESS, WARNING, FAILURE, REFUSED, CANCELLED = "success", "warning", "failure", "refused", "cancelled"


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation with a peer. role: "scp" when the peer asked us, "scu" when requested by this station. peer: the
    node's name, or what else it is known by. objects: those that went well (warned ones included); seconds: how long it
    took; words: the reason people read, without anything of a patient."""

    kind: str
    role: Literal["scp", "scu"]
    peer: str
    result: Result
    title: str = ""
    called: str = ""
    address: str = ""
    node_id: str | None = None
    facility_id: str | None = None
    status: int | None = None
    objects: int = 0
    warned: int = 0
    failed: int = 0
    bytes: int = 0
    seconds: float = 0.0
    words: Phrase = NOTHING
    at: datetime = field(default_factory=now)


_SHORT = {"peer": 64, "title": 16, "called": 16, "address": 64}
_NAMES = tuple(one.name for one in fields(Operation))


def log_operation(database: Database, operation: Operation) -> None:
    """Writes the operation down. Never raises and never waits for the database."""
    _log_line(operation)
    row = {name: getattr(operation, name) for name in _NAMES}
    for name, most in _SHORT.items():
        row[name] = str(row[name]).replace("\0", "")[:most]
    row["words"] = operation.words.mapped(lambda text: mask(text).replace("\0", ""))
    row["correlation_id"] = correlation_id.get()[:32]
    _writer(database).add(row)


def _log_line(one: Operation) -> None:
    way = "from" if one.role == "scp" else "to"
    level = logging.INFO if one.result in (SUCCESS, CANCELLED) else logging.WARNING
    status = "" if one.status is None else f" {one.status:04X}"
    log.log(
        level,
        "%s %s %s %s: %s%s, %d objects, %d failed, %d bytes, %.2f s%s",
        one.kind,
        way,
        one.peer or one.title or "?",
        one.address,
        one.result,
        status,
        one.objects,
        one.failed,
        one.bytes,
        one.seconds,
        f"; {one.words}" if one.words else "",
        extra=EVERY_ONE,
    )


def flush(database: Database) -> None:
    """Commits what waits, now."""
    _writer(database).flush()


class _RowWriter:
    """Gathers the rows of one process for one database."""

    def __init__(self, database: Database) -> None:
        self._database = weakref.ref(database)  # the writer must not keep a closed database alive
        self._rows: deque[dict[str, object]] = deque(maxlen=_MOST)
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._thread: threading.Thread | None = None

    def add(self, row: dict[str, object]) -> None:
        self._rows.append(row)
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="transfer-log", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            time.sleep(_GATHER)
            self.flush()
            with self._lock:
                if not self._rows or self._database() is None:
                    self._thread = None
                    return

    def flush(self) -> None:
        database = self._database()
        if database is None:
            self._rows.clear()
            return
        with self._writing:
            while rows := [self._rows.popleft() for _ in range(min(_BATCH, len(self._rows)))]:
                if not self._write(database, rows):
                    return

    def _write(self, database: Database, rows: list[dict[str, object]]) -> bool:
        try:
            with database.write() as session:
                session.execute(insert(NetworkOperation), rows)
                for facility_id in {row["facility_id"] for row in rows}:
                    events.append(session, "operation.noted", {}, facility_id=facility_id)  # type: ignore[arg-type]
        except AppError:  # the database is away: they wait; the oldest go when there are too many
            self._rows.extendleft(reversed(rows[: _MOST - len(self._rows)]))
            return False
        except Exception:
            log.exception("entries of the transfer log cannot be written; %d are left out", len(rows))
        return True


_writers: "weakref.WeakKeyDictionary[Database, _RowWriter]" = weakref.WeakKeyDictionary()
_making = threading.Lock()


def _writer(database: Database) -> _RowWriter:
    with _making:
        found = _writers.get(database)
        if found is None:
            found = _writers[database] = _RowWriter(database)
        return found


@atexit.register
def _last() -> None:
    for writer in list(_writers.values()):
        writer.flush()
