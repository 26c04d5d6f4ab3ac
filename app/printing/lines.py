"""Lines of text, each typeset once and placed as often as it is printed.

Orientation letters, window and scale captions repeat on hundreds of cells, so the typesetter gets every distinct line
once, one below the other on a single page; its answer is cut into one piece a line here, and a piece is placed by a
matrix. Glyphs, fonts and clipping stay those of the typesetter: text on paper is text."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from app.printing.errors import TypesettingFailed
from app.printing.sheet import Page, Text, Tone

POINT = 72 / 25.4  # points in a millimetre
_PIXEL = 96 / 25.4  # CSS pixels in a millimetre: the unit inside the typesetter's content stream
_LIFT = 0.25  # of the size: a line's slot is higher than its box, for scripts with tall letters
_TONES: Mapping[Tone, bytes] = {"ink": b"0.067 g", "soft": b"0.333 g", "light": b"1 g", "letter": b"1 g"}
# A paragraph of the typesetter: its clip (always at the left edge), colour, and one text object.
_PIECE = re.compile(rb"\n(0 (\S+) \S+ \S+ re\nW\nn)\n(?:/\S+ gs\n)?\S+ \S+ \S+ (?:rg|scn)\n(BT\n(?:.*\n)*?ET)\n")


@dataclass(frozen=True, slots=True)
class TypesetLine:
    """Typesetting parameters of a line; all lengths in mm, rounded to a thousandth."""

    content: str
    width: float
    height: float
    size: float
    align: str
    bold: bool

    @classmethod
    def of(cls, text: Text) -> "TypesetLine":
        box = text.box
        high = round(box.height + 2 * slot_overhang(text.size), 3)
        return cls(text.content, round(box.width, 3), high, round(text.size, 3), text.align, text.bold)


@dataclass(frozen=True, slots=True)
class Piece:
    """A typeset line as operators; top: its upper edge in the typesetter's pixels, counted downwards."""

    clip: bytes
    glyphs: bytes
    top: float


def slot_overhang(size: float) -> float:
    """By how much a line's slot reaches above and below its box, in mm."""
    return size * _LIFT


def texts_of(page: Page) -> list[Text]:
    return [*page.texts, *(text for cell in page.cells for text in cell.texts)]


def distinct(pages: Iterable[Page]) -> list[TypesetLine]:
    """Every line of these pages once, in the order of first use."""
    return list(dict.fromkeys(TypesetLine.of(text) for page in pages for text in texts_of(page)))


def order(lines: list[TypesetLine]) -> dict[str, Any]:
    """Order for the typesetter: the lines, and how far apart their slots begin (mm)."""
    return {"pitch": pitch(lines), "lines": [asdict(line) for line in lines]}


def pitch(lines: list[TypesetLine]) -> float:
    """Distance between the upper edges of two slots; a millimetre stays free between the highest."""
    return round(max((line.height for line in lines), default=0.0) + 1, 3)


def cut(content: bytes, lines: list[TypesetLine]) -> dict[TypesetLine, Piece]:
    """The pieces of the typesetter's page. A line of blanks has none.

    Raises TypesettingFailed when a line with letters is missing: paper must never lose a name silently."""
    step = pitch(lines) * _PIXEL
    pieces: dict[TypesetLine, Piece] = {}
    for clip, top, glyphs in _PIECE.findall(content):
        number = round(float(top) / step)
        if number < len(lines) and abs(number * step - float(top)) < 0.01 * step:
            pieces[lines[number]] = Piece(clip, glyphs, float(top))
    for line in lines:
        if line not in pieces and any(c.isalnum() for c in line.content):
            raise TypesettingFailed("The text of the page could not be rendered.", hint="Contact an administrator.")
    return pieces


def draw(texts: Iterable[Text], pieces: Mapping[TypesetLine, Piece], height: float) -> bytes:
    """The operators that place these texts on a page of this height (mm)."""
    parts = bytearray()
    for text in texts:
        piece = pieces.get(TypesetLine.of(text))
        if piece is None:
            continue
        x, y = text.box.x * POINT, (height - text.box.y + slot_overhang(text.size)) * POINT + piece.top * 0.75
        parts += b"q 0.75 0 0 -0.75 %s cm\n%s\n" % (numbers(x, y), piece.clip)
        if text.tone in ("light", "letter"):
            # White text is printed on bright and dark pixels alike: a dark edge is drawn under it (PS3.3 has no rule).
            parts += b"q 0 G 1.6 w 1 j 1 Tr\n%s\nQ\n" % piece.glyphs
        parts += b"%s\n%s\nQ\n" % (_TONES[text.tone], piece.glyphs)
    return bytes(parts)


def numbers(*values: float) -> bytes:
    return " ".join(f"{value:.5f}".rstrip("0").rstrip(".") for value in values).encode()
