"""Previews for the composer: pages as SVG and the pictures in them, from the same Sheet and the
same rendering as the paper."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from app import audit
from app.archive.models import Study
from app.db import Database
from app.kit.errors import Invalid, NotFound
from app.kit.phrases import Phrase, phrase
from app.printing import facts, pixels, queries, selection, svg, wording
from app.printing.gather import Gatherer
from app.printing.order import OrderItem, PrintOrder
from app.printing.sheet import FrameShape, Placed, compose, page_count
from app.security import Actor, Verb, may_see, require

MAX_LISTED = 100_000  # frames of one study beside the pages; a header may state millions


@dataclass(frozen=True, slots=True)
class Preview:
    """pages: how many there are; drawn: page number -> SVG; notices: sentences; width, height: of the paper in mm."""

    pages: int
    images: int
    width: float
    height: float
    drawn: dict[int, str]
    notices: tuple[Phrase, ...]


def pages(
    database: Database, archive: Any, actor: Actor, order: PrintOrder, wanted: range, picture_path: str
) -> Preview:
    """Draws the wanted pages (from 1); only their images are looked at, so a page of a thousand is as quick as one."""
    require(actor, Verb.STUDY_PRINT)
    options = wording.translated(order.sheet_options(**wording.moment(actor.language, actor.name)), actor.language)
    with database.read() as session:
        items = selection.select(session, actor, order).items
    total = page_count(len(items), options)
    size = options.cells_per_page
    chosen = {n for page in wanted for n in range((page - 1) * size, page * size) if 0 <= n < len(items)}
    source = Gatherer(database.read, archive, actor.language, [i.sop_instance_uid for n in chosen if (i := items[n])])
    source.check(items[number] for number in sorted(chosen))
    for study in {found.study.id: found.study for found in source.found.values()}.values():
        _record_view(study)  # their names are on the page
    known: list[FrameShape | None] = []
    for number, item in enumerate(items):
        known.append(source.picture(item, number + 1) if item and number in chosen else None)
    sheet = compose(known, options)
    address = _address(picture_path)
    drawn = {page.number: svg.draw(sheet, page, address) for page in sheet.pages if page.number in wanted}
    images = sum(item is not None for item in items)
    return Preview(total, images, sheet.width, sheet.height, drawn, sheet.notices)


def _address(path: str) -> Callable[[Placed], str]:
    def of(placed: Placed) -> str:
        view, source = placed.picture.view, placed.source
        query: dict[str, Any] = {"sop": placed.picture.sop_instance_uid, "frame": placed.picture.frame}
        if view.window:
            query["window"] = f"{view.window[0]:g},{view.window[1]:g}"
        query |= {k: v for k, v in (("invert", view.invert), ("rotate", view.rotation), ("flip", view.flip)) if v}
        if view.state:
            query["presentation_state_uid"] = view.state
        query["part"] = f"{source.x},{source.y},{source.width},{source.height}"
        return f"{path}?{urlencode(query)}"

    return of


def picture(
    database: Database,
    archive: Any,
    actor: Actor,
    item: OrderItem,
    part: tuple[int, int, int, int] | None,
    size: int,
) -> bytes:
    """A JPEG of one frame as it will be printed. part: x, y, width, height in whole pixels of the image as seen;
    size: at most `size` pixels wide and high."""
    require(actor, Verb.STUDY_VIEW)
    source = Gatherer(database.read, archive, actor.language, [item.sop_instance_uid])
    found = source.found.get(item.sop_instance_uid)
    if found is None or not may_see(actor, found.study.facility_id):
        raise NotFound("Image not found.")
    _record_view(found.study)
    image = source.rendered_frame(item.sop_instance_uid, item.frame, item.view())
    return pixels.jpeg(pixels.shrink(image, part, size))


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """Data for an editor of one frame. rows, columns: as stored; pixel: (height, width) of one in mm in the
    patient, or relative where `measured` is False; window: (center, width) it is seen with, None for colours."""

    rows: int
    columns: int
    pixel: tuple[float, float]
    measured: bool
    window: tuple[float, float] | None


def image_facts(database: Database, archive: Any, actor: Actor, sop_instance_uid: str, frame: int) -> ImageFacts:
    """The facts of one frame before anything is done to it. Raises NotFound, ImagingError."""
    require(actor, Verb.STUDY_PRINT)
    item = OrderItem(sop_instance_uid=sop_instance_uid, frame=frame)
    source = Gatherer(database.read, archive, actor.language, [sop_instance_uid])
    found = source.found.get(sop_instance_uid)
    if found is None or not may_see(actor, found.study.facility_id) or frame > found.instance.number_of_frames:
        raise NotFound("Image not found.")
    _record_view(found.study)
    known = source.picture(item, 1)
    header = source.header(sop_instance_uid)
    window = facts.header_window(header, frame) or pixels.computed_window(
        source.frame(sop_instance_uid, frame), header, frame
    )
    return ImageFacts(known.rows, known.columns, known.pixel, known.spacing is not None, window)


@dataclass(frozen=True, slots=True)
class PrintStripSeries:
    """One series of the strip: its name and frames as (SOP Instance UID, frame, number shown)."""

    uid: str
    modality: str
    title: str
    frames: list[tuple[str, int, str]]


def strip(database: Database, actor: Actor, study_uid: str) -> tuple[Study, list[PrintStripSeries]]:
    """A study and the images of its series, for the composer's left side. Audited: images are seen. Raises NotFound, Invalid
    for more frames than anybody can arrange."""
    require(actor, Verb.STUDY_PRINT)
    with database.read() as session:
        study = queries.study(session, study_uid)
        if study is None or not may_see(actor, study.facility_id):
            raise NotFound("Study not found.")
        grouped: dict[int, PrintStripSeries] = {}
        images = queries.images_of(session, study_uid=study_uid)
        if sum(found.instance.number_of_frames for found in images) > MAX_LISTED:
            raise Invalid(phrase("The maximum is {most} images.", most=MAX_LISTED), field="study")
        for found in images:
            series = found.series
            if series.id not in grouped:
                number = f"{series.series_number}: " if series.series_number is not None else ""
                title = number + (series.description or series.protocol_name or series.modality)
                grouped[series.id] = PrintStripSeries(series.series_instance_uid, series.modality, title, [])
            uid, many = found.instance.sop_instance_uid, found.instance.number_of_frames
            shown = str(found.instance.instance_number or "")
            grouped[series.id].frames.extend(
                (uid, frame, shown if many == 1 else f"{shown}/{frame}") for frame in range(1, many + 1)
            )
    _record_view(study)
    return study, list(grouped.values())


@dataclass(frozen=True, slots=True)
class Unprinted:
    """A chosen study without any frame. images: it has objects of an image class, but they hold no pixel data."""

    study: Study
    images: bool


def unprinted(database: Database, actor: Actor, study_uids: list[str]) -> list[Unprinted]:
    """Which of these studies have nothing to print, in this order; those the actor may not see are left out."""
    require(actor, Verb.STUDY_PRINT)
    with database.read() as session:
        found = queries.studies(session, study_uids)
        seen = [found[uid] for uid in study_uids if uid in found and may_see(actor, found[uid].facility_id)]
        return [
            Unprinted(one, selection.holds_empty_images(session, one.study_instance_uid))
            for one in seen
            if not queries.has_images(session, one.id)
        ]


def _record_view(study: Study) -> None:
    """Images of it go out; the web role writes that down, once for many."""
    audit.record_study(study.study_instance_uid, study.facility_id, shown=True)
