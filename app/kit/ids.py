"""Identifiers of rows that people and programs see: sortable by time, safe in a URL, not guessable."""

import secrets
import time
from datetime import datetime

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford base 32, lower case


def new_id() -> str:
    """26 characters: 48 bits of milliseconds, then 80 random bits (the shape of a ULID)."""
    return _written((time.time_ns() // 1_000_000) << 80 | secrets.randbits(80))


def first_id(moment: datetime) -> str:
    """All identifiers that were made before this moment are lower: an old row is found by its key."""
    return _written(int(moment.timestamp() * 1000) << 80)


def _written(value: int) -> str:
    return "".join(_ALPHABET[(value >> shift) & 31] for shift in range(125, -1, -5))
