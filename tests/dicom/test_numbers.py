"""Numbers, dates and ages as they come: read where the meaning is plain, else kept and named at import."""

from pathlib import Path
from typing import Any

import pytest

from app.dicom import dicomjson, dicomxml, header, kept, numbers
from app.dicom.dates import age_at, parse_date
from app.viewing.attributes import named_values

CASES = Path(__file__).parents[1] / "cases"
SPACING, CENTER, INSTANCE = 0x00280030, 0x00281050, 0x00200013


@pytest.mark.parametrize(
    ("text", "tag", "read"),
    [
        ("0,5\\0,5 ", SPACING, [0.5, 0.5]), ("0.5,0.5", SPACING, [0.5, 0.5]), ("1000,5", CENTER, [1000.5]),
        ("+5", CENTER, [5]), ("14.5", INSTANCE, [14.5]), (" 3.0\0", INSTANCE, [3]), ("1\\\\2", CENTER, [1, "", 2]),
        ("1,000.5", CENTER, ["1,000.5"]), ("1_0", CENTER, ["1_0"]), ("1e999", CENTER, ["1e999"]), ("nan", CENTER, ["nan"]),
        ("12345678901234567890", INSTANCE, [12345678901234567890]), ("0,1,0,2", SPACING, ["0,1,0,2"]),
    ],
)  # fmt: skip
def test_values(text: str, tag: int, read: list[Any]) -> None:
    assert numbers.values(text, tag) == read


@pytest.mark.parametrize(
    ("name", "spacing", "word"),
    [
        ("1", [0.5, 0.5], "commas"),
        ("2", [0.5, 0.5], "commas"),
        ("3", None, "3 values"),
        ("4", [0.5, 0.5], ""),
        ("5", [0.5, 0.5], ""),
    ],
)
def test_spacings_that_are_odd(name: str, spacing: list[float] | None, word: str) -> None:
    found = header.scan_bytes((CASES / "H09" / f"{name}.dcm").read_bytes())
    model = dicomjson.to_json(kept.unpack(found.kept))
    assert dict(named_values(model, ["PixelSpacing"])).get("pixel_spacing") == spacing
    assert (word in " ".join(found.warnings)) if word else not found.warnings


def test_windows_with_commas() -> None:
    found = header.scan_bytes((CASES / "H09" / "window.dcm").read_bytes())
    model = dicomjson.to_json(kept.unpack(found.kept))
    assert (model["00281050"]["Value"], model["00281051"]["Value"]) == ([1000.5], [500.5])


def test_a_fraction_in_an_integer_string_is_kept() -> None:
    found = header.scan_bytes((CASES / "H08" / "x.dcm").read_bytes())
    model = dicomjson.to_json(kept.unpack(found.kept))
    assert model["00181152"]["Value"] == [14.5]
    assert dicomxml.to_model(dicomxml.from_model(model))["00181152"]["Value"] == [14.5]
    assert found.integer(0x00200011) == 3


def test_dates_and_ages() -> None:
    assert [age_at("", "", text) for text in ("000Y", "064Y", "018m", " 5D", "64", "abc")] == [
        "0 Y",
        "64 Y",
        "18 M",
        "5 D",
        "64",
        "abc",
    ]
    assert all(parse_date(text) for text in ("19600203", "1960.02.03", "1960-02-03"))
    assert not any(parse_date(text) for text in ("0101", "19600230", "196023", "1960 203", "١٩٦٠٠٢٠٣", ""))
