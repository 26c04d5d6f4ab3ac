"""Texts that were encoded once more than they should be, or with letters of another script that look alike."""

import html
import re
from urllib.parse import unquote

_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]+")
_QUOTED = re.compile(r"=([0-9A-Fa-f]{2})")  # quoted-printable (RFC 2045 6.7)
_CODE_POINT = re.compile(r"(?:%u|\\u|\\U0000|U\+)([0-9A-Fa-f]{4})|\\[x']([0-9A-Fa-f]{2})")
_CYRILLIC_LOOKS = "авекмнорстухіјѕһԁԛԝАВЕКМНОРСТУХІЈЅҺԀԚԜ"
_LATIN_LOOKS = "abekmhopctyxijshdqwABEKMHOPCTYXIJSHDQW"
_GREEK_LOOKS, _LATIN_OF_GREEK = "ΑΒΕΖΗΙΚΜΝΟΡΤΥΧαικνορυϲϳ", "ABEZHIKMNOPTYXaikvopucj"
_TO_LATIN = str.maketrans(_CYRILLIC_LOOKS + _GREEK_LOOKS, _LATIN_LOOKS + _LATIN_OF_GREEK)
_TO_CYRILLIC = str.maketrans(_LATIN_LOOKS, _CYRILLIC_LOOKS)
_CYRILLIC = re.compile("[\u0400-\u052f]")
_LATIN = re.compile("[A-Za-z]")


def decoded(text: str) -> list[str]:
    """The text with what was written for letters beyond ASCII resolved: percent signs and quoted-printable in UTF-8 or
    Latin-1, HTML entities, code points, and UTF-8 read as Latin-1 or Windows-1252. Those that differ from the text."""
    found = [text]
    if any(sign in text for sign in "%&=\\") or "U+" in text:
        for charset in ("utf-8", "latin-1"):
            one = _CODE_POINT.sub(lambda match: chr(int(match[1] or match[2], 16)), text)
            for _ in range(2):  # a percent sign may be encoded itself
                one = html.unescape(unquote(one, encoding=charset))
            found += [one, unquote(_QUOTED.sub(r"%\1", one), encoding=charset)]
    found += [_once_less(one) for one in found if not one.isascii()]
    found += [_once_less(one) for one in found if not one.isascii()]
    return [one for one in dict.fromkeys(found) if one != text]


def _once_less(text: str) -> str:
    """UTF-8 that was read as Latin-1 or Windows-1252 and written in UTF-8 again: "MÃ¼ller"."""

    def resolve(match: re.Match[str]) -> str:
        try:
            return b"".join(_byte(letter) for letter in match[0]).decode("utf-8")
        except UnicodeError:
            return match[0]

    return _BEYOND_ASCII.sub(resolve, text)


def _byte(letter: str) -> bytes:
    try:
        return letter.encode("cp1252")
    except UnicodeEncodeError:
        return letter.encode("latin-1")


def lookalikes(text: str) -> list[str]:
    """The text with letters of Cyrillic and Greek as the Latin ones that look the same, and the other way round in a text
    with both. Those that differ from the text."""
    found = [text.translate(_TO_LATIN)]
    if _CYRILLIC.search(text) and _LATIN.search(text):
        found.append(text.translate(_TO_CYRILLIC))
    return [one for one in found if one != text]


def is_mixed(text: str) -> bool:
    """Whether a word has letters of Latin and of Cyrillic."""
    return any(_CYRILLIC.search(word) and _LATIN.search(word) for word in re.findall(r"[^\W\d_]+", text))


def without_letters(name: str) -> str:
    """A name without its letters beyond ASCII, since their substitutes ("M?ller") are not letters; "" where nothing
    changes."""
    bare = _BEYOND_ASCII.sub("", name)
    return bare if bare != name else ""
