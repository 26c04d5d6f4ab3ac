"""Each distinct line is typeset once and placed as often as it stands on paper."""

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pikepdf
import pytest

from app.printing import lines, pdf
from app.printing.errors import TypesettingFailed
from app.printing.press import Press
from app.printing.sheet import SheetOptions, compose
from tests.printing.pictures import cut, pattern, picture


def test_what_repeats_is_set_once() -> None:
    options = SheetOptions(layout="4x5")
    pages = compose([picture(n) for n in range(100)], options).pages
    asked = lines.distinct(pages)
    assert len(asked) == len(set(asked)) < 130, "100 captions with their own number, the rest once"
    assert sum(len(lines.texts_of(page)) for page in pages) > 800


def test_every_placed_line_is_on_its_page_as_text(tmp_path: Path) -> None:
    values = {"Date": "20 Nov 2026 18:42", "By": "M. Soler"}
    sheet = compose([picture(n, rows=8, columns=8) for n in range(24)], SheetOptions(layout="3x4", values=values))
    grey, press = pattern(8, 8), Press(1)
    about = pdf.PdfProperties("Filmroom print", datetime(2026, 11, 20, tzinfo=UTC))
    try:
        pdf.write(sheet, press, lambda placed: cut(grey, placed), tmp_path / "p.pdf", about)
    finally:
        press.close()
    for page in sheet.pages:
        at = str(page.number)
        command = ["pdftotext", "-f", at, "-l", at, tmp_path / "p.pdf", "-"]
        words = subprocess.run(command, capture_output=True, check=True, text=True).stdout
        asked = [" ".join(text.content.split()) for text in lines.texts_of(page)]
        for content in set(asked):
            assert words.count(content) >= asked.count(content), (content, words)


def test_a_line_that_is_missing_stops_the_print() -> None:
    asked = lines.distinct(compose([picture()], SheetOptions()).pages)
    with pytest.raises(TypesettingFailed):
        lines.cut(b"q\nQ\n", asked)


def test_a_blank_line_is_no_fault(tmp_path: Path) -> None:
    press = Press(1)
    blank = lines.TypesetLine("  ", 20.0, 5.0, 3.0, "left", False)
    word = lines.TypesetLine("Hong", 20.0, 5.0, 3.0, "left", False)
    try:
        (tmp_path / "t.pdf").write_bytes(press.typeset([blank, word]).result())
    finally:
        press.close()
    with pikepdf.open(tmp_path / "t.pdf") as opened:
        pieces = lines.cut(opened.pages[0].Contents.read_bytes(), [blank, word])
    assert b"TJ" in pieces[word].glyphs and b"TJ" not in getattr(pieces.get(blank), "glyphs", b"")
