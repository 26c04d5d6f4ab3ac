"""A log file for each day, written by several processes at once.

Each line is one append to the file that is named after its day (UTC), so nobody has to rename a file that another
process still writes to; files older than `keep` days are removed by whoever opens the next day's."""

import contextlib
import logging
import os
import re
import time
from pathlib import Path

_MODE = 0o600


class DailyFile(logging.Handler):
    """Writes FOLDER/STEM_YYYYMMDD.log."""

    def __init__(self, folder: Path, stem: str, keep: int = 30) -> None:
        super().__init__()
        self._folder, self._stem, self._keep = folder, stem, keep
        self._day, self._handle = "", -1

    def emit(self, record: logging.LogRecord) -> None:
        try:
            day = time.strftime("%Y%m%d", time.gmtime(record.created))
            if day != self._day:
                self._turn(day)
            os.write(self._handle, (self.format(record) + "\n").encode("utf-8", "replace"))
        except Exception:  # noqa: BLE001 as logging does it: a log that cannot be written stops nobody
            self.handleError(record)

    def _turn(self, day: str) -> None:
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self._folder / f"{self._stem}_{day}.log"
        self._handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), _MODE)
        self._day = day
        self._thin(day)

    def _thin(self, today: str) -> None:
        named = re.compile(rf"{re.escape(self._stem)}_(\d{{8}})\.log")
        days = sorted(m[1] for m in (named.fullmatch(p.name) for p in self._folder.iterdir()) if m and m[1] <= today)
        for day in days[: -self._keep]:
            with contextlib.suppress(OSError):  # another process was faster
                (self._folder / f"{self._stem}_{day}.log").unlink()

    def close(self) -> None:
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1
        super().close()
