"""The query string of QIDO-RS (PS3.18 8.3.4, 10.6): attributes to match, includefield, fuzzymatching, limit, offset."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from app.dicom.matching import (
    EMPTY,
    MOST_VALUES,
    Key,
    UnknownAttribute,
    alternatives,
    attribute_path,
    valid_range,
    vr_of,
)
from app.kit.errors import BadRequest
from app.kit.numbers import parse_integer
from app.kit.phrases import phrase

Level = Literal["study", "series", "instance"]
MAX_LIMIT = 1000  # answers at once; more come with offset, and a warning is added
_MAX_KEYS = 64
_CONTROL = frozenset(
    (
        "includefield",
        "fuzzymatching",
        "emptyvaluematching",
        "multiplevaluematching",
        "limit",
        "offset",
        "accept",
        "charset",
    )
)


@dataclass(frozen=True, slots=True)
class QidoSearch:
    """A search as asked. include: paths of attributes to add, or everything when include_all.

    capped: the client asked for more than MAX_LIMIT or named no limit."""

    keys: tuple[Key, ...]
    include: frozenset[tuple[str, ...]] = frozenset()
    include_all: bool = False
    fuzzy: bool = False
    limit: int = MAX_LIMIT
    offset: int = 0
    ignored: tuple[str, ...] = ()  # unknown includefields: they may be left out (8.3.4.3)


def parse(pairs: Iterable[tuple[str, str]]) -> QidoSearch:
    """The pairs of a query string in order. Raises BadRequest (400) naming what cannot be understood."""
    keys: dict[tuple[str, ...], Key] = {}
    include: set[tuple[str, ...]] = set()
    ignored: list[str] = []
    include_all = fuzzy = False
    pairs = list(pairs)
    lists = any(name == "multiplevaluematching" and _flag(name, value) for name, value in pairs)
    limit, offset = MAX_LIMIT, 0
    for name, value in pairs:
        if name == "includefield":
            everything, found, unknown = _include(value)
            include_all |= everything
            include |= found
            ignored += unknown
        elif name == "fuzzymatching":
            fuzzy = _flag(name, value)
        elif name == "limit":
            limit = min(_integer(name, value), MAX_LIMIT)
        elif name == "offset":
            offset = _integer(name, value)
        elif name == "emptyvaluematching":
            _flag(name, value)  # two quotation marks ask for it, with or without the parameter (PS3.4 C.2.2.2.7)
        elif name not in _CONTROL:
            key = _key(name, value, lists)
            if key.path in keys:
                key = _combine(keys[key.path], key)
            keys[key.path] = key
    if any(len(alternatives(key)) > MOST_VALUES for key in keys.values()):
        raise BadRequest(phrase("At most {most} values of one attribute can be matched at once.", most=MOST_VALUES))
    if len(keys) > _MAX_KEYS:
        raise BadRequest(phrase("At most {most} attributes can be matched at once.", most=_MAX_KEYS))
    return QidoSearch(tuple(keys.values()), frozenset(include), include_all, fuzzy, limit, offset, tuple(ignored))


def _key(name: str, value: str, lists: bool) -> Key:
    """lists: commas separate values (PS3.18 8.3.4.5). In attributes of coded strings they always do."""
    try:
        path = attribute_path(name)
    except UnknownAttribute:
        raise BadRequest(
            phrase("{name!r} is not a searchable attribute.", name=name),
            hint="Use a DICOM keyword or an 8-digit tag.",
        ) from None
    vr = vr_of(path[-1])
    value = value.strip().strip('"') if vr == "UI" else value.strip()
    if len(value) > 16384:
        raise BadRequest(phrase("The value of {name} is too long.", name=name))
    if "," in value and vr != "UI" and (lists or vr == "CS"):
        value = "\\".join(part.strip() for part in value.split(","))
    if vr in ("DA", "TM", "DT") and not all(valid_range(vr, one) for one in _values(value)):
        raise BadRequest(
            phrase("The value of {name} is not a date, a time or a range.", name=name),
            hint="YYYYMMDD, YYYYMMDD-YYYYMMDD, hhmmss.",
        )
    return Key(path, vr, value)


def _combine(first: Key, second: Key) -> Key:
    """The same attribute twice is a list of values, of which one must match. Texts in which a backslash is a character
    have no lists."""
    if not first.value or not second.value or first.value == second.value:
        return first if first.value else second
    if first.vr in ("LT", "ST", "UR", "UT"):
        raise BadRequest(phrase("{name} is specified twice.", name=second.keyword or second.path[-1]))
    return Key(first.path, first.vr, f"{first.value}\\{second.value}")


def _values(value: str) -> list[str]:
    """The values of a list to check; two quotation marks ask for an empty value."""
    return [one for one in value.split("\\") if one and one != EMPTY]


def _include(value: str) -> tuple[bool, set[tuple[str, ...]], list[str]]:
    found: set[tuple[str, ...]] = set()
    unknown: list[str] = []
    everything = False
    for name in filter(None, (part.strip() for part in value.split(","))):
        if name.lower() == "all":
            everything = True
            continue
        try:
            found.add(attribute_path(name))
        except UnknownAttribute:
            unknown.append(name[:80])
    return everything, found, unknown


def _flag(name: str, value: str) -> bool:
    if value.lower() not in ("true", "false"):
        raise BadRequest(phrase("{name} must be true or false.", name=name))
    return value.lower() == "true"


def _integer(name: str, value: str) -> int:
    number = parse_integer(value, high=10**9)
    if number is None:
        raise BadRequest(phrase("{name} must be a whole number.", name=name))
    return number
