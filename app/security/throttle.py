"""Pauses after failed logins, per name and per address (SEC-1, SEC-7).

Known names count in the database (all processes see it, it survives a restart); addresses and unknown names count
here, alike, so that a pause does not reveal which names exist."""

import threading
from datetime import timedelta
from typing import Any

from app.kit.addresses import source_of
from app.kit.clock import monotonic
from app.security.errors import Throttled

FREE_TRIES = 5
FIRST_PAUSE = 30.0
LONGEST_PAUSE = 900.0
ADDRESS_TRIES = 30  # failures from one address within the window
WINDOW = 300.0
_KEPT = 10_000


def pause_after(failures: int) -> timedelta:
    """0 for the first tries, then 30 s doubling up to 15 minutes."""
    if failures < FREE_TRIES:
        return timedelta()
    return timedelta(seconds=min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(failures - FREE_TRIES, 10)))


def refuse_login(seconds: float) -> None:
    wait = max(1, round(seconds))
    raise Throttled("Too many failed sign-ins.", hint="Wait and try again later.", retry_after=wait)


class FailureThrottle:
    """The failures of one process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._addresses: dict[str, list[float]] = {}
        self._names: dict[str, tuple[int, float]] = {}  # unknown name -> failures, not before

    def count_attempt(self, name: str, address: str, *, known: bool) -> float:
        """Counts a try as failed before it is judged; answers its moment, for `take_back`. Raises Throttled while a pause
        lasts. known: the name's failures are counted with the account."""
        moment, source = monotonic(), source_of(address)
        with self._lock:
            recent = [t for t in self._addresses.get(source, ()) if moment - t < WINDOW]
            failures, until = (0, 0.0) if known else self._names.get(name, (0, 0.0))
            wait = until - moment
            if len(recent) >= ADDRESS_TRIES:
                wait = max(wait, WINDOW - (moment - recent[-ADDRESS_TRIES]))
            if wait <= 0:
                self._addresses.pop(source, None)  # to the end: the one that tried longest ago is forgotten first
                self._addresses[source] = [*recent, moment]
                if not known and name:
                    self._names[name] = (failures + 1, moment + pause_after(failures + 1).total_seconds())
                _trim(self._addresses)
                _trim(self._names)
        if wait > 0:
            refuse_login(wait)
        return moment

    def take_back(self, address: str, moment: float) -> None:
        """The try was right, or was not made."""
        with self._lock:
            times = self._addresses.get(source_of(address), [])
            if moment in times:
                times.remove(moment)


def _trim(kept: dict[str, Any]) -> None:
    while len(kept) > _KEPT:
        kept.pop(next(iter(kept)))
