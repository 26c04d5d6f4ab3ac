"""Characters that no text may have: U+0000, which PostgreSQL cannot store, and a lone half of a surrogate pair, which no
encoding can write. Clients that send them are refused; in texts of peers they are replaced."""

import re
from typing import Any

_UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")


def is_storable(text: str) -> bool:
    """Whether every database and every answer can hold the text."""
    return _UNSTORABLE.search(text) is None


def unstorable_place(value: Any) -> tuple[str | int, ...] | None:
    """Where a value of JSON (text, list, dictionary, nested) has a text that is not storable: the keys to it; None when
    there is none. A key that is itself not storable is named by what holds it."""
    waiting: list[tuple[tuple[str | int, ...], Any]] = [((), value)]
    while waiting:
        place, one = waiting.pop()
        if isinstance(one, str):
            if not is_storable(one):
                return place
        elif isinstance(one, dict):
            if not all(is_storable(str(key)) for key in one):
                return place
            waiting += [((*place, str(key)), inner) for key, inner in one.items()]
        elif isinstance(one, list | tuple):
            waiting += [((*place, number), inner) for number, inner in enumerate(one)]
    return None


def clean_text(text: str, length: int) -> str:
    """A text of a peer or of a file, for rows, logs and pages: control characters, marks of writing direction and lone
    surrogates are replaced by spaces; at most so long."""
    if not text.isprintable():
        text = "".join(c if c.isprintable() else " " for c in text).strip()
    return text[:length]
