"""Ideographs that are written in several ways: simplified and traditional Chinese (also of Hong Kong and Taiwan), and Japanese."""

from functools import cache

_CONVERSIONS = ("t2s", "tw2t", "hk2t", "jp2t")  # of OpenCC; each by single characters here
_RANGES = (range(0x3400, 0xA000), range(0x20000, 0x323B0))
# Japanese family names that OpenCC lacks: the forms of one line are one character.
_JAPANESE = ("髙高", "﨑崎碕", "邊辺邉", "齋斎齊斉", "濱浜濵", "眞真", "嶋島嶌", "冨富", "桒桑", "𠮷吉")


@cache
def variants() -> dict[int, str]:
    """For str.translate: every form of a character becomes the same one."""
    from opencc import OpenCC

    letters = [chr(code) for codes in _RANGES for code in codes]
    pairs = [(line[0], other) for line in _JAPANESE for other in line[1:]]
    for conversion in _CONVERSIONS:
        made = OpenCC(conversion).convert("\n".join(letters)).split("\n")
        pairs += [pair for pair in zip(letters, made, strict=True) if pair[0] != pair[1] and len(pair[1]) == 1]
    parents: dict[str, str] = {}

    def root(letter: str) -> str:
        while letter in parents:
            letter = parents[letter]
        return letter

    for one, other in pairs:
        first, second = sorted((root(one), root(other)))
        if first != second:
            parents[second] = first
    return {ord(letter): root(letter) for letter in parents}
