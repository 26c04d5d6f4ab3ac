"""How one value is compared with what a condition asks for. Pure. Regular expressions are RE2's: their time grows with the
length of the text and never faster."""

import re
from datetime import date
from functools import lru_cache
from typing import Any

import re2

from app.dicom import numbers
from app.dicom.lookup import parse
from app.dicom.matching import wildcard
from app.kit.phrases import NOTHING, Phrase, phrase

_MOST_PATTERN = 256  # characters
_MOST_TEXT = 4096  # characters of a value that are looked at
_NUMERIC = frozenset(("DS", "FD", "FL", "IS", "SL", "SS", "SV", "UL", "US", "UV"))
_MOMENTS = frozenset(("DA", "TM", "DT"))
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_SOURCES = ("dimse", "stow", "upload", "import", "folder", "job", "retrieve")
_ORDERED = ("greater", "less", "between")


def kind_of(field: str) -> str:
    """number, date, time or text: how values of a field are ordered."""
    if field in ("time", "weekday"):
        return "time" if field == "time" else "text"
    if field in ("calling", "called", "facility", "source", "node"):
        return "text"
    vr = parse(field)[-1].vr
    if vr in _NUMERIC or vr == "AS":
        return "number"
    return {"DA": "date", "DT": "date", "TM": "time"}.get(vr, "text")


def value_fault(field: str, op: str, value: str | list[str]) -> Phrase:
    """Error of a condition's value; "" when nothing is."""
    values = [value] if isinstance(value, str) else value
    if any(len(one) > 1024 for one in values):
        return phrase("This is longer than a value can be.")
    if op in ("exists", "missing"):
        return NOTHING
    if op == "between" and len(values) != 2:
        return phrase("Give the lowest and the highest value.")
    if op == "one-of":
        if not isinstance(value, list) or not value:
            return phrase("Give at least one value.")
    elif op != "between" and len(values) != 1:
        return phrase("Give one value.")
    if any(not one.strip() for one in values):
        return phrase("Give a value, or choose exists or missing.")
    if op == "regex":
        return _regex_fault(values[0])
    if op in _ORDERED and any(order(field, one) is None for one in values):
        return {
            "number": phrase("Write a number."),
            "date": phrase("Write a date as YYYY-MM-DD."),
            "time": phrase("Write a time of day as HH:MM."),
        }.get(kind_of(field), phrase("Only numbers, dates and times can be greater or less."))
    if field == "weekday" and any(one.lower() not in _WEEKDAYS for one in values) and op in ("is", "is-not", "one-of"):
        return phrase("Write one of {known}.", known=", ".join(_WEEKDAYS))
    if field == "source" and any(one.lower() not in _SOURCES for one in values) and op in ("is", "is-not", "one-of"):
        return phrase("Write one of {known}.", known=", ".join(_SOURCES))
    return NOTHING


def _regex_fault(pattern: str) -> Phrase:
    if len(pattern) > _MOST_PATTERN:
        return phrase("A regular expression has at most {most} characters.", most=_MOST_PATTERN)
    try:
        _regex(pattern)
    except re2.error as fault:
        words = fault.args[0].decode("utf-8", "replace") if fault.args and isinstance(fault.args[0], bytes) else ""
        return phrase("The regular expression is not valid (RE2): {words}.", words=words or "?")
    return NOTHING


@lru_cache(256)
def _regex(pattern: str) -> Any:
    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False
    options.max_mem = 1 << 20
    return re2.compile(pattern, options)


def order(field: str, text: str) -> float | str | None:
    """A value in a form that can be ordered, or None where it cannot: numbers as such (of an age its years), dates as
    YYYYMMDD, times as HHMMSS."""
    kind = kind_of(field)
    text = text.strip()
    if kind == "number":
        return _number(text)
    if kind == "date":
        digits = text.replace("-", "").replace(".", "")[:8] if len(text) <= 10 else text[:8]
        try:
            return date(int(digits[:4]), int(digits[4:6]), int(digits[6:8])).strftime("%Y%m%d")
        except ValueError:
            return None
    if kind == "time":
        digits = text.replace(":", "").partition(".")[0]
        if not re.fullmatch(r"([01]\d|2[0-3])([0-5]\d){0,2}", digits):
            return None
        return digits.ljust(6, "0")
    return None


def _number(text: str) -> float | None:
    if age := re.fullmatch(r"(\d{3})([DWMY])", text):  # VR AS (PS3.5 6.2), in years
        return int(age[1]) / {"D": 365.25, "W": 52.18, "M": 12, "Y": 1}[age[2]]
    return numbers.number(text)


def condition_holds(field: str, op: str, wanted: str | list[str], values: list[str] | None) -> bool:
    """Whether the values of a field satisfy a condition. None: the attribute is not there."""
    if op == "exists":
        return bool(values)
    if op == "missing":
        return not values
    seen = [value[:_MOST_TEXT] for value in values or ()]
    asked = [wanted] if isinstance(wanted, str) else wanted
    if op == "is-not":
        return not any(_equal(field, one, asked[0]) for one in seen)
    return any(_value_matches(field, op, one, asked) for one in seen)


def _value_matches(field: str, op: str, value: str, asked: list[str]) -> bool:
    if op in ("is", "one-of"):
        return any(_equal(field, value, one) for one in asked)
    if op in _ORDERED:
        return _in_order(field, op, value, asked)
    text, first = value.casefold(), asked[0].strip().casefold()
    if op == "contains":
        return first in text
    if op == "starts":
        return text.startswith(first)
    if op == "wildcard":
        return wildcard(first).matches(text)
    return bool(_regex(asked[0]).search(value))


def _equal(field: str, value: str, wanted: str) -> bool:
    if value.strip().casefold() == wanted.strip().casefold():
        return True
    kind = kind_of(field)
    if kind == "text":
        return False
    left, right = order(field, value), order(field, wanted)
    if kind == "time" and left is not None and right is not None:  # 08:15 is all of that minute
        length = len(wanted.strip().replace(":", "").partition(".")[0])
        return str(left)[:length] == str(right)[:length]
    return left is not None and left == right


def _in_order(field: str, op: str, value: str, asked: list[str]) -> bool:
    have, bounds = order(field, value), [order(field, one) for one in asked]
    if have is None or any(bound is None for bound in bounds):
        return False
    low, high = bounds[0], bounds[-1]
    if op == "greater":
        return have > low  # type: ignore[operator]
    if op == "less":
        return have < low  # type: ignore[operator]
    if kind_of(field) == "time" and low > high:  # type: ignore[operator]
        return have >= low or have <= high  # type: ignore[operator]  # over midnight
    return low <= have <= high  # type: ignore[operator]
