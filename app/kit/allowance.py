"""How long an outgoing call may wait for the other side in all. Timeouts of single reads and writes do not end a peer
that sends or takes a byte each second, and a fixed time for the whole call would end large objects on slow lines."""

import socket
import sys

LEAST_RATE = 1024.0  # bytes a second; what goes on slower than this uses the allowance up


class Allowance:
    """Seconds that a call may spend waiting, given back by what moves: each byte gives back 1/LEAST_RATE s, up to the
    whole again. So a call of n bytes waits `seconds` + n / LEAST_RATE at most, and what moved early pays for no silence at
    the end beyond `seconds`. Only time spent in the network counts. For one thread."""

    def __init__(self, seconds: float, rate: float = LEAST_RATE) -> None:
        self.seconds, self.rate = seconds, rate
        self._left = seconds
        self.quiet = 0.0  # seconds since the last byte moved, which distinguish a silent peer from a slow one

    def restart(self) -> None:
        """A new call, or a new part of it: all of the time is there again."""
        self._left, self.quiet = self.seconds, 0.0

    def pause(self) -> None:
        """The current wait has its own limit; nothing counts until `restart`."""
        self._left = float("inf")

    @property
    def expired(self) -> bool:
        return self._left <= 0

    @property
    def peer_silent(self) -> bool:
        """Whether nothing has moved for nearly all of the time."""
        return self.quiet >= 0.8 * self.seconds

    def remaining(self, timeout: float | None = None) -> float:
        """Seconds that a read or write may wait, at most the timeout. Raises TimeoutError when the time is used up."""
        if self._left <= 0:
            raise TimeoutError
        return self._left if timeout is None else min(timeout, self._left)

    def record_wait(self, seconds: float, moved: int, left: int = 0) -> None:
        """Records a wait and the bytes moved meanwhile. left: those that left the kernel (`Unsent`)."""
        self.quiet = 0.0 if moved else self.quiet + seconds
        self._left += (moved + left) / self.rate - seconds
        if self._left > self.seconds and self._left != float("inf"):
            self._left = self.seconds


class Unsent:
    """Bytes that still wait in the kernel for a slow line: as long as it gets less, the other side is not silent,
    it has not got the request yet. Known on Linux only; elsewhere nothing ever moves here."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._before = self._now()

    def moved(self) -> int:
        """Bytes that the other side has acknowledged since this was last asked."""
        now = self._now()
        moved, self._before = max(0, self._before - now), now
        return moved

    def _now(self) -> int:
        if sys.platform != "linux":
            return 0
        import fcntl
        import termios

        try:
            found = fcntl.ioctl(self._sock.fileno(), termios.TIOCOUTQ, b"\0" * 4)  # SIOCOUTQ, tcp(7)
        except (OSError, ValueError):
            return 0
        return int.from_bytes(found, sys.byteorder)
