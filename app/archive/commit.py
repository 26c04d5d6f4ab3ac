"""Group commit: threads that wait for their rows share one short transaction (leader and followers)."""

import threading
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar


class Waiting(Protocol):
    """An entry that a thread waits for."""

    wake: threading.Lock
    done: bool


T = TypeVar("T", bound=Waiting)


class GroupCommit(Generic[T]):
    """`submit` returns when the entry's batch is through. The first to come leads; who comes while it works waits and
    goes with the next batch. `run` must settle every entry itself and never raise."""

    def __init__(self, run: Callable[[list[T]], None], most: int = 64) -> None:
        self._run, self._most = run, most
        self._lock = threading.Lock()
        self._queue: list[T] = []
        self._led = False

    @property
    def idle(self) -> bool:
        """No batch is under way."""
        return not self._led

    def submit(self, entry: T) -> None:
        entry.wake.acquire()
        with self._lock:
            self._queue.append(entry)
            lead, self._led = not self._led, True
        if not lead:
            entry.wake.acquire()  # released when it is done, or when it is its turn to lead
            if entry.done:
                return
        with self._lock:
            batch, self._queue = self._queue[: self._most], self._queue[self._most :]
        try:
            self._run(batch)
        finally:
            with self._lock:
                following = self._queue[0] if self._queue else None
                self._led = following is not None
            if following is not None:
                following.wake.release()
            for other in batch:
                other.done = True
                if other is not entry:
                    other.wake.release()
