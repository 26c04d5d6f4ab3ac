"""Measurements and annotations over a placed picture, in millimetres. Pure: facts in, lines and texts out."""

import math
from itertools import pairwise

from app.printing.shapes import Box, Mark, Placed, Point, Stroke, Text

_WIDE, _THIN = 0.3, 0.15  # mm: of a line, and of one that only leads to a text
_DASH = 0.6  # mm: of a dash, and of the gap after it
_MOST_DASHES = 200
_EACH = 0.55  # width of a character by its height, roughly: how wide a box a text gets
_WHOLE = (0.0, 0.0, 1.0, 1.0)


def strokes(placed: Placed, cell: Box) -> list[Stroke]:
    """The lines of the picture's marks, cut at what is shown of it: at the crop, or at the cell where nothing is cropped."""
    box = cell if placed.picture.view.crop == _WHOLE and not placed.cut else placed.box
    drawn = []
    for mark in placed.picture.marks:
        for points, dashed in mark.lines:
            at = [on_paper(placed, point) for point in points]
            for start, end in pairwise(at):
                if (part := clip_line(start, end, box)) is not None:
                    pieces = _dashes(*part) if dashed else [part]
                    drawn += [Stroke(*a, *b, _THIN if dashed else _WIDE, "light") for a, b in pieces]
    return drawn


def _dashes(start: Point, end: Point) -> list[tuple[Point, Point]]:
    """A line in pieces with gaps between: one that leads to a text must not look like a part of what is measured."""
    (x1, y1), (x2, y2) = start, end
    length = math.hypot(x2 - x1, y2 - y1)
    count = min(_MOST_DASHES, max(1, round(length / (2 * _DASH))))
    step = 1 / count
    along = [(n * step, (n + 0.5) * step) for n in range(count)]
    return [((x1 + a * (x2 - x1), y1 + a * (y2 - y1)), (x1 + b * (x2 - x1), y1 + b * (y2 - y1))) for a, b in along]


def texts(placed: Placed, cell: Box, size: float) -> list[Text]:
    """The texts of the marks, moved into the cell where they would leave it. size: height of the letters in mm."""
    return [line for mark in placed.picture.marks for line in _lines(placed, mark, cell, size)]


def _lines(placed: Placed, mark: Mark, cell: Box, size: float) -> list[Text]:
    step = size * 1.3
    drawn = []
    for at, content in mark.texts:
        x, y = on_paper(placed, at)
        width = min(cell.width, max(len(line) for line in content) * size * _EACH + size)
        x = min(max(x, cell.x), cell.right - width)
        y = min(max(y, cell.y), cell.bottom - step * len(content))
        for n, line in enumerate(content):
            top = y + n * step
            if line and cell.y - 1e-6 <= top and top + step <= cell.bottom + 1e-6:
                drawn.append(Text(Box(x, top, width, step), line, size, "left", "light"))
    return drawn


def on_paper(placed: Placed, point: Point) -> Point:
    """Where a point of the stored frame is on paper, in mm."""
    picture, source, box = placed.picture, placed.source, placed.box
    x, y = to_displayed(point, picture.rows, picture.columns, picture.view.rotation, picture.view.flip)
    return box.x + (x - source.x) * box.width / source.width, box.y + (y - source.y) * box.height / source.height


def to_displayed(point: Point, rows: int, columns: int, rotation: int, flip: bool) -> Point:
    """A point (column, row) of the stored frame in the frame as seen: turned clockwise, then left and right swapped."""
    column, row = point
    x, y = {
        0: (column, row),
        90: (rows - row, column),
        180: (columns - column, rows - row),
        270: (row, columns - column),
    }[rotation]
    width = rows if rotation in (90, 270) else columns
    return (width - x if flip else x), y


def clip_line(start: Point, end: Point, box: Box) -> tuple[Point, Point] | None:
    """The part of a line inside a box (Liang and Barsky); None where no part is."""
    (x, y), (dx, dy) = start, (end[0] - start[0], end[1] - start[1])
    first, last = 0.0, 1.0
    for step, room in ((-dx, x - box.x), (dx, box.right - x), (-dy, y - box.y), (dy, box.bottom - y)):
        if step == 0:
            if room < 0:
                return None
        elif step < 0:
            first = max(first, room / step)
        else:
            last = min(last, room / step)
    if first > last:
        return None
    return (x + first * dx, y + first * dy), (x + last * dx, y + last * dy)
