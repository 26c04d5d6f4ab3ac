"""RFC 6238: the published values, the window, and that a code is good once."""

import base64

import pytest

from app.security import totp

SECRET = base64.b32encode(b"12345678901234567890").decode()


@pytest.mark.parametrize(
    ("seconds", "code"),
    [
        (59, "287082"),
        (1111111109, "081804"),
        (1111111111, "050471"),
        (1234567890, "005924"),
        (2000000000, "279037"),
        (20000000000, "353130"),
    ],
)
def test_the_published_values(seconds: int, code: str) -> None:
    """RFC 6238 appendix B, SHA-1, the last six of its eight digits."""
    assert totp.code_at(SECRET, seconds // totp.STEP) == code


def test_a_code_is_good_once() -> None:
    moment = 1234567890.0
    code = totp.code_at(SECRET, int(moment) // 30)
    step = totp.matching_step(SECRET, code, moment, 0)
    assert step == int(moment) // 30
    assert totp.matching_step(SECRET, code, moment, step) is None


@pytest.mark.parametrize(("off", "fits"), [(-60, False), (-30, True), (0, True), (30, True), (60, False)])
def test_a_clock_may_be_one_step_off(off: int, fits: bool) -> None:
    code = totp.code_at(SECRET, 1234567890 // 30)
    assert (totp.matching_step(SECRET, code, 1234567890 + off, 0) is not None) == fits


@pytest.mark.parametrize("bad", ["", "12345", "abcdef", "１２３４５６", "000000000"])
def test_what_is_no_code_does_not_fit(bad: str) -> None:
    assert totp.matching_step(SECRET, bad, 1234567890, 0) is None


def test_the_address_is_what_authenticators_read() -> None:
    assert totp.address("ABC", "m.soler@valle") == (
        "otpauth://totp/Filmroom:m.soler%40valle?secret=ABC&issuer=Filmroom&digits=6&period=30"
    )


def test_recovery_codes_are_many_and_different() -> None:
    codes = totp.new_recovery_codes()
    assert len(set(codes)) == 10
    assert totp.recovery_digest(codes[0].upper()) == totp.recovery_digest(codes[0])
