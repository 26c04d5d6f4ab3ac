"""The policy of SEC-1 and the hashes."""

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.kit.errors import Invalid
from app.security import passwords


@pytest.mark.parametrize(
    "good", ["Winter-coat-7-buttons", "correct horse 8 Battery", "ñandú-Corre-44-veces", "aB3aB3xYzxYz"]
)
def test_it_takes_a_good_password(good: str) -> None:
    assert passwords.faults(good, "alice") == []


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ("Short-7-pass", None),
        ("Sh0rt-pass", "at least 12"),
        ("onlysmallletters", "must contain three of"),
        ("alllower12345678", "must contain three of"),
        ("Alice-in-Chains-9", "user name"),
        ("Aa1!Aa1!Aa1!Aa1!", "easy to guess"),
        ("Password-1234", "easy to guess"),
        ("x-Y-7" * 60, "at most"),
    ],
)
def test_it_says_what_is_wrong_with_a_weak_one(bad: str, why: str | None) -> None:
    said = passwords.faults(bad, "alice")
    assert said == [] if why is None else any(why in sentence for sentence in said)


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(Invalid) as raised:
        passwords.check("alice", "alice")
    assert (
        "12" in raised.value.detail
        and "must contain three of" in raised.value.detail
        and "user name" in raised.value.detail
    )


def test_a_hash_in_use_costs_32_mib_and_three_passes() -> None:
    """Not the cheap one of the tests (tests/conftest.py): asked of a process of its own."""
    code = "from app.security.passwords import hash_password; print(hash_password('Winter-coat-7'))"
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout
    assert made.startswith("$argon2id$v=19$m=32768,t=3,p=1$")


def test_a_hash_is_argon2id_and_fits_only_its_password() -> None:
    hashed = passwords.hash_password("Winter-coat-7-buttons")
    assert hashed.startswith("$argon2id$")
    assert passwords.verify_password(hashed, "Winter-coat-7-buttons")
    assert not passwords.verify_password(hashed, "winter-coat-7-buttons")
    assert not passwords.verify_password("no hash", "Winter-coat-7-buttons")
    assert not passwords.verify_password(hashed, "x" * 100_000)


def test_two_keyboards_write_the_same_password() -> None:
    assert passwords.verify_password(passwords.hash_password("Ca\u00f1on-con-7-tildes"), "Can\u0303on-con-7-tildes")


@given(st.text(max_size=300))
@settings(max_examples=200)
def test_the_policy_answers_for_any_text(text: str) -> None:
    said = passwords.faults(text, "alice")
    assert (len(text) < 12) <= bool(said)
