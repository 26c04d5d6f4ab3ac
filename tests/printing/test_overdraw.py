"""Measurements over a printed picture: where they lie, what is cut off, and how an order names them."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from app.imaging.params import RenderParams
from app.imaging.transform import apply
from app.printing.order import OrderItem
from app.printing.overdraw import clip_line, to_displayed
from app.printing.sheet import Box, FrameShape, Mark, SheetOptions, compose

ROWS, COLUMNS = 5, 7
points = st.tuples(st.floats(-50, 150), st.floats(-50, 150))


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize(("horizontal", "vertical"), [(False, False), (True, False), (False, True), (True, True)])
def test_a_mark_lies_on_the_pixel_it_was_drawn_on(rotation: int, horizontal: bool, vertical: bool) -> None:
    item = OrderItem(
        sop_instance_uid="1.2",
        rotate=rotation,
        flip_horizontal=horizontal,
        flip_vertical=vertical,  # type: ignore[arg-type]
    )
    params = RenderParams(rotate=rotation, flip_horizontal=horizontal, flip_vertical=vertical)
    for row, column in ((0, 0), (1, 5), (4, 6), (3, 0)):
        image = np.zeros((ROWS, COLUMNS), np.uint8)
        image[row, column] = 255
        ((y, x),) = np.argwhere(apply(image, params))
        view = item.view()
        assert to_displayed((column + 0.5, row + 0.5), ROWS, COLUMNS, view.rotation, view.flip) == (x + 0.5, y + 0.5)


@given(points, points)
def test_a_line_is_cut_at_the_box_and_keeps_its_direction(start: tuple[float, float], end: tuple[float, float]) -> None:
    box = Box(10, 20, 60, 40)
    part = clip_line(start, end, box)
    middle = ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
    if part is None:
        assert not (box.x < middle[0] < box.right and box.y < middle[1] < box.bottom)
        return
    for x, y in part:
        assert box.x - 1e-6 <= x <= box.right + 1e-6 and box.y - 1e-6 <= y <= box.bottom + 1e-6
        across = (end[0] - start[0]) * (y - start[1]) - (end[1] - start[1]) * (x - start[0])
        assert abs(across) < 1e-6 * (1 + np.hypot(end[0] - start[0], end[1] - start[1])) * 200


def _picture(**order: object) -> FrameShape:
    item = OrderItem.model_validate({"sop_instance_uid": "1.2", **order})
    return FrameShape("1.2", 1, 100, 200, (1.0, 1.0), view=item.view(), marks=item.marks())


def test_lines_and_texts_go_where_the_pixels_go() -> None:
    mark = {
        "lines": [{"points": [[50, 25], [150, 75]]}, {"points": [[150, 75], [190, 80]], "dashed": True}],
        "texts": [{"at": [190, 80], "lines": ["112.4 mm", "at the detector"]}],
    }
    options = SheetOptions(header=False, ruler=False, letters=False, texts="none")
    whole = compose([_picture(annotations=[mark])], options).pages[0].cells[0]
    assert whole.placed is not None
    box = whole.placed.box
    solid, *dashes = whole.strokes
    assert (solid.x1, solid.y1) == pytest.approx((box.x + box.width / 4, box.y + box.height / 4))
    assert (solid.x2, solid.y2) == pytest.approx((box.x + box.width * 3 / 4, box.y + box.height * 3 / 4))
    # What leads to a text is seen as such: thin pieces with gaps.
    assert len(dashes) > 5 and all(one.width < solid.width for one in dashes)
    assert all(before.x2 < after.x1 - 0.2 for before, after in pairwise(dashes))
    assert dashes[0].x1 == pytest.approx(solid.x2) and dashes[-1].x2 < box.x + box.width * 0.95 + 1e-6
    assert [text.content for text in whole.texts] == ["112.4 mm", "at the detector"]
    assert all(whole.box.x <= text.box.x and text.box.right <= whole.box.right + 1e-6 for text in whole.texts)
    # The crop shows the left half: the line ends at its edge.
    left = compose([_picture(annotations=[mark], crop=[0, 0, 0.5, 1])], options).pages[0].cells[0]
    assert left.placed is not None
    (cut,) = left.strokes
    assert cut.x2 == pytest.approx(left.placed.box.right) and cut.x1 == pytest.approx(
        left.placed.box.x + left.placed.box.width / 2
    )


def test_an_order_takes_the_names_of_the_contract_and_those_kept_by_earlier_versions() -> None:
    new = OrderItem.model_validate(
        {"sop_instance_uid": "1.2", "rotate": 90, "flip_horizontal": True, "crop": [0.25, 0.5, 0.75, 0.75]}
    )
    old = OrderItem.model_validate(
        {"sop_instance_uid": "1.2", "rotation": 90, "flip": True, "crop": [0.25, 0.5, 0.5, 0.25]}
    )
    assert new.view() == old.view() and new.view().crop == (0.25, 0.5, 0.5, 0.25)
    assert OrderItem.model_validate(new.model_dump(mode="json")) == new
    for wrong in ([0.5, 0, 0.5, 1], [0, 0.6, 1, 0.4], [0, 0, 1.1, 1], [float("nan"), 0, 1, 1]):
        with pytest.raises(ValidationError):
            OrderItem.model_validate({"sop_instance_uid": "1.2", "crop": wrong})
    for wrong in ([[1, 2]], [[float("inf"), 1], [2, 3]], [[1, 2], [1e9, 3]]):
        with pytest.raises(ValidationError):
            OrderItem.model_validate({"sop_instance_uid": "1.2", "annotations": [{"lines": [{"points": wrong}]}]})


def test_a_mark_changes_no_pixel_and_no_other_cell() -> None:
    plain = _picture()
    marked = replace(plain, marks=(Mark(lines=((((1.0, 1.0), (9.0, 9.0)), False),)),))
    options = SheetOptions(layout="1x2")
    cells = compose([marked, plain], options).pages[0].cells
    assert cells[0].placed is not None and cells[1].placed is not None
    assert cells[0].placed.source == cells[1].placed.source
    assert len(cells[0].strokes) == len(cells[1].strokes) + 1
