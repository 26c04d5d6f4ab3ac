"""A port on one or several addresses of this machine, as one thing to accept from."""

import contextlib
import os
import select
import socket
import sys

Accepted = tuple[socket.socket, tuple[object, ...]]


class Door:
    """Listens on a port of every given host. Raises OSError when one of them cannot be had.

    shared: other processes of ours listen on the same port, and the kernel deals the callers out."""

    def __init__(self, hosts: str, port: int, shared: bool = False) -> None:
        self.port = port
        self._seconds = 0.5
        self._sockets: dict[int, socket.socket] = {}
        listed = hosts_of(hosts)
        try:
            for host in listed:
                sock = _bind(host, port, shared, only=len(listed) > 1)
                self._sockets[sock.fileno()] = sock
        except OSError:
            self.close()
            raise

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


def hosts_of(hosts: str) -> list[str]:
    """The addresses of a setting such as "10.0.0.5, ::1"."""
    return [host.strip() for host in hosts.split(",") if host.strip()]


def ready(doors: list[Door], seconds: float) -> list[Door]:
    """Those at whose door somebody stands, waiting at most so long for the first."""
    numbers = {number: door for door in doors for number in door.fileno_list()}
    found = _readable(list(numbers), seconds)
    return list(dict.fromkeys(numbers[number] for number in found))


def _readable(numbers: list[int], seconds: float) -> list[int]:
    if sys.platform == "win32":
        return list(select.select(numbers, [], [], seconds)[0])
    poller = select.poll()  # select knows no descriptors beyond 1023
    for number in numbers:
        poller.register(number, select.POLLIN)
    return [number for number, _ in poller.poll(seconds * 1000)]


def _bind(host: str, port: int, shared: bool, only: bool) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == "posix":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared and hasattr(socket, "SO_REUSEPORT"):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if only and family == socket.AF_INET6:  # :: beside 0.0.0.0 would want the same port twice
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((host, port))
        sock.listen(256)
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock
