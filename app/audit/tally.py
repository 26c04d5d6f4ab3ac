"""Failures that strangers can repeat at will (wrong passwords, refused calls): the first of a kind from an address is
written at once, the others of the same minute as one row with their number, so that nobody can fill the trail."""

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from app.audit.trail import record
from app.db import Database
from app.kit.addresses import source_of
from app.kit.clock import now
from app.kit.errors import AppError

log = logging.getLogger(__name__)
WINDOW = 60.0  # seconds
_MOST = 200  # kinds a minute that have rows of their own; all others share one
_NAMES = 5  # names that the row of a kind lists

_Key = tuple[str, ...]


@dataclass(slots=True)
class _Kind:
    """The failures of one kind within one window."""

    fields: Mapping[str, str]
    detail: Mapping[str, object]
    count: int = 0
    names: list[str] = field(default_factory=list)
    first: datetime = field(default_factory=now)


class Tally:
    """Of one process. Thread-safe. `close` writes what is still counted."""

    def __init__(self, database: Database, window: float = WINDOW) -> None:
        self._database = database
        self._window = window
        self._lock = threading.Lock()
        self._kinds: dict[_Key, _Kind] = {}
        self._timer: threading.Timer | None = None

    def count(
        self,
        *,
        actor_name: str,
        verb: str,
        outcome: str,
        thing: str = "",
        thing_id: str = "",
        address: str = "",
        detail: Mapping[str, object] | None = None,
    ) -> None:
        """One failure. detail: what tells kinds apart besides the fields, such as {"why": "wrong password"}."""
        fields = {"verb": verb, "outcome": outcome, "thing": thing, "thing_id": thing_id, "address": address}
        detail = detail or {}
        key = (verb, outcome, thing, thing_id, source_of(address), *(f"{k}={v}" for k, v in sorted(detail.items())))
        with self._lock:
            known = self._kinds.get(key)
            if known is None and len(self._kinds) >= _MOST:
                key, fields, detail = ("others",), {"verb": verb, "outcome": outcome}, {"why": "many addresses"}
                known = self._kinds.setdefault(key, _Kind(fields, detail))
            if known is not None:
                known.count += 1
                if actor_name not in known.names and len(known.names) < _NAMES:
                    known.names.append(actor_name)
                self._arm()
                return
            self._kinds[key] = _Kind(fields, detail)
            self._arm()
        self._write(_Kind(fields, detail, 1, [actor_name]))

    def _arm(self) -> None:
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
                self._write(kind)

    def close(self) -> None:
        self.flush()

    def _write(self, kind: _Kind) -> None:
        detail = dict(kind.detail)
        if kind.count > 1:
            detail |= {"count": kind.count, "names": kind.names, "since": kind.first.isoformat(timespec="seconds")}
        try:
            with self._database.write() as session:
                record(session, actor_name=kind.names[0] if kind.names else "", detail=detail, **kind.fields)
        except AppError:
            log.error("a failure could not be written to the audit trail: the database cannot be reached")
