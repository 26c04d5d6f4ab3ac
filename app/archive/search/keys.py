"""C-FIND: what one matching key means (PS3.4 C.2.2.2): a condition in plain SQL that lets nothing through too little, and,
where SQL cannot decide, a test of the value. Pure.

Beyond the standard's text, and harmless: several values of a text key mean any of them (C.2.2.2.8), and two quotation
marks mean an attribute without a value (C.2.2.2.7), negotiated or not."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from app.archive.rows import clip
from app.archive.search.columns import LISTS, NUMBERS
from app.dicom import names, numbers
from app.dicom.matching import (
    EMPTY,
    IDENTITIES,
    MOST_VALUES,
    Key,
    in_range,
    name_test,
    split_range,
    split_uids,
    valid_range,
    wildcard,
)
from app.kit.errors import AppError, TooLarge
from app.kit.phrases import phrase

MOST_UIDS = 20_000  # of one list
_DATES = frozenset(("DA", "TM", "DT"))
_WILD = frozenset(("AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"))
_BINARY = frozenset(("OB", "OD", "OF", "OL", "OV", "OW", "UN", "AT"))


Test = Callable[[Any], bool]


class BadQuery(AppError):
    """An identifier that cannot be answered; tag: the attribute that is at fault (0: none in particular)."""

    code, status, dimse = "bad-query", 400, 0xC000

    def __init__(self, detail: str, tag: int = 0, dimse: int = 0xC000) -> None:
        super().__init__(detail)
        self.tag, self.dimse = tag, dimse


@dataclass(frozen=True, slots=True)
class Narrow:
    """sql: the condition with `?` marks; test: what the column's value must pass besides, None where SQL says it all."""

    sql: str
    values: list[Any]
    test: Test | None = None


def is_universal(key: Key) -> bool:
    """Asks for the attribute, not for a value of it."""
    return key.value == "" or (key.vr in _WILD and set(key.value) == {"*"})


def is_supported(key: Key) -> bool:
    """Whether its values can be matched at all."""
    return key.vr not in _BINARY and not (int(key.path[-1][:4], 16) & 1)


def check(key: Key) -> None:
    """Raises BadQuery for a value that its VR does not allow, TooLarge for a list beyond all measure."""
    value, tag = key.value, int(key.path[0], 16)
    if key.vr != "UI" and len(values_of(key)) > MOST_VALUES:
        raise TooLarge(phrase("At most {most} values of one attribute can be matched at once.", most=MOST_VALUES))
    if len(value) > 1024 and key.vr != "UI":
        raise BadQuery(phrase("The value of {tag} is too long", tag=_shown(tag)), tag)
    if value and key.vr in _DATES and value != EMPTY and not valid_range(key.vr, value):
        raise BadQuery(phrase("{tag} is no date or time, nor a range", tag=_shown(tag)), tag)
    if key.vr == "UI" and value.count("\\") >= MOST_UIDS:
        raise TooLarge(phrase("At most {most} UIDs in one list", most=MOST_UIDS))


def _shown(tag: int) -> str:
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


def values_of(key: Key) -> list[str]:
    """Each of the values asked for; one unless it is a list."""
    if key.vr == "UI":
        return sorted(split_uids(key.value))
    if key.vr in _DATES:
        return [key.value]
    if key.path[-1] in IDENTITIES:
        return [clip(key.value.strip(), 400)] if key.value.strip() else []
    return [clip(part.strip(), 400) for part in key.value.split("\\") if part.strip()]


def narrow(path: str, column: str, key: Key, fuzzy: bool) -> Narrow:
    """The condition that a key makes of a column."""
    if key.value == EMPTY:
        return Narrow(f"{column} IS NULL" if path in NUMBERS else f"{column} = ''", [])
    wanted = values_of(key)
    if path in NUMBERS:
        return _any_of(column, _whole(wanted))
    if path in LISTS:
        one = tester(key, fuzzy)
        return Narrow(f"{column} <> ''", [], lambda text: any(one(part) for part in str(text).split("\\")))
    if key.vr == "UI":
        return _any_of(column, wanted)
    if key.vr == "DA":
        return _dates(column, key.value)
    if key.vr in ("TM", "DT"):
        low, high = (bound[:2] for bound in split_range(key.vr, key.value))
        return Narrow(f"{column} >= ? AND {column} < ?", [low or "0", (high or "9") + "~"], tester(key, fuzzy))
    if key.vr == "PN":
        return Narrow(f"{column} <> ''", [], tester(key, fuzzy))
    if key.vr in ("DS", "IS"):
        return Narrow(f"{column} <> ''", [], tester(key, fuzzy))
    if not any(_is_pattern(one) for one in wanted):
        return _any_of(column, wanted)
    likes = " OR ".join([f"{column} LIKE ? ESCAPE '!'"] * len(wanted))
    return Narrow(f"({likes})", [like(one) for one in wanted], tester(key, fuzzy))


def tester(key: Key, fuzzy: bool) -> Test:
    """Whether one value matches."""
    wanted, vr = values_of(key), key.vr
    if vr == "PN":
        name = name_test(tuple(wanted), names.fold, fuzzy)
        return lambda text: name(str(text).split("="))
    if vr in _DATES:
        return lambda text: in_range(vr, str(text), key.value)
    if vr in ("DS", "IS"):
        asked = {number for one in wanted if (number := numbers.number(one)) is not None}
        return lambda text: numbers.number(str(text)) in asked
    if vr not in _WILD:
        return lambda text: str(text) in wanted
    patterns = [wildcard(one) for one in wanted]
    return lambda text: any(pattern.matches(str(text)) for pattern in patterns)


def both(day: Key, clock: Key) -> Callable[[Any, Any], bool]:
    """Combined date-time matching (PS3.4 C.2.2.2.5.4): one range from date and time to date and time."""
    days, clocks = split_range("DA", day.value), split_range("TM", clock.value)
    low, high = (f"{d.replace('.', '')}{c.replace(':', '')}" if d else "" for d, c in zip(days, clocks, strict=True))
    return lambda date, time: bool(date) and in_range("DT", f"{date}{_clock(str(time))}", f"{low}-{high}")


def _clock(time: str) -> str:
    """A TM as the tail of a DT: whole pairs of digits."""
    digits, dot, rest = time.partition(".")
    digits = digits[: len(digits) & ~1]
    return f"{digits}.{rest}" if dot and rest and len(digits) == 6 else digits


def like(pattern: str) -> str:
    """`*` and `?` as a LIKE pattern with the escape `!`."""
    escaped = pattern.replace("!", "!!").replace("%", "!%").replace("_", "!_")
    return escaped.replace("*", "%").replace("?", "_")


def _is_pattern(text: str) -> bool:
    return "*" in text or "?" in text


def _any_of(column: str, wanted: list[Any]) -> Narrow:
    if not wanted:
        return Narrow("1 = 0", [])
    if len(wanted) == 1:
        return Narrow(f"{column} = ?", wanted)
    return Narrow(f"{column} IN ({', '.join('?' * len(wanted))})", wanted)


def _whole(wanted: list[str]) -> list[int]:
    read = [numbers.number(one) for one in wanted]
    return [one for one in read if isinstance(one, int) and abs(one) < 2**31]


def _dates(column: str, value: str) -> Narrow:
    low, high = (bound.replace(".", "") for bound in split_range("DA", value))
    # what is no date stands in the column as it was written
    return Narrow(f"{column} >= ? AND {column} <= ? AND length({column}) = 8", [low or "0", high or "99999999"])
