"""Dates and ages (the VRs DA and AS, PS3.5 6.2): read where their meaning is plain; what is none stays text for whoever
shows it."""

import re
from datetime import date

_DATE = re.compile(r"([0-9]{4})([.-]?)([0-9]{2})\2([0-9]{2})")  # with points as in ACR-NEMA 2.0, or hyphens
_AGE = re.compile(r"([0-9]{1,3})\s?([DWMY])", re.IGNORECASE)


def parse_date(text: str) -> date | None:
    """The day of a DA, also written 1960.02.03 or 1960-02-03; None for what is no day of the calendar."""
    found = _DATE.fullmatch(text.strip(" \0"))
    try:
        return date(int(found[1]), int(found[3]), int(found[4])) if found else None
    except ValueError:
        return None


def parse_age(text: str) -> tuple[int, str] | None:
    """(number, D, W, M or Y) of an AS, also without leading zeros or in small letters; None for anything else."""
    found = _AGE.fullmatch(text.strip(" \0"))
    return (int(found[1]), found[2].upper()) if found else None


def shown_age(text: str) -> str:
    """An AS for people: 64 Y, 0 Y, 18 M; what is no age as it is written."""
    age = parse_age(text)
    return f"{age[0]} {age[1]}" if age else text.strip(" \0")
