"""A log file for each day, written by several processes at once.

Each line is one append to the file that is named after its day (UTC), so no process has to rename a file that another
one still writes to; files older than `keep` days are removed by the process that opens the next day's."""

import contextlib
import logging
import os
import re
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: one process a file
    fcntl = None  # type: ignore[assignment]

_MODE = 0o600


class DailyFile(logging.Handler):
    """Writes FOLDER/STEM_YYYYMMDD.log."""

    def __init__(self, folder: Path, stem: str, keep: int = 30, most: int = 100 << 20) -> None:
        """keep: days; most: bytes of a file. A full one becomes STEM_YYYYMMDD.1.log, in place of the one before it: so the
        newest lines are there, and a day takes no more than twice as much."""
        super().__init__()
        self._folder, self._stem, self._keep, self._most = folder, stem, keep, most
        self._day, self._handle = "", -1
        self._complained = float("-inf")

    def emit(self, record: logging.LogRecord) -> None:
        try:
            day = time.strftime("%Y%m%d", time.gmtime(record.created))
            if day != self._day:
                self._turn(day)
            elif self._most and os.fstat(self._handle).st_size >= self._most:
                self._roll(day)
            os.write(self._handle, (self.format(record) + "\n").encode("utf-8", "replace"))
        except OSError as fault:  # a full disk: the console reports it once a minute, and nothing is stopped
            if time.monotonic() - self._complained > 60:
                self._complained = time.monotonic()
                sys.stderr.write(f"filmroom: the log {self._path(self._day)} cannot be written: {fault.strerror}\n")
        except Exception:  # noqa: BLE001 as logging does it: a log that cannot be written does not stop a role
            self.handleError(record)

    def _path(self, day: str) -> Path:
        return self._folder / f"{self._stem}_{day}.log"

    def _turn(self, day: str) -> None:
        self._open(day)
        self._thin(day)

    def _open(self, day: str) -> None:
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)
        self._handle = os.open(self._path(day), flags, _MODE)
        self._day = day

    def _roll(self, day: str) -> None:
        """The first process that finds the file full renames it; the others only follow to the new one."""
        if fcntl is not None:
            fcntl.flock(self._handle, fcntl.LOCK_EX)
        path = self._path(day)
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_ino == os.fstat(self._handle).st_ino:
                path.replace(path.with_suffix(".1.log"))
        self._open(day)

    def _thin(self, today: str) -> None:
        named = re.compile(rf"{re.escape(self._stem)}_(\d{{8}})(\.1)?\.log")
        oldest = (datetime.strptime(today, "%Y%m%d") - timedelta(days=self._keep - 1)).strftime("%Y%m%d")  # noqa: DTZ007 a day
        for path in list(self._folder.iterdir()):
            found = named.fullmatch(path.name)
            if found and found[1] < oldest:
                with contextlib.suppress(OSError):  # another process was faster
                    path.unlink()

    def close(self) -> None:
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1
        super().close()
