"""Table E.1-1 of PS3.15: which attribute gets which action. Data and their origin: data/NOTICE.txt."""

import json
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

_DATA = Path(__file__).parent / "data"
EDITION = "2026c"


@dataclass(frozen=True, slots=True)
class ProfileEntry:
    """One row: the Basic Profile's action code, and the codes of the options that have one."""

    name: str
    basic: str
    options: dict[str, str] = field(default_factory=dict)


# Rows for repeating groups; 50xx and 60xx mean every even group from 00 to FE (PS3.5 7.6).
CURVE = ProfileEntry("Curve Data", "X", {"clean_graphics": "C"})
OVERLAY_DATA = ProfileEntry("Overlay Data", "X", {"clean_graphics": "C"})
OVERLAY_COMMENTS = ProfileEntry("Overlay Comments", "X", {"clean_graphics": "C"})
PRIVATE = ProfileEntry("Private Attributes", "X", {"retain_safe_private": "C"})


@cache
def _rows() -> dict[int, ProfileEntry]:
    raw = json.loads((_DATA / "table_e1_1.json").read_text())
    return {
        int(tag, 16): ProfileEntry(
            row["name"].partition("\n")[0].strip(),
            row["basic"],
            {key: code for key, code in row.items() if key not in ("name", "basic")},
        )
        for tag, row in raw.items()
    }


def lookup(tag: int) -> ProfileEntry | None:
    """The row of a tag; None where the table does not list it."""
    group = tag >> 16
    if group & 1:
        return PRIVATE
    if group & 0xFF00 == 0x5000:
        return CURVE
    if group & 0xFF00 == 0x6000:
        return {0x3000: OVERLAY_DATA, 0x4000: OVERLAY_COMMENTS}.get(tag & 0xFFFF)
    return _rows().get(tag)


def tags() -> list[int]:
    """Every tag with a row of its own."""
    return list(_rows())
