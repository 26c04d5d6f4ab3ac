"""Data in a compressed frame beside its picture: comments, application data, thumbnails, bytes behind its end.

Everything is overwritten in place, with the same number of bytes: a frame keeps its length, its offset tables hold,
and it decodes to the same pixels. JPEG: ITU-T T.81 B; JPEG-LS: T.87; JPEG 2000 and HTJ2K: j2k.py; JPEG XL: ISO/IEC
18181-2; RLE: PS3.5 G."""

import itertools
import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from app.deid import j2k, jpeg
from app.deid.errors import CannotClean

Frame = bytes | bytearray
Edit = tuple[int, bytes]  # where in the frame, and what to write there

_JP2 = b"\x00\x00\x00\x0cjP  \r\n\x87\n"
_JXL = b"\x00\x00\x00\x0cJXL \r\n\x87\n"
_JPEG_MARKER = re.compile(rb"\xff+[\x01-\xcf\xd8-\xfe]")  # in coded data: no stuffing, no restart
_LS_MARKER = re.compile(rb"\xff+[\x80-\xcf\xd8-\xfe]")
_SOF_LS, _LSE, _SOS, _EOI, _COM = 0xF7, 0xF8, 0xDA, 0xD9, 0xFE
_KEPT_IN_HEADER = {b"ihdr", b"bpcc", b"colr", b"pclr", b"cmap", b"cdef"}
_KEPT_BOXES = {b"jP  ", b"JXL ", b"ftyp", b"jp2h", b"jp2c", b"jxlc", b"jxlp", b"jxll", b"jxli"}
_PICTURES = {b"jp2c", b"jxlc", b"jxlp"}
_INFLATED_AT_ONCE = 1 << 20
_UNKNOWN = "The compressed pixel data cannot be parsed completely, so additional data in it cannot be removed."


@dataclass(frozen=True, slots=True)
class Kind:
    """Kind of a frame. compression: "" for one that shows itself by its first bytes, else rle or deflate.
    plane: bytes of one decoded plane (rle), of the frame (deflate)."""

    compression: str = ""
    plane: int = 0


def edits(frame: Frame, kind: Kind) -> list[Edit]:
    """Byte ranges to overwrite in one frame. Raises CannotClean for an unknown stream."""
    try:
        if frame[:2] == b"\xff\xd8":
            return list(_jpeg(frame))
        if frame[:4] == b"\xff\x4f\xff\x51":
            return list(j2k.edits(frame))
        if frame[:12] == _JP2 or frame[:12] == _JXL:
            return list(_boxes(frame))
        if frame[:2] == b"\xff\x0a":
            return []  # a bare JPEG XL codestream: see is_endless
        if kind.compression == "rle":
            return list(_rle(frame, kind.plane))
        if kind.compression == "deflate":
            return list(_deflate(frame, kind.plane))
    except (struct.error, IndexError):
        pass
    raise CannotClean(_UNKNOWN)


def is_endless(frame: Frame) -> bool:
    """Whether the end of a stream is only known after decoding it."""
    return frame[:2] == b"\xff\x0a"


def rebuilds_jpeg(frame: Frame) -> bool:
    """Whether a JPEG XL file holds what its JPEG is rebuilt from, comments included; `edits` takes that out."""
    return frame[:12] == _JXL and any(name == b"jbrd" for name, _, _, _ in _walk_boxes(frame))


def _blank(start: int, end: int, filler: bytes = b"\0") -> Iterator[Edit]:
    if end > start:
        yield start, filler * (end - start)


def _jpeg(frame: Frame) -> Iterator[Edit]:
    decoder, tables = jpeg.Decoder(), jpeg.Tables()
    yield from _jpeg_segments(frame, decoder, tables)
    yield from tables.idle(frame)


def _jpeg_segments(frame: Frame, decoder: jpeg.Decoder, tables: jpeg.Tables) -> Iterator[Edit]:
    marker_after = _JPEG_MARKER
    at, size = 2, len(frame)
    while at + 2 <= size:
        if frame[at] != 0xFF:
            raise CannotClean(_UNKNOWN)
        marker = frame[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        if marker == _EOI:
            yield from _blank(at + 2, size)
            return
        if marker == 1 or 0xD0 <= marker <= 0xD8:
            at += 2
            continue
        (length,) = struct.unpack_from(">H", frame, at + 2)
        end = at + 2 + length
        if length < 2 or end > size:
            raise CannotClean(_UNKNOWN)
        if marker == _COM or 0xE0 <= marker <= 0xEF or _is_reserved(marker):
            yield from _blank(at + 4 + _kept_of_segment(frame, at, marker, end), end)
            at = end
            continue
        used = jpeg.needed(frame, at, marker, end)
        if used < end:
            yield from _truncate_segment(at, marker, used, end)
        decoder.read(frame, at, marker, used)
        tables.read(frame, at, marker, used)
        if marker == _SOF_LS:
            marker_after = _LS_MARKER
        elif marker == _SOS:
            found = marker_after.search(frame, end)
            stop = found.start() if found else size
            yield from _behind_scan(frame, decoder, at, end, stop, is_last=not found)
            end = found.end() - 2 if found else size
        at = end


def _truncate_segment(at: int, marker: int, used: int, end: int) -> Iterator[Edit]:
    """A segment that ends where its tables end. Any number of FF may precede a marker (T.81 B.1.1.2); behind the
    header of a scan there is none."""
    if marker == _SOS:
        yield from _blank(used, end)
    else:
        yield at + 2, struct.pack(">H", used - at - 2)
        yield from _blank(used, end, b"\xff")


def _behind_scan(
    frame: Frame, decoder: jpeg.Decoder, at: int, start: int, stop: int, *, is_last: bool
) -> Iterator[Edit]:
    """Bytes behind the coded data of a scan, which look like more of them. is_last: no marker comes behind."""
    data = frame[start:stop]
    if not (is_last or jpeg.is_text_like(data) or jpeg.ends_in_text(data, fewest=5)):
        return  # following the codes takes seconds
    end = decoder.scan_end(frame, at, start, stop)
    if end is None:
        if jpeg.ends_in_text(data, fewest=8 if is_last else 16):  # what coded data are once in 3000, or in ten millions
            raise CannotClean(_UNKNOWN)
        return  # cut off: nothing is behind
    if is_last and stop - end >= 2:
        yield end, b"\xff\xd9"
        end += 2
    yield from _blank(end, stop)


def _is_reserved(marker: int) -> bool:
    """Segments that no decoder reads: reserved (T.81 table B.1), but for those of JPEG-LS (T.87)."""
    return marker < 0xC0 or marker == 0xC8 or (0xF0 <= marker <= 0xFD and marker not in (_SOF_LS, _LSE))


def _kept_of_segment(frame: Frame, at: int, marker: int, end: int) -> int:
    """How many bytes of an application segment decoders need: JFIF and Adobe define the colours, HP's transform is
    needed to undo it."""
    value = bytes(frame[at + 4 : min(end, at + 20)])
    for application, name, kept in ((0xE0, b"JFIF\0", 14), (0xEE, b"Adobe", 12), (0xE8, b"mrfx", 5)):
        if marker == application and value.startswith(name):
            return min(kept, end - at - 4)
    return 0


def _walk_boxes(frame: Frame) -> Iterator[tuple[bytes, int, int, int]]:
    """(type, start, start of the content, end) of each box at the top; bytes that are not a box have the type b""."""
    at, size = 0, len(frame)
    while at < size:
        if at + 8 > size:
            yield b"", at, at, size
            return
        length, name = struct.unpack_from(">I4s", frame, at)
        head = 8
        if length == 1 and at + 16 <= size:
            (length,) = struct.unpack_from(">Q", frame, at + 8)
            head = 16
        end = at + length if length else size
        if end > size and name in _PICTURES:
            end = size  # cut off
        if end > size or end < at + head or not name.isascii() or not bytes(name).strip():
            yield b"", at, at, size
            return
        yield bytes(name), at, at + head, end
        at = end


def _boxes(frame: Frame) -> Iterator[Edit]:
    """A JP2 or JPEG XL file: boxes that are not the picture become free space."""
    for name, start, content, end in _walk_boxes(frame):
        if name == b"jp2c":
            for at, written in j2k.edits(frame[content:end]):
                yield content + at, written
        elif name == b"jp2h":
            for inner, first, inside, last in _walk_boxes(frame[content:end]):
                if inner not in _KEPT_IN_HEADER:
                    if inner:
                        yield content + first + 4, b"free"
                    yield from _blank(content + inside, content + last)
        elif name not in _KEPT_BOXES:
            if name:
                yield start + 4, b"free"
            yield from _blank(content, end)


def _rle(frame: Frame, plane: int) -> Iterator[Edit]:
    """Each segment as far as it fills its plane; the rest is filled with no-operation bytes, which decoders do not read
    as pixels."""
    (count, *offsets) = struct.unpack_from("<16L", frame)
    used = [*offsets[:count], len(frame)]
    if not 1 <= count <= 15 or used[0] < 64 or any(a >= b for a, b in itertools.pairwise(used)):
        raise CannotClean(_UNKNOWN)
    yield from _blank(4 + 4 * count, used[0])
    for start, end in itertools.pairwise(used):
        stop = _packed_end(frame, start, end, plane)
        if end - stop > 1 or (end > stop and frame[stop]):
            yield from _blank(stop, end, b"\0" if end - stop == 1 else b"\x80")


def _packed_end(frame: Frame, at: int, end: int, plane: int) -> int:
    """Where the bytes end that PackBits needs to fill a plane."""
    made = 0
    while at < end and made < plane:
        head = frame[at]
        if head < 128:
            made += head + 1
            at += head + 2
        elif head > 128:
            made += 257 - head
            at += 2
        else:
            at += 1
    return min(at, end)


def _deflate(frame: Frame, plane: int) -> Iterator[Edit]:
    """A raw deflate stream (RFC 1951): PS3.5 A.4.12."""
    reader, made, rest = zlib.decompressobj(-zlib.MAX_WBITS), 0, frame
    try:
        while made <= plane + 1 and not reader.eof:  # in pieces: only where the stream ends is asked
            piece = reader.decompress(rest, _INFLATED_AT_ONCE)
            made, rest = made + len(piece), reader.unconsumed_tail
            if not piece and not rest:
                break
    except zlib.error:
        raise CannotClean(_UNKNOWN) from None
    if made > plane + 1 or not reader.eof:
        raise CannotClean(_UNKNOWN)
    yield from _blank(len(frame) - len(reader.unused_data), len(frame))
