"""The identifier of a C-FIND (PS3.4 C.2.2.1, C.4.1.1.3.1) as matching keys, sequences and all. Pure.

Bounded depth and count, nothing but BadIdentifier raised."""

import struct
from dataclasses import dataclass, field
from itertools import islice

from app.dicom import charset
from app.dicom.elements import UNDEFINED, Cursor, DamagedElements, descend, items
from app.dicom.identifier import BadIdentifier
from app.dicom.matching import Key, vr_of

CHARACTER_SET, LEVEL, TIMEZONE = 0x00080005, 0x00080052, 0x00080201
_NUMBERS = {"US": "<H", "SS": "<h", "UL": "<I", "SL": "<i", "FL": "<f", "FD": "<d", "UV": "<Q", "SV": "<q"}
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
    elements = _read(data, not explicit)
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
    """The VR of the data dictionary, if it has one: some callers send UN, or LO for all attributes."""
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


def _read(data: bytes, implicit: bool) -> Elements:
    """The data set. Raises BadIdentifier."""
    if len(data) > 8 * _ELEMENTS and next(islice(descend(data, 0, len(data), implicit), _ELEMENTS, None), None):
        raise BadIdentifier("there are too many elements")
    try:
        return _elements(data, 0, len(data), implicit, 0)
    except DamagedElements as fault:
        raise BadIdentifier(str(fault)) from None


def _elements(data: bytes, at: int, end: int, implicit: bool, depth: int) -> Elements:
    if depth > _DEPTH:
        raise BadIdentifier("sequences are nested too deep")
    found: Elements = {}
    for tag, vr, _, value, length, following in Cursor(data, at, end, implicit):
        if not vr and not implicit:
            raise BadIdentifier("an element has no value representation")
        name = vr.decode() if vr else vr_of(f"{tag:08X}")
        if name == "SQ" or length == UNDEFINED:
            mode = implicit or vr == b"UN"
            inside = [_elements(data, *place, mode, depth + 1) for place in items(data, value, following, mode)]
            found.setdefault(tag, ("SQ", inside))
        else:
            found.setdefault(tag, (name, data[value:following]))
    return found
