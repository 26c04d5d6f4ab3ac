"""Open files for positioned reads: a few stay open, since the frames of one object are asked for one by one."""

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence

from app.kit.errors import AppError

_KEPT = 64  # open files
_IDLE = 30.0  # seconds; a deleted file's space comes back once its last handle is closed


class _Open:
    __slots__ = ("fd", "kept", "used", "users")

    def __init__(self, fd: int) -> None:
        self.fd, self.users, self.used, self.kept = fd, 0, 0.0, True


class OpenFiles:
    """Thread-safe; a file in use is never closed under its reader."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: OrderedDict[tuple[str, str], _Open] = OrderedDict()

    def read(self, path: str, version: str, places: Sequence[tuple[int, int]], check: Callable[[int], None]) -> bytes:
        """The bytes at (offset, length), joined; fewer when the file ends before. version: distinguishes one content of
        a path from another. check: called with the open file before each read, since a file may change while it is kept
        open; one that is refused is opened anew the next time. Raises FileNotFoundError, and what check raises."""
        key = (path, version)
        handle = self._acquire(key)
        try:
            check(handle.fd)
            parts = [_pread(handle.fd, length, offset) for offset, length in places]
        except AppError:
            self._release(key, handle)
            raise
        finally:
            self._give_back(handle)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _acquire(self, key: tuple[str, str]) -> _Open:
        with self._lock:
            handle = self._open.get(key)
            if handle is None:
                handle = self._open[key] = _Open(os.open(key[0], os.O_RDONLY | getattr(os, "O_CLOEXEC", 0)))
            self._open.move_to_end(key)
            handle.users += 1
            handle.used = time.monotonic()
            return handle

    def _give_back(self, handle: _Open) -> None:
        with self._lock:
            handle.users -= 1
            if not handle.kept and not handle.users:
                os.close(handle.fd)
            while self._open:
                key, oldest = next(iter(self._open.items()))
                stale = len(self._open) > _KEPT or time.monotonic() - oldest.used > _IDLE
                if not stale or oldest.users:
                    break
                del self._open[key]
                os.close(oldest.fd)

    def _release(self, key: tuple[str, str], handle: _Open) -> None:
        """Closed once its last reader gives it back."""
        with self._lock:
            handle.kept = False
            if self._open.get(key) is handle:
                del self._open[key]

    def close(self) -> None:
        with self._lock:
            for handle in self._open.values():
                handle.kept = False
                if not handle.users:
                    os.close(handle.fd)
            self._open.clear()


def _pread(fd: int, length: int, offset: int) -> bytes:
    """One read; more only where the system gives less than asked (Linux ends a read at 2 GiB)."""
    data = os.pread(fd, length, offset)
    if len(data) == length or not data:
        return data
    parts = [data]
    while length > (have := sum(map(len, parts))):
        piece = os.pread(fd, length - have, offset + have)
        if not piece:
            break
        parts.append(piece)
    return b"".join(parts)
