"""The Sheet: positions on paper, in millimetres from the top left corner. Pure: facts in, geometry out.

Preview and PDF are drawn from the same Sheet, so what the preview shows is what is printed (PRN-4)."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import replace

from app.kit.phrases import Phrase, phrase
from app.printing import overdraw, papers, rulers
from app.printing.errors import ActualSizeImpossible
from app.printing.fitting import fitted
from app.printing.shapes import (
    Align,
    Box,
    Cell,
    FrameShape,
    Mark,
    Page,
    PageLines,
    Placed,
    Sheet,
    SheetOptions,
    SourceRegion,
    Stroke,
    Text,
    Tone,
    View,
)
from app.printing.texts import CORNERS, Corners, expand

__all__ = [
    "Align",
    "Box",
    "Cell",
    "FrameShape",
    "Mark",
    "Page",
    "PageLines",
    "Placed",
    "Sheet",
    "SheetOptions",
    "SourceRegion",
    "Stroke",
    "Text",
    "Tone",
    "View",
    "cell_boxes",
    "compose",
    "fit_picture",
    "page_count",
    "scale_text",
]
_HEADER, _FOOTER, _RULE_GAP, _CHECK = 9.0, 3.2, 1.6, 6.5  # heights of bands in mm


def page_count(items: int, options: SheetOptions) -> int:
    return max(1, -(-items // options.cells_per_page))


def compose(pictures: Sequence[FrameShape | None], options: SheetOptions) -> Sheet:
    """Spreads the pictures over as many pages as they need; None leaves a cell empty.

    Raises ActualSizeImpossible when actual size is asked and a picture has no spacing."""
    _check_actual(pictures, options)
    width, height = options.size
    margin = options.margin_mm
    area = Box(margin, margin, width - 2 * margin, height - 2 * margin)
    boxes = cell_boxes(options)
    pages = page_count(len(pictures), options)
    made = []
    notices: list[Phrase] = []
    for number in range(1, pages + 1):
        chosen = pictures[(number - 1) * len(boxes) : number * len(boxes)]
        patients = len({p.patient for p in chosen if p and (p.patient or not p.fault)})
        one_patient = patients <= 1
        if not one_patient:
            notices.append(
                phrase(
                    "Page {page} contains images of {patients} patients; the patient name is printed with each image.",
                    page=number,
                    patients=patients,
                )
            )
        cells = []
        for index, box in enumerate(boxes):
            picture = chosen[index] if index < len(chosen) else None
            if picture and picture.fault:
                notices.append(_undrawable_sentence((number - 1) * len(boxes) + index + 1, picture))
            if picture and picture.notice:
                place_in_order = (number - 1) * len(boxes) + index + 1
                notices.append(phrase("Image {number}: {notice}", number=place_in_order, notice=picture.notice))
            cells.append(_cell(index, box, picture, options, one_patient))
            placed = cells[-1].placed
            if placed and placed.cut and options.scaling == "actual":
                notices.append(_cut_sentence(placed, box))
        texts, strokes = _frame_of(number, pages, chosen, area, options, one_patient)
        made.append(Page(number, tuple(cells), texts, strokes))
    return Sheet(width, height, area, tuple(made), tuple(dict.fromkeys(notices)))


def _check_actual(pictures: Sequence[FrameShape | None], options: SheetOptions) -> None:
    if options.scaling != "actual":
        return
    for index, picture in enumerate(pictures):
        if picture and picture.spacing is None and not picture.fault:
            raise ActualSizeImpossible(
                phrase(
                    "Image {number} cannot be printed in actual size: its pixel size is unknown.",
                    number=index + 1,
                ),
                hint="Select fit or fill, or remove this image.",
                field="scaling",
                sop_instance_uid=picture.sop_instance_uid,
            )


def cell_boxes(options: SheetOptions) -> tuple[Box, ...]:
    """The cells of a page, inside the margins and between header and footer, with the gaps taken off."""
    width, height = options.size
    margin, gap = options.margin_mm, options.gap_mm
    top = margin + (_HEADER + _RULE_GAP if options.header else 0.0)
    bottom = height - margin - (_FOOTER + _RULE_GAP if options.header else 0.0)
    bottom -= _CHECK if options.scaling == "actual" else 0.0
    # Each cell's share is of the area plus one gap, then loses a gap: outer edges meet the area, gaps are all equal.
    across, down = width - 2 * margin + gap, bottom - top + gap
    return tuple(
        Box(margin + x * across, top + y * down, w * across - gap, h * down - gap)
        for x, y, w, h in papers.cells_of(options.layout, options.landscape)
    )


def fit_picture(picture: FrameShape, box: Box, scaling: str) -> Placed:
    """Where the picture lies in the cell: whole pixels, centred, never outside the cell."""
    rows, columns = picture.seen_size
    pixel_height, pixel_width = picture.pixel
    x, y, w, h = picture.view.crop
    left, top = round(x * columns), round(y * rows)
    wanted = SourceRegion(left, top, max(1, round((x + w) * columns) - left), max(1, round((y + h) * rows) - top))
    full_width, full_height = wanted.width * pixel_width, wanted.height * pixel_height
    if scaling == "actual":
        scale = 1.0
    elif scaling == "fill":
        scale = max(box.width / full_width, box.height / full_height)
    else:
        scale = min(box.width / full_width, box.height / full_height)
    # Parts that do not fit are cut in whole pixels, so that a pixel keeps its size on paper.
    keep_columns = min(wanted.width, max(1, int(box.width / (pixel_width * scale) + 1e-6)))
    keep_rows = min(wanted.height, max(1, int(box.height / (pixel_height * scale) + 1e-6)))
    source = SourceRegion(
        wanted.x + (wanted.width - keep_columns) // 2,
        wanted.y + (wanted.height - keep_rows) // 2,
        keep_columns,
        keep_rows,
    )
    width = min(box.width, keep_columns * pixel_width * scale)
    height = min(box.height, keep_rows * pixel_height * scale)
    where = Box(box.x + (box.width - width) / 2, box.y + (box.height - height) / 2, width, height)
    cut = (keep_columns, keep_rows) != (wanted.width, wanted.height)
    return Placed(picture, where, source, scale if picture.spacing else None, cut)


def _cut_sentence(placed: Placed, box: Box) -> Phrase:
    rows, columns = placed.picture.seen_size
    height, width = placed.picture.pixel
    return phrase(
        "Actual size requires {width:.0f} x {height:.0f} mm, the cell has {cell_width:.0f} x {cell_height:.0f} mm: the "
        "image will be cropped.",
        width=columns * width,
        height=rows * height,
        cell_width=box.width,
        cell_height=box.height,
    )


def _undrawable_sentence(number: int, picture: FrameShape) -> Phrase:
    """Names the image by its place in the order, series and instance number, so that it can be found."""
    named = ", ".join(filter(None, (picture.values.get("SeriesDescription", ""), picture.values.get("Image", ""))))
    if named:
        return phrase(
            "Image {number} ({name}) cannot be displayed: {why}", number=number, name=named, why=picture.fault
        )
    return phrase("Image {number} cannot be displayed: {why}", number=number, why=picture.fault)


def _corners_of(options: SheetOptions, one_patient: bool) -> Corners:
    """Where a page mixes patients, or has no header, each image names its patient."""
    if not one_patient or (options.texts == "standard" and not options.header):
        return CORNERS["full"]
    return options.texts if isinstance(options.texts, Corners) else CORNERS[options.texts]


def _undrawable_cell(index: int, box: Box, picture: FrameShape, options: SheetOptions, one_patient: bool) -> Cell:
    """A frame with the reason in the middle and, as with any image, whose it is in the corners."""
    size = min(3.0, max(1.5, min(box.width, box.height) / 36))
    texts = [
        replace(text, tone="soft")
        for text in _corner_texts(_corners_of(options, one_patient), {**options.values, **picture.values}, box, size)
    ]
    width = box.width - 4 * size
    why = picture.values.get("Fault", picture.fault)
    lines = [options.lines.undrawable, *textwrap.wrap(why, max(10, int(width / (size * 0.55))))]
    line = size * 1.4
    lines = lines[: max(1, int((box.height - 6 * size) / line))]
    first = box.y + (box.height - line * len(lines)) / 2
    for n, content in enumerate(lines):
        texts.append(Text(Box(box.x + 2 * size, first + n * line, width, line), content, size, "center", bold=n == 0))
    corners = [(box.x, box.y), (box.right, box.y), (box.right, box.bottom), (box.x, box.bottom)]
    edges = zip(corners, [*corners[1:], corners[0]], strict=True)
    strokes = tuple(Stroke(*start, *end, 0.2) for start, end in edges)
    return Cell(index, box, None, tuple(texts), strokes, undrawable=True)


def _cell(index: int, box: Box, picture: FrameShape | None, options: SheetOptions, one_patient: bool) -> Cell:
    if picture is None:
        return Cell(index, box, None)
    if picture.fault:
        return _undrawable_cell(index, box, picture, options, one_patient)
    placed = fit_picture(picture, box, options.scaling)
    size = min(3.0, max(1.5, min(box.width, box.height) / 36))
    corners = _corners_of(options, one_patient)
    values = {**options.values, **picture.values, "Scale": scale_text(placed, options.lines)}
    texts = _corner_texts(corners, values, box, size)
    corner_boxes = [text.box for text in texts]
    if options.letters:
        texts += _letters(picture, box, size)
    texts += _notice(picture.values.get("Notice", picture.notice), box, size)
    strokes: list[Stroke] = []
    if options.ruler and placed.scale:
        bar, label = rulers.of_picture(placed, box, size, corner_boxes)
        strokes += bar
        texts += label
    for scale in placed.picture.scales if options.ruler else ():
        bar, label = rulers.of_region(placed, scale, size, corner_boxes)
        strokes += bar
        texts += label
    strokes += overdraw.strokes(placed, box)
    texts += overdraw.texts(placed, box, size)
    return Cell(index, box, placed, tuple(texts), tuple(strokes))


def scale_text(placed: Placed, lines: PageLines) -> str:
    """Size on paper by size in the patient, and of what it is a size where that is not the patient (PS3.3 10.7.1)."""
    if placed.scale is None:
        return ""
    scale = "1:1" if abs(placed.scale - 1) < 1e-9 else f"{placed.scale * 100:.0f} %"
    if placed.picture.plane:
        scale += f" {getattr(lines, placed.picture.plane)}"
    return scale + (", cut" if scale.startswith("1:1") and placed.cut else "")


def _corner_texts(corners: Corners, values: Mapping[str, str], box: Box, size: float) -> list[Text]:
    pad, line = size * 0.7, size * 1.3
    half = (box.width - 3 * pad) / 2
    texts = []
    for template, side, top in (
        (corners.top_left, "left", True),
        (corners.top_right, "right", True),
        (corners.bottom_left, "left", False),
        (corners.bottom_right, "right", False),
    ):
        lines = expand(template, values)
        opposite = {"left": corners.top_right, "right": corners.top_left}[side] if top else "both"
        # A corner may use the whole width only where the opposite corner is empty; the letter's middle stays free.
        width = half - size if opposite else min(box.width - 2 * pad, half - size)
        x = box.x + pad if side == "left" else box.right - pad - width
        first = box.y + pad if top else box.bottom - pad - line * len(lines)
        for n, content in enumerate(lines):
            y = first + n * line
            if y >= box.y and y + line <= box.bottom + 1e-9 and width > 0:
                align: Align = "left" if side == "left" else "right"
                texts.append(Text(Box(x, y, width, line), fitted(content, width, size), size, align, "light"))
    return texts


def _letters(picture: FrameShape, box: Box, size: float) -> list[Text]:
    """Orientation letters at the middle of the cell's edges (PS3.3 C.7.6.1.1.1)."""
    left, right, top, bottom = picture.letters
    pad, line, wide = size * 0.7, size * 1.3, size * 4
    middle_x, middle_y = box.x + box.width / 2 - wide / 2, box.y + box.height / 2 - line / 2
    spots: tuple[tuple[str, Box, Align], ...] = (
        (left, Box(box.x + pad, middle_y, wide, line), "left"),
        (right, Box(box.right - pad - wide, middle_y, wide, line), "right"),
        (top, Box(middle_x, box.y + pad, wide, line), "center"),
        (bottom, Box(middle_x, box.bottom - pad - line, wide, line), "center"),
    )
    return [Text(b, letter, size, align, "letter", bold=True) for letter, b, align in spots if letter]


def _notice(notice: str, box: Box, size: float) -> list[Text]:
    """The notice of the picture, in the lower middle of its cell, above the letter."""
    width, line = box.width * 0.8, size * 1.3
    lines = textwrap.wrap(notice, max(10, int(width / (size * 0.55))))
    first = box.bottom - size * 5 - line * len(lines)
    return [
        Text(
            Box(box.x + (box.width - width) / 2, first + n * line, width, line),
            content,
            size,
            "center",
            "light",
            bold=True,
        )
        for n, content in enumerate(lines)
        if first + n * line >= box.y
    ]


def _frame_of(
    number: int,
    pages: int,
    chosen: Sequence[FrameShape | None],
    area: Box,
    options: SheetOptions,
    one_patient: bool,
) -> tuple[tuple[Text, ...], tuple[Stroke, ...]]:
    """Header, footer and check ruler of a page."""
    texts: list[Text] = []
    strokes: list[Stroke] = []
    first = next((p for p in chosen if p), None)
    values = {**options.values, **(first.values if first else {}), "Page": str(number), "Pages": str(pages)}
    if options.header:
        half = area.width / 2 - 1
        right = Box(area.right - half, area.y, half, 4.6)
        if not one_patient:
            texts.append(Text(right, options.lines.several_patients, 3.4, "right", "ink", bold=True))
        else:
            for template, y, size, bold in (
                (options.lines.patient, 0.0, 3.4, True),
                (options.lines.study, 4.6, 2.4, False),
            ):
                # A patient without a name is identified by the id.
                for line in expand(template, values) or (expand("[PatientID]", values) if bold else []):
                    where = Box(right.x, area.y + y, half, size * 1.35)
                    texts.append(Text(where, fitted(line, half, size, bold), size, "right", "ink", bold=bold))
        for line in expand(options.lines.institution, values):
            where = Box(area.x, area.y, half, 4.6)
            texts.append(Text(where, fitted(line, half, 3.4, bold=True), 3.4, "left", "ink", bold=True))
        rule = area.y + _HEADER
        strokes.append(Stroke(area.x, rule, area.right, rule, 0.15))
        low = area.bottom - _FOOTER
        strokes.append(Stroke(area.x, low, area.right, low, 0.15))
        third = area.width / 3
        sides: tuple[tuple[str, Align], ...] = (
            (options.lines.printed, "left"),
            (options.lines.warning, "center"),
            (options.lines.page, "right"),
        )
        for n, (template, side) in enumerate(sides):
            line = " ".join(expand(template, values))
            where = Box(area.x + n * third, low + 0.4, third, 2.8)
            texts.append(Text(where, fitted(line, third, 2.0), 2.0, side, "soft"))
    if options.scaling == "actual":
        low_edge = area.bottom - (_FOOTER + _RULE_GAP if options.header else 0.0)
        more_strokes, more_texts = rulers.check(area, low_edge, options.lines.check)
        strokes += more_strokes
        texts += more_texts
    return tuple(texts), tuple(strokes)
