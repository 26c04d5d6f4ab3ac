"""Identifiers of queries and retrievals (PS3.4 C.2.2.1) to bytes and back: flat, without trust in lengths, and without
pydicom's data sets. Sequences are passed over. Pure."""

import struct
from collections.abc import Mapping, Sequence

from pydicom.datadict import dictionary_VR, keyword_for_tag, tag_for_keyword

from app.dicom import charset, charset_writing, elements

_NUMBERS = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "FL": "f", "FD": "d"}
_CHARACTER_SET = 0x00080005
UTF8 = "ISO_IR 192"


class BadIdentifier(ValueError):
    """The bytes are not a data set."""


def terms_for(values: Mapping[str, str], wanted: str = "") -> tuple[str, ...]:
    """The character set that the values are sent in: none while they are ASCII and none is wanted, the wanted one where
    it can write them, else UTF-8. wanted: defined terms of PS3.3 C.12.1.1.2, separated by backslashes."""
    plain = all(value.isascii() for value in values.values())
    terms = tuple(part.strip() for part in wanted.split("\\")) if wanted.strip() else ()
    if plain:
        return terms
    return terms if terms and all(_can_write(v, terms) for v in values.values()) else (UTF8,)


def _can_write(text: str, terms: Sequence[str]) -> bool:
    try:
        charset_writing.encode(text, terms, is_name=True)
    except charset_writing.CannotWrite:
        return False
    return True


def encode(values: Mapping[str, str], terms: Sequence[str] = (), *, explicit: bool = False) -> bytes:
    """Keyword -> text (several values joined by backslashes; empty asks for the attribute) as a data set, little
    endian. terms: as from `terms_for`. ValueError for an unknown keyword."""
    parts: list[tuple[int, str, bytes]] = []
    for keyword, text in values.items():
        tag = tag_for_keyword(keyword)
        if tag is None:
            raise ValueError(f"{keyword} is no attribute")
        vr = str(dictionary_VR(tag))[:2]
        is_text = vr in charset.TEXT_VRS
        write = charset_writing.encode_lossy
        raw = write(text, terms or (UTF8,), is_name=True) if is_text else text.encode("ascii", "replace")
        parts.append((tag, vr, raw))
    if terms:
        parts.append((_CHARACTER_SET, "CS", "\\".join(terms).encode("ascii", "replace")))
    return b"".join(_element(*one, explicit) for one in sorted(parts))


def _element(tag: int, vr: str, raw: bytes, explicit: bool) -> bytes:
    if vr in _NUMBERS and raw:
        raise ValueError("numbers of fixed size are no matching keys")
    return elements.encode(tag, vr.encode(), raw, not explicit)


def decode(data: bytes, *, explicit: bool = False) -> dict[str, str]:
    """Keyword -> text of the top level; several values stay joined by backslashes, attributes without a keyword and
    sequences are left out. Raises BadIdentifier when the bytes are not a data set or end within an element."""
    raw: dict[int, tuple[str, bytes]] = {}
    _walk(data, explicit, raw)
    terms = charset.terms_of(raw[_CHARACTER_SET][1]) if _CHARACTER_SET in raw else ()
    found: dict[str, str] = {}
    for tag, (vr, value) in raw.items():
        keyword = keyword_for_tag(tag)
        if keyword and tag >> 16 != 0:
            found[keyword] = _text(vr, value, terms)
    return found


def _text(vr: str, value: bytes, terms: tuple[str, ...]) -> str:
    if vr in _NUMBERS:
        size = struct.calcsize(_NUMBERS[vr])
        return "\\".join(
            str(struct.unpack_from("<" + _NUMBERS[vr], value, at)[0]) for at in range(0, len(value) - size + 1, size)
        )
    return charset.decode(value, terms, is_name=vr == "PN")


def _walk(data: bytes, explicit: bool, found: dict[int, tuple[str, bytes]]) -> None:
    """The top level's elements; sequences are passed over."""
    try:
        for tag, vr, _, value, length, following in elements.Cursor(data, 0, len(data), not explicit):
            if explicit and not vr:
                raise BadIdentifier("an element has no value representation")
            name = vr.decode() if explicit else _vr(tag)
            if length != elements.UNDEFINED and name != "SQ":
                found.setdefault(tag, (name, data[value:following]))
    except elements.DamagedElements as fault:
        raise BadIdentifier(str(fault)) from None


def _vr(tag: int) -> str:
    try:
        return str(dictionary_VR(tag))[:2]
    except KeyError:
        return "UN"
