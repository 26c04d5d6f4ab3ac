"""Dates and times moved into the past together, so that the intervals of a patient stay and nothing links to the true ones
(PS3.15 E.3.6, Retain Longitudinal Temporal Information Modified Dates).

A time of day moves with its date, over midnight too. A date without a time moves as if it were the time of the study, so that
equal dates stay equal; a time without a date moves round the clock. Fractions of a second move too: they would link as well
as the seconds. A value keeps the precision that it is written in."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydicom.datadict import dictionary_has_tag, dictionary_keyword, tag_for_keyword

STUDY_TIME = 0x00080030
_DATE = re.compile(r"\d{8}")
_TIME = re.compile(r"(\d\d)(\d\d)?(\d\d)?(\.\d{1,6})?")
_DATE_TIME = re.compile(r"(\d{8})((?:\d\d){0,3}(?:\.\d{1,6})?)([+-]\d{4})?")
_ANY_DAY = "20000101"


def partner(tag: int) -> int | None:
    """The time attribute that belongs to a date, or the date attribute that belongs to a time."""
    if not dictionary_has_tag(tag):
        return None
    keyword = dictionary_keyword(tag)
    one, other = ("Date", "Time") if "Date" in keyword else ("Time", "Date")
    return tag_for_keyword(keyword.replace(one, other, 1)) if one in keyword else None


def _read(day: str, time: str) -> datetime | None:
    """A moment of PS3.5 6.2 forms; None where it is none."""
    found = _TIME.fullmatch(time)
    if not _DATE.fullmatch(day) or not found or (found[4] and not found[3]):
        return None
    hours, minutes, seconds = (int(part or 0) for part in found.groups()[:3])
    if hours > 23 or minutes > 59 or seconds > 60:
        return None
    try:
        start = datetime(int(day[:4]), int(day[4:6]), int(day[6:]))  # noqa: DTZ001 - as written, in no zone
    except ValueError:
        return None
    fraction = timedelta(microseconds=int((found[4] or ".0")[1:].ljust(6, "0")))
    return start + timedelta(hours=hours, minutes=minutes, seconds=seconds) + fraction


def _written(moment: datetime, like: str) -> str:
    """The time of day in the precision of `like`."""
    whole, _, fraction = like.partition(".")
    text = moment.strftime("%H%M%S")[: len(whole)]
    return text + (f".{moment.microsecond:06}"[: len(fraction) + 1] if fraction else "")


@dataclass(frozen=True, slots=True)
class Shift:
    """How far one patient's moments go back. study_time: the object's Study Time, or a guess of noon."""

    by: timedelta
    study_time: str = "120000"

    def shift_pair(self, day: str, time: str) -> tuple[str, str] | None:
        """A date and its time; None where they are none, or would fall before year 1."""
        moment = _read(day, time)
        try:
            back = moment - self.by if moment else None
        except OverflowError:
            return None
        return (f"{back.year:04}{back.month:02}{back.day:02}", _written(back, time)) if back else None

    def date(self, day: str, time: str = "") -> str | None:
        """A DA; time: of its partner, "" where there is none."""
        moved = self.shift_pair(day, time) if time else None
        moved = moved or self.shift_pair(day, self.study_time)
        return moved[0] if moved else None

    def time(self, time: str, day: str = "") -> str | None:
        """A TM; day: of its partner, "" where there is none."""
        moved = self.shift_pair(day, time) if day else None
        moved = moved or self.shift_pair(_ANY_DAY, time)
        return moved[1] if moved else None

    def date_time(self, value: str) -> str | None:
        """A DT, its offset from UTC kept. What is less precise than a day cannot be moved."""
        found = _DATE_TIME.fullmatch(value)
        if not found:
            return None
        day, time, zone = found[1], found[2], found[3] or ""
        if not time:
            date = self.date(day)
            return date + zone if date else None
        moved = self.shift_pair(day, time)
        return "".join(moved) + zone if moved else None


def shifted(tag: int, vr: str, value: str, others: Mapping[int, str], shift: Shift) -> str | None:
    """Every value of a DA, TM or DT; others: the other values of the same data set, by tag. None where one is not a
    date or time."""
    beside = partner(tag)
    partners = others.get(beside, "").split("\\") if beside else []
    found: list[str | None] = []
    for number, one in enumerate(part.strip() for part in value.split("\\")):
        other = partners[number].strip() if number < len(partners) else ""
        if not one:
            found.append("")
        elif vr == "DT":
            found.append(shift.date_time(one))
        else:
            found.append(shift.date(one, other) if vr == "DA" else shift.time(one, other))
    return None if None in found else "\\".join(part or "" for part in found)
