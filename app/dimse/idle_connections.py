"""Connections that have not sent anything wait here once many are open: in one selector instead of a thread each, so
that a thousand idle ones do not use association slots (the limit counts requested associations). A connection that
sends nothing within ARTIM (PS3.8 9.1.5) is closed; when there are too many, the one that has waited longest."""

import contextlib
import logging
import selectors
import socket
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

log = logging.getLogger(__name__)
MOST = 4000  # connections that may wait
_TURN = 0.25  # seconds

Start = Callable[[], None]


class IdleConnections:
    """`wait(sock, start)` calls `start` once the socket has something to read; it closes it otherwise."""

    def __init__(self, patience: Callable[[], float], stopping: threading.Event) -> None:
        self._patience = patience
        self._stopping = stopping
        self._selector = selectors.DefaultSelector()
        self._waiting: OrderedDict[socket.socket, tuple[float, Start]] = OrderedDict()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    def wait(self, sock: socket.socket, start: Start) -> None:
        """Takes the socket over."""
        with self._lock:
            if len(self._waiting) >= MOST:
                self._close_socket(next(iter(self._waiting)))
            try:
                self._selector.register(sock, selectors.EVENT_READ)
            except (OSError, ValueError, KeyError):  # gone already
                sock.close()
                return
            self._waiting[sock] = (time.monotonic() + self._patience(), start)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="idle-connections", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while not self._stopping.is_set():
            for start in self._ready():
                try:
                    start()
                except Exception:
                    log.exception("a connection cannot be served")
            self._send_away()
        with self._lock:
            for sock in list(self._waiting):
                self._close_socket(sock)
            self._selector.close()

    def _ready(self) -> list[Start]:
        """Those with data to read, or closed by the peer: both are for an association to find out."""
        found = self._selector.select(_TURN)
        with self._lock:
            starts = []
            for key, _ in found:
                sock = key.fileobj
                if isinstance(sock, socket.socket) and sock in self._waiting:
                    starts.append(self._waiting.pop(sock)[1])
                    self._selector.unregister(sock)
            return starts

    def _send_away(self) -> None:
        moment = time.monotonic()
        with self._lock:
            while self._waiting:
                sock, (until, _) = next(iter(self._waiting.items()))
                if until > moment:
                    break
                self._close_socket(sock)

    def _close_socket(self, sock: socket.socket) -> None:
        self._waiting.pop(sock, None)
        with contextlib.suppress(OSError, KeyError, ValueError):
            self._selector.unregister(sock)
        sock.close()
