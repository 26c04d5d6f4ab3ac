"""Numbers in text of strangers (addresses, headers, forms, cursors, answers of other systems), read strictly: Python's own
`int` and `float` take "²", "1_000", Arabic digits, "nan" and 1e999, and stop at 4,300 digits with an error."""

import re

MOST = 2**31 - 1
LARGEST = 2**63 - 1  # of the numbers that a column of a database holds
_WHOLE = re.compile(r"[0-9]{1,18}")
_REAL = re.compile(r"[+-]?(?:[0-9]{1,24}(?:\.[0-9]{0,24})?|\.[0-9]{1,24})(?:[eE][+-]?[0-9]{1,2})?")


def parse_integer(text: str, low: int = 0, high: int = MOST) -> int | None:
    """A whole number within both bounds, written with ASCII digits alone; None for anything else."""
    found = int(text) if _WHOLE.fullmatch(text) else None
    return found if found is not None and low <= found <= high else None


def parse_decimal(text: str) -> float | None:
    """A finite number, written with ASCII digits, a point and an exponent of at most two digits; None for anything else."""
    text = text.strip(" ")
    return float(text) if _REAL.fullmatch(text) else None
