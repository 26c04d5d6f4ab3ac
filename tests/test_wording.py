"""Plain language (CONTRIBUTING.md): the patterns that do not belong in what people read, over both catalogues, which hold
every visible string of templates, packages and the browser's scripts."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages.pofile import read_po

ROOT = Path(__file__).resolve().parents[1]
CATALOGUE = ROOT / "app/locale/es/LC_MESSAGES/filmroom.po"

# Pattern -> why. English first, then Spanish.
ENGLISH = {
    r"(?<!There )(?<!there )\b(is|are|was|were) no\b(?! longer)(?! more)": '"X is no Y" is "X is not a Y"',
    r"\bso many\b": "says no number",
    r"\bstands?\b": "texts do not stand; they are shown, listed or written",
    r"\b(is|are|was|were|be) told\b": "reported, shown or sent",
    r"\b(house|houses|room|rooms|door|doors|floor|floors)\b": "application, package, interface, layer, facility",
    r"^(Who|Whoever|What|Whose)\b(?!.*\?)": "a question as a subject; use a noun",
    r"\blet in\b|\bkept aside\b": "allowed; on hold",
    r"\b(is|are) over\b": "expired or ended",
    r"\bgives? up\b": "stops or cancels",
    r"\b(we|our|ours)\b": "this station or Filmroom",
}
SPANISH = {
    r"\b(quedan?|queda) aparte\b": "retenido",
    r"\bla casa\b|\bde la casa\b": "aplicación o centro",
}
ALLOWED: set[str] = set()  # a string with the reason why it stays


def _broken(strings: Iterator[str], patterns: dict[str, str]) -> list[str]:
    return [
        f"{text[:90]!r}: {why}"
        for text in strings
        for pattern, why in patterns.items()
        if re.search(pattern, text) and text not in ALLOWED
    ]


def _texts(which: str) -> Iterator[str]:
    with CATALOGUE.open("rb") as file:
        for message in read_po(file, locale="es"):
            if message.id:
                found = message.id if which == "en" else message.string
                yield from [found] if isinstance(found, str) else found


@pytest.mark.parametrize(("language", "patterns"), [("en", ENGLISH), ("es", SPANISH)])
def test_visible_strings_use_plain_words(language: str, patterns: dict[str, str]) -> None:
    assert _broken(_texts(language), patterns) == []


@pytest.mark.parametrize(
    "planted", ["This is no file.", "What it can", "Callers that we let in", "The certificate is over."]
)
def test_a_planted_string_is_found(planted: str) -> None:
    assert _broken(iter([planted]), ENGLISH)
