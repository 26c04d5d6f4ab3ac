"""Titles, hosts, addresses."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.trust import names


@pytest.mark.parametrize("title", ["PACS", "A", "X" * 16, "CT 1", "store_scp", "a.b-c"])
def test_a_title_that_is_one(title: str) -> None:
    assert names.title_fault(title) == ""


@pytest.mark.parametrize("title", ["", "   ", "X" * 17, " PACS", "PACS ", "A\\B", "Ä", "A\nB", "A\x7f"])
def test_a_title_that_is_none(title: str) -> None:
    assert names.title_fault(title)


@pytest.mark.parametrize("host", ["pacs.example", "10.20.4.31", "::1", "[::1]", "localhost", "srv_1", "fd00::1"])
def test_a_host_that_is_one(host: str) -> None:
    assert names.host_fault(host) == ""


@pytest.mark.parametrize(
    "host",
    [
        "",
        "a b",
        "http://pacs",
        "pacs/x",
        "pacs:104",
        "-x",
        "a..b",
        "169.254.169.254",
        "::ffff:169.254.169.254",
        "fe80::1",
        "0.0.0.0",
        "224.0.0.1",
        "fd00:ec2::254",
        "2852039166",
        "0xA9FEA9FE",
        "169.254.43518",
        "0251.0376.0251.0376",
        "[::ffff:a9fe:a9fe]",
    ],
)
def test_a_host_that_is_none(host: str) -> None:
    assert names.host_fault(host)


@settings(deadline=None)  # shared machines pause
@given(st.text(max_size=40))
def test_no_text_breaks_the_checks(text: str) -> None:
    assert isinstance(names.title_fault(text), str)
    assert isinstance(names.host_fault(text), str)
    assert isinstance(names.is_near(text), bool)


@pytest.mark.parametrize(("address", "near"), [("127.0.0.1", True), ("10.1.2.3", True), ("192.168.7.7", True)])
def test_near_addresses(address: str, near: bool) -> None:
    assert names.is_near(address) is near


@pytest.mark.parametrize("address", ["8.8.8.8", "172.15.0.1", "2001:4860::1", "0.0.0.0", "nonsense"])
def test_far_addresses(address: str) -> None:
    assert not names.is_near(address)
