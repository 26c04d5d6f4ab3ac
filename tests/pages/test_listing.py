"""What is typed into the filter row, and the addresses of the same list a little changed."""

from datetime import UTC, datetime

import pytest
from starlette.requests import Request

from app.pages import listing
from app.pages.listing import Listing, between


def request(query: str) -> Request:
    return Request({"type": "http", "method": "GET", "path": "/storage", "query_string": query.encode(), "headers": []})


@pytest.mark.parametrize(
    ("typed", "days"),
    [
        ("2026", ("20260101", "20261231")),
        ("2026-02", ("20260201", "20260228")),
        ("2024-02", ("20240201", "20240229")),
        ("2026-12", ("20261201", "20261231")),
        ("2026-11-20", ("20261120", "20261120")),
        ("20261120", ("20261120", "20261120")),
        ("2026-11-01..2026-11-20", ("20261101", "20261120")),
        ("2025 – 2026", ("20250101", "20261231")),
        ("yesterday", None),
        ("2026-13", None),
        ("", None),
    ],
)
def test_dates_are_days_months_years_or_two_of_them(typed: str, days: tuple[str, str] | None) -> None:
    assert between(typed) == days


def test_the_chips_count_back_from_today(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "now", lambda: datetime(2026, 3, 2, 12, tzinfo=UTC))
    assert Listing(period="today").dates() == ("20260302", "20260302")
    assert Listing(period="yesterday").dates() == ("20260301", "20260301")
    assert Listing(period="7").dates() == ("20260224", "20260302")
    assert Listing().dates() is None


def test_a_typed_date_beats_the_chip() -> None:
    assert Listing(period="7", date="2020").dates() == ("20200101", "20201231")


def test_what_is_typed_is_a_beginning_unless_wildcards_say_otherwise() -> None:
    wanted = Listing(name="ram", id="80", acc="A-1?", born="1968", desc="chest pa").filter()
    assert (wanted.patient_name, wanted.patient_id, wanted.accession_number) == ("ram*", "80*", "A-1?")
    assert (wanted.birth_date, wanted.description) == ("1968*", "*chest*pa*")


def test_several_words_are_looked_for_in_any_order() -> None:
    wanted = Listing(name="Lucía, Ramírez", q="x").filter()
    assert (wanted.patient_name, wanted.text, wanted.everything) == ("", "Lucía, Ramírez", "x")


def test_an_address_leads_back_to_the_same_list() -> None:
    there = Listing(name="o'b & ä", period="7", mod=("CT", "MR"), sort="name")
    assert listing.of(request(there.url().partition("?")[2])) == there


def test_a_chip_switches_one_modality() -> None:
    assert listing.of(request(Listing(mod=("CT",)).toggled("MR").partition("?")[2])).mod == ("CT", "MR")
    assert Listing(mod=("CT",)).toggled("CT") == "/storage"


def test_what_is_no_field_of_ours_does_no_harm() -> None:
    odd = listing.of(request("period=never&sort=;drop&state=x&mod=ct&mod=&mod=CT&filter=1"))
    assert odd == Listing(mod=("CT",))
