"""Text of raw element values by Specific Character Set (PS3.3 C.12.1.1.2, PS3.5 6.1): the one place where bytes of a data
set become text. The index, DICOM JSON and XML, search, paper, C-FIND, de-identification and routes all read through it
(`reading.py` makes pydicom's data sets do so too)."""

import re
from functools import lru_cache
from typing import NamedTuple

Terms = tuple[str, ...]

TEXT_VRS = frozenset(("LO", "LT", "PN", "SH", "ST", "UC", "UT"))  # what Specific Character Set speaks about
WHOLE_VRS = frozenset(("LT", "ST", "UR", "UT"))  # one value, in which a backslash is a letter (PS3.5 6.2)

_PAD = "\0 \t\r\n"
_ESCAPE = 0x1B
_RESET = b"\t\n\f\r"  # after these the first set holds again (PS3.5 6.1.2.5.3)


class _CodedSet(NamedTuple):
    """A set by its ISO-IR number. codec: Python's for its bytes, of a set for G1 those above 7F hex. element: G0 or G1.
    escape: the sequence that designates it (PS3.3 Tables C.12-3 and C.12-4). double: two bytes a
    character."""

    codec: str
    element: int
    escape: bytes
    double: bool = False


SETS: dict[int, _CodedSet] = {
    6: _CodedSet("ascii", 0, b"(B"), 14: _CodedSet("jisx0201", 0, b"(J"), 13: _CodedSet("shift_jis", 1, b")I"),
    100: _CodedSet("latin-1", 1, b"-A"), 101: _CodedSet("iso8859-2", 1, b"-B"), 109: _CodedSet("iso8859-3", 1, b"-C"),
    110: _CodedSet("iso8859-4", 1, b"-D"), 126: _CodedSet("iso8859-7", 1, b"-F"),
    127: _CodedSet("iso8859-6", 1, b"-G"), 138: _CodedSet("iso8859-8", 1, b"-H"),
    144: _CodedSet("iso8859-5", 1, b"-L"), 148: _CodedSet("iso8859-9", 1, b"-M"), 166: _CodedSet("tis-620", 1, b"-T"),
    203: _CodedSet("iso8859-15", 1, b"-b"), 87: _CodedSet("jisx0208", 0, b"$B", True),
    159: _CodedSet("jisx0212", 0, b"$(D", True), 149: _CodedSet("cp949", 1, b"$)C", True),
    58: _CodedSet("gbk", 1, b"$)A", True),
}  # fmt: skip
_DESIGNATED = {one.escape: number for number, one in SETS.items()} | {b"$@": 87, b"$(B": 87}
_ASCII, _ROMAJI = 6, 14
_UTF8, _GB18030 = "utf-8", "gb18030"
_NUMBERED = re.compile(r"(?:ISO)?(?:2022)?(?:IR)?(\d{1,3})")
# Misspellings of defined terms with only one meaning, without spaces and signs.
_MEANT = {
    "ISO202258": 58, "GB2312": 58, "LATIN1": 100, "ISO88591": 100, "ISO88592": 101, "ISO88593": 109,
    "ISO88594": 110, "ISO88595": 144, "ISO88596": 127, "ISO88597": 126, "ISO88598": 138, "ISO88599": 148,
    "ISO885911": 166, "ISO885915": 203, "ASCII": 6, "USASCII": 6,
}  # fmt: skip
_UTF8_TERMS = frozenset(("ISOIR192", "ISO2022IR192", "IR192", "ISO192", "192", "UTF8", "UNICODE"))
_GBK_TERMS = frozenset(("GBK", "ISO2022GBK", "CP936"))
_GB18030_TERMS = frozenset(("GB18030", "GB180302000", "GB180302005"))
_LIKE_ISO = re.compile(rb"[\x20-\x2f]*[\x30-\x7e]")  # the rest of any escape sequence of ISO 2022
_HIGH = re.compile(rb"[\x80-\xff]+")
_GRAPHIC = re.compile(rb"[\x21-\x7e]+")
_JAPANESE_SIGNS = {0x5C: "\u00a5", 0x7E: "\u203e"}  # JIS X 0201 has yen and overline where ASCII has \ and ~


class CharacterSets(NamedTuple):
    """Encodings of the terms. alone: the codec of a set that is used without code extensions (UTF-8, GB18030, GBK),
    else "". first: ISO-IR numbers in G0 and G1 before any escape sequence, 0 where none is named; where the first term
    is empty or ASCII, G1 holds the next set that has one (what senders without escape sequences mean). declared: more
    than the default repertoire is named. numbers: all that are named, in order. unknown: an unknown term."""

    alone: str
    first: tuple[int, int]
    declared: bool
    numbers: tuple[int, ...]
    unknown: str = ""


def terms_of(raw: bytes) -> Terms:
    """The terms of a raw Specific Character Set value, as they are written."""
    text = raw.decode("ascii", "replace").strip("\0 ")
    return tuple(term.strip("\0 ") for term in text.split("\\")) if text else ()


@lru_cache(maxsize=256)
def character_sets(terms: Terms) -> CharacterSets:
    """Encodings of the terms, common misspellings included ("ISO_IR100", "ISO-IR 192", "UTF-8"). A term that means
    nothing counts as not written: such text is read like one without a declaration."""
    alone, unknown = "", ""
    found: list[int] = []  # 0 for a term that names no set with an escape sequence
    for place, term in enumerate(terms):
        plain = re.sub(r"[^A-Z0-9]", "", term.upper())
        codec = _UTF8 if plain in _UTF8_TERMS else _GB18030 if plain in _GB18030_TERMS else ""
        codec = "gbk" if plain in _GBK_TERMS else codec
        number = _number(plain)
        found.append(number if number in SETS else 0)
        if codec:
            alone = alone if place else codec
        elif plain and number not in SETS:
            unknown = unknown or term
    numbers = tuple(number for number in found if number)
    named = found[0] if found and found[0] else _ASCII
    high = next((number for number in (named, *numbers) if SETS[number].element == 1), 0)
    g0 = _ROMAJI if named in (13, _ROMAJI) else _ASCII
    return CharacterSets(alone, (g0, high), bool(alone or set(numbers) - {_ASCII}), numbers, unknown)


def _number(plain: str) -> int:
    """The ISO-IR number in a term without its spaces and signs; 0 where there is none."""
    found = _NUMBERED.fullmatch(plain)
    return _MEANT.get(plain, int(found[1]) if found else 0)


def decode(raw: bytes, terms: Terms, *, is_name: bool = False) -> str:
    """A raw value as text, padding removed; several values stay joined by backslashes. Wrong bytes become U+FFFD, never
    an error, and no escape sequence is left.

    Where nothing (or nothing known, or ISO_IR 6) is declared yet bytes are not ASCII, UTF-8 is tried, then Latin-1."""
    return _decoded(raw, terms, "PN" if is_name else "LO").strip(_PAD)


def values(raw: bytes, terms: Terms, vr: str) -> list[str]:
    """The values of an element of a text VR, insignificant spaces removed as PS3.5 6.2 says for it; [] for an empty one.

    A backslash separates values except in LT, ST, UR and UT; a byte 5C hex inside a character of several bytes never does."""
    text = _decoded(raw, terms, vr)
    if vr in WHOLE_VRS or vr == "UC":
        found = [text] if vr in WHOLE_VRS else text.split("\\")
        found = [one.rstrip(_PAD) for one in found]
    else:
        found = [one.strip(_PAD) for one in text.split("\\")]
    return found if any(found) or len(found) > 1 else []


def _decoded(raw: bytes, terms: Terms, vr: str) -> str:
    if raw.isascii() and _ESCAPE not in raw and b"\\" not in raw and b"~" not in raw:
        return raw.decode("ascii")
    sets = character_sets(terms)
    raw = raw.rstrip(b"\0 ")
    if _ESCAPE in raw:
        return _extended(raw, sets, vr)
    if sets.alone:
        return _alone(raw, sets.alone)
    if raw.isascii() and sets.first[0] == _ASCII:
        return raw.decode("ascii")
    return _extended(raw, sets, vr) if sets.declared else _undeclared(raw)


def _alone(raw: bytes, codec: str) -> str:
    """A value that is declared as UTF-8 but has no complete multi-byte character was written as Latin-1."""
    try:
        return raw.decode(codec)
    except UnicodeDecodeError as fault:
        text = raw.decode(codec, "replace")
        is_utf8 = fault.reason == "unexpected end of data" or any(c > "\x7f" and c != "\ufffd" for c in text)
        return text if codec != _UTF8 or is_utf8 else raw.decode("latin-1")


def _undeclared(raw: bytes) -> str:
    """UTF-8, also with its last character cut off, else Latin-1."""
    try:
        return raw.decode(_UTF8)
    except UnicodeDecodeError as fault:
        is_cut = fault.end == len(raw) and fault.reason == "unexpected end of data" and not raw[: fault.start].isascii()
        return raw.decode(_UTF8, "replace") if is_cut else raw.decode("latin-1")


def _extended(raw: bytes, sets: CharacterSets, vr: str) -> str:
    """Code extension (ISO 2022 as PS3.5 6.1.2.5 uses it): an escape sequence designates G0 or G1 until the next one or a
    delimiter, after which the first sets hold again."""
    delimiters = _RESET + (b"^=\\" if vr == "PN" else b"" if vr in WHOLE_VRS else b"\\")
    g0, g1 = sets.first
    spare = g1
    out: list[str] = []
    at = 0
    while at < len(raw):
        byte = raw[at]
        if byte == _ESCAPE:
            number, at = _designation(raw, at + 1)
            if number and SETS[number].element == 0:
                g0 = number
            elif number:
                g1 = number
                spare = spare or g1  # senders leave the sequence out after a delimiter where the first set has no G1
            continue
        if byte >= 0x80:
            run = _HIGH.match(raw, at)
            out.append(_high(run[0], g1, sets) if run else "")
        elif SETS[g0].double and byte > 0x20:
            run = _GRAPHIC.match(raw, at)
            out.append(_pairs(run[0], SETS[g0].codec) if run else "")
        else:
            run = None
            is_delimiter = byte in delimiters
            out.append(_JAPANESE_SIGNS.get(byte, chr(byte)) if g0 == _ROMAJI and not is_delimiter else chr(byte))
            if is_delimiter:
                g0, g1 = sets.first[0], sets.first[1] or spare
        at = run.end() if run else at + 1
    return "".join(out)


def _designation(raw: bytes, at: int) -> tuple[int, int]:
    """The set that the sequence behind an ESC designates, 0 for none that DICOM knows, and where the sequence ends."""
    for length in (3, 2):
        if number := _DESIGNATED.get(raw[at : at + length]):
            return number, at + length
    found = _LIKE_ISO.match(raw, at) if raw[at : at + 1] in (b"$", b"(", b")", b"*", b"+", b"-", b".", b"/") else None
    return 0, found.end() if found else at


def _high(run: bytes, number: int, sets: CharacterSets) -> str:
    """Bytes above 7F hex."""
    if number:
        return run.decode(SETS[number].codec, "replace")
    return _alone(run, sets.alone) if sets.alone else _undeclared(run)


def _pairs(run: bytes, codec: str) -> str:
    """JIS X 0208 or 0212 in G0, two bytes a character, by way of EUC-JP, where they are in G1 and behind 8F hex."""
    ahead = b"\x8f" if codec == "jisx0212" else b""
    euc = b"".join(ahead + bytes((high | 0x80, low | 0x80)) for high, low in zip(run[::2], run[1::2], strict=False))
    return euc.decode("euc_jp", "replace") + ("\ufffd" if len(run) % 2 else "")
