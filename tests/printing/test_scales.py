"""What paper says of sizes (cases H12, H13): of the patient, of the detector or film, of each ultrasound region."""

from pathlib import Path

import pydicom
import pytest

from app.printing import facts, wording
from app.printing.shapes import View
from app.printing.sheet import Cell, SheetOptions, compose

CASES = Path(__file__).parents[1] / "cases"


def _cell(path: Path, rotation: int = 0, **options: object) -> Cell:
    ds = pydicom.dcmread(path)
    picture = facts.picture(ds, str(ds.SOPInstanceUID), 1, View(rotation=rotation), "", wording.words("en"))
    sheet = compose([picture], SheetOptions(**options))  # type: ignore[arg-type]
    return sheet.pages[0].cells[0]


def _said(cell: Cell) -> str:
    return " ".join(text.content for text in cell.texts)


@pytest.mark.parametrize(
    ("number", "size", "said"),
    [
        (1, 5.0, "1:1"), (2, 5.0, "1:1"), (3, 10.0, "1:1 at the detector"),
        (4, 5.0, "1:1"), (5, 5.0, "1:1"), (6, 20.0, "1:1 on the film"),
    ],
)  # fmt: skip
def test_h12_a_hundred_pixels_have_their_size_and_say_of_what(number: int, size: float, said: str) -> None:
    cell = _cell(CASES / "H12" / f"{number}.dcm", scaling="actual", paper="A3")
    assert cell.placed
    assert cell.placed.box.width / cell.placed.source.width * 100 == pytest.approx(size)
    assert said in _said(cell)
    assert "detector" in _said(cell) or "film" in _said(cell) or number not in (3, 6)


def test_pixel_spacing_alone_on_a_projection_is_in_an_unknown_plane(tmp_path: Path) -> None:
    ds = pydicom.dcmread(CASES / "H12" / "3.dcm")
    ds.PixelSpacing = ds.ImagerPixelSpacing
    del ds.ImagerPixelSpacing
    ds.save_as(tmp_path / "x.dcm")
    assert "1:1 in an unknown plane" in _said(_cell(tmp_path / "x.dcm", scaling="actual", paper="A3"))


def _bars(cell: Cell) -> list[tuple[float, float, float]]:
    """The long strokes of rulers: their x, top and bottom in mm."""
    return [(s.x1, s.y1, s.y2) for s in cell.strokes if s.x1 == s.x2 and s.width == 0.25]


@pytest.mark.parametrize("rotation", [0, 90])
def test_h13_each_region_has_a_ruler_of_its_own_scale(rotation: int) -> None:
    """Two regions side by side of 0.5 and 0.2 mm a pixel: the same bar in millimetres is longer in the finer one."""
    cell = _cell(CASES / "H13" / "2.dcm", rotation)
    assert cell.placed and cell.placed.scale is None
    pixel = cell.placed.box.height / cell.placed.source.height  # mm on paper
    labels = [text.content for text in cell.texts if text.content.endswith((" mm", " cm"))]
    bars = _bars(cell)
    assert len(bars) == len(labels) == 2
    for (_x, top, bottom), label, spacing in zip(bars, labels, (0.5, 0.2), strict=True):
        stated = float(label.split()[0]) * (10 if label.endswith("cm") else 1)
        assert (bottom - top) / pixel * spacing == pytest.approx(stated)
    middle = cell.placed.box.x + cell.placed.box.width / 2
    if rotation == 0:
        assert bars[0][0] < middle < bars[1][0], "each inside its region"


def test_h13_a_single_region_is_the_scale_of_the_image_and_spectra_have_none() -> None:
    assert len(_bars(_cell(CASES / "H13" / "1.dcm"))) == 1
    cell = _cell(CASES / "H13" / "3.dcm", scaling="actual")
    assert cell.placed and cell.placed.box.width / cell.placed.source.width == pytest.approx(0.5)


def test_rulers_can_be_left_out() -> None:
    assert _bars(_cell(CASES / "H13" / "2.dcm", ruler=False)) == []
