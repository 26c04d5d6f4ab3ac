"""Attribute matching (PS3.4 C.2.2.2) over the DICOM JSON Model: single value, list of UIDs, wildcard, range,
sequence, and fuzzy matching of person names (PS3.18 8.3.4.2). Pure; used where an index has no column."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache

from pydicom.datadict import dictionary_VR, keyword_for_tag, tag_for_keyword

from app.dicom import numbers
from app.dicom.dicomjson import Model

WILD = frozenset(("AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"))
_TEXTS = frozenset(("LT", "ST", "UR", "UT"))  # a backslash is a character of these (PS3.5 6.2)
_NUMERIC = frozenset(("DS", "FD", "FL", "IS", "SL", "SS", "SV", "UL", "US", "UV"))
BINARY = frozenset(("OB", "OD", "OF", "OL", "OV", "OW", "UN"))
_DATES = frozenset(("DA", "TM", "DT"))
IDENTITIES = frozenset(("00100020", "00100021"))  # Patient ID and its issuer
MOST_VALUES = 200  # of one list; SQLite takes conditions of 1,000 levels
EMPTY = '""'  # asks for objects in which the attribute has no value (PS3.4 C.2.2.2.7)
_TAG = re.compile(r"[0-9A-Fa-f]{8}")
_WORD = re.compile(r"[\s^=,]+")


class UnknownAttribute(ValueError):
    """Neither a keyword nor a tag."""


@dataclass(frozen=True, slots=True)
class Key:
    """One attribute a query asks for. path: tags as 8 hex digits, from the outside in; value "" matches everything."""

    path: tuple[str, ...]
    vr: str
    value: str

    @property
    def keyword(self) -> str:
        return keyword_for_tag(int(self.path[-1], 16))


def attribute_path(name: str) -> tuple[str, ...]:
    """`PatientID`, `00100020`, `RequestAttributesSequence.ScheduledProcedureStepID`, `00400275.00400009` -> tags.

    Raises UnknownAttribute for anything else, and when a name before a dot is not a sequence."""
    path = tuple(_tag(part) for part in name.split("."))
    if len(path) > 8 or any(vr_of(tag) not in ("SQ", "UN") for tag in path[:-1]):
        raise UnknownAttribute(name)
    return path


@lru_cache(4096)
def _tag(name: str) -> str:
    if _TAG.fullmatch(name):
        return name.upper()
    tag = tag_for_keyword(name) if name else None  # the dictionary has entries without a keyword
    if tag is None:
        raise UnknownAttribute(name)
    return f"{tag:08X}"


@lru_cache(4096)
def vr_of(tag: str) -> str:
    """The dictionary's VR, UN for what it does not know; of an ambiguous one the first."""
    try:
        return str(dictionary_VR(int(tag, 16)))[:2]
    except KeyError:
        return "UN"


def matches(model: Model, keys: Iterable[Key], *, fold: Callable[[str], str], fuzzy: bool = False) -> bool:
    """Whether a data set satisfies every key; keys of one sequence must be met by one and the same item of it (PS3.4
    C.2.2.2.6). fold: how a person's name is made comparable (names.fold)."""
    inside: dict[str, list[Key]] = {}
    for key in keys:
        if is_universal(key):
            continue
        if len(key.path) > 1:
            inside.setdefault(key.path[0], []).append(Key(key.path[1:], key.vr, key.value))
        elif not _matches(model, key, fold, fuzzy):
            return False
    return all(
        any(matches(item, asked, fold=fold, fuzzy=fuzzy) for item in _items(model, tag))
        for tag, asked in inside.items()
    )


def is_universal(key: Key) -> bool:
    """Asks for the attribute, not for a value of it: also where one value of a list is any; binary values cannot be
    queried."""
    if key.value == "" or key.vr in BINARY or key.vr == "SQ":
        return True
    return "*" in key.value and key.vr in WILD and any(set(one) == {"*"} for one in alternatives(key))


def alternatives(key: Key) -> tuple[str, ...]:
    """The values of which one must match: a list has backslashes between them (PS3.4 C.2.2.2.8, PS3.18 8.3.4.5). The
    text as a whole is one of them where the attribute has a single value, because accession numbers may hold a
    backslash (codes, dates and times cannot); a patient's ID is never a list, so that objects of other patients are
    never returned."""
    if "\\" not in key.value or key.vr == "UI" or key.vr in _TEXTS or key.path[-1] in IDENTITIES:
        return (key.value,)
    single = key.vr != "CS" and key.vr not in _DATES and numbers.multiplicity(int(key.path[-1], 16)) == 1
    return tuple(dict.fromkeys((*((key.value,) if single else ()), *filter(None, key.value.split("\\")))))


def _matches(model: Model, key: Key, fold: Callable[[str], str], fuzzy: bool) -> bool:
    values = model.get(key.path[0], {}).get("Value", ())
    if key.value == EMPTY:
        return not any(_has_constraint(value) for value in values)
    if len(values) > 1 and key.vr in WILD and numbers.multiplicity(int(key.path[0], 16)) == 1:
        values = ("\\".join(str(value) for value in values),)  # a backslash in what has one value is a letter of it
    wanted = alternatives(key)
    if key.vr == "PN":
        test = name_test(wanted, fold, fuzzy)
        return any(test(_groups_of(value)) for value in values if value is not None)
    return any(_value_matches(key.vr, value, one) for one in wanted for value in values)


def _has_constraint(value: object) -> bool:
    return any(value.values()) if isinstance(value, dict) else value not in (None, "")


def _items(model: Model, tag: str) -> list[Model]:
    """The items of a sequence; one without attributes where there is none."""
    return [item for item in model.get(tag, {}).get("Value", ()) if isinstance(item, dict)] or [{}]


def _groups_of(name: object) -> list[str]:
    """The component groups of a name of the JSON Model."""
    return [str(group) for group in name.values()] if isinstance(name, dict) else [str(name)]


def _value_matches(vr: str, value: object, wanted: str) -> bool:
    if value is None:
        return False
    if vr == "UI":
        return str(value) in split_uids(wanted)
    if vr in _DATES:
        return in_range(vr, str(value), wanted)
    if vr in _NUMERIC:
        asked = numbers.number(wanted)
        return asked is not None and numbers.number(str(value)) == asked
    if vr in WILD:
        return wildcard(wanted).matches(str(value))
    return str(value) == wanted


@lru_cache(8)
def split_uids(wanted: str) -> frozenset[str]:
    """A list of UIDs, separated by commas or backslashes (PS3.18 8.3.4.1). Split once for all the values compared."""
    return frozenset(uid.strip() for uid in re.split(r"[,\\]", wanted) if uid.strip())


class Wildcard:
    """A pattern in which `*` matches any characters and `?` exactly one, the rest as written (PS3.4 C.2.2.2.4).

    Patterns come from outside. Each text between two `*` is looked for once, from left to right, and never again: the
    time grows with the length of pattern and text, never with the number of wildcards."""

    __slots__ = ("_first", "_last", "_middle")

    def __init__(self, pattern: str) -> None:
        self._first, *rest = pattern.split("*")
        self._last: str | None = rest[-1] if rest else None
        self._middle = [_Piece(piece) for piece in rest[:-1] if piece]

    def matches(self, text: str) -> bool:
        """Whether the whole text matches, case and accents as they are."""
        if self._last is None:
            return len(text) == len(self._first) and _piece_matches(self._first, text, 0)
        begin, end = len(self._first), len(text) - len(self._last)
        if begin > end or not _piece_matches(self._first, text, 0) or not _piece_matches(self._last, text, end):
            return False
        for piece in self._middle:
            begin = piece.end_in(text, begin, end)
            if begin < 0:
                return False
        return True


def _piece_matches(piece: str, text: str, at: int) -> bool:
    """Whether a piece without `*`, which may hold `?`, matches at a position of the text."""
    if "?" not in piece:
        return text.startswith(piece, at)
    return all(p in ("?", t) for p, t in zip(piece, text[at : at + len(piece)], strict=True))


class _Piece:
    """The text between two `*`. With a `?` in it, all places of the text are tried at once, one bit for each character
    of the piece (Baeza-Yates and Gonnet, shift-and)."""

    __slots__ = ("_any", "_bits", "_text")

    def __init__(self, text: str) -> None:
        self._text = text
        self._any, self._bits = 0, dict[str, int]()
        for place, char in enumerate(text if "?" in text else ""):
            if char == "?":
                self._any |= 1 << place
            else:
                self._bits[char] = self._bits.get(char, 0) | 1 << place
        self._bits = {char: bits | self._any for char, bits in self._bits.items()}

    def end_in(self, text: str, begin: int, end: int) -> int:
        """Where the first occurrence between two places of the text ends; -1 where there is none."""
        if not self._any:
            found = text.find(self._text, begin, end)
            return found if found < 0 else found + len(self._text)
        state, whole = 0, 1 << (len(self._text) - 1)
        for place in range(begin, end):
            state = (state << 1 | 1) & self._bits.get(text[place], self._any)
            if state & whole:
                return place + 1
        return -1


@lru_cache(256)
def wildcard(pattern: str) -> Wildcard:
    """The pattern, made once for all the values it is compared with."""
    return Wildcard(pattern)


@lru_cache(64)
def name_test(wanted: tuple[str, ...], fold: Callable[[str], str], fuzzy: bool) -> Callable[[Sequence[str]], bool]:
    """Whether the component groups of a name match one of the names asked for, folded once for all that are compared.

    Names match without regard to case, accents, and component group. Fuzzy: each word asked for begins a word
    of the name; otherwise the whole folded name, with wildcards."""
    return _words_begin(wanted, fold) if fuzzy else _group_is(wanted, fold)


def _words_begin(wanted: tuple[str, ...], fold: Callable[[str], str]) -> Callable[[Sequence[str]], bool]:
    asked = {tuple(one for word in _WORD.split(fold(name)) if (one := word.strip("*?"))) for name in wanted}

    def test(groups: Sequence[str]) -> bool:
        words = [word for group in groups for word in _WORD.split(fold(group)) if word]
        return any(all(any(word.startswith(one) for word in words) for one in name) for name in asked)

    return test


def _group_is(wanted: tuple[str, ...], fold: Callable[[str], str]) -> Callable[[Sequence[str]], bool]:
    asked = {group for name in wanted for group in _groups(name, fold)}
    patterns = [Wildcard(group) for group in asked if "*" in group or "?" in group]

    def test(groups: Sequence[str]) -> bool:
        folded = {fold(group) for group in groups}
        return not asked.isdisjoint(folded) or any(p.matches(name) for p in patterns for name in folded)

    return test


def _groups(wanted: str, fold: Callable[[str], str]) -> list[str]:
    return [group for group in (fold(part) for part in wanted.split("=")) if group] or [""]


def in_range(vr: str, value: str, wanted: str) -> bool:
    """A date, time or moment against `a`, `a-b`, `-b` or `a-` (PS3.4 C.2.2.2.5). A shorter value or bound means the
    whole span it names: 2024 is all of that year, 10 the hour from 10:00:00."""
    low, high = split_range(vr, wanted)
    bounds = _span(vr, value.strip())
    if bounds is None:
        return False
    if low == high and low:
        span = _span(vr, low)
        return span is not None and bounds[0] <= span[1] and bounds[1] >= span[0]
    low_span, high_span = _span(vr, low) if low else None, _span(vr, high) if high else None
    return (low_span is None or bounds[1] >= low_span[0]) and (high_span is None or bounds[0] <= high_span[1])


def split_range(vr: str, wanted: str) -> tuple[str, str]:
    """(from, to); equal for a single value, empty for an open end. A DT's offset may begin with the hyphen, too."""
    wanted = wanted.strip()
    if vr != "DT":
        low, dash, high = wanted.partition("-")
        return (low.strip(), high.strip()) if dash else (low, low)
    if wanted.startswith("-"):
        return "", wanted[1:].strip()
    found = re.fullmatch(r"(\d+(?:\.\d*)?(?:[+-]\d{4}(?=$|-))?)(-?)(.*)", wanted)
    if not found:
        return wanted, wanted
    return (found[1], found[3]) if found[2] else (wanted, wanted)


def valid_range(vr: str, wanted: str) -> bool:
    """Whether a query's value can be understood as a date, time or moment or a range of them."""
    low, high = split_range(vr, wanted)
    return bool(low or high) and all(_span(vr, bound) is not None for bound in (low, high) if bound)


def _span(vr: str, text: str) -> tuple[str, str] | None:
    """The first and last point of a value, as comparable digits; None when it is not a value of that VR."""
    text = text.replace(":", "") if vr == "TM" else text.replace(".", "") if vr == "DA" else text  # ACR-NEMA forms
    if vr == "DA":
        return (text, text) if re.fullmatch(r"\d{8}", text) else None
    if vr == "TM":
        found = re.fullmatch(r"(\d{2}|\d{4}|\d{6})(?:\.(\d{0,6}))?", text)
        if not found:
            return None
        return _fill(found[1] + (found[2] or "") if len(found[1]) == 6 else found[1], "000000000000", "235959999999")
    found = re.fullmatch(r"(\d{4,14})(?:\.(\d{0,6}))?([+-]\d{4})?", text)
    if not found or len(found[1]) % 2:
        return None
    span = _fill(found[1] + (found[2] or ""), "00000101000000000000", "99991231235959999999")
    return (_utc(span[0], found[3]), _utc(span[1], found[3])) if found[3] else span


def _fill(text: str, low: str, high: str) -> tuple[str, str]:
    return text + low[len(text) :], text + high[len(text) :]


def _utc(digits: str, offset: str) -> str:
    """Moved to UTC, so that moments of different zones compare; days past a month's end count as its last."""
    year, month, day = int(digits[:4]), max(1, min(12, int(digits[4:6]))), max(1, int(digits[6:8]))
    for last in (day, 30, 29, 28):
        try:
            zone = timezone(
                (1 if offset[0] == "+" else -1) * timedelta(hours=int(offset[1:3]), minutes=int(offset[3:5]))
            )
            moment = datetime(
                year, month, min(day, last), int(digits[8:10]), int(digits[10:12]), int(digits[12:14]), tzinfo=zone
            )
            return moment.astimezone(UTC).strftime("%Y%m%d%H%M%S").rjust(14, "0") + digits[14:]
        except (ValueError, OverflowError):
            continue
    return digits
