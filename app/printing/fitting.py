"""Lines that are too long for their box end with an ellipsis, so that a shortened name is recognizable.

The widths are those of the paper's Latin font; a character of another script counts by its East Asian width
(Unicode annex 11). The typesetter still cuts at the box where that is too little."""

import unicodedata
from functools import lru_cache

from PIL import ImageFont

from app.printing.fonts import FOLDER

ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"
_EM = 100  # size at which the fonts are measured


@lru_cache(maxsize=2)
def _font(bold: bool) -> ImageFont.FreeTypeFont:
    name = "NotoSans-Bold.ttf" if bold else "NotoSans-Regular.ttf"
    return ImageFont.truetype(FOLDER / name, _EM, layout_engine=ImageFont.Layout.BASIC)


@lru_cache(maxsize=4096)
def _advance(character: str, bold: bool) -> float:
    """Width of one character by the size of the letters."""
    if unicodedata.combining(character):
        return 0.0
    if unicodedata.east_asian_width(character) in "WF":
        return 1.0
    return float(_font(bold).getlength(character)) / _EM


def fitted(content: str, width: float, size: float, bold: bool = False) -> str:
    """The line, or its beginning and an ellipsis where it is wider than `width`; width and size in mm."""
    room = width / size
    if sum(_advance(one, bold) for one in content) <= room:
        return content
    room -= _advance(ELLIPSIS, bold)
    for n, one in enumerate(content):
        room -= _advance(one, bold)
        if room < 0:
            return content[:n].rstrip() + ELLIPSIS
    return content
