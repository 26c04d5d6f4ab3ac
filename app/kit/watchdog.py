"""Which processes no longer answer: their state files (kit/rolestate.py) have not changed for too long.

Silence is counted by the watcher's own looks, on a clock that only runs forward: neither a wall clock that jumps, nor a
machine that was suspended, nor a watcher that was stopped itself makes anybody silent."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from app.kit.rolestate import BEAT

START_SECONDS = 120.0  # until the first sign of life: imports from a slow disk
_STEP = 2 * BEAT  # seconds that one look adds at most


@dataclass(slots=True)
class _Watched:
    sign: tuple[int, int] | None = None
    silence: float = 0.0


class Watchdog:
    """Look often. seconds: of silence after which a process counts as hung; 0: never."""

    def __init__(self, folder: Path, seconds: float) -> None:
        self._folder, self.seconds = folder, seconds
        self._watched: dict[int, _Watched] = {}
        self._looked = time.monotonic()

    def silent_pids(self, pids: Iterable[int]) -> list[int]:
        """Those of these processes that have been silent too long."""
        moment = time.monotonic()
        passed, self._looked = min(moment - self._looked, _STEP), moment
        if not self.seconds:
            return []
        signs = self._heartbeats()
        found, before = [], self._watched
        self._watched = {pid: before.get(pid, _Watched()) for pid in pids}
        for pid, one in self._watched.items():
            sign = signs.get(pid)
            if sign is not None and sign != one.sign:
                one.sign, one.silence = sign, 0.0
                continue
            one.silence += passed
            if one.silence > (self.seconds if one.sign else max(self.seconds, START_SECONDS)):
                found.append(pid)
        return found

    def _heartbeats(self) -> dict[int, tuple[int, int]]:
        """pid -> what changes with each beat."""
        found = {}
        for path in self._folder.glob("role-*.json"):
            number = path.stem.rpartition("-")[2]
            try:
                state = path.stat()
            except OSError:  # its process ends just now
                continue
            if number.isdigit():
                found[int(number)] = (state.st_mtime_ns, state.st_ino)
        return found
