"""Dates and ages (the VRs DA and AS, PS3.5 6.2): read where their meaning is plain; other values stay text for
display."""

import re
from datetime import date

_DATE = re.compile(r"([0-9]{4})([.-]?)([0-9]{2})\2([0-9]{2})")  # with points as in ACR-NEMA 2.0, or hyphens
_AGE = re.compile(r"([0-9]{1,3})\s?([DWMY])", re.IGNORECASE)
_COMPUTED = re.compile(r"([0-9]{1,3})([DWMY])")


def parse_date(text: str) -> date | None:
    """The day of a DA, also written 1960.02.03 or 1960-02-03; None for a value that is not a calendar date."""
    found = _DATE.fullmatch(text.strip(" \0"))
    try:
        return date(int(found[1]), int(found[3]), int(found[4])) if found else None
    except ValueError:
        return None


def parse_age(text: str) -> tuple[int, str] | None:
    """(number, D, W, M or Y) of an AS, also without leading zeros or in small letters; None for anything else."""
    found = _AGE.fullmatch(text.strip(" \0"))
    return (int(found[1]), found[2].upper()) if found else None


def age_at(birth: str, day: str, stated: str = "") -> str:
    """The age at a study, the same for lists, viewer and paper. From birth date and study date where both are days and
    in this order, as an AS without leading zeros, in years from two on: 58Y, 5M, 9D. Else what the header states
    (Patient's Age) as it comes, "64 Y" for 064Y, also where that is not an age; empty where both are missing."""
    born, then = parse_date(birth), parse_date(day)
    if born is None or then is None or then < born:
        age = parse_age(stated)
        return f"{age[0]} {age[1]}" if age else stated.strip(" \0")
    months = (then.year - born.year) * 12 + then.month - born.month - (then.day < born.day)
    if months >= 24:
        return f"{months // 12}Y"
    return f"{months}M" if months else f"{(then - born).days}D"


def computed_age(age: str) -> tuple[int, str] | None:
    """(number, D, W, M or Y) of what `age_at` computed; None for what a header states, which is shown as it comes."""
    found = _COMPUTED.fullmatch(age)
    return (int(found[1]), found[2]) if found else None
