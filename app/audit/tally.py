"""Frequent events (wrong passwords, refused calls of unknown callers, views of lists and studies): the first
of a kind is written at once, the others of the same window as one row with their number. So the trail cannot be
flooded, and paging through a list costs one transaction."""

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from app.audit.trail import Named, by
from app.db import Database
from app.kit.addresses import source_of
from app.kit.clock import now
from app.kit.errors import AppError

log = logging.getLogger(__name__)
MINUTE = 60.0  # seconds
READING_WINDOW = (
    300.0  # seconds in which the same look of the same person is one row, and one more that counts the others
)
READING_MOST = 20_000
_NAMES = 5  # names that the row of a kind lists

_Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AuditedAction:
    """The fields of an audit row (`audit.by`), and who_id: the account's id, when there is one: deeds of one account
    are counted together, those of strangers by address."""

    actor_name: str
    verb: str
    outcome: str = "success"
    thing: str = ""
    thing_id: str = ""
    facility_id: str | None = None
    address: str = ""
    actor_kind: str = "user"
    detail: Mapping[str, object] = field(default_factory=dict)
    who_id: str = ""

    @property
    def key(self) -> _Key:
        who = self.who_id or source_of(self.address)
        more = (f"{name}={value}" for name, value in sorted(self.detail.items()))
        return (self.verb, self.outcome, self.thing, self.thing_id, who, *more)


@dataclass(slots=True)
class _Kind:
    """The deeds of one kind within one window, without the first, which is written."""

    deed: AuditedAction
    count: int = 0
    names: list[str] = field(default_factory=list)
    since: datetime = field(default_factory=now)


class AuditTally:
    """Of one process. Thread-safe. `close` writes what is still counted.

    window: seconds; most: kinds in a window that have rows of their own, all others share one."""

    def __init__(self, database: Database, window: float = MINUTE, most: int = 200) -> None:
        self._database = database
        self._window, self._most = window, most
        self._lock = threading.Lock()
        self._kinds: dict[_Key, _Kind] = {}
        self._timer: threading.Timer | None = None

    def count(self, deed: AuditedAction) -> None:
        """One deed: written now, or counted."""
        if self.is_new(deed):
            self.write(deed)

    def is_new(self, deed: AuditedAction) -> bool:
        """Counts it; True for the first of its kind, which the caller writes by `write`. Never touches the database."""
        with self._lock:
            known = self._kinds.get(deed.key)
            if known is None and len(self._kinds) < self._most:
                self._kinds[deed.key] = _Kind(deed)
                self._start_timer()
                return True
            if known is None:
                rest = AuditedAction("", deed.verb, deed.outcome, detail={"why": "many addresses"})
                known = self._kinds.setdefault(("many",), _Kind(rest))
            known.count += 1
            if deed.actor_name not in known.names and len(known.names) < _NAMES:
                known.names.append(deed.actor_name)
            self._start_timer()
            return False

    def write(self, deed: AuditedAction) -> None:
        self._write(deed, dict(deed.detail))

    def _start_timer(self) -> None:
        if self._timer is None:
            self._timer = threading.Timer(self._window, self.flush)
            self._timer.daemon = True
            self._timer.start()

    def flush(self) -> None:
        """Ends the window: writes what was counted in it."""
        with self._lock:
            kinds, self._kinds = self._kinds, {}
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
        for kind in kinds.values():
            if kind.count:
                since = kind.since.isoformat(timespec="seconds")
                more: dict[str, object] = {"count": kind.count, "since": since}
                if not kind.deed.who_id:
                    more["names"] = kind.names
                self._write(kind.deed, dict(kind.deed.detail) | more)

    def close(self) -> None:
        self.flush()

    def _write(self, deed: AuditedAction, detail: dict[str, object]) -> None:
        try:
            with self._database.write() as session:
                who = Named(deed.actor_name, deed.actor_kind, deed.address)
                by(
                    session, who, deed.verb, deed.thing, deed.thing_id,
                    outcome=deed.outcome, facility_id=deed.facility_id, detail=detail,
                )  # fmt: skip
        except AppError:
            log.error("an entry could not be written to the audit trail: the database cannot be reached")
