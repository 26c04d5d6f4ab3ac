"""The pixel data element of a copy: the same picture, without other data in and behind it.

Native pixel data ends at the length that its header defines; each encapsulated frame is cleaned by streams.py or
video.py; the Basic Offset Table and the end of the sequence are written anew."""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from app.deid import streams, video
from app.deid.errors import CannotClean
from app.deid.streams import Frame
from app.dicom import uids
from app.dicom.frames import BadFrames, FrameTable, locate_encapsulated, native
from app.kit.phrases import Phrase, phrase

PIXELS = {0x7FE00010, 0x7FE00008, 0x7FE00009}
_UNDEFINED = 0xFFFFFFFF
_ITEM, _END = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0\0\0\0\0"
_STARTS = (b"\xff\xd8\xff", b"\xff\x4f\xff\x51", b"\x00\x00\x00\x0c", b"\xff\x0a")
_RLE, _DEFLATED_FRAMES, _PLAIN_FRAMES = "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.8.1", "1.2.840.10008.1.2.1.98"
_JXL_REBUILDS, _JXL = "1.2.840.10008.1.2.4.111", "1.2.840.10008.1.2.4.112"
_LONGER = phrase("The pixel data was longer than its header says; the rest was removed.")
_NO_IMAGE = phrase("Pixel data without Rows and Columns was removed.")
_CUT = phrase("The pixel data of the original is truncated; the copy contains the available frames.")
_ALL_CUT = phrase(
    "The pixel data is truncated before the first frame. Store the complete object again, then create the copy."
)
_NAMED = phrase(
    "The compressed pixel data contains the name or number of the patient and cannot be cleaned. Exclude this object."
)
_ENDLESS = phrase("JPEG XL codestreams without a container may contain data after the image; it is not removed.")
_CONTAINER = phrase("The metadata or the sound of a video may identify persons. Check the video before you share it.")


@dataclass(slots=True)
class Pixels:
    """The element as stored in the file: header from start, value from value_at, the next element at end.
    fragments: (offset, length) of its items, the Basic Offset Table first; None for native pixel data. is_cut: the file
    ends within."""

    file: BinaryIO
    start: int
    value_at: int
    end: int
    length: int
    fragments: list[tuple[int, int]] | None
    syntax_uid: str
    is_cut: bool = False

    @property
    def is_there(self) -> bool:
        return self.end > self.start

    def read(self, at: int, length: int) -> bytes:
        self.file.seek(at)
        return self.file.read(length)


def find(file: BinaryIO, start: int, implicit: bool, little: bool, syntax_uid: str) -> Pixels:
    """The pixel data element that begins at start; an empty one where there is none. Of one that is cut off, what is
    there. Raises CannotClean when the content is different."""
    file.seek(start)
    order = "<" if little else ">"
    head = file.read(8)
    if len(head) < 8:
        return Pixels(file, start, start, start, 0, None, syntax_uid)
    group, element = struct.unpack(f"{order}HH", head[:4])
    if group << 16 | element not in PIXELS:
        raise CannotClean("The object ends in bytes that cannot be read.")
    length: int = struct.unpack(f"{order}L", head[4:] if implicit else file.read(4))[0]
    value, size = file.tell(), file.seek(0, 2)
    if length != _UNDEFINED:
        there = min(length, size - value)
        return Pixels(file, start, value, value + there, there, None, syntax_uid, is_cut=there < length)
    fragments: list[tuple[int, int]] = []
    at = value
    while len(item := _at(file, at, 8)) == 8:
        tag, length = item[:4], struct.unpack("<L", item[4:])[0]
        if tag == _END[:4]:
            return Pixels(file, start, value, at + 8, _UNDEFINED, fragments, syntax_uid)
        if tag != _ITEM or length == _UNDEFINED:
            raise CannotClean("The pixel data ends in bytes that cannot be read.")
        if at + 8 + length > size:
            length = (size - at - 8) & ~1
            if length:
                fragments.append((at + 8, length))
            break
        fragments.append((at + 8, length))
        at += 8 + length
    return Pixels(file, start, value, size, _UNDEFINED, fragments, syntax_uid, is_cut=True)


def _at(file: BinaryIO, at: int, length: int) -> bytes:
    file.seek(at)
    return file.read(length)


class Writer:
    """Writes the pixel data of one cleaned object. Made before its header is cleaned, which the sizes are taken from."""

    def __init__(self, pixels: Pixels, ds: Any, names: Callable[[Frame], bool] | None = None) -> None:
        """names: whether bytes hold the patient's name."""
        self.pixels, self.names = pixels, names
        self.rows, self.columns = _number(ds, "Rows"), _number(ds, "Columns")
        self.frames = max(1, _number(ds, "NumberOfFrames"))
        self.has_unread_count = bool(ds.get("NumberOfFrames")) and not _number(ds, "NumberOfFrames")
        self.samples = max(1, _number(ds, "SamplesPerPixel"))
        float_bits = {0x7FE00008: 32, 0x7FE00009: 64}.get(_tag(pixels)) if pixels.is_there else None
        self.bits = float_bits or _number(ds, "BitsAllocated") or 8
        self.photometric = str(ds.get("PhotometricInterpretation") or "").strip()
        self.syntax = uids.transfer_syntax(pixels.syntax_uid)
        self.warnings: list[Phrase] = []
        self.syntax_uid = pixels.syntax_uid
        self.table: FrameTable | None = None
        self.length = 0
        if not pixels.is_there:
            return
        if pixels.is_cut:
            self.warnings.append(_CUT)
        if pixels.fragments is None:
            self.length = self._native_length()
        else:
            self.table = self._whole_frames(self._locate(ds))
            self._correct_tables(ds)
            self._choose_syntax()

    def write(self, out: BinaryIO, implicit: bool, little: bool) -> None:
        """The element; nothing where there is none, or no image that it could be of."""
        if not self.pixels.is_there or (self.pixels.fragments is None and not self.length and self.pixels.length):
            return
        out.write(self.pixels.read(self.pixels.start, self.pixels.value_at - self.pixels.start - 4))
        if self.pixels.fragments is None:
            even = self.length + self.length % 2
            out.write(struct.pack("<L" if little else ">L", even))
            self._copy(out, self.pixels.value_at, self.length - self.length % 2)
            self._write_odd(out, implicit=implicit, little=little)
            return
        out.write(struct.pack("<L", _UNDEFINED))
        self._write_offsets(out)
        assert self.table is not None
        if self.syntax.video:
            self._write_video(out, self.table)
        else:
            for frame in range(1, self.table.count + 1):
                self._write_frame(out, self.table.locate(frame))
        out.write(_END)

    def _write_odd(self, out: BinaryIO, *, implicit: bool, little: bool) -> None:
        """The last byte of an odd length and its padding; in big endian words the padding comes first (PS3.5 A.3)."""
        if not self.length % 2:
            return
        last = self.pixels.read(self.pixels.value_at + self.length - 1, 2)
        is_words = not little and not implicit and self.pixels.read(self.pixels.start + 4, 2) == b"OW"
        out.write(b"\0" + last[1:] if is_words and len(last) == 2 else last[:1] + b"\0")

    def _native_length(self) -> int:
        """Bytes of the picture; 0 where it has no size (PS3.5 8.1.1)."""
        there = self.pixels.length
        if not self.rows or not self.columns:
            if there:
                self.warnings.append(_NO_IMAGE)
            return 0
        one = self.rows * self.columns * self.samples * self.bits // 8
        if self.has_unread_count and one and there % one <= 1:
            self.frames = max(1, there // one)
        layout = native(self.rows, self.columns, self.samples, self.bits, self.photometric, self.frames, there)
        bits = self.frames * layout.bits
        whole = -(-self.frames * self.rows * self.columns * self.samples * self.bits // 8)
        wanted = whole if there >= whole else -(-bits // 8)  # 4:2:2 is often declared for 4:4:4
        if not wanted <= there <= wanted + 1 and self.syntax_uid in uids.TRANSFER_SYNTAXES and self.syntax.encapsulated:
            raise CannotClean("The pixel data is not encapsulated as required by the transfer syntax.")
        if there > wanted + 1:
            self.warnings.append(_LONGER)
        elif there < wanted and not self.pixels.is_cut:
            self.warnings.append(_CUT)
        return min(there, wanted)

    def _locate(self, ds: Any) -> FrameTable:
        fragments = self.pixels.fragments or []
        if len(fragments) < 2:
            return FrameTable(self.pixels.end, [], [])
        first, lengths = fragments[1][0], [length for _, length in fragments[1:]]
        if self.syntax.video:
            return FrameTable(first, lengths, [0])
        starts = [n for n, (at, _) in enumerate(fragments[1:]) if self.pixels.read(at, 4).startswith(_STARTS)]
        if self.syntax_uid == _RLE or (self.frames == 1 and len(starts) > 1):
            return FrameTable(first, lengths, starts if starts and starts[0] == 0 else range(len(lengths)))
        extended = ds.get("ExtendedOffsetTable")
        try:
            table, _ = locate_encapsulated(
                self.pixels.read,
                self.pixels.value_at,
                self.pixels.end,
                self.frames,
                extended=extended if isinstance(extended, bytes) else b"",
            )
        except BadFrames:
            raise CannotClean("The frames of the pixel data cannot be separated.") from None
        return table

    def _whole_frames(self, table: FrameTable) -> FrameTable:
        """Without a last frame that is cut off where it cannot be followed."""
        if not self.pixels.is_cut or self.syntax.video:
            return table
        if table.count:
            try:
                self._cleaned(table.locate(table.count))
                return table
            except CannotClean:
                first = table.firsts[-1]
                table = FrameTable(table.offset, list(table.lengths)[:first], list(table.firsts)[:-1])
        if not table.count:
            raise CannotClean(_ALL_CUT)
        return table

    def _correct_tables(self, ds: Any) -> None:
        """Extended Offset Tables hold nothing but what they are for (PS3.3 C.7.6.3.1.8)."""
        if self.table is None or "ExtendedOffsetTable" not in ds:
            return
        ds.ExtendedOffsetTable = struct.pack(f"<{self.table.count}Q", *self._offsets(self.table))
        if "ExtendedOffsetTableLengths" in ds:
            sizes = [sum(length for _, length in self.table.locate(n + 1)) for n in range(self.table.count)]
            ds.ExtendedOffsetTableLengths = struct.pack(f"<{self.table.count}Q", *sizes)

    def _offsets(self, table: FrameTable) -> list[int]:
        return [table.locate(n + 1)[0][0] - table.offset for n in range(table.count)]

    def _choose_syntax(self) -> None:
        """JPEG XL that could be made a JPEG again cannot be that any more without the JPEG's own comments."""
        if self.syntax_uid != _JXL_REBUILDS or self.table is None:
            return
        if any(streams.rebuilds_jpeg(self._frame(self.table.locate(n + 1))) for n in range(self.table.count)):
            self.syntax_uid = _JXL

    def _write_offsets(self, out: BinaryIO) -> None:
        assert self.table is not None
        offsets = self._offsets(self.table) if (self.pixels.fragments or [(0, 0)])[0][1] else []
        if offsets and offsets[-1] > _UNDEFINED:
            offsets = []
        out.write(_ITEM + struct.pack(f"<L{len(offsets)}L", 4 * len(offsets), *offsets))

    def _frame(self, places: list[tuple[int, int]]) -> bytearray:
        data = bytearray()
        for at, length in places:
            data += self.pixels.read(at, length)
        return data

    def _cleaned(self, places: list[tuple[int, int]]) -> bytearray:
        frame = self._frame(places)
        if self.syntax_uid == _PLAIN_FRAMES:
            size = self.rows * self.columns * self.samples * self.bits // 8
            frame[size:] = bytes(max(0, len(frame) - size))
        elif any(frame):
            if streams.is_endless(frame):
                self.warnings.append(_ENDLESS)
            for at, written in streams.edits(frame, self._kind()):
                frame[at : at + len(written)] = written
            if self.names and self.names(frame):
                raise CannotClean(_NAMED)
        return frame

    def _write_frame(self, out: BinaryIO, places: list[tuple[int, int]]) -> None:
        frame = self._cleaned(places)
        done = 0
        for _, length in places:
            out.write(_ITEM + struct.pack("<L", length))
            out.write(memoryview(frame)[done : done + length])
            done += length

    def _kind(self) -> streams.Kind:
        pixels = self.rows * self.columns
        if self.syntax_uid == _RLE:
            return streams.Kind("rle", pixels)
        if self.syntax_uid == _DEFLATED_FRAMES:
            return streams.Kind("deflate", pixels * self.samples * self.bits // 8)
        return streams.Kind()

    def _write_video(self, out: BinaryIO, table: FrameTable) -> None:
        """One stream over all fragments, of any length: copied, then patched where the copy lies."""
        places = table.locate(1) if table.count else []
        size = sum(length for _, length in places)
        stream = _FragmentStream(self.pixels, places)
        codec = _codec(self.syntax_uid)
        if video.container(stream.read(0, 200)):
            self.warnings.append(_CONTAINER)
        patches = list(video.edits(stream.read, size, codec))
        written: list[tuple[int, int, int]] = []  # in the stream, in the copy, length
        begin = 0
        for at, length in places:
            out.write(_ITEM + struct.pack("<L", length))
            written.append((begin, out.tell(), length))
            self._copy(out, at, length)
            begin += length
        end = out.tell()
        for at, data in patches:
            for first, target, length in written:
                low, high = max(at, first), min(at + len(data), first + length)
                if low < high:
                    out.seek(target + low - first)
                    out.write(data[low - at : high - at])
        out.seek(end)

    def _copy(self, out: BinaryIO, at: int, length: int) -> None:
        self.pixels.file.seek(at)
        while length > 0:
            piece = self.pixels.file.read(min(length, 1 << 20))
            if not piece:
                raise CannotClean("The pixel data of the object is truncated.")
            out.write(piece)
            length -= len(piece)


class _FragmentStream:
    """The fragments of a stream as one."""

    def __init__(self, pixels: Pixels, places: list[tuple[int, int]]) -> None:
        self._pixels = pixels
        self._places = places

    def read(self, at: int, length: int) -> bytes:
        return b"".join(self._parts(at, length))

    def _parts(self, at: int, length: int) -> Iterator[bytes]:
        begin = 0
        for offset, size in self._places:
            low, high = max(at, begin), min(at + length, begin + size)
            if low < high:
                yield self._pixels.read(offset + low - begin, high - low)
            begin += size


def _codec(syntax_uid: str) -> str:
    end = syntax_uid.removeprefix("1.2.840.10008.1.2.4.").partition(".")[0]
    return "mpeg2" if end in ("100", "101") else "hevc" if end in ("107", "108") else "h264"


def _tag(pixels: Pixels) -> int:
    """Pixel Data, Float or Double Float Pixel Data, in either byte order."""
    group, element = struct.unpack("<HH", pixels.read(pixels.start, 4))
    swapped = struct.unpack(">HH", pixels.read(pixels.start, 4))
    return group << 16 | element if group == 0x7FE0 else int(swapped[0] << 16 | swapped[1])


def _number(ds: Any, keyword: str) -> int:
    value = ds.get(keyword)
    try:
        return int(value[0] if isinstance(value, list | tuple) else value)
    except (TypeError, ValueError, IndexError, OverflowError):
        return 0
