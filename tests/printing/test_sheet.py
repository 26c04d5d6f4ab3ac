"""The Sheet is pure geometry: everything here is proved on any layout, paper and image that hypothesis thinks of."""

from dataclasses import replace
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.printing import papers
from app.printing.errors import ActualSizeImpossible
from app.printing.fitting import fitted
from app.printing.shapes import Scale
from app.printing.sheet import Box, FrameShape, SheetOptions, View, cell_boxes, compose, fit_picture, page_count
from tests.printing.pictures import picture

_spacing = st.floats(0.05, 5)
_options = st.builds(
    SheetOptions,
    layout=st.sampled_from(sorted(papers.LAYOUTS)),
    paper=st.sampled_from(sorted(papers.PAPERS)),
    orientation=st.sampled_from(["portrait", "landscape"]),
    margin_mm=st.floats(5, 20),
    gap_mm=st.floats(0, 8),
    scaling=st.sampled_from(["fit", "fill", "actual"]),
    texts=st.sampled_from(["none", "standard", "full"]),
    header=st.booleans(),
)


@st.composite
def _pictures(draw: st.DrawFn) -> FrameShape:
    x, y = draw(st.floats(0, 0.8)), draw(st.floats(0, 0.8))
    crop = (x, y, draw(st.floats(0.1, 1 - x)), draw(st.floats(0.1, 1 - y)))
    view = View(rotation=draw(st.sampled_from([0, 90, 180, 270])), flip=draw(st.booleans()), crop=crop)
    rows, columns = draw(st.integers(8, 4000)), draw(st.integers(8, 4000))
    return picture(rows=rows, columns=columns, spacing=(draw(_spacing), draw(_spacing)), view=view)


def _inside(inner: Box, outer: Box, slack: float = 1e-6) -> bool:
    return (
        inner.x >= outer.x - slack
        and inner.y >= outer.y - slack
        and inner.right <= outer.right + slack
        and inner.bottom <= outer.bottom + slack
    )


def _apart(a: Box, b: Box, gap: float) -> bool:
    slack = 1e-6
    across = max(b.x - a.right, a.x - b.right)
    down = max(b.y - a.bottom, a.y - b.bottom)
    return max(across, down) >= gap - slack


@settings(max_examples=300, deadline=None)
@given(_options, st.lists(_pictures() | st.none(), min_size=1, max_size=9))
def test_nothing_leaves_the_margins_and_cells_keep_their_distance(
    options: SheetOptions, pictures: list[FrameShape | None]
) -> None:
    sheet = compose(pictures, options)
    assert len(sheet.pages) == page_count(len(pictures), options)
    for page in sheet.pages:
        boxes = [cell.box for cell in page.cells]
        assert all(box.width > 1 and box.height > 1 for box in boxes)
        assert all(_inside(box, sheet.area) for box in boxes)
        assert all(_apart(a, b, options.gap_mm) for a, b in combinations(boxes, 2))
        for text in page.texts:
            assert _inside(text.box, sheet.area), text
            assert all(_apart(text.box, box, 0) for box in boxes), text
        for stroke in page.strokes:
            assert _inside(Box(stroke.x1, stroke.y1, stroke.x2 - stroke.x1, stroke.y2 - stroke.y1), sheet.area)
        for cell in page.cells:
            for text in cell.texts:
                assert _inside(text.box, cell.box), text
            for stroke in cell.strokes:
                assert _inside(Box(stroke.x1, stroke.y1, stroke.x2 - stroke.x1, stroke.y2 - stroke.y1), cell.box)
            if cell.placed:
                assert _inside(cell.placed.box, cell.box)


@settings(max_examples=300, deadline=None)
@given(_pictures(), st.floats(10, 300), st.floats(10, 300), st.sampled_from(["fit", "fill", "actual"]))
def test_the_aspect_is_kept_and_the_pixels_are_inside_the_crop(
    image: FrameShape, width: float, height: float, scaling: str
) -> None:
    cell = Box(3, 4, width, height)
    placed = fit_picture(image, cell, scaling)
    rows, columns = image.seen_size
    source = placed.source
    assert source.x >= 0 and source.y >= 0 and source.x + source.width <= columns and source.y + source.height <= rows
    x, y, w, h = image.view.crop
    assert source.x >= round(x * columns) and source.x + source.width <= max(round((x + w) * columns), source.x + 1)
    assert source.y >= round(y * rows) and source.y + source.height <= max(round((y + h) * rows), source.y + 1)
    pixel_height, pixel_width = image.pixel
    scale = placed.scale
    assert scale is not None
    one_pixel_fits = pixel_width * scale <= width and pixel_height * scale <= height
    if one_pixel_fits:
        assert placed.box.width == pytest.approx(source.width * pixel_width * scale, rel=1e-5)
        assert placed.box.height == pytest.approx(source.height * pixel_height * scale, rel=1e-5)
    if scaling == "fit":
        assert not placed.cut
        assert placed.box.width == pytest.approx(width) or placed.box.height == pytest.approx(height)
    if scaling == "fill" and one_pixel_fits:
        assert width - placed.box.width <= pixel_width * scale * 1.001
        assert height - placed.box.height <= pixel_height * scale * 1.001


@settings(max_examples=200, deadline=None)
@given(_pictures(), _options)
def test_in_actual_size_a_millimetre_is_a_millimetre(image: FrameShape, options: SheetOptions) -> None:
    for cell in cell_boxes(options):
        placed = fit_picture(image, cell, "actual")
        pixel_height, pixel_width = image.pixel
        assert placed.scale == 1.0
        if pixel_width <= cell.width and pixel_height <= cell.height:
            assert placed.box.width == pytest.approx(placed.source.width * pixel_width, abs=1e-6)
            assert placed.box.height == pytest.approx(placed.source.height * pixel_height, abs=1e-6)


def test_actual_size_without_spacing_is_refused_and_the_field_is_named() -> None:
    with pytest.raises(ActualSizeImpossible) as caught:
        compose([picture(1), picture(2, spacing=None)], SheetOptions(layout="2x2", scaling="actual"))
    assert "Image 2" in caught.value.detail and caught.value.extra["field"] == "scaling"
    assert caught.value.status == 422


@pytest.mark.parametrize(("scaling", "share"), [("fit", None), ("actual", 1.0)])
def test_the_ruler_is_as_long_as_it_says(scaling: str, share: float | None) -> None:
    sheet = compose([picture(rows=200, columns=200, spacing=(0.5, 0.5))], SheetOptions(scaling=scaling))  # type: ignore[arg-type]
    cell = sheet.pages[0].cells[0]
    assert cell.placed and cell.placed.scale
    bar = cell.strokes[0]
    label = next(t.content for t in cell.texts if t.content.endswith((" cm", " mm")))
    said = float(label.split()[0]) * (10 if label.endswith("cm") else 1)
    assert bar.y2 - bar.y1 == pytest.approx(said * cell.placed.scale)
    if share:
        assert cell.placed.scale == share and bar.y2 - bar.y1 == pytest.approx(said)


@pytest.mark.parametrize("texts", ["standard", "full"])
def test_the_rulers_label_covers_no_corner_text(texts: str) -> None:
    regions = (Scale((0, 0), (200, 200), (0.5, 0.5)),)
    for image in (picture(rows=200, columns=200, spacing=(0.5, 0.5)), picture(spacing=None, scales=regions)):
        cell = compose([image], SheetOptions(layout="2x2", texts=texts)).pages[0].cells[0]
        label = next(t for t in cell.texts if t.content.endswith((" cm", " mm")))
        corners = [t for t in cell.texts if t.tone == "light" and t is not label]
        assert all(_apart(label.box, other.box, 0.0) for other in corners), texts


def test_a_name_that_is_too_long_ends_with_an_ellipsis() -> None:
    name = "Wolfeschlegelsteinhausenbergerdorff-Featherstonehaugh, Maximiliana " * 2
    image = picture()
    image = replace(image, values={**image.values, "PatientName": name})
    page = compose([image], SheetOptions(layout="2x2", texts="full")).pages[0]
    cut = [t.content for t in (*page.texts, *page.cells[0].texts) if t.content.startswith("Wolfe")]
    assert len(cut) == 2 and all(one.endswith("…") and len(one) > 15 for one in cut)
    kept = [t.content for t in page.texts if t.content == "Hospital del Valle"]
    assert kept, "what fits stays whole"
    assert fitted("김희중" * 9, 30.0, 3.0) == "김희중" * 3 + "…", "a Hangul syllable is as wide as high"


def test_actual_size_prints_a_hundred_true_millimetres() -> None:
    sheet = compose([picture()], SheetOptions(scaling="actual", margin_mm=20, paper="A5"))
    longest = max(sheet.pages[0].strokes, key=lambda s: (s.tone == "ink", s.x2 - s.x1))
    assert longest.x2 - longest.x1 == pytest.approx(100)


def test_actual_size_says_what_it_cut() -> None:
    sheet = compose([picture(spacing=(0.7, 0.7))], SheetOptions(layout="2x2", scaling="actual"))
    assert sheet.notices == (
        "Actual size requires 358 x 358 mm, the cell has 94 x 126 mm: the image will be cropped.",
    ), sheet.notices
    assert "1:1, cut" in " ".join(t.content for t in sheet.pages[0].cells[0].texts)


def test_a_quarter_turn_swaps_the_spacing() -> None:
    image = picture(rows=100, columns=50, spacing=(2.0, 1.0), view=View(rotation=90))
    placed = fit_picture(image, Box(0, 0, 400, 400), "actual")
    assert (placed.box.width, placed.box.height) == (200, 50)
    assert (placed.source.width, placed.source.height) == (100, 50)


def test_pages_are_added_as_needed_and_gaps_stay_empty() -> None:
    sheet = compose([picture(1), None, picture(3), picture(4), picture(5)], SheetOptions(layout="2x2"))
    assert len(sheet.pages) == 2
    assert [c.placed is None for c in sheet.pages[0].cells] == [False, True, False, False]
    assert [c.placed is None for c in sheet.pages[1].cells] == [False, True, True, True]
    assert any(t.content == "Page 2 of 2" for t in sheet.pages[1].texts)


def test_a_page_that_mixes_patients_names_each_in_its_own_cell() -> None:
    sheet = compose([picture(1, name="One, A"), picture(2, name="Two, B")], SheetOptions(layout="1x2"))
    page = sheet.pages[0]
    assert not any("One, A" in t.content for t in page.texts)
    for cell, name in zip(page.cells, ("One, A", "Two, B"), strict=True):
        assert any(t.content == name for t in cell.texts)


@pytest.mark.parametrize("texts", ["none", "standard", "full"])
def test_a_mixed_page_names_its_patients_whatever_texts_were_chosen(texts: str) -> None:
    """An image without a name beside another patient's would be anybody's."""
    images = [picture(1, name="One, A"), picture(2, name="Two, B"), picture(3, name="One, A")]
    sheet = compose(images, SheetOptions(layout="1x2", texts=texts, header=False))
    for cell, name in zip(sheet.pages[0].cells, ("One, A", "Two, B"), strict=True):
        assert any(t.content == name for t in cell.texts)
    assert sheet.notices == ("Page 1 contains images of 2 patients; the patient name is printed with each image.",)


def test_without_header_each_image_names_its_patient() -> None:
    cell = compose([picture(1)], SheetOptions(header=False)).pages[0].cells[0]
    assert any(t.content == "Hong, Gildong" for t in cell.texts)


@pytest.mark.parametrize(
    ("layout", "cells"),
    [("1x1", 1), ("1x2", 2), ("2x1", 2), ("2x2", 4), ("1+3", 4), ("2x3", 6), ("3x4", 12), ("4x4", 16), ("4x5", 20)],
)
def test_every_layout_has_its_cells(layout: str, cells: int) -> None:
    assert SheetOptions(layout=layout).cells_per_page == cells


def test_one_and_three_puts_the_three_where_the_page_is_long() -> None:
    tall = cell_boxes(SheetOptions(layout="1+3"))
    wide = cell_boxes(SheetOptions(layout="1+3", orientation="landscape"))
    assert all(small.y > tall[0].bottom for small in tall[1:])
    assert all(small.x > wide[0].right for small in wide[1:])
