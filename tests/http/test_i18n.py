"""Languages, and the forms of dates, names, ages and sizes."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from app.http import i18n
from app.kit import paths
from tests.support.client import Web


@pytest.fixture(autouse=True)
def _english() -> None:
    i18n.set_language("en")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Soler^Maria", "Soler, Maria"),
        ("Soler^Maria^Luz^Dr^PhD", "Soler, Dr Maria Luz, PhD"),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "Yamada, Tarou (山田, 太郎)"),
        ("=山田^太郎", "山田, 太郎"),
        ("==やまだ^たろう", "やまだ, たろう"),
        ("Soler", "Soler"),
        ("^Maria", "Maria"),
        ("", ""),
        (None, ""),
    ],
)
def test_a_name_reads_family_given(name: str | None, shown: str) -> None:
    assert i18n.format_person(name) == shown


@pytest.mark.parametrize(
    ("language", "value", "shown"),
    [
        ("en", "20261120", "20 Nov 2026"),
        ("es", "20261120", "20 nov 2026"),
        ("es", date(2026, 11, 20), "20 nov 2026"),
        ("en", "no date", "no date"),
        ("en", "", ""),
        ("en", "00000000", ""),  # what some devices write for no date
    ],
)
def test_a_date_follows_the_language(language: str, value: str | date, shown: str) -> None:
    i18n.set_language(language)
    assert i18n.format_date(value) == shown


def test_sizes_and_numbers_follow_the_language() -> None:
    assert [i18n.format_size(n) for n in (0, 999, 1500, 524_288, 2_100_000_000)] == [
        "0 B",
        "999 B",
        "1.5 kB",
        "524 kB",
        "2.1 GB",
    ]
    i18n.set_language("es")
    assert i18n.format_size(1500) == "1,5 kB" and i18n.format_number(1234567) == "1.234.567"


def test_a_time_is_short() -> None:
    assert i18n.format_time("184207.123") == "18:42" and i18n.format_time("184207", seconds=True) == "18:42:07"
    assert i18n.format_time("") == "" and i18n.format_time("1") == "1"
    assert i18n.format_moment(datetime(2026, 11, 20, 18, 42, tzinfo=UTC)).startswith("20 Nov 2026")


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("es-MX,es;q=0.9,en;q=0.8", "es"),
        ("de,en;q=0.5", "en"),
        ("fr", "en"),
        ("", "en"),
        ("es;q=nonsense,en", "en"),
        ("en;q=0.3, es;q=0.7", "es"),
    ],
)
def test_the_browsers_language_is_the_default(web: Web, header: str, language: str) -> None:
    answer = web.nobody.get("/nothing", headers={"Accept-Language": header})
    assert f'lang="{language}"' in answer.text


def test_the_users_choice_wins(web: Web) -> None:
    web.bob.patch("/api/v1/users/me/preferences", json={"language": "es"})
    answer = web.bob.get("/api/v1/users", headers={"Accept-Language": "en"})
    assert answer.status_code == 403
    assert i18n.catalog("en").gettext("Permission denied") == "Permission denied"


def test_a_po_without_its_mo_is_compiled_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "es" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    (folder / "filmroom.po").write_text(
        'msgid ""\nmsgstr "Content-Type: text/plain; charset=utf-8\\n"\n\nmsgid "Sign in"\nmsgstr "Entrar"\n', "utf-8"
    )
    monkeypatch.setattr(paths, "locale", lambda: tmp_path)
    i18n.catalog.cache_clear()
    try:
        i18n.set_language("es")
        assert i18n.gettext("Sign in") == "Entrar" and i18n.gettext("Unknown words") == "Unknown words"
        assert i18n.strings("es")["Sign in"] == "Entrar"
    finally:
        i18n.catalog.cache_clear()
