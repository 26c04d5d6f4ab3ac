"""Passwords: Argon2id hashes (RFC 9106) and the policy of SEC-1."""

import secrets
import threading
import unicodedata

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from app.kit.errors import Invalid
from app.kit.phrases import joined, phrase

MAX_LENGTH = 256  # longer ones only cost the server time
# OWASP's second profile, a little above: 32 MiB, three passes, one lane; about 50 ms of one core.
_HASHER = PasswordHasher(time_cost=3, memory_cost=32 * 1024, parallelism=1, type=Type.ID)
_AT_ONCE = threading.BoundedSemaphore(2)  # a flood of logins must not eat the memory
_KINDS_WANTED = 3
_COMMON = ("password", "passwort", "contrasena", "qwerty", "123456", "filmroom", "letmein", "administrator")


def _canonical(password: str) -> str:
    """The same characters typed on another keyboard are the same password (RFC 8265)."""
    return unicodedata.normalize("NFC", password)


def hash_password(password: str) -> str:
    with _AT_ONCE:
        return _HASHER.hash(_canonical(password))


def verify_password(hashed: str, password: str) -> bool:
    if len(password) > MAX_LENGTH:
        return False
    try:
        with _AT_ONCE:
            return _HASHER.verify(hashed, _canonical(password))
    except (VerificationError, InvalidHashError):
        return False


def needs_rehash(hashed: str) -> bool:
    """True when the hash was made with weaker parameters than today's."""
    return _HASHER.check_needs_rehash(hashed)


def generate() -> str:
    """A temporary password that can be read out over the telephone: four groups, 95 bits."""
    signs = "abcdefghjkmnpqrstuvwxyz23456789"
    groups = ["".join(secrets.choice(signs) for _ in range(4)) for _ in range(4)]
    return "-".join([groups[0].capitalize() if groups[0][0].isalpha() else "K" + groups[0], *groups[1:]])


_nobody: list[str] = []


def waste_time(password: str) -> None:
    """Spends what a verification spends, so that an unknown name answers no faster than a known one."""
    if not _nobody:
        _nobody.append(hash_password("nobody has this password"))
    verify_password(_nobody[0], password)


def _kinds(password: str) -> int:
    tests = (str.islower, str.isupper, str.isdigit, lambda c: not c.isalnum())
    return sum(any(test(c) for c in password) for test in tests)


def faults(password: str, name: str, length: int = 12) -> list[str]:
    """Violations of the password policy, one sentence each; empty when it may be used."""
    violations: list[str] = []
    if len(password) < length:
        violations.append(phrase("The password must have at least {length} characters.", length=length))
    if len(password) > MAX_LENGTH:
        violations.append(phrase("The password must have at most {most} characters.", most=MAX_LENGTH))
    if _kinds(password) < _KINDS_WANTED:
        violations.append("The password must contain three of: lowercase, uppercase, numbers, symbols.")
    low = password.casefold()
    if len(name) >= 3 and name.casefold() in low:
        violations.append("The password must not contain the user name.")
    if len(set(low)) < 5 or any(low.startswith(word) and len(low) - len(word) < 8 for word in _COMMON):
        violations.append("The password is too easy to guess.")
    return violations


def check(password: str, name: str, length: int = 12) -> None:
    """Raises Invalid with everything that is wrong, so that one attempt shows all errors."""
    violations = faults(password, name, length)
    if violations:
        raise Invalid(joined([phrase("This password cannot be used."), *violations]), field="password")
