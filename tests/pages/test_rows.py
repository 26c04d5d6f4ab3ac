"""Names and ages as people read them."""

import pytest

from app.pages.incoming import spark
from app.pages.rows import age, names_of


@pytest.mark.parametrize(
    ("birth", "on", "shown"),
    [
        ("19680304", "20261120", "58"),
        ("19680304", "20260303", "57"),
        ("20251120", "20261120", "12 mo"),
        ("20261111", "20261120", "9 d"),
        ("20261121", "20261120", ""),
        ("", "20261120", ""),
        ("1968", "20261120", ""),
        ("00000000", "20261120", ""),
    ],
)
def test_ages_are_computed_at_the_day_of_the_study(birth: str, on: str, shown: str) -> None:
    assert age(birth, on) == shown


def test_a_stated_age_is_written_like_a_computed_one() -> None:
    assert [age("", "", text) for text in ("075Y", "018M", "003d", "old")] == ["75", "18 mo", "3 d", "old"]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("Hong^Gildong=洪^吉洞=홍^길동", ("Hong, Gildong", "洪, 吉洞")),
        ("=山田^太郎", ("山田, 太郎", "")),
        ("Müller-Şahin^Deniz", ("Müller-Şahin, Deniz", "")),
        ("", ("No name", "")),
        ("^^^^", ("No name", "")),
    ],
)
def test_a_name_is_shown_with_the_group_beside_it(value: str, shown: tuple[str, str]) -> None:
    assert names_of(value) == shown


def test_a_spark_reaches_the_top_once_and_never_leaves_its_box() -> None:
    assert spark({}) == ""
    path = spark({0: 1, 59: 200})
    assert path == "M0 20v-1h.8v1zM59 20v-20h.8v20z"
