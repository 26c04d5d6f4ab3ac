"""Whether a text holds a name, in any script: texts and names are folded alike and compared word by word.

Folding is NFKC, case folding, and removal of accents and invisible characters; umlauts written as two letters are the same
letter (Müller, Mueller, Muller), and so are hiragana and katakana, and the forms of an ideograph. A word ends at a space or sign, between letters and
digits, and at a capital behind a small letter; in scripts without spaces between words every character is one."""

import re
import sys
import unicodedata
from dataclasses import dataclass
from functools import cache

from app.deid import romanised
from app.deid.encodings import decoded, lookalikes
from app.deid.ideographs import variants
from app.deid.spellings import transcriptions

_STROKES = {
    "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i", "ħ": "h", "ŧ": "t", "ß": "ss",
    "ى": "ي", "ة": "ه", "ς": "σ",
    "ی": "ي", "ک": "ك", "ہ": "ه", "ە": "ه",  # Persian and Urdu keyboards
    "ך": "כ", "ם": "מ", "ן": "נ", "ף": "פ", "ץ": "צ",
}  # fmt: skip
# Scripts without spaces between words: Thai, Lao, Tibetan, Myanmar, Khmer, kana, Bopomofo, Hangul, ideographs.
_UNSPACED = (
    "\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff\u3040-\u312f\u3130-\u318f\u31a0-\u31ff\u3400-\u9fff\ua960-\ua97f"
    "\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff々"
)
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W\d_{_UNSPACED}]+|\d+")
_SINGLE = re.compile(rf"[{_UNSPACED}]")
_CAPITAL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_COMPOUNDS = re.compile(r"[\s\-‐-―,./;_・·]+")
_SHORT = re.compile(r"(?<![^\W_])(?:[^\W\d_](?![^\W_]|['’])|[^\W\d_]{2}(?![^\W\d_]))")
_TWO_LETTERS = re.compile(r"([aou])e")
_LONG = 5  # letters that a name needs to be recognized inside of a word
# What names are written together with; "" for nothing.
COMPANIONS = frozenset(
    """
    ct mr mri pet xray xr dr mrs jr patient name head neck chest breast abdomen pelvis spine cspine tspine lspine knee foot ankle hand
    wrist finger elbow shoulder skull heart liver brain aorta thorax scan study series image
    """.split()  # noqa: SIM905 - a long list of words is easier to read this way
) | {""}
_MAKERS = frozenset(("philips", "siemens"))  # of the given name Philip no plural
_LONGEST = max(len(word) for word in COMPANIONS)
# Words after a family name of one character when a person is meant: Mr, Mrs, Miss, doctor, patient; Japanese; Korean.
_TITLES_BEHIND = ("先生", "女士", "小姐", "太太", "医生", "患者", "さん", "様", "殿", "氏", "씨", "님")


@cache
def _table() -> dict[int, str | None]:
    """For str.translate: accents, marks and invisible characters go, katakana becomes hiragana, every digit an ASCII one."""
    table: dict[int, str | None] = {ord(letter): plain for letter, plain in _STROKES.items()}
    for code in range(sys.maxunicode + 1):
        if unicodedata.category(chr(code)) in ("Mn", "Me", "Cf"):
            table[code] = None
        elif code > 0x7F and unicodedata.category(chr(code)) == "Nd":
            table[code] = str(unicodedata.decimal(chr(code)))
    table.update(variants())
    table.update({code: chr(code - 0x60) for code in range(0x30A1, 0x30F7)})
    table[0x0640] = None  # Arabic tatweel, which only stretches a word
    return table


def _folded(text: str) -> str:
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return unicodedata.normalize("NFC", decomposed.translate(_table()))


def split(text: str) -> list[str]:
    """The folded words of a text, in order."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    spaced = _CAPITAL.sub(" ", text)
    return [_single_umlaut(word) for word in _WORD.findall(_folded(spaced))]


def _single_umlaut(word: str) -> str:
    return _TWO_LETTERS.sub(r"\1", word) if len(word) >= 4 else word


def names(text: str) -> list[list[str]]:
    """The words of a name, in compounds: "O'Hara-Hunter" has two, of which the first has two words. A compound of a script
    without spaces is one word."""
    found = []
    for compound in _COMPOUNDS.split(unicodedata.normalize("NFKC", text)):
        parts = split(compound)
        if parts:
            found.append(["".join(parts)] if all(is_unspaced(part) for part in parts) else parts)
    return found


def is_unspaced(word: str) -> bool:
    """Whether a word is of a script that is written without spaces."""
    return _SINGLE.match(word) is not None


@dataclass(frozen=True, slots=True)
class SearchedLine:
    """A text to be searched: its words run together, and where each begins and ends. short: words of one or two letters."""

    run: str
    words: tuple[str, ...]
    starts: frozenset[int]
    ends: frozenset[int]
    short: frozenset[str]
    fewest: int = 0  # letters of a name that this way to read counts for
    is_romanised: bool = False  # each word is a syllable of another script, and one alone is not a name

    @classmethod
    def of(cls, text: str, *, spaced: str = "", fewest: int = 0, is_romanised: bool = False) -> "SearchedLine":
        """spaced: the text with more spaces between its words."""
        run, starts, ends = "", [], []
        found = split(spaced or text)
        for word in found:
            starts.append(len(run))
            run += word
            ends.append(len(run))
        short = frozenset(_SHORT.findall(_folded(text)))
        return cls(run, tuple(found), frozenset(starts), frozenset(ends), short, fewest, is_romanised)

    def has(self, part: str) -> bool:
        """Whether these words occur as whole words, whatever is between them: "O'Hara", "O HARA" and "OHara" are one
        name, and "Phil" is not in "Philips". One or two letters must be separate: "Ma" is not in "200mA", nor "O" in
        "O2"."""
        if len(part) <= 2 and not is_unspaced(part):
            return part in self.short
        if len(part) < self.fewest:
            return False
        places = _places(self.run, part)
        if self.is_romanised:
            ends = [at + len(part) for at in places if at in self.starts and at + len(part) in self.ends]
            return any(any(end - len(part) < at < end for at in self.starts) for end in ends)
        if any(at in self.starts and at + len(part) in self.ends for at in places):
            return True
        return len(part) >= _LONG and any(self._is_compound(at, at + len(part)) for at in places)

    def _is_compound(self, start: int, end: int) -> bool:
        """Whether the text is one word with a word of radiology: "SMITHKNEE", "ctsmith"; or a plural."""
        first, last = start, end
        while first not in self.starts and start - first <= _LONGEST:
            first -= 1
        while last not in self.ends and last - end <= _LONGEST:
            last += 1
        before, behind = self.run[first:start], self.run[end:last]
        if self.run[start:last] in _MAKERS:
            return False
        return before in COMPANIONS and (behind in COMPANIONS or behind == "s")

    def has_apart(self, character: str) -> bool:
        """Whether a character of a script without spaces is alone or before a title, as a family name is."""
        for at in _places(self.run, character):
            before = self.run[at - 1 : at] if at else ""
            alone = not _SINGLE.match(before) and not _SINGLE.match(self.run, at + 1)
            if alone or self.run.startswith(_TITLES_BEHIND, at + 1):
                return True
        return False


def _places(run: str, part: str) -> list[int]:
    places, at = [], run.find(part)
    while at >= 0:
        places.append(at)
        at = run.find(part, at + 1)
    return places


def lines(text: str) -> list[SearchedLine]:
    """The ways to read a text: as it is, with its encodings resolved, Cyrillic or Greek in Latin, and parted where the case
    of its letters changes."""
    texts = [text, *decoded(text)]
    texts.extend(
        other for one in list(texts) if not one.isascii() for other in (*transcriptions(one), *lookalikes(one))
    )
    found = []
    for one in dict.fromkeys(texts):
        found.append(SearchedLine.of(one))
        for fewest, spaced in ((0, _parted(one, before_last=True)), (_LONG, _parted(one, before_last=False))):
            if spaced != one:
                found.append(SearchedLine.of(one, spaced=spaced, fewest=fewest))
        if romanised.is_eastern(one):
            found.append(SearchedLine.of("", spaced=romanised.text(one), fewest=_LONG, is_romanised=True))
    return found


def _parted(text: str, *, before_last: bool) -> str:
    """A space behind capitals that small letters follow: before the last of them ("CT Smith") or not ("SMITH knee")."""
    if text.isupper() or text.islower():
        return text
    text = unicodedata.normalize("NFKC", text)
    made = text[:1]
    for at in range(1, len(text)):
        last, this, following = text[at - 1], text[at], text[at + 1 : at + 2]
        if before_last:
            is_end = this.isupper() and (last.islower() or (last.isupper() and following.islower()))
        else:
            is_end = this.islower() and last.isupper() and text[at - 2 : at].isupper() and at >= 2
        made += f" {this}" if is_end else this
    return made
