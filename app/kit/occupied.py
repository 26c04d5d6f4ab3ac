"""Resources of only one installation: its data folder and its ports. Each is asked for at the start, so that a second
one ends with a sentence instead of working in part."""

import contextlib
import errno
import os
import socket
import time
from collections.abc import Iterable
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: there a service manager starts one
    fcntl = None  # type: ignore[assignment]

_LEFT_SECONDS = 6.0  # as long as roles live after their supervisor was killed
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}  # a file system that knows none


class Occupied(Exception):
    """Another process has it; the message names it, in one line."""


class FolderLock:
    """Held by the supervisor as long as it lives. It is a lock of the kernel's (flock) on DATA/.lock and ends with its process
    however that ends, so the file that stays behind means nothing. NFS passes it on to other machines unless it is mounted
    with `local_lock` or `nolock`."""

    def __init__(self, folder: Path) -> None:
        """Raises Occupied when another supervisor runs over the folder, OSError when it cannot be written."""
        self._fd = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
        try:
            if fcntl is not None:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._fd, 20, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(self._fd)
            raise Occupied(
                f"another Filmroom (process {holder}) runs over the data folder {folder}; stop it, or choose another folder "
                "with --data"
            ) from None
        except OSError as fault:
            if fault.errno not in _NO_LOCKS:
                raise
        with contextlib.suppress(OSError):  # on a full disk the lock holds all the same
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)

    def leave(self) -> None:
        """In a forked child: the lock stays with the parent alone."""
        os.close(self._fd)


def listen(host: str, port: int, *, only_ipv6: bool = False, joining: bool = False) -> socket.socket:
    """A socket that listens, which no other program shares. Raises OSError. joining: beside sockets of the same user that
    allow it (SO_REUSEPORT)."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == "posix":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if joining:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if only_ipv6 and family == socket.AF_INET6:  # :: beside 0.0.0.0 would want the same port twice
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((host, port))
        sock.listen(256)
    except OSError:
        sock.close()
        raise
    return sock


def port_fault(host: str, port: int, fault: OSError) -> str:
    """Why a port cannot be opened, in one line."""
    if fault.errno == errno.EADDRINUSE:
        return f"Port {port} is in use"
    if fault.errno == errno.EADDRNOTAVAIL:
        return f"Port {port} cannot be opened: {host} is not an address of this machine"
    if fault.errno == errno.EACCES:
        return f"Port {port} cannot be opened: this user may not open it (ports below 1024 need the right to)"
    return f"Port {port} cannot be opened at {host}: {fault.strerror or fault}"


def require_free(places: Iterable[tuple[str, int]], *, wait: bool = False) -> None:
    """Raises Occupied for the first address and port that cannot be opened. wait: for what ends by itself soon, the roles of
    a supervisor that was killed."""
    until = time.monotonic() + (_LEFT_SECONDS if wait else 0.0)
    for host, port in places:
        while (fault := _fault_at(host, port)) is not None:
            if time.monotonic() >= until:
                raise Occupied(port_fault(host, port, fault))
            time.sleep(0.1)


def _fault_at(host: str, port: int) -> OSError | None:
    try:
        listen(host, port).close()
    except OSError as fault:
        return fault
    return None
