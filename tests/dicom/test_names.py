"""Person names: groups, display, folding."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.dicom import names


def test_component_groups() -> None:
    name = names.parse("Yamada^Tarou=山田^太郎=やまだ^たろう")
    assert (name.alphabetic, name.ideographic, name.phonetic) == ("Yamada^Tarou", "山田^太郎", "やまだ^たろう")


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("Doe^Jane", "Doe, Jane"),
        ("Doe^Jane^Q^Dr.^PhD", "Doe, Dr. Jane Q, PhD"),
        ("Doe", "Doe"),
        ("^Jane", "Jane"),
        ("", ""),
        ("Yamada^Tarou=山田^太郎", "Yamada, Tarou (山田, 太郎)"),
        ("=山田^太郎", "山田, 太郎"),
        ("==やまだ", "やまだ"),
    ],
)
def test_shown(raw: str, shown: str) -> None:
    assert names.display_name(raw) == shown


@pytest.mark.parametrize(
    ("raw", "folded"),
    [
        ("DOE^Jane", "doe jane"),
        ("Müller^Jürgen", "muller jurgen"),
        ("Straße", "strasse"),
        ("Łukasz^Ørsted", "lukasz orsted"),
        ("Ｙａｍａｄａ", "yamada"),
        ("Δημήτρης", "δημητρησ"),
        ("김^희중", "김 희중"),
        ("やまだ^たろう=山田", "やまだ たろう 山田"),
    ],
)
def test_fold(raw: str, folded: str) -> None:
    assert names.fold(raw) == folded


@given(st.text(max_size=60))
def test_folding_is_stable_and_ignores_case(text: str) -> None:
    once = names.fold(text)
    assert names.fold(once) == once
    assert once == once.strip()
    assert "^" not in once


def test_ideographs_become_words() -> None:
    assert names.spaced("yamada 山田") == "yamada 山 田"
