"""The graphics and texts of a presentation state as marks over the stored image (PS3.3 C.10.5)."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from pydicom.dataset import Dataset

from app.imaging.marks import Label, Mark, Point, Polyline, circle, ellipse, interpolate_curve
from app.imaging.params import Crop

_ALIGN: dict[str, Literal["left", "center", "right"]] = {"RIGHT": "right", "CENTER": "center"}


@dataclass(frozen=True, slots=True)
class DisplayedArea:
    """Where the displayed area lies: its rectangle in the stored image, quarter turns clockwise, then flip."""

    area: Crop
    turns: int
    flip: bool

    def to_stored(self, x: float, y: float) -> Point:
        """A point in fractions of the displayed area as it is seen (units DISPLAY), in pixels of the stored image."""
        if self.flip:
            x = 1 - x
        for _ in range(self.turns):  # a quarter back: what is on top was at the left
            x, y = y, 1 - x
        return self.area.column + x * self.area.columns, self.area.row + y * self.area.rows

    def to_displayed(self, point: Point) -> Point:
        """The inverse of `to_stored`."""
        x = (point[0] - self.area.column) / self.area.columns
        y = (point[1] - self.area.row) / self.area.rows
        for _ in range(self.turns):
            x, y = 1 - y, x
        return (1 - x if self.flip else x), y


def read_graphics(ds: Dataset, annotations: Iterable[Dataset], seen: DisplayedArea) -> Iterator[Mark]:
    """Everything that is drawn, in the order of the graphic layers. What cannot be read is left out."""
    order = {
        str(one.get("GraphicLayer")): _integer(one.get("GraphicLayerOrder"))
        for one in ds.get("GraphicLayerSequence") or ()
    }
    for item in sorted(annotations, key=lambda one: order.get(str(one.get("GraphicLayer")), 0)):
        for thing in item.get("GraphicObjectSequence") or ():
            drawn = _graphic(thing, seen)
            if drawn is not None:
                yield drawn
        for thing in item.get("TextObjectSequence") or ():
            yield from _text(thing, seen)


def _integer(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        return 0


def _points(values: Any, units: Any, seen: DisplayedArea) -> list[Point]:
    """Pairs of column and row. PIXEL: in the stored image; DISPLAY: fractions of the displayed area as seen."""
    try:
        numbers = [float(v) for v in values or ()]
    except (TypeError, ValueError):
        return []
    if not all(map(math.isfinite, numbers)):
        return []
    pairs = list(zip(numbers[::2], numbers[1::2], strict=False))
    if str(units or "PIXEL").strip().upper() == "DISPLAY":
        return [seen.to_stored(*pair) for pair in pairs]
    return pairs


def _graphic(thing: Dataset, seen: DisplayedArea) -> Polyline | None:
    kind = str(thing.get("GraphicType") or "").strip().upper()
    points = _points(thing.get("GraphicData"), thing.get("GraphicAnnotationUnits"), seen)
    filled = str(thing.get("GraphicFilled") or "N").strip().upper() == "Y"
    match kind, points:
        case "POINT", [point, *_]:
            return Polyline((point,))
        case "POLYLINE", [_, _, *_]:
            return Polyline(tuple(points), filled and points[0] == points[-1])
        case "INTERPOLATED", [_, _, *_]:
            return Polyline(interpolate_curve(points), filled and points[0] == points[-1])
        case "CIRCLE", [center, edge, *_]:
            return Polyline(circle(center, edge), filled)
        case "ELLIPSE", [start, end, one, other, *_]:
            return Polyline(ellipse(start, end, math.dist(one, other) / 2), filled)
    return None


def _text(thing: Dataset, seen: DisplayedArea) -> Iterator[Mark]:
    """The text in its bounding box, else at its anchor point; a line between both where the anchor is to be seen."""
    lines = tuple(line.rstrip() for line in str(thing.get("UnformattedTextValue") or "").splitlines())
    units = thing.get("BoundingBoxAnnotationUnits")
    corners = [
        *_points(thing.get("BoundingBoxTopLeftHandCorner"), units, seen),
        *_points(thing.get("BoundingBoxBottomRightHandCorner"), units, seen),
    ]
    anchors = _points(thing.get("AnchorPoint"), thing.get("AnchorPointAnnotationUnits"), seen)
    at, align = None, "left"
    if len(corners) == 2:
        align = _ALIGN.get(str(thing.get("BoundingBoxTextHorizontalJustification") or "").strip().upper(), "left")
        at = _edge(corners, align, seen)
    elif anchors:
        at = anchors[0]
    if not any(lines) or at is None:
        return
    if anchors and len(corners) == 2 and str(thing.get("AnchorPointVisibility") or "N").strip().upper() == "Y":
        yield Polyline((_nearest(corners, anchors[0]), anchors[0]))
    yield Label(lines, at, align)  # type: ignore[arg-type]


def _edge(corners: list[Point], align: str, seen: DisplayedArea) -> Point:
    """The middle of the box's left or right edge, or its centre, as the box is seen."""
    (x1, y1), (x2, y2) = (seen.to_displayed(corner) for corner in corners)
    x = {"left": min(x1, x2), "right": max(x1, x2)}.get(align, (x1 + x2) / 2)
    return seen.to_stored(x, (y1 + y2) / 2)


def _nearest(corners: list[Point], to: Point) -> Point:
    """The point of the box's edge or inside that is nearest to the anchor."""
    (x1, y1), (x2, y2) = corners
    return min(max(to[0], min(x1, x2)), max(x1, x2)), min(max(to[1], min(y1, y2)), max(y1, y2))
