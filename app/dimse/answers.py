"""Rows of the archive as C-FIND response identifiers, encoded by hand (PS3.5 7, PS3.4 C.4.1.1.3.2).

A plan is made once a query: the attributes in the order of their tags, each as a function from a value to its bytes, the
constant ones between them joined. A row costs a call for each value and one join."""

import struct
import warnings
from collections.abc import Callable, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from app.archive.search.columns import REQUEST, REQUEST_PARTS, SEPARATOR
from app.dicom import charset, charset_writing
from app.dicom.charset import character_sets
from app.dicom.charset_writing import CannotWrite
from app.dicom.damage import DAMAGE
from app.dicom.elements import LONG
from app.dicom.identifier import UTF8
from app.dicom.matching import vr_of
from app.dicom.reading import element_text

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_LONG = frozenset(vr.decode() for vr in LONG)
_CHARACTER_SET = "00080005"
# Python's codecs of the single sets whose bytes need no escapes (PS3.3 Table C.12-2 and C.12-5).
_CODECS = {
    "": "ascii", "ISO_IR 6": "ascii", "ISO_IR 192": "utf-8", "ISO_IR 100": "latin-1", "ISO_IR 101": "iso8859-2",
    "ISO_IR 109": "iso8859-3", "ISO_IR 110": "iso8859-4", "ISO_IR 144": "iso8859-5", "ISO_IR 127": "iso8859-6",
    "ISO_IR 126": "iso8859-7", "ISO_IR 138": "iso8859-8", "ISO_IR 148": "iso8859-9", "ISO_IR 203": "iso8859-15",
    "ISO_IR 166": "tis-620", "GB18030": "gb18030", "GBK": "gbk",
}  # fmt: skip

Encode = Callable[[str], bytes]
Piece = Callable[[Any], bytes]


def encoder(terms: Sequence[str], strict: bool) -> Encode:
    """Text to bytes of a Specific Character Set. strict: CannotWrite where it has none, else question marks."""
    codec = _CODECS.get(terms[0] if terms else "") if len(terms) < 2 else None
    if codec is not None:
        how = "strict" if strict else "replace"

        def by_codec(text: str) -> bytes:
            try:
                return text.encode(codec, how)
            except UnicodeEncodeError:
                raise CannotWrite from None

        return by_codec
    write = charset_writing.encode if strict else charset_writing.encode_lossy
    return lambda text: write(text, terms, is_name=True)


class Answers:
    """Encodes rows. paths: tags of the row's values; constants: tag -> text, the same in each answer; header_tags: those
    that a header gives; terms: the character set of the request; fixed: the one a node is set to, which wins."""

    def __init__(
        self,
        paths: Sequence[str],
        constants: dict[str, str],
        header_tags: Sequence[str],
        terms: Sequence[str],
        fixed: Sequence[str],
        explicit: bool,
    ) -> None:
        self._explicit = explicit
        self._paths, self._constants, self._header_tags = list(paths), constants, list(header_tags)
        first = tuple(fixed or terms)
        if first and first[0] not in _CODECS and character_sets(first).unknown:
            first = ()
        self._first = _Plan(self, first, strict=not fixed)
        self._second = _Plan(self, (UTF8,), strict=False)

    def encode(self, rows: Sequence[tuple[Any, ...]]) -> list[bytes]:
        """One identifier for each row; in UTF-8 those that the caller's own character set cannot carry."""
        first, second = self._first, self._second
        found = []
        for row in rows:
            try:
                found.append(first.encode(row))
            except CannotWrite:
                found.append(second.encode(row))
        return found

    def encode_with(self, rows: Sequence[tuple[Any, ...]], headers: "Sequence[Dataset]") -> list[bytes]:
        """The same where a header gives some of the attributes: slower, element by element."""
        found = []
        for row, header in zip(rows, headers, strict=True):
            try:
                found.append(self._first.encode_with(row, header))
            except CannotWrite:
                found.append(self._second.encode_with(row, header))
        return found


class _Plan:
    """The pieces of an answer in one character set."""

    def __init__(self, answers: Answers, terms: Sequence[str], strict: bool) -> None:
        self._explicit, self._terms = answers._explicit, tuple(terms)
        self._text, self._strict = encoder(terms, strict), strict
        constants = dict(answers._constants)
        if self._terms:
            constants[_CHARACTER_SET] = "\\".join(self._terms)
        self._tags = sorted({*constants, *answers._paths, *answers._header_tags})
        self._header_tags = frozenset(answers._header_tags)
        self._steps: list[tuple[Piece, int]] = []
        self._by_tag: dict[str, tuple[Piece, int]] = {}
        self._constant = {tag: self._element(tag)(text) for tag, text in constants.items()}
        ahead = b""
        for tag in self._tags:
            if tag in constants:
                ahead += self._constant[tag]
            elif tag not in self._header_tags:
                place = answers._paths.index(tag)
                self._by_tag[tag] = (self._element(tag), place)
                self._steps.append((self._element(tag, ahead), place))
                ahead = b""
        self._tail = ahead

    def encode(self, row: tuple[Any, ...]) -> bytes:
        return b"".join([make(row[place]) for make, place in self._steps]) + self._tail

    def encode_with(self, row: tuple[Any, ...], header: "Dataset") -> bytes:
        parts = []
        for tag in self._tags:
            if tag in self._constant:
                parts.append(self._constant[tag])
            elif tag in self._header_tags:
                parts.append(self._of_header(tag, header))
            else:
                make, place = self._by_tag[tag]
                parts.append(make(row[place]))
        return b"".join(parts)

    def _of_header(self, tag: str, header: "Dataset") -> bytes:
        from pydicom.charset import convert_encodings
        from pydicom.filebase import DicomBytesIO
        from pydicom.filewriter import write_data_element

        number = int(tag, 16)
        if number not in header:
            return self._element(tag)("")
        file = DicomBytesIO()
        file.is_little_endian, file.is_implicit_VR = True, not self._explicit
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                element = header[number]
                if element.VR in charset.TEXT_VRS:
                    return self._element(tag)(element_text(element.value))
                if self._strict and self._terms != (UTF8,) and not str(element.value).isascii():
                    raise CannotWrite  # texts in a sequence
                write_data_element(file, element, convert_encodings(list(self._terms) or [""]))
            except CannotWrite:
                raise
            except DAMAGE:
                # what pydicom cannot write is left empty: the answer is worth more than the attribute
                return self._element(tag)("")
        return file.getvalue()

    def _element(self, tag: str, ahead: bytes = b"") -> Piece:
        """The function from a value to the element's bytes, with the bytes in front of it."""
        if tag == REQUEST:
            return self._request(ahead)
        vr = vr_of(tag)
        head = struct.pack("<HH", int(tag[:4], 16), int(tag[4:], 16))
        if vr == "US":
            filled = ahead + head + (b"US\x02\0" if self._explicit else b"\2\0\0\0")
            empty = ahead + head + (b"US\0\0" if self._explicit else b"\0\0\0\0")
            pack = struct.Struct("<H").pack
            return lambda value: filled + pack(value) if value else empty
        long = self._explicit and vr in _LONG
        head = ahead + head + (vr.encode() + (b"\0\0" if long else b"") if self._explicit else b"")
        length = struct.Struct("<H" if self._explicit and not long else "<I").pack
        text = self._text if vr in charset.TEXT_VRS else _plain
        pad = b"\0" if vr == "UI" else b" "
        # The column holds 0 frames for an object without an image.
        known: dict[Any, bytes] = {0: head + length(0)} if tag == "00280008" else {}

        def make(value: Any) -> bytes:
            found = known.get(value)
            if found is None:
                raw = text(value) if isinstance(value, str) else b"" if value is None else str(value).encode()
                if len(raw) & 1:
                    raw += pad
                found = head + length(len(raw)) + raw
                if len(known) < 4096:
                    known[value] = found
            return found

        return make

    def _request(self, ahead: bytes) -> Piece:
        """Request Attributes Sequence with the two attributes that the index knows."""
        parts = [self._element(tag) for tag in REQUEST_PARTS]
        head = ahead + struct.pack("<HH", 0x0040, 0x0275) + (b"SQ\0\0" if self._explicit else b"")

        def make(value: Any) -> bytes:
            values = str(value or "").split(SEPARATOR)
            if not any(values):
                return head + struct.pack("<I", 0)
            items = b""
            for each in zip_longest(*(value.split("\\") for value in values), fillvalue=""):
                item = b"".join(part(one) for part, one in zip(parts, each, strict=False))
                items += struct.pack("<HHI", 0xFFFE, 0xE000, len(item)) + item
            return head + struct.pack("<I", len(items)) + items

        return make


def _plain(text: str) -> bytes:
    return text.encode("ascii", "replace")
