"""Single attributes of a kept header by keyword, number or path, without building a data set: for rules that look at
every object that comes in. One pass over the top level, then each answer is a decoded value."""

import re
import struct
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache

from app.dicom import charset
from app.dicom.charset import Terms
from app.dicom.elements import UNDEFINED, Cursor, DamagedElements, items
from app.dicom.kept import open_data
from app.dicom.matching import UnknownAttribute, attribute_path, vr_of

_PRIVATE = re.compile(r'([0-9A-Fa-f]{3}[13579BDFbdf])[xX]{2}([0-9A-Fa-f]{2}):(?:"([^"]{1,64})"|([^".]{1,64}))')
_NUMBER = re.compile(r"\(?([0-9A-Fa-f]{4}),?([0-9A-Fa-f]{4})\)?")
_PART = re.compile(r'(?:[^.":]|:(?:"[^"]*"|[^".]*))+')
_PACKED = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "FL": "f", "FD": "d", "UV": "Q", "SV": "q"}
_OPAQUE = frozenset(("OB", "OD", "OF", "OL", "OV", "OW", "SQ"))


@dataclass(frozen=True, slots=True)
class PathStep:
    """One step of a path. tag: the whole number, or for a private one of a named creator its group and last byte."""

    tag: int
    creator: str = ""
    vr: str = "UN"


Path = tuple[PathStep, ...]


@lru_cache(2048)
def parse(name: str) -> Path:
    """`PatientID`, `00100020`, `(0010,0020)`, `RequestAttributesSequence.ScheduledProcedureStepID`,
    `0009xx01:GEMS_IDEN_01` (a private attribute by its creator, PS3.5 7.8.1). Raises UnknownAttribute."""
    parts = _PART.findall(name)
    if ".".join(parts) != name or not 1 <= len(parts) <= 8:
        raise UnknownAttribute(name)
    steps = []
    for part in parts:
        if private := _PRIVATE.fullmatch(part):
            steps.append(PathStep(int(private[1], 16) << 16 | int(private[2], 16), private[3] or private[4]))
            continue
        if number := _NUMBER.fullmatch(part):
            part = number[1] + number[2]
        (tag,) = attribute_path(part)
        steps.append(PathStep(int(tag, 16), "", vr_of(tag)))
    if any(step.vr not in ("SQ", "UN") for step in steps[:-1]):
        raise UnknownAttribute(name)
    return tuple(steps)


@dataclass(slots=True)
class _Element:
    vr: str
    start: int
    end: int
    implicit: bool


_Level = dict[int, _Element]


class Attributes:
    """The attributes of one kept header (`kept.pack`)."""

    def __init__(self, packed: bytes) -> None:
        self._implicit, self._little, self._data = open_data(packed)
        self._order = "<" if self._little else ">"
        self._top: _Level | None = None

    def values(self, path: Path) -> list[str] | None:
        """All values at the path as text, through every item of the sequences on the way; None where it is absent,
        an empty list where it is there without a value."""
        if self._top is None:
            self._top = self._level(0, len(self._data), self._implicit)
        return self._down(self._top, path, ())

    def _down(self, level: _Level, path: Path, inherited: Terms) -> list[str] | None:
        own = level.get(0x00080005)
        terms = charset.terms_of(self._data[own.start : own.end]) if own else inherited
        element = level.get(self._tag(level, path[0], terms))
        if element is None:
            return None
        if len(path) == 1:
            return self._decode(element, path[0], terms)
        below: list[str] | None = None
        for item in self._items(element):
            if (values := self._down(item, path[1:], terms)) is not None:
                below = [*(below or []), *values]
        return below

    def _tag(self, level: _Level, step: PathStep, terms: Terms) -> int:
        """The number of a private attribute: its creator defines its block."""
        if not step.creator:
            return step.tag
        group = step.tag & 0xFFFF0000
        for block in range(0x10, 0x100):
            owner = level.get(group | block)
            if owner and charset.decode(self._data[owner.start : owner.end], terms) == step.creator:
                return group | block << 8 | step.tag & 0xFF
        return -1

    def _items(self, element: _Element) -> list[_Level]:
        found = []
        with suppress(DamagedElements):
            for start, stop in items(self._data, element.start, element.end, element.implicit, self._little):
                found.append(self._level(start, stop, element.implicit))
        return found

    def _level(self, position: int, end: int, implicit: bool) -> _Level:
        """The elements of one level, up to the first that is damaged."""
        level: _Level = {}
        with suppress(DamagedElements):
            for tag, vr, _, value, length, following in Cursor(self._data, position, end, implicit, self._little):
                stop = following - 8 if length == UNDEFINED else following
                level[tag] = _Element(vr.decode(), value, stop, implicit or vr == b"UN")  # PS3.5 6.2.2 note 2
        return level

    def _decode(self, element: _Element, step: PathStep, terms: Terms) -> list[str]:
        raw = self._data[element.start : element.end]
        vr = element.vr or step.vr
        if packed := _PACKED.get(vr):
            size = struct.calcsize(packed)
            numbers = struct.unpack(f"{self._order}{len(raw) // size}{packed}", raw[: len(raw) // size * size])
            return [f"{n:g}" if packed in "fd" else str(n) for n in numbers]
        if vr == "AT":
            pairs = struct.unpack(f"{self._order}{len(raw) // 4 * 2}H", raw[: len(raw) // 4 * 4])
            return [f"{a:04X}{b:04X}" for a, b in zip(pairs[::2], pairs[1::2], strict=True)]
        if vr in _OPAQUE or (vr == "UN" and not _is_text(raw)):
            return []
        return [value for value in charset.values(raw, terms, vr) if value]


def _is_text(raw: bytes) -> bool:
    """A value of unknown representation is taken as text only where it looks like it."""
    return all(byte >= 0x20 or byte in b"\t\r\n\x1b" for byte in raw.rstrip(b"\0"))


__all__ = ["Attributes", "Path", "PathStep", "UnknownAttribute", "parse"]
