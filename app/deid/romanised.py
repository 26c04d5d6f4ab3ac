"""Chinese, Korean and Japanese in Latin letters, in the ways people write names in passports and worklists.

Chinese: Hanyu Pinyin and Wade-Giles, every reading of a character. Korean: the Revised Romanization, McCune-Reischauer
without its signs, what is usual, and the usual spellings of family names. Japanese: kana in Hepburn and Kunrei; the
reading of ideographs of a Japanese name is not known."""

import itertools
import re
import unicodedata
from functools import lru_cache
from typing import Any

_HAN = re.compile("[\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_HANGUL = re.compile("[\uac00-\ud7a3]")
_KANA = re.compile("[\u3041-\u3096\u30a1-\u30fa]")
_EAST = re.compile("[\u3041-\u30fa\u3400-\u9fff\uac00-\ud7a3\uf900-\ufaff\U00020000-\U0003ffff]")
_MOST_READINGS = 24  # of one name
_DOUBLE = frozenset(("欧阳", "歐陽", "司马", "司馬", "诸葛", "諸葛", "上官", "司徒", "东方", "東方", "皇甫", "尉迟", "尉遲", "公孙",
                     "慕容", "令狐", "长孙", "長孫", "宇文", "夏侯", "端木", "南宮", "南宫", "独孤", "獨孤", "남궁", "황보", "제갈", "선우", "독고", "사공"))  # fmt: skip


def _letters(line: str) -> list[str]:
    return line.split(" ")


# Of Hangul: initial, vowel and final letters in Unicode's order, a line for each scheme.
_INITIALS = (
    _letters("g kk n d tt r m b pp s ss  j jj ch k t p h"),
    _letters("k kk n t tt r m p pp s ss  ch tch ch k t p h"),
    _letters("k kk n d tt r m b pp s ss  j jj ch k t p h"),
)
_VOWELS = (
    _letters("a ae ya yae eo e yeo ye o wa wae oe yo u wo we wi yu eu ui i"),
    _letters("a ae ya yae o e yo ye o wa wae oe yo u wo we wi yu u ui i"),
    _letters("a ae ya yae u e yu ye o wa wae oi yo oo wo we wi yu eu ui i"),
)
_FINALS = _letters(" k k k n n n t l k m l l l p l m p p t t ng t t k t p t")
_FAMILIES = {
    "김": "kim", "이": "lee yi rhee", "박": "park pak bak", "최": "choi choe", "정": "jung chung jeong cheong", "강": "kang gang", "조": "cho jo",
    "윤": "yoon yun", "장": "jang chang", "임": "lim im rim", "오": "oh o", "서": "seo suh", "신": "shin sin", "권": "kwon gwon",
    "안": "ahn an", "류": "ryu yoo yu ryoo", "유": "yoo yu you", "전": "jeon jun chun", "고": "ko go koh", "문": "moon mun", "손": "son sohn",
    "배": "bae pae", "백": "baek paik paek", "허": "heo hur huh", "심": "shim sim", "노": "noh roh no", "곽": "kwak gwak", "성": "sung seong",
    "주": "joo ju", "우": "woo wu", "구": "koo ku gu", "엄": "um eom", "천": "cheon chun", "방": "bang pang", "공": "kong gong",
    "현": "hyun hyeon", "변": "byun byeon", "추": "choo chu", "석": "seok suk", "선": "sun seon", "길": "gil kil", "명": "myung myeong",
    "기": "ki gi", "금": "keum geum", "육": "yook yuk", "나": "na ra", "양": "yang ryang", "여": "yeo yuh ryeo",
}  # fmt: skip
_KANA_LETTERS = dict(
    zip(
        "あいうえおかきくけこがぎぐげごさしすせそざじずぜぞたちつてとだぢづでどなにぬねのはひふへほばびぶべぼぱぴぷぺぽまみむめもやゆよらりるれろわゐゑをんゔ",
        _letters(
            "a i u e o ka ki ku ke ko ga gi gu ge go sa shi su se so za ji zu ze zo ta chi tsu te to da ji zu de do na ni nu ne no ha hi fu he ho "
            "ba bi bu be bo pa pi pu pe po ma mi mu me mo ya yu yo ra ri ru re ro wa i e o n vu"
        ),
        strict=True,
    )
)
_SMALL = {"ゃ": "ya", "ゅ": "yu", "ょ": "yo", "ぁ": "a", "ぃ": "i", "ぅ": "u", "ぇ": "e", "ぉ": "o"}
_KUNREI = (("sh", "sy"), ("ch", "ty"), ("tsu", "tu"), ("fu", "hu"), ("j", "zy"))


def is_eastern(text: str) -> bool:
    """Whether a text has letters of Chinese, Korean or Japanese."""
    return not text.isascii() and _EAST.search(text) is not None


@lru_cache(maxsize=1_000)
def names(group: str) -> tuple[str, ...]:
    """One group of a name (PN) in Latin letters, family and given name parted by ^; () where it has other letters."""
    group = unicodedata.normalize("NFKC", group)
    parts = ["".join(_EAST.findall(part)) for part in re.split(r"[\^\s]+", group)]
    parts = [part for part in parts if part]
    if not parts or len("".join(parts)) > 12:
        return ()
    if len(parts) == 1 and 2 <= len(parts[0]) <= 4 and not _KANA.search(parts[0]):
        size = 2 if parts[0][:2] in _DOUBLE and len(parts[0]) > 2 else 1
        parts = [parts[0][:size], parts[0][size:]]
    readings = [_readings(part, is_family=not number) for number, part in enumerate(parts)]
    if not all(readings):
        return ()
    found = itertools.islice(itertools.product(*readings), _MOST_READINGS)
    return tuple(dict.fromkeys("^".join(one) for one in found))


def _readings(part: str, *, is_family: bool) -> list[str]:
    if _KANA.search(part):
        return _kana(part) if not _HAN.search(part) else []
    if _HANGUL.search(part):
        if _HAN.search(part):
            return []
        return list(dict.fromkeys([*(_FAMILIES.get(part, "").split() if is_family else ()), *_hangul(part)]))
    return _chinese(part)


def _chinese(part: str) -> list[str]:
    from pypinyin import Style, pinyin

    found: list[str] = []
    for style in (Style.NORMAL, Style.WADEGILES):
        for one in itertools.islice(itertools.product(*pinyin(part, style=style, heteronym=True)), _MOST_READINGS):
            found += _rounded("".join(syllable.replace("'", "") for syllable in one))
    return list(dict.fromkeys(found))


def _rounded(text: str) -> list[str]:
    """The letter ü, which is written in three ways."""
    return [text.replace("v", letter) for letter in ("u", "v", "yu")] if "v" in text else [text]


def _hangul(part: str) -> list[str]:
    found = []
    for initials, vowels in zip(_INITIALS, _VOWELS, strict=True):
        made = ""
        for letter in part:
            code = ord(letter) - 0xAC00
            made += initials[code // 588] + vowels[code % 588 // 28] + _FINALS[code % 28]
        found.append(made)
    return list(dict.fromkeys(found))


def _kana(part: str) -> list[str]:
    hiragana = "".join(chr(ord(letter) - 0x60) if "ァ" <= letter <= "ヶ" else letter for letter in part)
    made, doubled = "", False
    for letter in hiragana:
        if letter == "っ":
            doubled = True
            continue
        if letter in _SMALL and made[-1:] in ("i", "u", "e"):
            glide = _SMALL[letter]
            made = made[:-1] + (glide[1:] if made[-3:-1] in ("sh", "ch") or made[-2:-1] == "j" else glide)
            continue
        latin = _KANA_LETTERS.get(letter, made[-1:] if letter == "ー" else "")
        made += ("t" if latin.startswith("ch") else latin[:1]) + latin if doubled else latin
        doubled = False
    short = re.sub(r"o[ou]", "o", made).replace("uu", "u")
    kunrei = made
    for hepburn, other in _KUNREI:
        kunrei = kunrei.replace(hepburn + "i", other[0] + "i").replace(hepburn, other)
    return list(dict.fromkeys([made, short, short.replace("o", "oh"), kunrei, re.sub(r"o[ou]", "o", kunrei)]))


def text(value: str) -> str:
    """A text with each of its Chinese, Korean and Japanese letters as a Latin syllable between spaces."""
    from pypinyin import lazy_pinyin

    other: Any = list  # what is not Chinese comes back letter by letter
    value = unicodedata.normalize("NFKC", value)
    pieces = []
    for piece in lazy_pinyin(value, errors=other):
        syllable = _hangul(piece)[0] if _HANGUL.fullmatch(piece) else _kana(piece)[0] if _KANA.fullmatch(piece) else ""
        if syllable or (piece.isascii() and len(piece) > 1):
            pieces.append(f" {syllable or piece.replace('v', 'u')} ")
        else:
            pieces.append(piece)
    return "".join(pieces)
