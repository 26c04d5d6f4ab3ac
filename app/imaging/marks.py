"""Lines and texts over an image. Positions are (column, row) in pixels of the stored image; 0, 0 is the outer corner of
its first pixel, so that its centre is at 0.5, 0.5 (PS3.3 C.10.5.1.2)."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from app.imaging.lut import Greys
from app.kit import paths

Point = tuple[float, float]
_STEPS = 72  # corners of a drawn circle
_LINE_WIDTH, _EDGE = 1, 1  # pixels; each line and letter has a dark edge, so that it is seen on bright pixels too
_TEXT_SHARE = 40  # of the picture's shorter side


@dataclass(frozen=True, slots=True)
class Polyline:
    """Points joined by straight lines; a single point is drawn as a small cross."""

    points: tuple[Point, ...]
    filled: bool = False


@dataclass(frozen=True, slots=True)
class Label:
    """Lines of text that stay upright however the image is turned. at: middle of the edge that `align` names."""

    lines: tuple[str, ...]
    at: Point
    align: Literal["left", "center", "right"] = "left"


Mark = Polyline | Label


def circle(center: Point, edge: Point) -> tuple[Point, ...]:
    """The points of the circle around `center` that passes through `edge`."""
    radius = math.dist(center, edge)
    return ellipse((center[0] - radius, center[1]), (center[0] + radius, center[1]), radius)


def ellipse(start: Point, end: Point, half_minor: float) -> tuple[Point, ...]:
    """The points of an ellipse whose major axis runs from start to end. half_minor: half of the minor axis, in pixels."""
    x, y = (start[0] + end[0]) / 2, (start[1] + end[1]) / 2
    along, angle = math.dist(start, end) / 2, math.atan2(end[1] - start[1], end[0] - start[0])
    turns = (2 * math.pi * n / _STEPS for n in range(_STEPS + 1))
    return tuple(
        (
            x + along * math.cos(t) * math.cos(angle) - half_minor * math.sin(t) * math.sin(angle),
            y + along * math.cos(t) * math.sin(angle) + half_minor * math.sin(t) * math.cos(angle),
        )
        for t in turns
    )


def interpolate_curve(points: Sequence[Point], steps: int = 12) -> tuple[Point, ...]:
    """A smooth curve through the points (Catmull-Rom); closed where the first is the last."""
    if len(points) < 3:
        return tuple(points)
    closed = points[0] == points[-1]
    before = points[-2] if closed else points[0]
    after = points[1] if closed else points[-1]
    known = [np.array(p, np.float64) for p in (before, *points, after)]
    made: list[Point] = []
    for a, b, c, d in zip(known, known[1:], known[2:], known[3:], strict=False):
        for t in np.arange(steps) / steps:
            at = 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
            made.append((float(at[0]), float(at[1])))
    return (*made, points[-1])


def draw(image: Greys, found: Sequence[Mark], place: Callable[[Point], Point]) -> Greys:
    """The picture with the marks in white. place: from pixels of the stored image to pixels of `image`."""
    if not found:
        return image
    picture = Image.fromarray(np.ascontiguousarray(image))
    pen = ImageDraw.Draw(picture)
    white: int | tuple[int, int, int] = 255 if image.ndim == 2 else (255, 255, 255)
    size = max(9, min(image.shape[:2]) // _TEXT_SHARE)
    for mark in found:
        if isinstance(mark, Label):
            _write(pen, mark, place(mark.at), size, white)
        else:
            _trace(pen, [place(point) for point in mark.points], mark.filled, white)
    return np.asarray(picture)


def _trace(pen: ImageDraw.ImageDraw, points: list[Point], filled: bool, white: int | tuple[int, int, int]) -> None:
    points = [(x - 0.5, y - 0.5) for x, y in points]  # Pillow's 0, 0 is the centre of the first pixel
    if len(points) == 1:
        (x, y), arm = points[0], 4
        for line in ([(x - arm, y), (x + arm, y)], [(x, y - arm), (x, y + arm)]):
            pen.line(line, fill=0, width=_LINE_WIDTH + 2 * _EDGE)
        for line in ([(x - arm, y), (x + arm, y)], [(x, y - arm), (x, y + arm)]):
            pen.line(line, fill=white, width=_LINE_WIDTH)
    elif filled and len(points) > 2:
        pen.polygon(points, fill=white)
    elif points:
        pen.line(points, fill=0, width=_LINE_WIDTH + 2 * _EDGE)
        pen.line(points, fill=white, width=_LINE_WIDTH)


def _write(pen: ImageDraw.ImageDraw, label: Label, at: Point, size: int, white: int | tuple[int, int, int]) -> None:
    anchor = {"left": "lm", "center": "mm", "right": "rm"}[label.align]
    step = size * 1.25
    first = at[1] - step * (len(label.lines) - 1) / 2
    for n, line in enumerate(label.lines):
        pen.text(
            (at[0], first + n * step),
            line,
            fill=white,
            font=_font(size),
            anchor=anchor,
            stroke_width=_EDGE,
            stroke_fill=0,
        )


@lru_cache(maxsize=16)
def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(paths.font()), size)
