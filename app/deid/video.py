"""Data in a video stream beside its pictures: user data of MPEG-2 (ISO/IEC 13818-2 6.2.2.2.2), of H.264 (T-REC H.264 D)
and of HEVC (H.265 D), and the texts of an MP4 file. They are overwritten in place, as in streams.py."""

import re
import struct
from collections.abc import Callable, Iterator

from app.deid.streams import Edit

Read = Callable[[int, int], bytes]  # (offset, length) -> bytes

_PIECE = 4 << 20  # bytes read at a time
_START = re.compile(rb"\x00\x00\x01", re.DOTALL)
_MOST_BOXES = 10_000
_MP4_PARENTS = {b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts"}
_MP4_TEXTS = {b"udta", b"meta", b"free", b"skip", b"uuid", b"wide"}


def container(head: bytes) -> str:
    """mp4, transport, program or "" for an elementary stream."""
    if head[4:8] == b"ftyp":
        return "mp4"
    if head[:1] == b"\x47" and head[188:189] in (b"\x47", b""):
        return "transport"
    return "program" if head[:4] == b"\x00\x00\x01\xba" else ""


def edits(read: Read, size: int, codec: str) -> Iterator[Edit]:
    """Byte ranges to overwrite in a stream. codec: mpeg2, h264 or hevc."""
    if container(read(0, 200)) == "mp4":
        yield from _mp4(read, 0, size)
        return
    for start, end in _units(read, size):
        head = read(start, 2)
        if codec == "mpeg2":
            if head[:1] == b"\xb2":
                yield start + 1, b" " * (end - start - 1)
        elif codec == "h264":
            if head and head[0] & 0x1F == 6 and end - start > 2:  # SEI becomes filler data (7.3.2.7)
                yield start, b"\x0c" + b"\xff" * (end - start - 2) + b"\x80"
        elif len(head) == 2 and head[0] >> 1 & 0x3F in (39, 40) and end - start > 3:  # 7.3.2.8
            yield start, bytes((38 << 1 | head[0] & 0x81,)) + head[1:] + b"\xff" * (end - start - 3) + b"\x80"


def _units(read: Read, size: int) -> Iterator[tuple[int, int]]:
    """(start, end) of the bytes between start codes, without trailing zeros."""
    at, began = 0, -1
    while at < size:
        piece = read(at, _PIECE)
        for found in _START.finditer(piece):
            if began >= 0:
                yield began, _without_zeros(read, began, at + found.start())
            began = at + found.end()
        if len(piece) < _PIECE:
            break
        at += len(piece) - 2
        if began > at:
            at = began
    if 0 <= began < size:
        yield began, size


def _without_zeros(read: Read, start: int, end: int) -> int:
    while end > start and read(end - 1, 1) == b"\0":
        end -= 1
    return end


def _mp4(read: Read, at: int, end: int) -> Iterator[Edit]:
    for _ in range(_MOST_BOXES):
        head = read(at, 16)
        if len(head) < 8 or at + 8 > end:
            return
        length, name = struct.unpack_from(">I4s", head)
        content = at + 8
        if length == 1 and len(head) == 16:
            (length,) = struct.unpack_from(">Q", head, 8)
            content = at + 16
        stop = min(at + length if length else end, end)
        if stop < content:
            return
        if name in _MP4_PARENTS:
            yield from _mp4(read, content, stop)
        elif name in _MP4_TEXTS:
            yield at + 4, b"free"
            yield content, bytes(stop - content)
        elif name == b"hdlr" and stop > content + 24:
            yield content + 24, bytes(stop - content - 24)  # the name of a track
        at = stop
