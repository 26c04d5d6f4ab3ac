"""Content of a text attribute, however it is encoded or declared."""

from typing import Any

from pydicom.dataelem import RawDataElement
from pydicom.valuerep import PersonName

from app.dicom import charset

TEXTS = frozenset(
    ("AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UI", "UR", "UT")
)
_ESCAPE = b"\x1b"
_PADDING = "\0 \t\r\n"
WHOLE = frozenset(("LT", "ST", "UR", "UT"))  # one value, in which a backslash is a letter
UNREADABLE = "\ufffd"


def plain(item: Any, terms: tuple[str, ...] = (), *, is_name: bool = False) -> str:
    """A value as text, several joined by backslashes."""
    value = item.value if item is not None else None
    if isinstance(value, bytes):
        return charset.decode(value, terms, is_name=is_name)
    if value is None:
        return ""
    if isinstance(value, PersonName):
        return str(value).strip(_PADDING)
    if isinstance(value, str):
        return value.strip(_PADDING)
    return "\\".join(str(part) for part in value) if hasattr(value, "__iter__") else str(value)


def readings(item: Any, vr: str, terms: tuple[str, ...]) -> list[str]:
    """A text as its character set says, and as else it may have been meant: many senders declare none, or another one.
    The first is the best; with UNREADABLE in it there is none."""
    value = item.value if item is not None else None
    text = plain(item, terms, is_name=vr == "PN")
    if not isinstance(value, bytes) or (value.isascii() and _ESCAPE not in value):
        return [text]
    try:
        other = value.decode("utf-8").strip(_PADDING)
    except UnicodeDecodeError:
        return list(dict.fromkeys((text, value.decode("latin-1").strip(_PADDING))))
    return list(dict.fromkeys((other, text) if UNREADABLE in text else (text, other)))


def is_plain(item: Any) -> bool:
    """Whether a value is written in ASCII without escape sequences, and needs no character set."""
    value = item.value if item is not None else None
    if isinstance(item, RawDataElement) and isinstance(value, bytes):
        return value.isascii() and _ESCAPE not in value
    return plain(item).isascii()
