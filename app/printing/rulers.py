"""Rulers over pictures and on the paper itself, in millimetres from the top left corner. Pure."""

from collections.abc import Sequence

from app.printing import overdraw
from app.printing.shapes import Box, Placed, Scale, Stroke, Text

RULERS_MM = (200, 100, 50, 20, 10, 5, 2, 1)
MAX_RULER_SHARE = 0.6  # of the picture's height


def of_picture(placed: Placed, box: Box, size: float, taken: Sequence[Box] = ()) -> tuple[list[Stroke], list[Text]]:
    """A bar of round millimetres in the patient at the cell's right edge, below the letter; ticks each tenth.
    taken: boxes of other texts, which bar and label keep clear of at the bottom."""
    assert placed.scale
    x, low = box.right - size * 0.7, box.bottom - size * 4.2
    bottom = _bar_end(x, low, size, taken)
    room = (box.height / 2 - size * 5) if placed.picture.letters[1] else box.height * MAX_RULER_SHARE
    room = min(room - (low - bottom), box.height * MAX_RULER_SHARE)
    return _bar(x, bottom, room, placed.scale, size)


def of_region(placed: Placed, scale: Scale, size: float, taken: Sequence[Box] = ()) -> tuple[list[Stroke], list[Text]]:
    """The same at the right edge of one calibrated region, as far as it is on paper (PS3.3 C.8.5.5)."""
    corners = [overdraw.on_paper(placed, point) for point in (scale.start, scale.end)]
    shown = placed.box
    right = min(max(x for x, _ in corners), shown.right)
    top, bottom = max(min(y for _, y in corners), shown.y), min(max(y for _, y in corners), shown.bottom)
    if right <= max(min(x for x, _ in corners), shown.x) or bottom <= top:
        return [], []
    pixel = shown.height / placed.source.height
    spacing = scale.spacing[1 if placed.picture.turned else 0]
    x, low = right - size * 0.7, bottom - size * 1.8
    foot = _bar_end(x, low, size, taken)
    return _bar(x, foot, min((bottom - top) * MAX_RULER_SHARE, foot - top), pixel / spacing, size)


def _bar_end(x: float, bottom: float, size: float, taken: Sequence[Box]) -> float:
    """End of a bar so that its label is above every text that it would cover (mm); at most `bottom`."""
    for other in sorted(taken, key=lambda one: -one.y):
        label = _label_box(x, bottom, size)
        beside = other.x < label.right and label.x < other.right
        if beside and other.y < label.bottom and label.y < other.bottom:
            bottom = other.y - size * 1.7
    return bottom


def _label_box(x: float, bottom: float, size: float) -> Box:
    return Box(x - size * 6, bottom + size * 0.2, size * 6, size * 1.3)


def _bar(x: float, bottom: float, room: float, scale: float, size: float) -> tuple[list[Stroke], list[Text]]:
    """A bar of the most round millimetres for which there is space. scale: mm on paper by mm in the patient."""
    length = next((mm for mm in RULERS_MM if mm * scale <= room), None)
    if length is None:
        return [], []
    long = length * scale
    strokes = [Stroke(x, bottom - long, x, bottom, 0.25, "light")]
    for tick in range(11):
        reach = size * (0.8 if tick in (0, 5, 10) else 0.4)
        y = bottom - long * tick / 10
        strokes.append(Stroke(x - reach, y, x, y, 0.15 if tick % 10 else 0.25, "light"))
    label = f"{length // 10} cm" if length >= 10 else f"{length} mm"
    return strokes, [Text(_label_box(x, bottom, size), label, size, "right", "light")]


def check(area: Box, low_edge: float, label: str) -> tuple[list[Stroke], list[Text]]:
    """A hundred true millimetres on the paper itself, to hold a ruler against. low_edge: where the cells end, in mm."""
    y = low_edge - 1.0
    strokes = [Stroke(area.x, y, area.x + 100, y, 0.2, "ink")]
    for mm in range(0, 101, 5):
        strokes.append(Stroke(area.x + mm, y - (2.5 if mm % 10 == 0 else 1.5), area.x + mm, y, 0.2, "ink"))
    room = area.width - 100 - 2
    if room < 25:
        return strokes, []
    return strokes, [Text(Box(area.x + 102, y - 2.8, room, 2.8), label, 2.0, "left", "soft")]
