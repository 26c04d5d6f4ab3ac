"""One DICOM connection as both sides need it: exact reads with a deadline, and a payload that lands where it is wanted.

Nagle is off on this side, and before each blocking read the kernel is asked to acknowledge at once: peers that leave
Nagle on then send 20 times faster (DESIGN 3.4). A read of payload asks for the next PDU's and PDV's headers too, so
that a PDU costs one system call where the network allows."""

import contextlib
import os
import select
import socket
import struct
import sys
import time
from collections.abc import Callable

from app.kit.allowance import Allowance, Unsent
from app.network import pdu
from app.network.pdu import BadPdu

AHEAD = 12  # bytes read beyond a payload: a PDU header and a PDV header
QUICKACK = getattr(socket, "TCP_QUICKACK", None)
_MORE = getattr(socket, "MSG_MORE", 0)
TICK = 1.0  # seconds a system call waits before deadlines are looked at


class PeerGone(Exception):
    """The connection ended without a word."""


class Aborted(PeerGone):
    """The peer sent an A-ABORT."""


class PeerSilent(Exception):
    """The peer did not send or take what was due in time."""


class PeerSlow(PeerSilent):
    """The peer goes on, but so slowly that the call's allowance is used up."""


class Wire:
    """A connected TCP socket. Used by one thread; only `cut` is set from others."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.direct = type(sock) is socket.socket  # the kernel may be asked to send by itself; not through TLS
        self.cut = float("inf")  # moment after which every wait ends (the role stops)
        self.on_tick: Callable[[], None] | None = None  # called about once a second while nothing comes
        self.allowance: Allowance | None = None  # of an outgoing call: what is sent is timed by it alone
        self._unsent: Unsent | None = None
        self._expected = 0.0
        self._due = float("inf")
        self._ahead = b""
        self._tick()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    def _tick(self) -> None:
        """Reads and writes return after a tick. The kernel's own timeouts spare the poll before each call that
        Python's cost: two system calls and two hand-overs of the interpreter lock become one."""
        if sys.platform == "win32":  # there they take another form
            self.sock.settimeout(TICK)
            return
        self.sock.settimeout(None)
        for side in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            self.sock.setsockopt(socket.SOL_SOCKET, side, struct.pack("ll", int(TICK), 0))

    def set_deadline(self, seconds: float) -> None:
        """From now on, reads and writes must end within `seconds`; writes of an outgoing call by its allowance."""
        self._expected = seconds
        self._due = time.monotonic() + seconds
        if self.allowance is not None:
            self._line_moved()

    def _received(self, begun: float, moved: int) -> None:
        """After each wait for something to read, since `begun`: raises PeerSilent when the time is used up."""
        moment = time.monotonic()
        if self.allowance is not None:
            left = 0 if moved else self._line_moved()
            if left and self._expected:  # it has not received the request yet
                self._due = min(self._due + left / self.allowance.rate, moment + self._expected)
            self._spent(moment - begun, moved, left)
        if moment > self._due or moment > self.cut:  # also for a peer that sends a byte each second
            raise PeerSilent

    def _written(self, begun: float, moved: int) -> None:
        """The same after each wait for the peer to take something."""
        moment = time.monotonic()
        if self.allowance is not None:
            self._spent(moment - begun, moved)
        elif not moved and moment > self._due:
            raise PeerSilent
        if moment > self.cut and not moved:
            raise PeerSilent

    def _spent(self, seconds: float, moved: int, left: int = 0) -> None:
        assert self.allowance is not None
        self.allowance.record_wait(seconds, moved, left)
        if self.allowance.expired:
            raise PeerSilent if self.allowance.peer_silent else PeerSlow

    def _line_moved(self) -> int:
        if self._unsent is None:
            self._unsent = Unsent(self.sock)
        return self._unsent.moved()

    def _receive(self, target: memoryview) -> int:
        while True:
            begun = time.monotonic()
            if QUICKACK is not None:
                with contextlib.suppress(OSError):
                    self.sock.setsockopt(socket.IPPROTO_TCP, QUICKACK, 1)
            try:
                count = self.sock.recv_into(target)
            except (TimeoutError, BlockingIOError):
                if self.on_tick is not None:
                    self.on_tick()
                self._received(begun, 0)
                continue
            except OSError:
                raise PeerGone from None
            if count == 0:
                raise PeerGone
            self._received(begun, count)
            return count

    def read(self, count: int) -> bytes:
        """Exactly `count` bytes; for headers and short PDUs."""
        if len(self._ahead) >= count:
            found, self._ahead = self._ahead[:count], self._ahead[count:]
            return found
        store = bytearray(count + AHEAD)
        self.read_into(memoryview(store), count)
        return bytes(store[:count])

    def read_into(self, target: memoryview, count: int) -> None:
        """Fills target[:count]; target has AHEAD bytes more, which may be overwritten."""
        taken = min(len(self._ahead), count)
        if taken:
            target[:taken] = self._ahead[:taken]
            self._ahead = self._ahead[taken:]
        while taken < count:
            taken += self._receive(target[taken : count + AHEAD])
        if taken > count:
            self._ahead = bytes(target[count:taken])

    def wait_readable(self, seconds: float = 0.0) -> bool:
        """Whether unread data has arrived, or the connection has ended. Waits for it so long."""
        if self._ahead or getattr(self.sock, "pending", lambda: 0)():
            return True
        try:
            if sys.platform == "win32":
                return bool(select.select([self.sock], [], [], seconds)[0])
            poller = select.poll()  # select() knows no descriptors beyond 1023
            poller.register(self.sock, select.POLLIN)
            return bool(poller.poll(seconds * 1000))
        except (OSError, ValueError):
            return True

    def send(self, data: bytes | bytearray | memoryview, more: bool = False) -> None:
        """All of it. more: something follows at once, so the kernel may wait with a short segment."""
        view = memoryview(data)
        while view:
            begun, sent = time.monotonic(), 0
            try:
                sent = self.sock.send(view, _MORE if more else 0)
            except (TimeoutError, BlockingIOError):
                pass
            except OSError:
                raise PeerGone from None
            view = view[sent:]
            self._written(begun, sent)

    def send_file(self, source: int, offset: int, count: int) -> None:
        """Sends `length` bytes of an open file by the kernel, without copying them (Linux, macOS)."""
        while count:
            begun = time.monotonic()
            try:
                sent = os.sendfile(self.sock.fileno(), source, offset, count)
            except BlockingIOError:  # a socket with a timeout does not block by itself
                waiter = select.poll()
                waiter.register(self.sock, select.POLLOUT)
                waiter.poll(TICK * 1000)
                self._written(begun, 0)
                continue
            except OSError:
                raise PeerGone from None
            if not sent:
                raise EOFError("a stored file is shorter than its index says")
            self._written(begun, sent)
            offset, count = offset + sent, count - sent

    def header(self) -> tuple[int, int]:
        """Type and length of the next PDU. A length is only believed by who reads it."""
        kind, _, length = struct.unpack(">BBI", self.read(6))
        return kind, length

    def abort(self, source: int, reason: int, linger: float = 2.0) -> None:
        """A-ABORT, then Sta13: wait for the peer to close, at most `linger` seconds (PS3.8 9.2, ARTIM)."""
        self.cut = min(self.cut, time.monotonic() + linger)
        with contextlib.suppress(PeerGone, PeerSilent):
            self.send(pdu.encode_abort(source, reason))
        self.close_after_peer(linger)

    def close_after_peer(self, seconds: float, end: bool = True) -> None:
        """Closes after the peer, so that the last PDU is not lost to a reset; reads away what still comes. end: shut
        down the sending side at once. After a rejection or release the peer is to close by itself (PS3.8 9.2, Sta13),
        and pynetdicom takes an end that comes with the PDU for a broken connection."""
        until = time.monotonic() + seconds
        store = bytearray(65536)
        with contextlib.suppress(OSError, TimeoutError):
            if end:
                self.sock.shutdown(socket.SHUT_WR)
            while (left := until - time.monotonic()) > 0:
                self.sock.settimeout(left)
                if not self.sock.recv_into(store):
                    break
        self.sock.close()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.sock.close()


class PdvReader:
    """The P-DATA part of a connection as a row of PDVs, whatever PDUs they come in.

    limit: the announced maximum length; a few bytes more are forgiven, since senders count the header in or out."""

    def __init__(self, wire: Wire, limit: int, idle_timeout: float, pdu_timeout: float) -> None:
        self.wire = wire
        self._limit = limit + 16
        self._idle_timeout = idle_timeout
        self._pdu_timeout = pdu_timeout
        self._left = 0  # bytes of the current PDU that have not been read
        self._begins = False

    def expect_message(self) -> None:
        """A message begins with the next PDU, which may be waited for without cost to the call's allowance."""
        self._begins = True

    def set_silence_limit(self, seconds: float) -> None:
        """From the next PDU on, and for one that is being waited for, the silence allowed before it."""
        self._idle_timeout = seconds
        self.wire.set_deadline(seconds)

    def wait_for_pdv(self, seconds: float = 0.0) -> bool:
        """Whether a PDV has begun to come; waits for it so long."""
        return self._left > 0 or self.wire.wait_readable(seconds)

    def read_pdv(self, within: float | None = None) -> tuple[int, int, int, int]:
        """(PDU type, context id, control header, payload length); for other PDUs than P-DATA their type and length,
        with the PDU's body unread: (type, 0, 0, length). within: seconds to wait for a PDU to begin, if not the
        time an association may be silent. Raises BadPdu, PeerGone, PeerSilent."""
        if self._left == 0:
            self.wire.set_deadline(self._idle_timeout if within is None else within)
            allowance = self.wire.allowance if self._begins else None
            self._begins = False
            if allowance is not None:
                allowance.pause()
            kind, length = self.wire.header()
            if allowance is not None:
                allowance.restart()
            self.wire.set_deadline(self._pdu_timeout)
            if kind != pdu.P_DATA:
                return kind, 0, 0, length
            if not 6 <= length <= self._limit:
                raise BadPdu(f"a P-DATA of {length} bytes")
            self._left = length
        if self._left < 6:
            raise BadPdu("a PDV is cut off")
        size, context_id, control = struct.unpack(">IBB", self.wire.read(6))
        if not 2 <= size <= self._left - 4:
            raise BadPdu("a PDV is longer than its PDU")
        self._left -= 4 + size
        return pdu.P_DATA, context_id, control, size - 2

    def fragment(self, context_id: int) -> tuple[int, bool]:
        """Length of the next fragment of a data set, whose bytes the caller reads, and whether it is the last.
        Raises Aborted, BadPdu, PeerGone, PeerSilent."""
        kind, found, control, size = self.read_pdv()
        if kind == pdu.ABORT:
            raise Aborted
        if kind != pdu.P_DATA:
            raise BadPdu(f"PDU type {kind} in the middle of a data set", pdu.UNEXPECTED_PDU)
        if found != context_id or control & 1:
            raise BadPdu("a fragment of another message in the middle of a data set", pdu.UNEXPECTED_PARAMETER)
        return size, bool(control & 2)
