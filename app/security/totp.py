"""The second factor: time-based one-time passwords (RFC 6238: SHA-1, 6 digits, 30 seconds) and recovery codes."""

import base64
import hashlib
import hmac
import secrets
import struct
from urllib.parse import quote

STEP = 30
DIGITS = 6
_DRIFT = 1  # steps a phone's clock may be off, either way
_ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"


def new_secret() -> str:
    """160 random bits as base 32, the form authenticators take."""
    return base64.b32encode(secrets.token_bytes(20)).decode()


def code_at(secret: str, step: int) -> str:
    """The code of one 30-second step (RFC 4226 5.3)."""
    digest = hmac.new(base64.b32decode(secret), struct.pack(">Q", step), hashlib.sha1).digest()
    offset = digest[-1] & 15
    value = struct.unpack(">I", digest[offset : offset + 4])[0] & 0x7FFFFFFF
    return f"{value % 10**DIGITS:0{DIGITS}d}"


def matching_step(secret: str, code: str, moment: float, after: int) -> int | None:
    """The step this code belongs to, or None. after: the last step used; a code is good once (RFC 6238 5.2)."""
    code = "".join(code.split())
    now_step = int(moment) // STEP
    found = None
    for step in range(now_step - _DRIFT, now_step + _DRIFT + 1):
        if hmac.compare_digest(code_at(secret, step).encode(), code.encode()) and step > after:
            found = step
    return found


def address(secret: str, user: str, issuer: str = "Filmroom") -> str:
    """The otpauth:// address that the QR code shows."""
    return f"otpauth://totp/{quote(issuer)}:{quote(user)}?secret={secret}&issuer={quote(issuer)}&digits={DIGITS}&period={STEP}"


def new_recovery_codes(count: int = 10) -> list[str]:
    """Codes for the day the phone is gone: 50 bits each, good once."""

    def word() -> str:
        return "".join(secrets.choice(_ALPHABET) for _ in range(5))

    return [f"{word()}-{word()}" for _ in range(count)]


def recovery_digest(code: str) -> str:
    return hashlib.sha256("".join(code.split()).lower().encode()).hexdigest()
