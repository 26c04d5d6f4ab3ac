"""What is read and written again says the same text, in UTF-8 where its own character set does not carry it."""

from io import BytesIO
from pathlib import Path

import pytest

from app.deid.files import OpenedFile, rewrite
from app.dicom import dicomjson
from app.dicom.reading import dcmread, text_of

CASES = Path(__file__).parents[1] / "cases"
FILES = sorted(path for case in ("H48", "H56", "H17", "H09", "H08") for path in (CASES / case).glob("*.dcm"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_changed_object_keeps_its_texts(path: Path) -> None:
    before = dicomjson.to_json(dcmread(path))

    def edit(opened: OpenedFile) -> None:
        assert [str(element) for element in opened.ds]  # everything is looked at, and would be written anew
        opened.ds.SeriesDescription = "Żółć 홍"

    out = BytesIO()
    with path.open("rb") as source:
        rewrite(source, out, edit)
    made = dcmread(BytesIO(out.getvalue()))
    assert text_of(made, "SeriesDescription") == "Żółć 홍"
    after = dicomjson.to_json(made)
    for model in (before, after):
        for tag in ("00080005", "0008103E", "7FE00010"):
            model.pop(tag, None)
    assert after == before


def test_an_untouched_text_goes_out_as_it_came() -> None:
    out = BytesIO()
    with (CASES / "H56" / "x.dcm").open("rb") as source:
        rewrite(source, out, lambda opened: setattr(opened.ds, "SeriesDescription", "plain"))
    assert b"\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab" in out.getvalue()
