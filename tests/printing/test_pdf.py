"""Real files, read back by other programs: poppler for pages and text, pikepdf for pixels, page-validation for PDF/A."""

import re
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import page as validator
import pikepdf
import pydicom
import pytest
from PIL import Image

from app.printing import lines, papers, pdf
from app.printing.errors import TypesettingFailed
from app.printing.press import Press
from app.printing.sheet import FrameShape, Sheet, SheetOptions, View, compose
from tests.printing.pictures import cut, pattern, picture

_ABOUT = pdf.PdfProperties("Filmroom print", datetime(2026, 11, 20, 18, 42, tzinfo=UTC))


@pytest.fixture(scope="module")
def press() -> Iterator[Press]:
    opened = Press()
    yield opened
    opened.close()


def _write(press: Press, target: Path, sheet: Sheet, *, colour: bool = False, **more: Any) -> Path:
    wholes: dict[tuple[int, int], pdf.Pixels] = {}

    def pixels(placed: Any) -> pdf.Pixels:
        size = placed.picture.seen_size
        return cut(wholes.setdefault(size, pattern(*size, colour=colour)), placed)

    pdf.write(sheet, press, pixels, target, _ABOUT, **more)
    return target


def _faults(path: Path) -> list[str]:
    report = validator.validate_pdf(str(path), profile="3b")
    faults = [f"{f.rule_id}: {f.message}" for f in report.failures]
    assert report.is_compliant or faults
    return faults


def _text(path: Path, *options: str) -> str:
    return subprocess.run(
        ["pdftotext", "-layout", *options, path, "-"], capture_output=True, check=True
    ).stdout.decode()


def _grey(path: Path, dpi: int, number: int = 1) -> np.ndarray[Any, Any]:
    command = ["pdftoppm", "-r", str(dpi), "-f", str(number), "-l", str(number), "-gray", path]
    return np.asarray(Image.open(BytesIO(subprocess.run(command, capture_output=True, check=True).stdout)))


def test_the_validator_can_say_no(tmp_path: Path) -> None:
    plain = pikepdf.new()
    plain.add_blank_page()
    plain.save(tmp_path / "plain.pdf")
    assert _faults(tmp_path / "plain.pdf")


@pytest.mark.parametrize("layout", sorted(papers.LAYOUTS))
def test_every_layout_is_pdf_a(press: Press, tmp_path: Path, layout: str) -> None:
    options = SheetOptions(layout=layout, scaling="fill", texts="full")
    sheet = compose([picture(n) for n in range(options.cells_per_page + 1)], options)
    path = _write(press, tmp_path / "p.pdf", sheet)
    assert _faults(path) == []
    with pikepdf.open(path) as opened:
        assert len(opened.pages) == 2
        assert [len(p.Resources.XObject) for p in opened.pages] == [options.cells_per_page, 1]


@pytest.mark.parametrize("paper", sorted(papers.PAPERS))
@pytest.mark.parametrize("orientation", ["portrait", "landscape"])
def test_every_paper_has_its_size(press: Press, tmp_path: Path, paper: str, orientation: Any) -> None:
    options = SheetOptions(paper=paper, orientation=orientation, scaling="actual")
    path = _write(press, tmp_path / "p.pdf", compose([picture()], options), colour=True)
    assert _faults(path) == []
    info = subprocess.run(["pdfinfo", path], capture_output=True, check=True, text=True).stdout
    said = re.search(r"Page size:\s+([\d.]+) x ([\d.]+) pts", info)
    assert said
    width, height = papers.PAPERS[paper]
    wanted = (height, width) if orientation == "landscape" else (width, height)
    assert (float(said[1]) / pdf.POINT, float(said[2]) / pdf.POINT) == pytest.approx(wanted, abs=0.01)


@pytest.mark.parametrize("colour", [False, True])
def test_the_pixels_are_the_images_own(press: Press, tmp_path: Path, colour: bool) -> None:
    image = picture(rows=300, columns=200, view=View(crop=(0.25, 0.5, 0.5, 0.25)))
    path = _write(press, tmp_path / "p.pdf", compose([image], SheetOptions()), colour=colour)
    with pikepdf.open(path) as opened:
        stream = opened.pages[0].Resources.XObject.Im0
        shape = (stream.Height, stream.Width, 3) if colour else (stream.Height, stream.Width)
        found = np.frombuffer(stream.read_bytes(), np.uint8).reshape(shape)
    assert np.array_equal(found, pattern(300, 200, colour)[150:225, 50:150])


def test_a_millimetre_is_a_millimetre_on_the_page(press: Press, tmp_path: Path) -> None:
    """A white square of 60 mm in the patient, measured on the rasterised page."""
    image = picture(rows=100, columns=100, spacing=(1.0, 1.0), letters=("", "", "", ""))
    sheet = compose([image], SheetOptions(scaling="actual", texts="none", ruler=False))
    square = np.zeros((100, 100), np.uint8)
    square[20:80, 20:80] = 255
    path = tmp_path / "p.pdf"
    pdf.write(sheet, press, lambda placed: cut(square, placed), path, _ABOUT)
    cell = sheet.pages[0].cells[0].box
    dpi = 254  # ten pixels a millimetre
    page = _grey(path, dpi)[
        int(cell.y * 10) + 5 : int(cell.bottom * 10) - 5, int(cell.x * 10) + 5 : int(cell.right * 10) - 5
    ]
    lit = page > 128
    assert np.count_nonzero(lit.any(axis=0)) == pytest.approx(600, abs=1)
    assert np.count_nonzero(lit.any(axis=1)) == pytest.approx(600, abs=1)


def test_the_check_ruler_measures_a_hundred_millimetres(press: Press, tmp_path: Path) -> None:
    sheet = compose([picture()], SheetOptions(scaling="actual"))
    path = _write(press, tmp_path / "p.pdf", sheet)
    line = next(s for s in sheet.pages[0].strokes if s.tone == "ink" and s.y1 == s.y2)
    row = _grey(path, 254)[round(line.y1 * 10)]
    dark = np.flatnonzero(row < 128)
    assert (dark.max() - dark.min() + 1) / 10 == pytest.approx(100, abs=0.3)


def test_text_is_text_with_the_page_lines(press: Press, tmp_path: Path) -> None:
    options = SheetOptions(layout="1x2", values={"Date": "20 Nov 2026 18:42", "By": "M. Soler"})
    path = _write(press, tmp_path / "p.pdf", compose([picture(n) for n in range(3)], options))
    text = _text(path, "-f", "2")
    for wanted in (
        "Hong, Gildong",
        "80-04417",
        "Hospital del Valle",
        "Printed 20 Nov 2026 18:42 by M. Soler",
        "Page 2 of 2",
        "W 400 L 40",
    ):
        assert wanted in text, text
    assert text.count("W 400 L 40") == 1, "the dark edge under white text is not text of its own"


def test_white_text_can_be_read_on_white_pixels(press: Press, tmp_path: Path) -> None:
    image = picture(rows=100, columns=100)
    white = np.full((100, 100), 255, np.uint8)
    sheet = compose([image], SheetOptions(scaling="fill", ruler=False))
    pdf.write(sheet, press, lambda placed: cut(white, placed), tmp_path / "p.pdf", _ABOUT)
    page = _grey(tmp_path / "p.pdf", 254)
    spot = next(t.box for t in sheet.pages[0].cells[0].texts if t.content == "W 400 L 40")
    around = page[int(spot.y * 10) : int(spot.bottom * 10), int(spot.x * 10) : int(spot.x * 10) + 150]
    assert around.min() < 40 and around.max() > 240


def test_names_in_any_script_stay_valid(press: Press, tmp_path: Path, shared_data: Path) -> None:
    names = []
    for file in sorted((shared_data / "charset").glob("*.dcm")):
        names.append(
            (file.name, str(pydicom.dcmread(file, stop_before_pixels=True, force=True).get("PatientName", "")))
        )
    assert len(names) > 15
    pictures = [picture(n, name=name, rows=32, columns=32) for n, (_, name) in enumerate(names)]
    path = _write(press, tmp_path / "p.pdf", compose(pictures, SheetOptions(layout="1x1")))
    assert _faults(path) == []
    text = _text(path)
    for wanted in ("山田", "Люкceмбypг", "Διονυσιος", "김희중", "王"):
        assert wanted in text, wanted


@pytest.mark.parametrize(
    "name",
    [
        "\U0001f4a9 emoji", "\ue000 private", "\u0378 unassigned", "a\x00b\x1bc\x07", "\u202eevil\u202c", "\ud800 lone",
        "ﷺ ﷽", "ก็็็็็็็็็็", "𠮷野家 𓀀 𐎠", "<b>&amp;</b> <script>", "\u200b\u200d\ufe0f\u2028\u2029", "x" * 400, "السلام עברית हिन्दी ไทย 한국어 བོད",
    ],
)  # fmt: skip
def test_no_name_breaks_the_file(press: Press, tmp_path: Path, name: str) -> None:
    sheet = compose([picture(name=name)], SheetOptions(texts="full"))
    assert _faults(_write(press, tmp_path / "p.pdf", sheet)) == []


def test_markup_in_a_name_is_text(press: Press, tmp_path: Path) -> None:
    path = _write(
        press, tmp_path / "p.pdf", compose([picture(name='<img src="file:///etc/hostname"> A & B')], SheetOptions())
    )
    assert '<img src="file:///etc/hostname"> A & B' in _text(path)


def test_the_same_sheet_gives_the_same_bytes(press: Press, tmp_path: Path) -> None:
    sheet = compose([picture(n, name="山田^太郎") for n in range(9)], SheetOptions(layout="2x2"))
    first, second = (_write(press, tmp_path / f"{n}.pdf", sheet).read_bytes() for n in range(2))
    assert first == second


def test_a_password_locks_with_aes_256_and_decrypted_it_is_pdf_a(press: Press, tmp_path: Path) -> None:
    path = _write(press, tmp_path / "p.pdf", compose([picture()], SheetOptions()), password="Größe 7")
    with pytest.raises(pikepdf.PasswordError):
        pikepdf.open(path)
    assert b"Hong" not in path.read_bytes()
    with pikepdf.open(path, password="Größe 7") as opened:
        assert (opened.encryption.R, opened.encryption.bits) == (6, 256)
        opened.save(tmp_path / "open.pdf", compress_streams=False)
    assert _faults(tmp_path / "open.pdf") == []


def test_attachments_are_associated_files_with_their_bytes(press: Press, tmp_path: Path) -> None:
    content = bytes(range(256)) * 40
    files = [
        pdf.Attachment("b.dcm", content, "application/dicom", "The object"),
        pdf.Attachment("a.json", b"[]", "application/dicom+json", "Its metadata"),
    ]
    path = _write(press, tmp_path / "p.pdf", compose([picture()], SheetOptions()), attachments=files)
    assert _faults(path) == []
    with pikepdf.open(path) as opened:
        assert sorted(opened.attachments) == ["a.json", "b.dcm"]
        assert opened.attachments["b.dcm"].get_file().read_bytes() == content
        assert len(opened.Root.AF) == 2


def test_no_stream_ends_in_a_carriage_return() -> None:
    import zlib

    unlucky = next(n.to_bytes(2, "big") for n in range(65536) if zlib.compress(n.to_bytes(2, "big")).endswith(b"\r"))
    packed = pdf.deflate(unlucky)
    assert not packed.endswith(b"\r") and zlib.decompressobj().decompress(packed) == unlucky


def test_an_unlucky_image_is_still_pdf_a(press: Press, tmp_path: Path) -> None:
    import zlib

    for value in range(256):
        flat = np.full((16, 16), value, np.uint8)
        if zlib.compress(flat.tobytes(), 1).endswith(b"\r"):
            break
        flat[0, 0] = 0
        if zlib.compress(flat.tobytes(), 1).endswith(b"\r"):
            break
    else:
        pytest.fail("no such image found")
    sheet = compose([picture(rows=16, columns=16)], SheetOptions())
    pdf.write(sheet, press, lambda placed: flat, tmp_path / "p.pdf", _ABOUT)
    assert _faults(tmp_path / "p.pdf") == []
    with pikepdf.open(tmp_path / "p.pdf") as opened:
        assert opened.pages[0].Resources.XObject.Im0.read_bytes() == flat.tobytes()


def test_more_pages_than_a_batch_keep_their_order(press: Press, tmp_path: Path) -> None:
    pages = pdf.BATCH * 2 + 3
    told: list[tuple[int, int]] = []
    sheet = compose([picture(n, rows=8, columns=8) for n in range(pages)], SheetOptions())
    path = _write(press, tmp_path / "p.pdf", sheet, progress=lambda done, total: told.append((done, total)))
    text = _text(path).split("\f")
    assert [f"Image {n}" in text[n] and f"Page {n + 1} of {pages}" in text[n] for n in range(pages)] == [True] * pages
    assert told == [(n, pages) for n in range(1, pages + 1)]
    assert _faults(path) == []


def test_a_hanging_typesetter_is_ended_and_the_next_order_works(tmp_path: Path) -> None:
    press = Press(width=1, timeout=0.001)
    sheet = compose([picture()], SheetOptions())
    with pytest.raises(TypesettingFailed):
        press.typeset(lines.distinct(sheet.pages)).result()
    press._timeout = 60
    assert press.typeset(lines.distinct(sheet.pages)).result().startswith(b"%PDF")
    press.close()


def test_a_killed_typesetter_is_replaced(tmp_path: Path) -> None:
    press = Press(width=1)
    sheet = compose([picture()], SheetOptions())
    press.typeset(lines.distinct(sheet.pages)).result()
    press._free[0]._process.kill()
    press._free[0]._process.wait()
    assert press.typeset(lines.distinct(sheet.pages)).result().startswith(b"%PDF")
    press.close()


def test_stopping_between_pages_leaves_no_file(press: Press, tmp_path: Path) -> None:
    class Stop(Exception):
        pass

    def stop(done: int, _total: int) -> None:
        if done == 2:
            raise Stop

    images: list[FrameShape | None] = [picture(n) for n in range(5)]
    with pytest.raises(Stop):
        _write(press, tmp_path / "p.pdf", compose(images, SheetOptions()), progress=stop)
    assert list(tmp_path.iterdir()) == []
