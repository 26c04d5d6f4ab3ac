"""Attributes of the standard by a part of their keyword, name or number. Pure."""

from dataclasses import dataclass
from functools import lru_cache

from app.kit import compat
from app.routing import changing


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute. tag: as (gggg,eeee)."""

    keyword: str
    name: str
    tag: str
    vr: str


@lru_cache(1)
def _all() -> list[Attribute]:
    """Those of data sets that are not retired and have a value of their own, by keyword."""
    found = [
        Attribute(entry[4], entry[2], f"({tag >> 16:04X},{tag & 0xFFFF:04X})", entry[0])
        for tag, entry in compat.data_dictionary().items()
        if entry[4] and not entry[3] and tag >> 16 > 2 and entry[0][:2] not in changing.OPAQUE
    ]
    return sorted(found, key=lambda one: one.keyword)


def find(text: str, limit: int = 30) -> list[Attribute]:
    """Those that begin with the text first, then those that hold it."""
    wanted = text.strip().casefold()
    digits = wanted.strip("()").replace(",", "")
    if not wanted:
        return []
    begins, holds = [], []
    for one in _all():
        if one.keyword.casefold().startswith(wanted) or (
            digits and one.tag.casefold().replace(",", "")[1:-1].startswith(digits)
        ):
            begins.append(one)
        elif wanted in one.keyword.casefold() or wanted in one.name.casefold():
            holds.append(one)
    return (begins + holds)[:limit]
