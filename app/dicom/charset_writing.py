"""Text to bytes by Specific Character Set (PS3.5 6.1.2.5): the way back of `charset.py`."""

from collections.abc import Sequence

from app.dicom import charset
from app.dicom.charset import SETS, CharacterSets, character_sets

_ASCII = 6


class CannotWrite(ValueError):
    """The character set has no bytes for this text."""


def encode(text: str, terms: Sequence[str], *, is_name: bool = False) -> bytes:
    """The text in the first of the sets, in others with escape sequences. Raises CannotWrite where none of them has it,
    and for unknown terms."""
    sets = character_sets(tuple(terms))
    if "\x1b" in text:
        raise CannotWrite  # it could only begin an escape sequence
    if text.isascii() and sets.first[0] == _ASCII:
        return text.encode("ascii")
    if sets.unknown:
        raise CannotWrite
    try:
        raw = (
            text.encode(sets.alone)
            if sets.alone
            else _CharsetWriter(sets, is_name, bool(terms[:1] and terms[0].strip())).written(text)
        )
    except UnicodeEncodeError:
        raise CannotWrite from None
    if charset.decode(raw, tuple(terms), is_name=is_name) != text.strip():  # read back, a loss shows
        raise CannotWrite
    return raw


def encode_lossy(text: str, terms: Sequence[str], *, is_name: bool = False) -> bytes:
    """The same with a question mark for each letter that the sets do not have."""
    try:
        return encode(text, terms, is_name=is_name)
    except CannotWrite:
        known = "".join(char if _can(char, terms) else "?" for char in text)
    try:
        return encode(known, terms, is_name=is_name)
    except CannotWrite:
        return known.encode("ascii", "replace")


def _can(char: str, terms: Sequence[str]) -> bool:
    try:
        return bool(encode(char, terms)) or char.isspace()
    except CannotWrite:
        return char.isspace()


class _CharsetWriter:
    """The sets that hold in G0 and G1 as far as is written; 0 for one that another reader could not know."""

    def __init__(self, sets: CharacterSets, is_name: bool, is_first_named: bool) -> None:
        high = sets.first[1] if is_first_named and sets.numbers[:1] == sets.first[1:] else 0
        self._start = (sets.first[0], 0 if high and SETS[high].double else high)
        self._choice = [number for number in dict.fromkeys((*sets.numbers, _ASCII)) if number in SETS]
        self._delimiters = "\t\n\f\r\\" + ("^=" if is_name else "")
        self._g0, self._g1 = self._start

    def written(self, text: str) -> bytes:
        out = bytearray()
        for char in text:
            if char in self._delimiters:
                out += self._first_g0() + char.encode("ascii")
                self._g0, self._g1 = self._start
            else:
                out += self._char(char)
        return bytes(out + self._first_g0())

    def _first_g0(self) -> bytes:
        """G0 is as it was before a value, a component or a line ends."""
        was, self._g0 = self._g0, self._start[0]
        return b"" if was == self._g0 else b"\x1b" + SETS[self._g0].escape

    def _char(self, char: str) -> bytes:
        for number in (self._g0, self._g1, *self._choice):
            raw = _bytes_of(char, number)
            if raw is None:
                continue
            if number in (self._g0, self._g1):
                return raw
            if SETS[number].element == 0:
                self._g0 = number
            else:
                self._g1 = number
            return b"\x1b" + SETS[number].escape + raw
        raise CannotWrite


def _bytes_of(char: str, number: int) -> bytes | None:
    """A character in a set; None where it has none."""
    if number == 0:
        return None
    coded = SETS[number]
    if number == 14:
        return {"\u00a5": b"\\", "\u203e": b"~"}.get(char) or (
            char.encode() if char.isascii() and char not in "\\~" else None
        )
    if number == _ASCII:
        return char.encode("ascii") if char.isascii() else None
    try:
        raw = char.encode("euc_jp" if coded.element == 0 else coded.codec)
    except UnicodeEncodeError:
        return None
    if coded.element == 0:  # JIS X 0208 and 0212 as EUC-JP has them, without the eighth bit
        lead = b"\x8f" if coded.codec == "jisx0212" else b""
        pair = raw.removeprefix(lead)
        fits = raw.startswith(lead) and len(pair) == 2 and pair[0] not in (0x8E, 0x8F)
        return bytes(byte & 0x7F for byte in pair) if fits else None
    return (
        raw
        if len(raw) == (2 if coded.double else 1) and all(byte > 0xA0 - (not coded.double) for byte in raw)
        else None
    )
