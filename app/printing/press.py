"""The parent's side of the typesetter: a few warm processes, each with a time limit, started when first needed."""

import atexit
import contextlib
import json
import os
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from app.kit.phrases import phrase
from app.printing import lines
from app.printing.errors import TypesettingFailed
from app.printing.lines import TypesetLine

TIMEOUT = 60.0  # seconds for a batch of pages; fifty dense pages take about five on two slow cores
_AGAIN = "Try again. If the error persists, contact an administrator."
IDLE = 120.0  # seconds after which a warm process is let go


class _Typesetter:
    """One child process; used by one thread at a time."""

    def __init__(self) -> None:
        root = Path(__file__).resolve().parents[2]
        environment = {k: v for k, v in os.environ.items() if not k.startswith("FILMROOM_")}  # it needs no secrets
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, (str(root), environment.get("PYTHONPATH", ""))))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "app.printing.typesetter"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            bufsize=0,
        )
        self.used = time.monotonic()

    def typeset(self, order: bytes, timeout: float) -> bytes:
        """The answer to one order. Raises TypesettingFailed; a process that was too slow or died is closed."""
        # A timer ends the process and so the reading: pipes have no time limit that works on every system.
        late = threading.Timer(timeout, self._process.kill)
        late.start()
        try:
            assert self._process.stdin
            self._process.stdin.write(struct.pack(">Q", len(order)) + order)
            status, length = struct.unpack(">BQ", self._read(9))
            answer = self._read(length)
        except (OSError, EOFError):
            self.close()
            raise TypesettingFailed("Page rendering stopped or timed out.", hint=_AGAIN) from None
        finally:
            late.cancel()
        self.used = time.monotonic()
        if status:
            raise TypesettingFailed(
                phrase(
                    "The text of the page could not be rendered ({words}).", words=answer.decode("utf-8", "replace")
                ),
                hint=_AGAIN,
            )
        return answer

    def _read(self, count: int) -> bytes:
        assert self._process.stdout
        parts: list[bytes] = []
        while count:
            part = self._process.stdout.read(min(count, 1 << 20))
            if not part:
                raise EOFError
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                with contextlib.suppress(OSError):
                    pipe.close()


class Press:
    """Up to `width` typesetters side by side."""

    def __init__(self, width: int = 2, timeout: float = TIMEOUT) -> None:
        self._free: list[_Typesetter] = []
        self._lock = threading.Lock()
        self._timeout = timeout
        self._threads = ThreadPoolExecutor(width, "press")
        self.width = width

    @contextlib.contextmanager
    def _borrow(self) -> Iterator[_Typesetter]:
        with self._lock:
            stale = [t for t in self._free if not t.alive or time.monotonic() - t.used > IDLE]
            self._free = [t for t in self._free if t not in stale]
            one = self._free.pop() if self._free else None
        for old in stale:
            old.close()
        one = one or _Typesetter()
        try:
            yield one
        finally:
            if one.alive:
                with self._lock:
                    self._free.append(one)

    def _run(self, order: bytes) -> bytes:
        with self._borrow() as typesetter:
            return typesetter.typeset(order, self._timeout)

    def typeset(self, texts: list[TypesetLine]) -> "Future[bytes]":
        """The lines as an uncompressed PDF of one page (`lines.cut` takes it apart); TypesettingFailed comes out of
        result()."""
        return self._threads.submit(self._run, json.dumps(lines.order(texts)).encode())

    def rest(self) -> None:
        """A long print is done: one typesetter stays warm for the next, the others would only hold memory."""
        with self._lock:
            spare, self._free = self._free[1:], self._free[:1]
        for typesetter in spare:
            typesetter.close()

    def close(self) -> None:
        self._threads.shutdown(cancel_futures=True)
        with self._lock:
            free, self._free = self._free, []
        for typesetter in free:
            typesetter.close()


_shared: Press | None = None
_shared_lock = threading.Lock()


def shared() -> Press:
    """The process's press; its typesetters stay warm between jobs."""
    global _shared
    with _shared_lock:
        if _shared is None:
            _shared = Press()
            atexit.register(_shared.close)
        return _shared
