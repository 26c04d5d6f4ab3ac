"""Text of raw element values by Specific Character Set (PS3.3 C.12.1.1.2, PS3.5 6.1).

Plain ASCII, nearly all of it, never loads pydicom's tables."""

import warnings
from functools import lru_cache

_ESCAPE = b"\x1b"
_TEXT_DELIMITERS = {0x0A, 0x0C, 0x0D, 0x09, 0x5C}
_NAME_DELIMITERS = _TEXT_DELIMITERS | {0x5E, 0x3D}


@lru_cache(maxsize=64)
def _encodings(terms: tuple[str, ...]) -> tuple[str, ...]:
    from pydicom.charset import convert_encodings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return tuple(convert_encodings(list(terms) or [""]))
        except (LookupError, ValueError):
            return ("iso8859",)


def terms_of(raw: bytes) -> tuple[str, ...]:
    """The defined terms of a raw Specific Character Set value."""
    text = raw.decode("ascii", "replace").strip("\0 ")
    return tuple(term.strip() for term in text.split("\\")) if text else ()


def decode(raw: bytes, terms: tuple[str, ...], *, is_name: bool = False) -> str:
    """A raw value as text, padding removed. Wrong bytes become U+FFFD, never an error; where no character set is
    declared yet bytes are not ASCII, UTF-8 is tried, then Latin-1 (what such senders mean)."""
    if raw.isascii() and _ESCAPE not in raw:
        return raw.decode("ascii").strip("\0 \t\r\n")
    if not any(terms) and _ESCAPE not in raw:
        try:
            return raw.decode("utf-8").strip("\0 \t\r\n")
        except UnicodeDecodeError:
            return raw.decode("latin-1").strip("\0 \t\r\n")
    from pydicom.charset import decode_bytes

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            text = decode_bytes(raw, list(_encodings(terms)), _NAME_DELIMITERS if is_name else _TEXT_DELIMITERS)
        except (LookupError, ValueError):
            text = raw.decode("latin-1")
    return text.strip("\0 \t\r\n")
