"""The condition of one matching key on a column (PS3.4 C.2.2.2): a condition in plain SQL that excludes no match, and,
where SQL cannot decide, a test of the value. Pure.

Beyond the standard's text, and harmless: several values of a text key mean any of them (C.2.2.2.8), and two quotation
marks mean an attribute without a value (C.2.2.2.7), negotiated or not."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from app.archive.search.columns import LISTS, NUMBERS, REQUEST, REQUEST_PARTS, SEPARATOR
from app.archive.search.plans import has_wildcards, like_pattern
from app.dicom import names, numbers
from app.dicom.matching import (
    BINARY,
    EMPTY,
    MOST_VALUES,
    WILD,
    Key,
    alternatives,
    in_range,
    name_test,
    split_range,
    split_uids,
    valid_range,
    wildcard,
)
from app.kit.errors import AppError, TooLarge
from app.kit.phrases import phrase
from app.kit.texts import clean_text

MOST_UIDS = 20_000  # of one list
DATES = frozenset(("DA", "TM", "DT"))

Test = Callable[[Any], bool]


class BadQuery(AppError):
    """An identifier that cannot be answered; tag: the attribute that is at fault (0: none in particular)."""

    code, status, dimse = "bad-query", 400, 0xC000

    def __init__(self, detail: str, tag: int = 0, dimse: int = 0xC000) -> None:
        super().__init__(detail)
        self.tag, self.dimse = tag, dimse


@dataclass(frozen=True, slots=True)
class Narrow:
    """sql: the condition with `?` marks; test: a test for the column's value, None where SQL decides alone."""

    sql: str
    values: list[Any]
    test: Test | None = None


def is_supported(key: Key) -> bool:
    """Whether its values can be matched at all."""
    return key.vr not in BINARY and key.vr != "AT" and not (int(key.path[-1][:4], 16) & 1)


def check(key: Key) -> None:
    """Raises BadQuery for a value that its VR does not allow, TooLarge for a list beyond all measure."""
    value, tag = key.value, int(key.path[0], 16)
    listed = [one for one in alternatives(key) if "\\" not in one]  # the text as a whole is none of the list
    if key.vr != "UI" and len(listed) > MOST_VALUES:
        raise TooLarge(phrase("At most {most} values of one attribute can be matched at once.", most=MOST_VALUES))
    if len(value) > 1024 and key.vr != "UI":
        raise BadQuery(phrase("The value of {tag} is too long", tag=_tag_name(tag)), tag)
    if value and key.vr in DATES and not all(one == EMPTY or valid_range(key.vr, one) for one in alternatives(key)):
        raise BadQuery(phrase("{tag} is not a date, a time or a range of them", tag=_tag_name(tag)), tag)
    if key.vr == "UI" and value.count("\\") >= MOST_UIDS:
        raise TooLarge(phrase("At most {most} UIDs in one list", most=MOST_UIDS))


def _tag_name(tag: int) -> str:
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


def values_of(key: Key) -> list[str]:
    """Each of the values of which one must match."""
    if key.vr == "UI":
        return sorted(split_uids(key.value))
    stripped = (clean_text(one.strip(), 400) for one in alternatives(key))
    return list(dict.fromkeys(one for one in stripped if one))


def column_condition(path: str, column: str, key: Key, fuzzy: bool) -> Narrow:
    """The condition that a key makes of a column. path: the attribute's, tags joined by a point."""
    if key.value == EMPTY:
        return _empty(path, column)
    wanted, vr = values_of(key), key.vr
    if path in NUMBERS:
        return _any_of(column, _integers(wanted))
    if path in LISTS:
        return _in_list(column, key, fuzzy)
    if vr == "UI":
        return _any_of(column, wanted)
    if vr in ("DA", "TM"):
        each = [(_dates if vr == "DA" else _times)(column, one) for one in wanted]
        sql = " OR ".join(one.sql for one in each) or "1 = 0"
        return Narrow(f"({sql})", [value for one in each for value in one.values], make_test(key, fuzzy))
    if vr in ("DT", "PN", "DS", "IS"):
        return Narrow(f"{column} <> ''", [], make_test(key, fuzzy))
    if not any(map(has_wildcards, wanted)):
        return _any_of(column, wanted)
    likes = " OR ".join([f"{column} LIKE ? ESCAPE '!'"] * len(wanted))
    return Narrow(f"({likes})", [like_pattern(one) for one in wanted], make_test(key, fuzzy))


def narrow_request(keys: Sequence[Key], fuzzy: bool) -> Narrow:
    """The condition on series that keys of the Request Attributes Sequence make together: one item must meet them all
    (C.2.2.2.6). The test takes `columns.REQUEST_COLUMN`."""
    sql, values, tests = list[str](), list[Any](), list[tuple[int, Test]]()
    for key in keys:
        place = REQUEST_PARTS.index(key.path[1])
        column = ("r.scheduled_step_id", "r.requested_procedure_id")[place]
        if key.value == EMPTY:
            tests.append((place, lambda text: not text))
            continue
        found = column_condition(f"{REQUEST}.{key.path[1]}", column, key, fuzzy)
        sql.append(found.sql)
        values += found.values
        tests.append((place, make_test(key, fuzzy)))

    def test(text: Any) -> bool:
        items = zip_longest(*(part.split("\\") for part in str(text).split(SEPARATOR)), fillvalue="")
        return any(all(one(item[at]) for at, one in tests) for item in items)

    return Narrow(" AND ".join(sql) or "1 = 1", values, test)


def make_test(key: Key, fuzzy: bool) -> Test:
    """Whether one value matches."""
    wanted, vr = values_of(key), key.vr
    if vr == "PN":
        name = name_test(tuple(wanted), names.fold, fuzzy)
        return lambda text: name(str(text).split("="))
    if vr in DATES:
        return lambda text: any(in_range(vr, str(text), one) for one in wanted)
    if vr in ("DS", "IS"):
        asked = {number for one in wanted if (number := numbers.number(one)) is not None}
        return lambda text: numbers.number(str(text)) in asked
    if vr not in WILD:
        return lambda text: str(text) in wanted
    patterns = [wildcard(one) for one in wanted]
    return lambda text: any(pattern.matches(str(text)) for pattern in patterns)


def combined_range(day: Key, clock: Key) -> Callable[[Any, Any], bool]:
    """Combined date-time matching (PS3.4 C.2.2.2.5.4): one range from date and time to date and time."""
    days, clocks = split_range("DA", day.value), split_range("TM", clock.value)
    low, high = (f"{d.replace('.', '')}{c.replace(':', '')}" if d else "" for d, c in zip(days, clocks, strict=True))
    return lambda date, time: bool(date) and in_range("DT", f"{date}{_clock(str(time))}", f"{low}-{high}")


def _clock(time: str) -> str:
    """A TM as the tail of a DT: whole pairs of digits."""
    digits, dot, rest = time.partition(".")
    digits = digits[: len(digits) & ~1]
    return f"{digits}.{rest}" if dot and rest and len(digits) == 6 else digits


def _in_list(column: str, key: Key, fuzzy: bool) -> Narrow:
    """One of several values. A wildcard of LIKE may match a backslash, too: the test decides."""
    one = make_test(key, fuzzy)
    sql, values = f"{column} <> ''", list[Any]()
    if key.vr != "PN" and (wanted := values_of(key)):
        sql = " OR ".join([f"('\\' || {column} || '\\') LIKE ? ESCAPE '!'"] * len(wanted))
        values = [f"%\\{like_pattern(value)}\\%" for value in wanted]
    return Narrow(f"({sql})", values, lambda text: any(one(part) for part in str(text).split("\\")))


def _empty(path: str, column: str) -> Narrow:
    """No value. The values of a list may all be empty."""
    if path in NUMBERS:
        return Narrow(f"{column} IS NULL", [])
    return Narrow(f"replace({column}, ?, '') = ''", ["\\"]) if path in LISTS else Narrow(f"{column} = ''", [])


def _any_of(column: str, wanted: list[Any]) -> Narrow:
    if not wanted:
        return Narrow("1 = 0", [])
    if len(wanted) == 1:
        return Narrow(f"{column} = ?", wanted)
    return Narrow(f"{column} IN ({', '.join('?' * len(wanted))})", wanted)


def _integers(wanted: list[str]) -> list[int]:
    read = [numbers.number(one) for one in wanted]
    return [one for one in read if isinstance(one, int) and abs(one) < 2**31]


def _dates(column: str, value: str) -> Narrow:
    low, high = (bound.replace(".", "") for bound in split_range("DA", value))
    # a value that is not a date is in the column as it was written; the test excludes it
    return Narrow(f"{column} >= ? AND {column} <= ? AND length({column}) = 8", [low or "0", high or "99999999"])


def _times(column: str, value: str) -> Narrow:
    """By the hour. The test decides."""
    low, high = (bound[:2] for bound in split_range("TM", value))
    return Narrow(f"substr({column}, 1, 2) >= ? AND substr({column}, 1, 2) <= ?", [low or "00", high or "99"])
