"""Person names (PS3.5 6.2.1): component groups, how they are shown, how they are folded for search."""

import re
import unicodedata
from dataclasses import dataclass

_SPACE = re.compile(r"[\s^=,;|]+")
# Letters that Unicode does not decompose but people type without the stroke.
_STROKES = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i", "ħ": "h", "ŧ": "t", "ß": "ss"}
)
_KANA_MARKS = {"\u3099", "\u309a"}  # they make another syllable, not an accent


@dataclass(frozen=True, slots=True)
class PersonName:
    """The three component groups, each `Family^Given^Middle^Prefix^Suffix`."""

    alphabetic: str = ""
    ideographic: str = ""
    phonetic: str = ""


def parse(text: str) -> PersonName:
    """Splits a PN value (already decoded). More than three groups: the rest stays with the third."""
    groups = [group.strip() for group in text.split("=", 2)] + ["", "", ""]
    return PersonName(*groups[:3])


def display_name(text: str) -> str:
    """For people, in lists, viewer and paper alike: `Family, Prefix Given Middle, Suffix` with the ideographic group
    behind it, else the phonetic one where it is the only one (PS3.5 6.2.1): Yamada, Tarou (山田, 太郎)."""
    name = parse(text)
    parts = [_group(group) for group in (name.alphabetic, name.ideographic) if group.strip("^ ")]
    if not parts and name.phonetic:
        parts = [_group(name.phonetic)]
    return parts[0] + (f" ({parts[1]})" if len(parts) > 1 else "") if parts else ""


def _group(group: str) -> str:
    family, given, middle, prefix, *more = [part.strip() for part in group.split("^")] + [""] * 4
    rest = " ".join(part for part in (prefix, given, middle) if part)
    suffix = " ".join(part for part in more if part)
    return ", ".join(part for part in (family, rest, suffix) if part)


def fold(text: str) -> str:
    """The searchable form: small letters, no accents, full width made narrow, one space between words of all groups."""
    if text.isascii():
        return _SPACE.sub(" ", text).strip().lower()
    decomposed = unicodedata.normalize("NFKD", text).casefold().translate(_STROKES)
    bare = "".join(c for c in decomposed if not unicodedata.combining(c) or c in _KANA_MARKS)
    return _SPACE.sub(" ", unicodedata.normalize("NFC", bare)).strip()


def is_ideograph(char: str) -> bool:
    """Chinese, Japanese or Korean: a script without spaces between words."""
    return (
        "\u2e80" <= char <= "\u9fff"
        or "\uac00" <= char <= "\ud7af"
        or "\uf900" <= char <= "\ufaff"
        or char >= "\U00020000"
    )


def spaced(folded: str) -> str:
    """A folded text with every CJK character as a word of its own: full-text tokenizers do not know word borders there."""
    if folded.isascii():
        return folded
    return _SPACE.sub(" ", "".join(f" {c} " if is_ideograph(c) else c for c in folded)).strip()
