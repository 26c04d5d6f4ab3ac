"""Other spellings of a name: Cyrillic and Greek in Latin letters, endings of Russian names, what Arabic and Hebrew write in
one with the word."""

import re
from functools import cache

_CYRILLIC = re.compile("[\u0400-\u052f]")
_GREEK = re.compile("[\u0370-\u03ff\u1f00-\u1fff]")
_ARABIC = re.compile("[\u0600-\u06ff]")
_HEBREW = re.compile("[\u0590-\u05ff]")

_LETTERS = dict(zip("абвгдезиклмнопрстуфыэіїєґђјљњћџ", ["a", "b", "v", "g", "d", "e", "z", "i", "k", "l", "m", "n", "o", "p", "r", "s", "t", "u", "f", "y", "e", "i", "i", "e", "g", "d", "j", "lj", "nj", "c", "dz"], strict=True)) | {"ъ": "", "ь": "", "ў": "u"}  # fmt: skip
# Passports (ICAO 9303), English (BGN/PCGN), German or scientific.
_SCHEMES = (
    {"ж": "zh", "й": "i", "х": "kh", "ц": "ts", "ч": "ch", "ш": "sh", "щ": "shch", "ю": "iu", "я": "ia", "ё": "e"},
    {"ж": "zh", "й": "y", "х": "kh", "ц": "ts", "ч": "ch", "ш": "sh", "щ": "shch", "ю": "yu", "я": "ya", "ё": "yo"},
    {"ж": "z", "й": "j", "х": "h", "ц": "c", "ч": "c", "ш": "s", "щ": "sc", "ю": "ju", "я": "ja", "ё": "e"},
    {
        "ж": "sch",
        "й": "i",
        "х": "ch",
        "ц": "z",
        "ч": "tsch",
        "ш": "sch",
        "щ": "schtsch",
        "ю": "ju",
        "я": "ja",
        "ё": "jo",
    },
)
_GREEK_LETTERS = dict(zip("αβγδεζηθικλμνξοπρσςτυφχψω", ["a", "v", "g", "d", "e", "z", "i", "th", "i", "k", "l", "m", "n", "x", "o", "p", "r", "s", "s", "t", "y", "f", "ch", "ps", "o"], strict=True))  # fmt: skip
_GREEK_PAIRS = (("ου", "ou"), ("αυ", "af"), ("ευ", "ef"), ("μπ", "b"), ("ντ", "nt"), ("γγ", "ng"), ("γκ", "gk"))

_ENDINGS = ("а", "у", "ом", "ым", "е", "ы", "ой", "ою", "ых", "ыми", "и", "я", "ю", "ем", "ей", "ого", "ому")
_LATIN_ENDINGS, _LATIN_FEWEST = ("ov", "ev", "ski", "cki"), 5  # Slavic family names, of which women have another form
_ARABIC_AHEAD = ("ال", "و", "ل", "ب", "ف", "ك", "وال", "بال", "لل")
_HEBREW_AHEAD = ("ה", "ו", "ב", "ל", "מ", "ש", "כ", "וה", "של")


@cache
def _tables() -> tuple[dict[int, str], ...]:
    return tuple(
        {ord(form): latin for letter, latin in (_LETTERS | scheme).items() for form in (letter, letter.upper())}
        for scheme in _SCHEMES
    )


@cache
def _greek_table() -> dict[int, str]:
    return {ord(form): latin for letter, latin in _GREEK_LETTERS.items() for form in (letter, letter.upper())}


def transcriptions(text: str) -> list[str]:
    """A text with its Cyrillic or Greek in Latin letters, in every usual way; [] where it has neither."""
    found = []
    if _CYRILLIC.search(text):
        found = [text.translate(table) for table in _tables()]
    if _GREEK.search(text):
        import unicodedata

        plain = "".join(c for c in unicodedata.normalize("NFD", text.lower()) if not unicodedata.combining(c))
        for pair, latin in _GREEK_PAIRS:
            plain = plain.replace(pair, latin)
        found.append(plain.translate(_greek_table()))
    return found


def inflections(word: str) -> set[str]:
    """Folded forms of a folded name that still are the name: Russian cases, Slavic names of women, Arabic and Hebrew with an article, a
    conjunction or a preposition in front."""
    if len(word) < 3:
        return set()
    if _ARABIC.match(word):
        bare = {word[2:]} if word.startswith("ال") and len(word) >= 5 else set()
        return bare | {ahead + one for one in bare | {word} for ahead in _ARABIC_AHEAD}
    if _HEBREW.match(word):
        return {ahead + word for ahead in _HEBREW_AHEAD}
    if _CYRILLIC.match(word) and len(word) >= 4:
        stem = word[:-1] if word[-1] in "аяйьоеи" else word
        return {stem + ending for ending in _ENDINGS} | {word + ending for ending in _ENDINGS}
    if len(word) >= _LATIN_FEWEST and word.endswith(_LATIN_ENDINGS):
        return {word[:-1] + "a"} if word[-1] == "i" else {word + "a"}
    return set()
