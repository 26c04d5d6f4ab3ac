"""Nothing that was planted comes out."""

from io import BytesIO

import pytest
from pydicom import dcmread

from app.deid.files import anonymize
from app.deid.profile import PROFILES, resolve
from app.deid.pseudonym import Pseudonyms
from tests.deid.planted import BIG, EXPLICIT, IMPLICIT, planted_object
from tests.deid.planted_names import NAMES, leaks, planted

KEY = Pseudonyms(b"k" * 32)


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG])
def test_no_planted_identifier_leaves(syntax: str) -> None:
    data, planted = planted_object(syntax)
    assert len(planted) >= 760
    if syntax == EXPLICIT:
        assert all(token in data for token in planted), "the planting itself must work"
    out = BytesIO()
    anonymize(BytesIO(data), out, resolve("basic"), KEY)
    clean = out.getvalue()
    assert {where: token for token, where in planted.items() if token in clean} == {}


def test_shifting_dates_lets_nothing_else_through() -> None:
    """Under the research profile every moment moves, times of day too; everything else goes as under basic."""
    data, planted = planted_object()
    out = BytesIO()
    anonymize(BytesIO(data), out, resolve("research"), KEY)
    assert {where for token, where in planted.items() if token in out.getvalue()} == set()
    assert dcmread(BytesIO(out.getvalue())).StudyTime


def test_every_profile_is_readable_afterwards() -> None:
    data, _ = planted_object()
    for name in PROFILES:
        out = BytesIO()
        anonymize(BytesIO(data), out, resolve(name), KEY)
        again = dcmread(BytesIO(out.getvalue()))
        assert again.PixelData == b"\x01\x02" * 128
        str(again)


@pytest.mark.parametrize(("name", "charset"), NAMES, ids=[charset + " " + name for name, charset in NAMES])
def test_a_name_leaves_in_no_text_nor_beside_the_data_set(name: str, charset: str) -> None:
    out = BytesIO()
    anonymize(BytesIO(planted(name, charset)), out, resolve("basic"), KEY)
    assert leaks(out.getvalue(), name) == []
    assert dcmread(BytesIO(out.getvalue())).PixelData == bytes(range(64))


def test_a_name_leaves_under_the_research_profile_neither() -> None:
    name, charset = NAMES[0]
    data, out = planted(name, charset), BytesIO()
    assert len(leaks(data, name)) > 1000, "the planting itself must work"
    anonymize(BytesIO(data), out, resolve("research"), KEY)
    assert leaks(out.getvalue(), name) == []


def test_a_name_leaves_under_no_retain_option() -> None:
    name, charset = NAMES[1]
    options = [
        "retain_device_identity",
        "retain_institution_identity",
        "retain_patient_characteristics",
        "retain_full_dates",
    ]
    out = BytesIO()
    anonymize(BytesIO(planted(name, charset)), out, resolve("basic", options), KEY)
    assert leaks(out.getvalue(), name) == []
