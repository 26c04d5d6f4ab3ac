"""How much a peer may make us hold in memory. pynetdicom itself has no limits: it reads a PDU of any announced length,
collects a message without end and queues requests faster than they are served."""

import threading
from dataclasses import dataclass

MESSAGE_LIMIT = 256 << 20  # bytes of one message; a 14x17 inch film of 12 bits at 650 dpi has 200 MB
TOTAL_LIMIT = 512 << 20  # bytes of all messages that a process holds in this way
QUEUED_LIMIT = 8  # requests of an association that wait; one operation at a time is negotiated (PS3.7 D.3.3.3)
UNSENT_LIMIT = 32  # PDUs that wait to be sent; a service that answers more waits for the peer to read
EMPTY_LIMIT = 1000  # fragments without content in a row


@dataclass(frozen=True, slots=True)
class PynetLimits:
    """Of one association. Seconds: idle between two messages, pdu for a PDU that has begun and for an answer of the
    peer, artim for the negotiation and the end of a connection. max_pdu: the announced maximum length, in bytes."""

    idle: float
    pdu: float
    artim: float
    max_pdu: int
    message: int = MESSAGE_LIMIT


class MemoryBudget:
    """Bytes that the associations of a process hold together. Thread-safe."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._used = 0
        self._lock = threading.Lock()

    @property
    def used(self) -> int:
        return self._used

    def reserve(self, size: int) -> bool:
        """False when the limit would be exceeded; nothing is reserved then."""
        with self._lock:
            if self._used + size > self._limit:
                return False
            self._used += size
            return True

    def release(self, size: int) -> None:
        with self._lock:
            self._used -= size


BUDGET = MemoryBudget(TOTAL_LIMIT)
