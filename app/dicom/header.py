"""Reads a Part 10 file (or a bare data set) up to its pixels by hand, without objects for elements that are not needed.

Handles implicit and explicit VR, both byte orders, deflated, with and without preamble and file meta information
(PS3.10 7, PS3.5 7 and annex A). Nothing here recurses, allocates by a length that a file states, or raises anything but
`NotDicom`. See `kept.py` for the form in which a header is stored."""

import mmap
import os
import re
import zlib
from dataclasses import dataclass, field

from app.dicom import charset, kept, numbers, uids
from app.dicom.elements import Buffer, Cut, read_head
from app.dicom.matching import vr_of
from app.dicom.remarks import remarks
from app.dicom.walk import ElementFindings, NeedMore, values_in_items, walk, walk_behind
from app.kit.phrases import Phrase, phrase

WINDOW = 256 * 1024  # most headers end within it
INFLATE_LIMIT = 32 * 1024 * 1024  # of a deflated data set no more than this is looked at for attributes

_VR_LETTERS = re.compile(rb"[A-Z]{2}")
SOP_CLASS, SOP_INSTANCE, STUDY, SERIES = 0x00080016, 0x00080018, 0x0020000D, 0x0020000E


def most_inflated(compressed: int) -> int:
    """Bytes that a deflated data set of `compressed` bytes may inflate to when its pixels are wanted: it is held as a whole,
    its frame beside it, and what is sent with up to 10 MB may not take more than 200 MB here."""
    return (48 << 20) + 16 * max(0, compressed - (10 << 20))


class NotDicom(ValueError):
    """The file cannot be accepted; the message gives the reason in one sentence, without any value of it."""


@dataclass(slots=True)
class Header:
    """The header of an object without its pixels. Offsets are in bytes of the file, except for a deflated one, where
    they count in the inflated data set that follows the file meta information."""

    transfer_syntax_uid: str
    sop_class_uid: str
    sop_instance_uid: str
    study_instance_uid: str
    series_instance_uid: str
    implicit: bool
    little: bool
    deflated: bool
    data_set_offset: int
    values: dict[int, bytes]  # raw values of the attributes the index holds
    character_sets: tuple[str, ...]
    pixel_tag: int = 0
    pixel_offset: int | None = None  # first byte of the pixel data's value
    pixel_bytes: int | None = None  # its length as far as it is there; -1: undefined length (encapsulated)
    kept: bytes = b""  # see kept.pack
    warnings: list[Phrase] = field(default_factory=list)

    def text(self, tag: int) -> str:
        """The value as text, "" where it is absent. Of an attribute that may have several (PS3.6) the first; a backslash in
        one that has a single value is part of it: two patients with such IDs are not one."""
        found = self.texts(tag)
        return found[0] if found and numbers.multiplicity(tag) != 1 else "\\".join(found)

    def texts(self, tag: int) -> list[str]:
        """All values as text; the VR is the dictionary's."""
        raw = self.values.get(tag)
        return charset.values(raw, self.character_sets, vr_of(f"{tag:08X}")) if raw else []

    def name(self, tag: int) -> str:
        """A person name as `text` gives it, its groups as they are, `=` between."""
        return self.text(tag).rstrip("=^ ")

    def request_text(self, tag: int) -> str:
        """An attribute in the Request Attributes Sequence (0040,0275), of each of its items, a backslash between: a series
        may fulfil several requests."""
        raw = self.values.get(0x00400275)
        if not raw:
            return ""
        found = values_in_items(raw, tag, self.implicit, self.little)
        declared = values_in_items(raw, 0x00080005, self.implicit, self.little)
        texts = [
            charset.decode(one, charset.terms_of(own) or self.character_sets).split("\\", 1)[0].strip()
            for one, own in zip(found, declared, strict=True)
        ]
        return "\\".join(texts) if any(texts) else ""

    def integer(self, tag: int) -> int | None:
        """An IS value, None where it is absent or no whole number of 32 bits."""
        number = numbers.number(self.text(tag))
        return int(number) if number is not None and -(2**31) <= number < 2**31 and number == int(number) else None

    def unsigned_short(self, tag: int) -> int:
        """A US value, 0 where it is absent."""
        raw = self.values.get(tag, b"")
        return int.from_bytes(raw[:2], "little" if self.little else "big") if len(raw) >= 2 else 0


@dataclass(slots=True)
class Start:
    """Where the data set begins and how it is encoded."""

    offset: int
    meta: dict[int, bytes]
    meta_start: int
    syntax: uids.TransferSyntax
    implicit: bool
    little: bool
    warnings: list[Phrase]


def scan(fd: int, size: int) -> Header:
    """The header of an open file. Raises NotDicom when it must be refused (DESIGN part 2)."""
    if size < 16:
        raise NotDicom("The file is empty." if size == 0 else "The file is too short to be DICOM.")
    window = os.pread(fd, min(size, WINDOW), 0)
    try:
        return _scan(window, size)
    except NeedMore:
        pass
    with mmap.mmap(fd, size, access=mmap.ACCESS_READ) as whole:
        return _scan(whole, size)


def add_tail(header: Header, fd: int, size: int, after: int) -> None:
    """Adds the attributes behind encapsulated pixel data, which ends at `after`, to the kept header."""
    if after + 8 > size:
        return
    with mmap.mmap(fd, size, access=mmap.ACCESS_READ) as whole:
        found = walk_behind(whole, after, size, header.implicit, header.little)
        if found.tails:
            header.kept = kept.append(header.kept, whole, found)


def scan_bytes(data: bytes) -> Header:
    """The same for bytes in memory."""
    if len(data) < 16:
        raise NotDicom("The file is too short to be DICOM.")
    return _scan(data, len(data))


def _scan(buffer: Buffer, size: int) -> Header:
    start = read_start(buffer, size)
    data: Buffer = buffer
    if start.syntax.deflated:
        plain, cut = inflate(buffer if len(buffer) == size else None, start.offset, INFLATE_LIMIT)
        data = bytes(plain)
        del plain
        found = walk(data, 0, len(data), len(data), start.implicit, start.little)
        if cut and found.pixel_tag == 0:
            start.warnings.append(
                phrase("The deflated data set is larger than the examined part; later attributes are omitted.")
            )
    else:
        found = walk(buffer, start.offset, len(buffer), size, start.implicit, start.little)
    return _header(buffer, data, size, start, found)


def inflate(buffer: Buffer | None, offset: int, limit: int) -> tuple[bytearray, bool]:
    """The first `limit` bytes of the raw deflate stream (RFC 1951) at offset, and whether there is more."""
    if buffer is None:
        raise NeedMore
    machine = zlib.decompressobj(-zlib.MAX_WBITS)
    plain = bytearray()  # not parts that are joined: both would be held for a moment
    room, position, end = limit, offset, len(buffer)
    try:
        while room > 0 and position < end and not machine.eof:
            piece = machine.decompress(buffer[position : position + 65536], room)
            position += 65536
            while True:
                plain += piece
                room -= len(piece)
                if room <= 0 or not machine.unconsumed_tail:
                    break
                piece = machine.decompress(machine.unconsumed_tail, room)
    except zlib.error:
        if not plain:
            raise NotDicom("The deflated data set cannot be inflated.") from None
    return plain, room <= 0


def read_start(buffer: Buffer, size: int) -> Start:
    """Preamble and file meta information, or the guess where there is none. buffer: the file, or its first bytes as far as
    the file meta information goes. Raises NotDicom."""
    at = 132 if buffer[128:132] == b"DICM" else 0
    warnings: list[Phrase] = []
    meta, offset = _read_meta(buffer, at)
    uid = meta.get(0x00020010, b"").decode("ascii", "replace").strip("\0 ")
    if at == 132 and not uid:
        if 0x00020010 not in meta and offset == at and size - at > 8 and not _is_data_set(buffer, offset):
            raise NotDicom("The file starts like DICOM but contains no readable data set.")
        warnings.append(
            phrase("The file meta information names no transfer syntax; it was recognised from the data set.")
        )
    elif at == 0 and not meta:
        if not _is_data_set(buffer, 0):
            raise NotDicom("This is not a DICOM file: there is neither a DICM prefix nor a data set.")
        warnings.append(phrase("The file has no file meta information; the encoding was recognised from the data set."))
    if uid and not uids.is_safe(uid):
        raise NotDicom("The transfer syntax UID is not a UID.")
    if uid:
        syntax = uids.transfer_syntax(uid)
        if uid not in uids.TRANSFER_SYNTAXES:
            warnings.append(phrase("The transfer syntax is not part of the standard; the bytes are stored unchanged."))
        if syntax.deflated:
            return Start(offset, meta, at, syntax, False, True, warnings)
        implicit, little = _encoding(buffer, offset, syntax.implicit, syntax.little)
        if (implicit, little) != (syntax.implicit, syntax.little):
            warnings.append(phrase("The data set is not encoded as the transfer syntax says; it was read as it is."))
        return Start(offset, meta, at, syntax, implicit, little, warnings)
    implicit, little = _encoding(buffer, offset, True, True)
    guessed = uids.IMPLICIT_LE if implicit else uids.EXPLICIT_LE if little else uids.EXPLICIT_BE
    return Start(offset, meta, at, uids.transfer_syntax(guessed), implicit, little, warnings)


def _is_data_set(buffer: Buffer, at: int) -> bool:
    """Group 8 (or a group length of 0 to 8) in either byte order begins every data set that may be accepted."""
    head = buffer[at : at + 4]
    return head[:2] in (b"\x08\x00", b"\x00\x08") and len(head) == 4


def _encoding(buffer: Buffer, at: int, implicit: bool, little: bool) -> tuple[bool, bool]:
    """(implicit, little) as the first element shows it; the given answer where it shows nothing."""
    head = buffer[at : at + 8]
    if len(head) < 8:
        return implicit, little
    if _VR_LETTERS.fullmatch(head[4:6]):
        group = int.from_bytes(head[:2], "little")
        return False, not (group > 0x00FF and head[0] == 0) if group != 0 else little
    if implicit:
        return True, True
    length = int.from_bytes(head[4:8], "little")
    return (True, True) if length < 0x01000000 and head[:2] == b"\x08\x00" else (implicit, little)


def _read_meta(buffer: Buffer, at: int) -> tuple[dict[int, bytes], int]:
    """Group 2 elements and where they end. Always explicit little endian (PS3.10 7.1); a false group length is ignored,
    a true one ends the group where a deflated stream could look like more of it."""
    meta: dict[int, bytes] = {}
    position, end, stated = at, len(buffer), -1
    while position + 8 <= end and position != stated:
        try:
            tag, _, length, value = read_head(buffer, position, implicit=False)
        except Cut:
            break
        if tag >> 16 != 2:
            break
        if value + length > end:
            raise NotDicom("The file meta information ends beyond the file.")
        meta[tag] = buffer[value : value + length]
        position = value + length
        if tag == 0x00020000 and length == 4:
            stated = position + int.from_bytes(meta[tag], "little")
    return meta, position


def _uid(found: ElementFindings, tag: int, meta: dict[int, bytes], spare: int = 0) -> str:
    raw = found.values.get(tag) or meta.get(spare, b"")
    return raw.decode("ascii", "replace").strip("\0 ").split("\\", 1)[0].strip("\0 ")


def _required_uids(found: ElementFindings, start: Start) -> tuple[str, str, str, str]:
    """SOP class, SOP instance, study, series; refuses with a sentence that names what is wrong."""
    sop_class = _uid(found, SOP_CLASS, start.meta, 0x00020002)
    if sop_class == uids.MEDIA_DIRECTORY:
        raise NotDicom("This is a DICOMDIR: a directory of files, not an image or document.")
    wanted = (
        ("SOP Class UID", sop_class),
        ("SOP Instance UID", _uid(found, SOP_INSTANCE, start.meta, 0x00020003)),
        ("Study Instance UID", _uid(found, STUDY, {})),
        ("Series Instance UID", _uid(found, SERIES, {})),
    )
    if any(b"\\" in found.values.get(tag, b"") for tag in (SOP_CLASS, SOP_INSTANCE, STUDY, SERIES)):
        start.warnings.append(phrase("A UID has more than one value; the first is used."))
    for name, uid in wanted:
        if not uid:
            why = f" ({found.fault})" if found.fault else ""
            raise NotDicom(phrase("The {name} cannot be read{why}.", name=name, why=why))
        if not uids.is_safe(uid):
            raise NotDicom(
                phrase(
                    "The {name} is not a UID: it has other characters than a UID may have, or is too long.", name=name
                )
            )
        if not uids.is_valid(uid):
            start.warnings.append(phrase("The {name} is not written as the standard asks (PS3.5 9.1).", name=name))
    if SOP_INSTANCE not in found.values or SOP_CLASS not in found.values:
        start.warnings.append(phrase("SOP Class UID or SOP Instance UID are only in the file meta information."))
    elif start.meta.get(0x00020003, b"").strip(b"\0 ") not in (b"", found.values[SOP_INSTANCE].strip(b"\0 ")):
        start.warnings.append(phrase("The file meta information names another SOP Instance UID than the data set."))
    return wanted[0][1], wanted[1][1], wanted[2][1], wanted[3][1]


def _header(buffer: Buffer, data: Buffer, size: int, start: Start, found: ElementFindings) -> Header:
    sop_class, sop_instance, study, series = _required_uids(found, start)
    warnings = start.warnings
    if found.fault:
        warnings.append(phrase("The data set is damaged: {fault}.", fault=found.fault))
    if found.too_deep:
        warnings.append(phrase("A sequence is nested too deep; it is left out of the index."))
    if found.crowded:
        warnings.append(phrase("A sequence has too many items; it is left out of the index."))
    header = Header(
        start.syntax.uid, sop_class, sop_instance, study, series, start.implicit, start.little, start.syntax.deflated,
        start.offset, found.values, charset.terms_of(found.values.get(0x00080005, b"")), warnings=warnings,
    )  # fmt: skip
    warnings.extend(remarks(found.values, header.character_sets))
    extent = len(data) if start.syntax.deflated else size
    if found.pixel_tag:
        header.pixel_tag, header.pixel_offset = found.pixel_tag, found.pixel_offset
        header.pixel_bytes = found.pixel_length
        if found.pixel_length >= 0 and not start.syntax.deflated:
            there = extent - found.pixel_offset
            if found.pixel_length > there:
                warnings.append(phrase("The pixel data ends early: the file is truncated."))
                header.pixel_bytes = there
        if found.pixel_length == 0:
            warnings.append(phrase("The pixel data is empty."))
    meta = bytes(buffer[start.meta_start : start.offset])
    header.kept, too_large = kept.pack(meta, data, found, start.implicit, start.little)
    if too_large:
        warnings.append(phrase("The header is too large to be kept beside the file."))
    return header
