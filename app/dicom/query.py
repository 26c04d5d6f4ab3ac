"""The identifier of a C-FIND (PS3.4 C.2.2.1, C.4.1.1.3.1) as matching keys, sequences and all. Pure.

Own steps over the bytes: bounded depth and count, no trust in lengths, nothing but BadIdentifier raised."""

import struct
from dataclasses import dataclass, field

from app.dicom import charset
from app.dicom.identifier import BadIdentifier
from app.dicom.matching import Key, vr_of

CHARACTER_SET, LEVEL, TIMEZONE = 0x00080005, 0x00080052, 0x00080201
_LONG = frozenset((b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"))
_NUMBERS = {"US": "<H", "SS": "<h", "UL": "<I", "SL": "<i", "FL": "<f", "FD": "<d", "UV": "<Q", "SV": "<q"}
_UNDEFINED = 0xFFFFFFFF
_DEPTH, _ELEMENTS = 8, 20_000

Value = bytes | list["Elements"]
Elements = dict[int, tuple[str, Value]]


@dataclass(frozen=True, slots=True)
class Query:
    """level: as (0008,0052) says; terms: its character set; keys: all leaves, in the order of their tags, universal ones
    ("") too; sequences: tag -> the attributes wanted of its items, none for all; tags: of the top level, ascending."""

    level: str
    terms: tuple[str, ...]
    keys: tuple[Key, ...]
    sequences: dict[str, tuple[str, ...]] = field(default_factory=dict)
    tags: tuple[int, ...] = ()

    def value(self, tag: int) -> str:
        """The value of a top-level key; "" where it is universal or not there."""
        path = (f"{tag:08X}",)
        return next((key.value for key in self.keys if key.path == path), "")


def parse(data: bytes, explicit: bool) -> Query:
    """An encoded identifier, little endian. Raises BadIdentifier."""
    reader = _Reader(data, explicit)
    elements, _ = reader.elements(0, len(data), 0, closing=0)
    terms = _terms(elements.get(CHARACTER_SET))
    keys: list[Key] = []
    sequences: dict[str, tuple[str, ...]] = {}
    tags = []
    for tag in sorted(elements):
        vr, value = elements[tag]
        if tag & 0xFFFF == 0 or tag in (CHARACTER_SET, LEVEL) or tag < 0x00080000:
            continue  # group lengths, and elements that are not keys
        tags.append(tag)
        name = f"{tag:08X}"
        if isinstance(value, list):
            sequences[name] = _into(keys, (name,), value, terms)
        else:
            keys.append(Key((name,), _vr(name, vr), _text(vr, value, terms)))
    return Query(_level(elements.get(LEVEL)), terms, tuple(keys), sequences, tuple(tags))


def _into(keys: list[Key], path: tuple[str, ...], items: list[Elements], terms: tuple[str, ...]) -> tuple[str, ...]:
    """Adds the keys of a sequence, whose only item holds them (PS3.4 C.2.2.2.6); its attributes."""
    if not items:
        return ()
    terms = _terms(items[0].get(CHARACTER_SET)) or terms
    for tag in sorted(items[0]):
        vr, value = items[0][tag]
        if isinstance(value, list):
            _into(keys, (*path, f"{tag:08X}"), value, terms)
        elif tag & 0xFFFF:
            name = f"{tag:08X}"
            keys.append(Key((*path, name), _vr(name, vr), _text(vr, value, terms)))
    return tuple(f"{tag:08X}" for tag in sorted(items[0]) if tag & 0xFFFF)


def _vr(name: str, sent: str) -> str:
    """The dictionary's where it knows one: some callers send UN, or LO for everything."""
    known = vr_of(name)
    return sent if known == "UN" else known


def _terms(element: tuple[str, Value] | None) -> tuple[str, ...]:
    return charset.terms_of(element[1]) if element is not None and isinstance(element[1], bytes) else ()


def _level(element: tuple[str, Value] | None) -> str:
    if element is None or not isinstance(element[1], bytes):
        return ""
    return element[1].decode("ascii", "replace").strip("\0 ")


def _text(vr: str, value: bytes, terms: tuple[str, ...]) -> str:
    if vr in _NUMBERS:
        form = _NUMBERS[vr]
        size = struct.calcsize(form)
        return "\\".join(str(struct.unpack_from(form, value, at)[0]) for at in range(0, len(value) - size + 1, size))
    return charset.decode(value, terms, is_name=vr == "PN")


class _Reader:
    def __init__(self, data: bytes, explicit: bool) -> None:
        self._data = data
        self._explicit = explicit
        self._count = 0

    def elements(self, at: int, end: int, depth: int, closing: int) -> tuple[Elements, int]:
        """The elements up to `end`, or up to the delimiter with element number `closing`; and where they end."""
        found: Elements = {}
        while at < end:
            tag, vr, length, at = self._header(at, end)
            if tag == 0xFFFE0000 | closing and closing:
                return found, at
            if tag >> 16 == 0xFFFE:
                raise BadIdentifier("a delimiter stands where none may be")
            if vr == "SQ" or length == _UNDEFINED:
                items, at = self._items(at, end, length, depth + 1)
                found.setdefault(tag, ("SQ", items))
            else:
                found.setdefault(tag, (vr, self._data[at : at + length]))
                at += length
        if closing:
            raise BadIdentifier("an item does not end")
        return found, at

    def _items(self, at: int, end: int, length: int, depth: int) -> tuple[list[Elements], int]:
        if depth > _DEPTH:
            raise BadIdentifier("sequences are nested too deep")
        stop = end if length == _UNDEFINED else at + length
        items: list[Elements] = []
        while at < stop:
            tag, _, size, at = self._header(at, stop)
            if tag == 0xFFFEE0DD and length == _UNDEFINED:
                return items, at
            if tag != 0xFFFEE000:
                raise BadIdentifier("a sequence holds something else than items")
            if size == _UNDEFINED:
                item, at = self.elements(at, stop, depth, closing=0xE00D)
            else:
                item, at = self.elements(at, at + size, depth, closing=0)
            items.append(item)
        if length == _UNDEFINED:
            raise BadIdentifier("a sequence does not end")
        return items, at

    def _header(self, at: int, end: int) -> tuple[int, str, int, int]:
        """Tag, VR, length and place of the value; the length fits into what is left."""
        self._count += 1
        if end - at < 8 or self._count > _ELEMENTS:
            raise BadIdentifier("an element is cut off" if end - at < 8 else "there are too many elements")
        group, element = struct.unpack_from("<HH", self._data, at)
        tag, code = group << 16 | element, self._data[at + 4 : at + 6]
        if group == 0xFFFE or not self._explicit:
            (length,), vr, at = struct.unpack_from("<I", self._data, at + 4), vr_of(f"{tag:08X}"), at + 8
        elif not (code.isalpha() and code.isupper()):
            raise BadIdentifier("an element has no value representation")
        elif code in _LONG:
            if end - at < 12:
                raise BadIdentifier("an element is cut off")
            (length,), vr, at = struct.unpack_from("<I", self._data, at + 8), code.decode(), at + 12
        else:
            (length,), vr, at = struct.unpack_from("<H", self._data, at + 6), code.decode(), at + 8
        if length != _UNDEFINED and length > end - at:
            raise BadIdentifier("an element is longer than what holds it")
        return tag, vr, length, at
