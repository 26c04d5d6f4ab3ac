"""Numbers that are written as text: the VRs IS and DS (PS3.5 6.2), read where their meaning is plain, never rounded.

Real headers have decimal commas, a comma between two values, IS with a fraction, DS longer than 16 characters. What can
mean two things, or nothing, stays the text that it is."""

import math
import re
from functools import lru_cache

from pydicom.datadict import dictionary_VM

Number = int | float

TEXT_NUMBERS = frozenset(("DS", "IS"))
EXACT = 2**53  # integers below are the same number to every reader of JSON
_LONGEST = 64  # characters of a value that is still read as a number
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")
_WHOLE = re.compile(r"[+-]?[0-9]+")
_DECIMAL_COMMA = re.compile(r"[+-]?[0-9]*,[0-9]+(?:[eE][+-]?[0-9]{1,4})?")


def number(text: str) -> Number | None:
    """One value; None for a text that is not a finite number in the form of PS3.5. A fraction is kept: "14.5" is 14.5,
    "3.0" 3."""
    text = text.strip(" \0")
    if len(text) > _LONGEST or not _NUMBER.fullmatch(text):
        return None
    if _WHOLE.fullmatch(text):
        return int(text)
    found = float(text)
    if not math.isfinite(found):
        return None
    return int(found) if found.is_integer() and abs(found) < EXACT else found


def values(text: str, tag: int) -> list[Number | str]:
    """The values of an attribute: numbers, "" for an empty one, the text of one that cannot be read.

    A comma is a decimal sign where each value has one and no point; it separates values where that gives just as many as
    the attribute has by the standard. Anything else with a comma is not plain."""
    parts = [part.strip(" \0") for part in text.split("\\")]
    if "," in text:
        parts = _without_commas(parts, multiplicity(tag)) or parts
    found: list[Number | str] = []
    for part in parts:
        value = number(part)
        found.append(part if value is None else value)
    return found


def _without_commas(parts: list[str], many: int) -> list[str] | None:
    """The parts written with points; None where it is not plain what the commas mean."""
    pieces = [piece.strip() for piece in parts[0].split(",")]
    if len(parts) == 1 and many > 1 and len(pieces) == many:
        return pieces
    written = [part for part in parts if "," in part]
    if all(_DECIMAL_COMMA.fullmatch(part) for part in written) and not any("." in part for part in parts):
        return [part.replace(",", ".") for part in parts] if many in (0, len(parts)) else None
    return None


@lru_cache(1024)
def multiplicity(tag: int) -> int:
    """How many values an attribute has by the dictionary (PS3.6); 0 where that is not one number, or not known."""
    try:
        many = dictionary_VM(tag)
    except KeyError:
        return 0
    return int(many) if many.isdigit() else 0


def is_odd(tag: int, found: list[Number | str]) -> bool:
    """Whether an attribute cannot be used as what it is: a value that is not a number, or too many or too few of
    them."""
    many = multiplicity(tag)
    return bool(found) and (any(isinstance(one, str) for one in found) or (many > 0 and len(found) != many))
