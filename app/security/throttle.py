"""Pauses after failed logins, per name and per address (SEC-1, SEC-7).

Known names count in the database (all processes see it, it survives a restart); addresses and unknown names count
here, alike, so that a pause does not tell which names exist."""

import threading
from datetime import timedelta

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


def refuse(seconds: float) -> None:
    wait = max(1, round(seconds))
    raise Throttled("Too many failed sign-ins.", hint="Wait a while, then try again.", retry_after=wait)


class Throttle:
    """The failures of one process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._addresses: dict[str, list[float]] = {}
        self._names: dict[str, tuple[int, float]] = {}  # unknown name -> failures, not before

    def check(self, name: str, address: str) -> None:
        """Raises Throttled while a pause lasts."""
        moment = monotonic()
        with self._lock:
            recent = [t for t in self._addresses.get(address, ()) if moment - t < WINDOW]
            until = self._names.get(name, (0, 0.0))[1]
        if len(recent) >= ADDRESS_TRIES:
            refuse(WINDOW - (moment - recent[-ADDRESS_TRIES]))
        if until > moment:
            refuse(until - moment)

    def failed(self, name: str, address: str, *, known: bool) -> None:
        moment = monotonic()
        with self._lock:
            self._addresses[address] = [t for t in self._addresses.get(address, ()) if moment - t < WINDOW] + [moment]
            if not known:
                failures = self._names.get(name, (0, 0.0))[0] + 1
                self._names[name] = (failures, moment + pause_after(failures).total_seconds())
            while len(self._addresses) > _KEPT:
                self._addresses.pop(next(iter(self._addresses)))
            while len(self._names) > _KEPT:
                self._names.pop(next(iter(self._names)))
