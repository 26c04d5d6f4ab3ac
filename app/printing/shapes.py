"""Parts of a Sheet: boxes, texts, strokes, pictures, cells, pages, all in millimetres. Data only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from app.kit.phrases import NOTHING, Phrase
from app.printing import papers
from app.printing.texts import Corners

Align = Literal["left", "center", "right"]
Tone = Literal["ink", "soft", "light", "letter"]  # dark on paper, grey on paper, over an image, orientation letter


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in mm: left and top edge, width and height."""

    x: float
    y: float
    width: float
    height: float

    @property
    def right(self) -> float:
        return self.x + self.width

    @property
    def bottom(self) -> float:
        return self.y + self.height


@dataclass(frozen=True, slots=True)
class Text:
    """One line in a box as high as the line; what does not fit is cut at the box."""

    box: Box
    content: str
    size: float
    align: Align = "left"
    tone: Tone = "ink"
    bold: bool = False


@dataclass(frozen=True, slots=True)
class Stroke:
    x1: float
    y1: float
    x2: float
    y2: float
    width: float
    tone: Tone = "soft"


@dataclass(frozen=True, slots=True)
class View:
    """How an image is seen. rotation: degrees clockwise; flip: then left and right change places (PS3.3 C.10.6);
    crop: part of the image as seen, (x, y, width, height) from 0 to 1; window: (center, width) or None; state: SOP
    Instance UID of the presentation state it is seen by, empty for none."""

    window: tuple[float, float] | None = None
    invert: bool = False
    rotation: int = 0
    flip: bool = False
    crop: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)
    state: str = ""


Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Mark:
    """A measurement or annotation. lines: (points, dashed); texts: (top left corner, lines of text); points are (column,
    row) in pixels of the stored frame, the first pixel's centre at (0.5, 0.5)."""

    lines: tuple[tuple[tuple[Point, ...], bool], ...] = ()
    texts: tuple[tuple[Point, tuple[str, ...]], ...] = ()


@dataclass(frozen=True, slots=True)
class FrameShape:
    """Data of one frame needed to place it, without its pixels.

    rows, columns: of the stored frame. spacing: (between rows, between columns) in mm in the patient, or None where
    unknown. aspect: height by width of a pixel, used where there is no spacing. plane: "detector", "film" or "unknown"
    where the spacing is not one in the patient (PS3.3 10.7). scales: of parts of an image that has no spacing as a
    whole. letters: (left, right, top, bottom) of the image as seen. marks: drawn over it. values: variables of the
    corner texts. fault: why the image cannot be drawn, empty when it can; its cell shows this sentence instead of
    pixels. notice: notice beside the picture, such as that a part of the frame is missing; empty for most."""

    sop_instance_uid: str
    frame: int
    rows: int
    columns: int
    spacing: tuple[float, float] | None
    aspect: float = 1.0
    view: View = field(default_factory=View)
    letters: tuple[str, str, str, str] = ("", "", "", "")
    patient: str = ""
    plane: str = ""
    scales: tuple["Scale", ...] = ()
    fault: Phrase = NOTHING
    marks: tuple[Mark, ...] = ()
    notice: Phrase = NOTHING
    values: Mapping[str, str] = field(default_factory=dict)

    @property
    def turned(self) -> bool:
        return self.view.rotation in (90, 270)

    @property
    def seen_size(self) -> tuple[int, int]:
        """(rows, columns) as seen."""
        return (self.columns, self.rows) if self.turned else (self.rows, self.columns)

    @property
    def pixel(self) -> tuple[float, float]:
        """(height, width) of a pixel as seen: mm in the patient, or relative where there is no spacing."""
        height, width = self.spacing or (self.aspect, 1.0)
        return (width, height) if self.turned else (height, width)


@dataclass(frozen=True, slots=True)
class Scale:
    """A rectangle of the stored frame, from one corner (column, row) to the other, with a size of its own: spacing is
    (between rows, between columns) in mm in the patient."""

    start: Point
    end: Point
    spacing: tuple[float, float]


@dataclass(frozen=True, slots=True)
class SourceRegion:
    """Whole pixels of the image as seen: first column and row, how many columns and rows."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Placed:
    """A picture on paper. scale: mm on paper by mm in the patient, None where there is no spacing."""

    picture: FrameShape
    box: Box
    source: SourceRegion
    scale: float | None
    cut: bool


@dataclass(frozen=True, slots=True)
class Cell:
    """placed: None in an empty cell and in one whose image cannot be drawn (`undrawable`; the texts have the
    reason)."""

    index: int
    box: Box
    placed: Placed | None
    texts: tuple[Text, ...] = ()
    strokes: tuple[Stroke, ...] = ()
    undrawable: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    number: int
    cells: tuple[Cell, ...]
    texts: tuple[Text, ...]
    strokes: tuple[Stroke, ...]


@dataclass(frozen=True, slots=True)
class Sheet:
    """width, height: of the paper as it lies. area: what the margins leave. notices: sentences for the user."""

    width: float
    height: float
    area: Box
    pages: tuple[Page, ...]
    notices: tuple[Phrase, ...] = ()


@dataclass(frozen=True, slots=True)
class PageLines:
    """Templates of the texts around the cells; translated by who orders, edited by who administers (PRN-6)."""

    institution: str = "[InstitutionName]"
    patient: str = "[PatientName]"
    study: str = "[PatientID], [PatientSex], [PatientAge], [StudyDescription], [StudyDate]"
    several_patients: str = "Several patients: see each image"
    printed: str = "Printed [Date] by [By]"
    warning: str = "Not for primary diagnosis on paper"
    page: str = "Page [Page] of [Pages]"
    check: str = "100 mm: check with a ruler"
    undrawable: str = "This image cannot be displayed."
    detector: str = "at the detector"
    film: str = "on the film"
    unknown: str = "in an unknown plane"


@dataclass(frozen=True, slots=True)
class SheetOptions:
    """texts: a name in CORNERS or own Corners. header: patient line above and page line below the cells."""

    layout: str = "1x1"
    paper: str = "A4"
    orientation: Literal["portrait", "landscape"] = "portrait"
    margin_mm: float = 10.0
    gap_mm: float = 3.0
    scaling: Literal["fit", "fill", "actual"] = "fit"
    texts: str | Corners = "standard"
    letters: bool = True
    ruler: bool = True
    header: bool = True
    values: Mapping[str, str] = field(default_factory=dict)  # [Date], [By]
    lines: PageLines = field(default_factory=PageLines)

    @property
    def landscape(self) -> bool:
        return self.orientation == "landscape"

    @property
    def size(self) -> tuple[float, float]:
        width, height = papers.PAPERS[self.paper]
        return (height, width) if self.landscape else (width, height)

    @property
    def cells_per_page(self) -> int:
        return len(papers.cells_of(self.layout, self.landscape))
