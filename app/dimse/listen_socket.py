"""A port on one or several addresses of this machine, as one thing to accept from."""

import contextlib
import os
import select
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: one receiver, nothing is shared
    fcntl = None  # type: ignore[assignment]

from app.config import Config
from app.kit import occupied

Accepted = tuple[socket.socket, tuple[object, ...]]


class ListenSocket:
    """Listens on a port of every given host. Raises OSError when one of them cannot be had.

    shared: other receivers of this installation listen on the same port, and the kernel deals the callers out
    (SO_REUSEPORT); the folder is where they know each other by a lock (Config.run). A port that any other program
    listens on, another installation with several receivers too, is refused: the first one opens it for itself alone
    and lets others join only afterwards."""

    def __init__(self, hosts: str, port: int, shared: Path | None = None) -> None:
        self.port = port
        self._seconds = 0.5
        self._sockets: dict[int, socket.socket] = {}
        self._member = -1  # the lock that marks this port as open here
        try:
            if shared is None or fcntl is None:
                self._open(hosts, joining=False)
            else:
                with _exclusive(shared):
                    self._open_shared(hosts, shared)
        except OSError:
            self.close()
            raise

    def _open_shared(self, hosts: str, folder: Path) -> None:
        self._member = os.open(folder / f"port-{self.port}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._member, fcntl.LOCK_EX | fcntl.LOCK_NB)
            joining = False
        except BlockingIOError:
            joining = True
        self._open(hosts, joining)
        for sock in self._sockets.values():
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        fcntl.flock(self._member, fcntl.LOCK_SH)

    def _open(self, hosts: str, joining: bool) -> None:
        listed = hosts_of(hosts)
        for host in listed:
            sock = occupied.listen(host, self.port, only_ipv6=len(listed) > 1, joining=joining)
            sock.setblocking(False)
            self._sockets[sock.fileno()] = sock

    def settimeout(self, seconds: float) -> None:
        """How long `accept` waits."""
        self._seconds = seconds

    def fileno_list(self) -> list[int]:
        return list(self._sockets)

    def accept(self) -> Accepted:
        """The next caller. Raises TimeoutError when there is none in time, OSError when none can be taken."""
        for number in _readable(list(self._sockets), self._seconds):
            with contextlib.suppress(BlockingIOError):  # it has gone again
                sock, peer = self._sockets[number].accept()
                sock.setblocking(True)
                return sock, peer
        raise TimeoutError

    def close(self) -> None:
        for sock in self._sockets.values():
            sock.close()
        self._sockets.clear()
        if self._member >= 0:
            os.close(self._member)
            self._member = -1


def shared_folder(config: Config) -> Path | None:
    """The value for `shared` of `ListenSocket`."""
    several = config.receivers > 1 and hasattr(socket, "SO_REUSEPORT") and hasattr(os, "fork")
    return config.run if several else None


def hosts_of(hosts: str) -> list[str]:
    """The addresses of a setting such as "10.0.0.5, ::1"."""
    return [host.strip() for host in hosts.split(",") if host.strip()]


def wait_for_callers(listeners: list[ListenSocket], seconds: float) -> list[ListenSocket]:
    """Listeners with a waiting caller; waits at most `seconds` for the first."""
    numbers = {number: listener for listener in listeners for number in listener.fileno_list()}
    found = _readable(list(numbers), seconds)
    return list(dict.fromkeys(numbers[number] for number in found))


def _readable(numbers: list[int], seconds: float) -> list[int]:
    if sys.platform == "win32":
        return list(select.select(numbers, [], [], seconds)[0])
    poller = select.poll()  # select knows no descriptors beyond 1023
    for number in numbers:
        poller.register(number, select.POLLIN)
    return [number for number, _ in poller.poll(seconds * 1000)]


@contextlib.contextmanager
def _exclusive(folder: Path) -> Iterator[None]:
    """One receiver of an installation opens a port at a time."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (folder / "ports.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
