"""Attribute matching against definitions written as plainly as the standard's."""

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.dicom import matching, names
from app.dicom.dicomjson import attribute
from app.dicom.matching import Key, UnknownAttribute, attribute_path, matches

_LETTERS = st.text("ab*?", max_size=6)


def _match(tag: str, vr: str, value: Any, wanted: str, fuzzy: bool = False) -> bool:
    return matches({tag: attribute(vr, value)}, [Key((tag,), vr, wanted)], fold=names.fold, fuzzy=fuzzy)


def _naive(text: str, pattern: str) -> bool:
    """Wildcards by recursion, the way one would explain them."""
    if not pattern:
        return not text
    if pattern[0] == "*":
        return any(_naive(text[n:], pattern[1:]) for n in range(len(text) + 1))
    return bool(text) and pattern[0] in ("?", text[0]) and _naive(text[1:], pattern[1:])


@settings(max_examples=500, deadline=None)
@given(st.text("ab", max_size=6), _LETTERS)
def test_wildcards(text: str, pattern: str) -> None:
    assert matching.wildcard(pattern).matches(text) == _naive(text, pattern)


@settings(max_examples=500, deadline=None)
@given(st.text("ab", max_size=12), st.text("ab??*", max_size=9))
def test_wildcards_of_one_character(text: str, pattern: str) -> None:
    assert matching.wildcard(pattern).matches(text) == _naive(text, pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        "*a" * 14 + "*b",
        "*a" * 5000 + "*b",
        "*?" * 5000 + "*b",
        "*?a" * 3000 + "b",
        "*" + "?a" * 20_000 + "b*",
        "*" + "a" * 20_000 + "b*",
        "*" * 50_000 + "b",
        "?" * 50_000,
        "*a?" * 3000,
    ],
)
def test_no_pattern_takes_longer_than_its_length_allows(pattern: str) -> None:
    started = time.thread_time()
    for text in ("a" * 64, "a" * 10_240, "ab" * 100_000, "a" * 262_144):
        matching.Wildcard(pattern).matches(text)
    assert time.thread_time() - started < 10, "measured: below 2 s"


_DATES = st.dates().map(lambda d: d.strftime("%Y%m%d").rjust(8, "0"))


@settings(max_examples=300, deadline=None)
@given(_DATES, _DATES, _DATES)
def test_date_ranges(value: str, low: str, high: str) -> None:
    assert matching.in_range("DA", value, f"{low}-{high}") == (low <= value <= high)
    assert matching.in_range("DA", value, f"{low}-") == (low <= value)
    assert matching.in_range("DA", value, f"-{high}") == (value <= high)
    assert matching.in_range("DA", value, low) == (value == low)


@pytest.mark.parametrize(
    ("vr", "value", "wanted", "expected"),
    [
        ("TM", "101530.5", "10-11", True),
        ("TM", "101530", "1015", True),
        ("TM", "1016", "1015", False),
        ("TM", "10:15:30", "101530", True),
        ("TM", "095959", "10-", False),
        ("TM", "10", "101500-", True),
        ("DT", "20240101120000+0100", "20240101110000+0000", True),
        ("DT", "20240101", "202401-202402", True),
        ("DT", "20231231235959", "2024-", False),
        ("DT", "20240101120000-0500", "20240101120000-0500", True),
        ("DA", "2024.01.01", "20240101", True),
        ("DA", "", "20240101", False),
    ],
)
def test_times_of_any_precision(vr: str, value: str, wanted: str, expected: bool) -> None:
    assert matching.in_range(vr, value, wanted) is expected


@pytest.mark.parametrize(
    ("value", "wanted", "fuzzy", "expected"),
    [
        ("Müller^Jörg", "muller^jorg", False, True),
        ("Müller^Jörg", "MÜLLER*", False, True),
        ("Müller^Jörg", "Mul", False, False),
        ("Müller^Jörg", "jor mul", True, True),
        ("Müller^Jörg", "jorg meier", True, False),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "山田*", False, True),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "yamada^tarou", False, True),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "たろう", True, True),
        ("", "a*", False, False),
        ("", "*", False, True),
    ],
)
def test_names(value: str, wanted: str, fuzzy: bool, expected: bool) -> None:
    assert _match("00100010", "PN", value, wanted, fuzzy) is expected


def test_the_rest_of_the_rules() -> None:
    assert _match("00200011", "IS", 5, "5")
    assert not _match("00200011", "IS", 5, "6")
    assert not _match("00200011", "IS", 5, "x")
    assert _match("0020000D", "UI", "1.2.3", "1.2.4,1.2.3")
    assert _match("0020000D", "UI", "1.2.3", "1.2.4\\1.2.3")
    assert not _match("0020000D", "UI", "1.2.3", "1.2.*")
    assert _match("00081030", "LO", "", "")
    model = {
        "00400275": {"vr": "SQ", "Value": [{"00400009": attribute("SH", "A")}, {"00400009": attribute("SH", "B")}]}
    }
    key = Key(("00400275", "00400009"), "SH", "B")
    assert matches(model, [key], fold=names.fold)
    assert not matches(model, [Key(("00400275", "00400009"), "SH", "C")], fold=names.fold)
    assert matches({"00080061": attribute("CS", "CT", "PT")}, [Key(("00080061",), "CS", "PT")], fold=names.fold)


def test_attributes_are_named_by_keyword_tag_or_path() -> None:
    assert attribute_path("PatientID") == attribute_path("00100020") == ("00100020",)
    assert attribute_path("RequestAttributesSequence.ScheduledProcedureStepID") == ("00400275", "00400009")
    assert attribute_path("00400275.00400009") == ("00400275", "00400009")
    for wrong in ("", "Nonsense", "PatientID.StudyDate", "0010002", "zz", ".", "PatientID.", "' or 1=1"):
        with pytest.raises(UnknownAttribute):
            attribute_path(wrong)


_STEP, _ROOM = Key(("00400275", "00400009"), "SH", "S1"), Key(("00400275", "00401001"), "SH", "R1")


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        ([{"00400009": "S1", "00401001": "R1"}], True),
        ([{"00400009": "S2", "00401001": "R2"}, {"00400009": "S1", "00401001": "R1"}], True),
        ([{"00400009": "S1", "00401001": "R2"}, {"00400009": "S2", "00401001": "R1"}], False),
        ([], False),
    ],
)
def test_one_item_must_meet_all_keys_of_its_sequence(items: list[dict[str, str]], expected: bool) -> None:
    model = {"00400275": {"vr": "SQ", "Value": [{t: attribute("SH", v) for t, v in item.items()} for item in items]}}
    assert matches(model, [_STEP, _ROOM], fold=names.fold) is expected


@pytest.mark.parametrize(("value", "expected"), [(None, True), ("", True), ("Ward", False)])
def test_two_quotation_marks_ask_for_what_has_no_value(value: Any, expected: bool) -> None:
    model = {} if value is None else {"00081040": attribute("LO", value)}
    asked = Key(("00081040",), "LO", matching.EMPTY)
    assert matches(model, [asked], fold=names.fold) is expected
    inside = Key(("00400275", "00081040"), "LO", matching.EMPTY)
    assert matches({"00400275": {"vr": "SQ", "Value": [model]}}, [inside], fold=names.fold) is expected
    assert matches({}, [inside], fold=names.fold), "no item says anything"
