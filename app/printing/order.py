"""A print order, as in the contract (DESIGN part 2, POST /api/v1/prints)."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from app.kit import queue_priority
from app.kit.errors import Invalid
from app.kit.phrases import phrase
from app.printing import load, papers
from app.printing.errors import OutputNotAvailable
from app.printing.sheet import Mark, SheetOptions, View
from app.printing.texts import CORNERS

AVAILABLE = ("pdf", "images")
OUTPUTS_LATER = ("printer", "film", "email")
MAX_ITEMS = 10_000
Fraction = Annotated[float, Field(ge=0, le=1)]
Coordinate = Annotated[float, Field(ge=-1e6, le=1e6)]
ImagePoint = tuple[Coordinate, Coordinate]
_PAPERS = {name.lower(): name for name in papers.PAPERS}


class MarkLine(BaseModel):
    """A line through points (column, row) in pixels of the stored image; the first pixel's centre is (0.5, 0.5).
    dashed: it only leads to a text."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    points: tuple[ImagePoint, ...] = Field(min_length=2, max_length=2000)
    dashed: bool = False


class MarkText(BaseModel):
    """Lines of text whose top left corner is at a point of the stored image; upright however the image is turned."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    at: ImagePoint
    lines: tuple[Annotated[str, Field(max_length=256)], ...] = Field(min_length=1, max_length=20)


class Annotation(BaseModel):
    """One measurement or annotation as it is drawn on the screen, its values as text."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    lines: tuple[MarkLine, ...] = Field(default=(), max_length=200)
    texts: tuple[MarkText, ...] = Field(default=(), max_length=20)


class OrderItem(BaseModel):
    """One frame as it is seen. frame counts from 1; window is [center, width]; rotate is clockwise, flips come after;
    crop is [x0, y0, x1, y1], from 0 to 1 of the image as it is then seen.
    presentation_state_uid: a stored presentation state of the same study; everything else is on top of it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sop_instance_uid: str = Field(min_length=1, max_length=64)
    frame: int = Field(default=1, ge=1)
    window: tuple[float, float] | None = None
    invert: bool = False
    rotate: Literal[0, 90, 180, 270] = 0
    flip_horizontal: bool = False
    flip_vertical: bool = False
    crop: tuple[Fraction, Fraction, Fraction, Fraction] = (0.0, 0.0, 1.0, 1.0)
    presentation_state_uid: str | None = Field(default=None, min_length=1, max_length=64)
    annotations: tuple[Annotation, ...] = Field(default=(), max_length=200)

    @field_validator("annotations", mode="before")
    @classmethod
    def _annotations(cls, annotations: Any) -> Any:
        load.of_annotations(annotations).check(load.OF_ITEM)
        return annotations

    @model_validator(mode="before")
    @classmethod
    def _former_names(cls, values: Any) -> Any:
        """Orders kept by earlier versions: rotation, flip, and a crop of [x, y, width, height]."""
        if not isinstance(values, dict) or not {"rotation", "flip"} & values.keys():
            return values
        named = {"rotation": "rotate", "flip": "flip_horizontal"}
        renamed = {named.get(name, name): value for name, value in values.items()}
        crop = values.get("crop")
        if isinstance(crop, list | tuple) and len(crop) == 4 and all(isinstance(n, int | float) for n in crop):
            x, y, width, height = crop
            renamed["crop"] = (x, y, min(1.0, x + width), min(1.0, y + height))
        return renamed

    @field_validator("window")
    @classmethod
    def _window(cls, window: tuple[float, float] | None) -> tuple[float, float] | None:
        if window is not None and not (
            abs(window[0]) < 1e9 and 0 < window[1] < 1e9
        ):  # JSON readers take NaN and Infinity
            raise ValueError(phrase("a window is a centre and a width above 0, both below 1e9"))
        return window

    @field_validator("crop")
    @classmethod
    def _crop(cls, crop: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
        x0, y0, x1, y1 = crop
        if x0 >= x1 or y0 >= y1:
            raise ValueError(phrase("the crop must lie inside the image: x0, y0, x1, y1 from 0 to 1, x0 < x1, y0 < y1"))
        return crop

    def view(self) -> View:
        """A flip of top and bottom is half a turn and a flip of left and right."""
        x0, y0, x1, y1 = self.crop
        rotation = (self.rotate + (180 if self.flip_vertical else 0)) % 360
        flip = self.flip_horizontal != self.flip_vertical
        return View(
            self.window, self.invert, rotation, flip, (x0, y0, x1 - x0, y1 - y0), self.presentation_state_uid or ""
        )

    def marks(self) -> tuple[Mark, ...]:
        """Graphics drawn over the image."""
        return tuple(
            Mark(
                tuple((line.points, line.dashed) for line in one.lines),
                tuple((text.at, text.lines) for text in one.texts),
            )
            for one in self.annotations
        )


class PrintOrder(BaseModel):
    """Exactly one of items, study_instance_uid, series_instance_uid; None among the items leaves a cell empty."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    items: list[OrderItem | None] | None = Field(default=None, min_length=1, max_length=MAX_ITEMS)
    study_instance_uid: str | None = Field(default=None, max_length=64)
    series_instance_uid: str | None = Field(default=None, max_length=64)

    layout: str = "1x1"
    paper: str = "A4"
    orientation: Literal["portrait", "landscape"] = "portrait"
    margin_mm: float = Field(default=10.0, ge=5, le=20)
    gap_mm: float = Field(default=3.0, ge=0, le=20)
    scaling: Literal["fit", "fill", "actual"] = "fit"
    texts: str = "standard"
    letters: bool = True
    ruler: bool = True
    header: bool = True
    dpi: int = Field(default=300, ge=72, le=1200)
    priority: int = Field(
        default=queue_priority.NORMAL,
        strict=True,
        ge=queue_priority.LOWEST,
        le=queue_priority.HIGHEST,
        description=queue_priority.MEANING,
    )

    output: Literal["pdf", "printer", "film", "email", "images"] = "pdf"
    password: str = Field(default="", max_length=127)
    attach: Literal["none", "json", "dicom"] = "none"
    printer: str | None = None
    image_format: Literal["jpeg", "png", "tiff"] | None = None
    email: dict[str, Any] | None = None
    film: dict[str, Any] | None = None

    @field_validator("items", mode="before")
    @classmethod
    def _items(cls, items: Any) -> Any:
        load.of_items(items).check(load.OF_ORDER)
        return items

    @field_validator("layout")
    @classmethod
    def _layout(cls, layout: str) -> str:
        if layout not in papers.LAYOUTS:
            raise ValueError(phrase("known layouts are {known}", known=", ".join(papers.LAYOUTS)))
        return layout

    @field_validator("paper")
    @classmethod
    def _paper(cls, paper: str) -> str:
        if paper.lower() not in _PAPERS:
            raise ValueError(phrase("known papers are {known}", known=", ".join(papers.PAPERS)))
        return _PAPERS[paper.lower()]

    @field_validator("texts")
    @classmethod
    def _texts(cls, texts: str) -> str:
        if texts not in CORNERS:
            raise ValueError(phrase("known corner texts are {known}", known=", ".join(CORNERS)))
        return texts

    @field_validator("password", mode="before")
    @classmethod
    def _password(cls, password: Any) -> Any:
        return "" if password is None else password

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        sources = (self.items, self.study_instance_uid, self.series_instance_uid)
        if sum(source is not None for source in sources) != 1:
            raise ValueError(phrase("give exactly one of items, study_instance_uid and series_instance_uid"))
        return self

    def check_output(self) -> None:
        """Raises OutputNotAvailable for an output that this version does not have yet, Invalid for what it cannot do."""
        if self.output not in AVAILABLE:
            raise OutputNotAvailable(
                phrase("Output {output} is not available yet.", output=self.output),
                hint=phrase("Available: {known}.", known=", ".join(AVAILABLE)),
                field="output",
                available=list(AVAILABLE),
            )
        for name, asked in (("password", bool(self.password)), ("attach", self.attach != "none")):
            if self.output == "images" and asked:
                raise Invalid("Image files do not support a password or attachments.", hint="Choose PDF.", field=name)

    @property
    def ending(self) -> str:
        return "zip" if self.output == "images" else "pdf"

    def sheet_options(self, **values: str) -> SheetOptions:
        return SheetOptions(
            layout=self.layout,
            paper=self.paper,
            orientation=self.orientation,
            margin_mm=self.margin_mm,
            gap_mm=self.gap_mm,
            scaling=self.scaling,
            texts=self.texts,
            letters=self.letters,
            ruler=self.ruler,
            header=self.header,
            values=values,
        )
