"""fsync in a thread of its own, so that an object is hashed, read and indexed while the disk works."""

import os
import queue
import threading

_THREADS = 2


class Sync:
    """One fsync under way. `wait` may be called again and answers the same."""

    __slots__ = ("_done", "_fault", "_over", "fd")

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._fault: OSError | None = None
        self._over = False
        self._done = threading.Lock()
        self._done.acquire()

    def run(self) -> None:
        try:
            os.fsync(self.fd)
        except OSError as fault:
            self._fault = fault
        self._done.release()

    def wait(self) -> None:
        """Returns when the file is durable. Raises OSError when it could not be made so."""
        if not self._over:
            self._done.acquire()
            self._over = True
        if self._fault is not None:
            raise self._fault


class Syncer:
    """Two threads, started at first use; they hold nothing while they wait."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Sync | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._starting = threading.Lock()

    def start(self, fd: int) -> Sync:
        """Begins to sync an open file, which must stay open until `wait` has returned."""
        if not self._threads:
            with self._starting:
                if not self._threads:
                    self._threads = [
                        threading.Thread(target=self._work, name="sync", daemon=True) for _ in range(_THREADS)
                    ]
                    for thread in self._threads:
                        thread.start()
        sync = Sync(fd)
        self._queue.put(sync)
        return sync

    def _work(self) -> None:
        while (sync := self._queue.get()) is not None:
            sync.run()

    def close(self) -> None:
        """Ends the threads once what was asked for is done."""
        threads, self._threads = self._threads, []
        for _ in threads:
            self._queue.put(None)
        for thread in threads:
            thread.join()
