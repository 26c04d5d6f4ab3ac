"""The data set of an object as P-DATA PDUs (PS3.8 9.3.5), with as few system calls as the peer's PDU length allows.

Large PDUs go from the file to the socket by the kernel (one header, one sendfile each). Small ones, a TLS connection
and data that is not a plain file go through a buffer that already holds the headers of a whole batch: the file is read
into the gaps by one call and the batch leaves by another."""

import os
import struct
from collections.abc import Callable
from typing import Any, BinaryIO

from app.network import pdu
from app.network.wire import Wire

HEADER = 12  # PDU header, PDV length, context id, message control header
BATCH = 1 << 20  # bytes that are laid out at once
FROM_FILE = 1 << 17  # a PDU when the peer takes any length
BY_KERNEL = 1 << 15  # shorter PDUs cost more as calls of their own than as a copy
_VECTORS = 512  # pieces of one read: well below every system's limit
_HEAD = struct.Struct(">BBIIBB")

Pace = Callable[[int], None]


class Payload:
    """Writes data sets to one association. limit: the largest P-DATA the peer takes, in bytes of its variable part."""

    def __init__(self, wire: Wire, limit: int, timeout: float) -> None:
        self._wire = wire
        self._timeout = timeout
        self._room = (limit - 6) & ~1
        self._by_kernel = hasattr(os, "sendfile") and wire.direct and self._room >= BY_KERNEL
        self._store: bytearray | None = None
        self._gaps: list[memoryview] = []
        self.sent = 0  # bytes of data sets so far; another thread may look

    def send(self, context_id: int, data: BinaryIO, length: int, plain: bool, pace: Pace | None = None) -> None:
        """`length` bytes of data from its position. plain: an ordinary file, whose bytes the kernel may take by itself.
        pace: called with the bytes about to be sent; it waits as long as a limit wants. OSError where the data end
        early."""
        if plain and self._by_kernel:
            self._by_file(context_id, data, length, pace)
        else:
            self._by_buffer(context_id, data, length, plain, pace)

    def _by_file(self, context_id: int, data: BinaryIO, length: int, pace: Pace | None) -> None:
        room, left, offset = min(self._room, FROM_FILE), length, data.tell()
        wire, number = self._wire, data.fileno()
        while True:
            size = min(room, left)
            left -= size
            if pace is not None:
                pace(size)
            wire.set_deadline(self._timeout)
            wire.send(_HEAD.pack(pdu.P_DATA, 0, size + 6, size + 2, context_id, 0 if left else 2), more=True)
            wire.send_file(number, offset, size)
            offset += size
            self.sent += size
            if not left:
                return

    def _layout_pdus(self) -> bytearray:
        """The buffer and its gaps, made with the first object that needs them."""
        room = min(self._room, BATCH)
        count = max(1, min(BATCH // (room + HEADER), _VECTORS))
        self._store = bytearray(count * (room + HEADER))
        view = memoryview(self._store)
        self._gaps = [view[n * (room + HEADER) + HEADER : (n + 1) * (room + HEADER)] for n in range(count)]
        return self._store

    def _by_buffer(self, context_id: int, data: BinaryIO, length: int, plain: bool, pace: Pace | None) -> None:
        store = self._store or self._layout_pdus()
        room, count = len(self._gaps[0]), len(self._gaps)
        if pace is not None:  # small steps, so that a limit is a stream and not a row of bursts
            count = max(1, min(count, (1 << 16) // room))
        left, offset = length, data.tell()
        while True:
            size = min(left, count * room)
            pieces = max(1, -(-size // room))
            gaps = self._gaps[:pieces]
            gaps[-1] = gaps[-1][: size - (pieces - 1) * room]
            _fill(data, gaps, offset, size, plain)
            left, offset = left - size, offset + size
            for n, gap in enumerate(gaps):
                last = not left and n == pieces - 1
                here = len(gap)
                _HEAD.pack_into(
                    store, n * (room + HEADER), pdu.P_DATA, 0, here + 6, here + 2, context_id, 2 if last else 0
                )
            if pace is not None:
                pace(size)
            self._wire.set_deadline(self._timeout)
            self._wire.send(memoryview(store)[: size + pieces * HEADER])
            self.sent += size
            if not left:
                return


def _fill(data: Any, gaps: list[memoryview], offset: int, size: int, plain: bool) -> None:
    if plain and hasattr(os, "preadv"):
        if os.preadv(data.fileno(), gaps, offset) == size:
            return
        data.seek(offset)  # a short read of the file system: slowly, piece by piece
    for gap in gaps:
        filled = 0
        while filled < len(gap):
            count = data.readinto(gap[filled:])
            if not count:
                raise OSError("a stored file is shorter than its index says")
            filled += count
