"""A Wire as pynetdicom's AssociationSocket: plain and TLS alike, with the deadlines and PDU limit of this package.

pynetdicom's own socket has none of that: `recv` blocks without end inside a PDU, so that not even an abort gets
through; `select` fails for descriptors above 1023; and idle associations poll 1000 times a second."""

import contextlib
import time
from collections.abc import Callable

from pynetdicom.association import Association
from pynetdicom.transport import T_CONNECT, AssociationSocket

from app.network import pdu
from app.network.pynet.limits import PynetLimits
from app.network.wire import PeerGone, PeerSilent, Wire

_BUSY = 1.0  # seconds after the last bytes in which nothing delays an answer
_IDLE_WAIT = 0.02  # seconds that a quiet association waits for the peer between two looks at its own queue
_LINGER = 2.0  # seconds the peer has to close after the association has ended (PS3.8 9.2, Sta13)


class WireSocket(AssociationSocket):
    """Used by the thread of the association's DUL alone. first: bytes that have been read from the wire already and
    come before the rest; fail: is given the reason when this side ends the connection."""

    def __init__(
        self, assoc: Association, wire: Wire, limits: PynetLimits, fail: Callable[[str], None], first: bytes = b""
    ) -> None:
        super().__init__(assoc, client_socket=wire.sock)
        self._wire = wire
        self._limits = limits
        self._fail = fail
        self._first = first
        self._active = time.monotonic()
        self._ends_at = float("inf")
        if assoc.is_requestor:  # the indication of a caller, which the constructor queued, is for an acceptor
            assoc.dul.event_queue.get_nowait()

    def connect(self, primitive: T_CONNECT) -> None:
        """The connection exists already (app.network.connect)."""
        primitive.result = "Evt2"
        self.provider_queue.put(primitive)
        self._ready.set()

    @property
    def ready(self) -> bool:
        """Whether there is something to read, or the end of the connection. Waits a little while nothing happens."""
        if self.socket is None or not self._is_connected:
            return False
        return bool(self._first) or self._wire.wait_readable(self._patience())

    def _patience(self) -> float:
        now = time.monotonic()
        if self.assoc.dul.state_machine.current_state == "Sta13":
            self._ends_at = min(self._ends_at, now + min(_LINGER, self._limits.artim))
            return max(0.0, min(self._ends_at, self._wire.cut) - now)
        return 0.0 if now - self._active < _BUSY else _IDLE_WAIT

    def recv(self, nr_bytes: int) -> bytearray:
        """Exactly `nr_bytes` bytes; fewer where the connection ends. Raises OSError for what is not read at all."""
        self._active = time.monotonic()
        if self._first:
            found, self._first = self._first[:nr_bytes], self._first[nr_bytes:]
            return bytearray(found)
        if nr_bytes > self._limits.max_pdu + 16:  # a few bytes more: senders count the header in or out
            self._abort(f"a PDU of {nr_bytes} bytes", pdu.BY_PROVIDER, pdu.INVALID_PARAMETER)
            raise OSError("the PDU is too long")
        self._wire.set_deadline(self._limits.pdu)
        try:
            return bytearray(self._wire.read(nr_bytes))
        except PeerSilent:
            self._abort("silent for too long", pdu.BY_USER, 0)
            raise TimeoutError("the peer was silent inside a PDU") from None
        except PeerGone:
            return bytearray()

    def _abort(self, why: str, source: int, reason: int) -> None:
        self._fail(why)
        with contextlib.suppress(PeerGone, PeerSilent):
            self._wire.set_deadline(1.0)
            self._wire.send(pdu.encode_abort(source, reason))

    def send(self, bytestream: bytes) -> None:
        """All of it, or the event that the connection has ended."""
        self._active = time.monotonic()
        self._wire.set_deadline(self._limits.pdu)
        try:
            self._wire.send(bytestream)
        except PeerSilent:
            self._fail("the peer took nothing for too long")
            self.event_queue.put("Evt17")
        except PeerGone:
            self.event_queue.put("Evt17")

    def _shutdown_socket(self) -> None:
        self._wire.close()
