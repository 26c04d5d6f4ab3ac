"""Objects that are no images say what they are and offer their content."""

from collections.abc import Callable

import pydicom
import pytest

from tests.viewer.screen import Screen

pytestmark = pytest.mark.browser
Put = Callable[..., pydicom.Dataset]


def shown(screen: Screen) -> str:
    return str(screen.page.locator(".cell-object").inner_text())


def test_a_pdf_stands_in_the_page_and_opens_in_a_tab(screen: Screen, put: Put) -> None:
    ds = put("pdf/encapsulated_pdf.dcm")
    assert screen.open(ds.StudyInstanceUID, ds.SeriesInstanceUID) == "loaded"
    assert "PDF" in shown(screen)
    assert screen.page.locator(".viewer-series[aria-current]").get_attribute("data-series") == ds.SeriesInstanceUID
    address = f"/api/v1/instances/{ds.SOPInstanceUID}/document"
    assert screen.page.locator(".cell-object iframe").get_attribute("src") == address
    answer = screen.page.request.get(address)
    assert answer.headers["content-type"] == "application/pdf" and answer.body()[:5] == b"%PDF-"
    screen.shot("pdf")


def test_a_report_is_shown_as_a_tree(screen: Screen, put: Put) -> None:
    ds = put("sr/sr_comprehensive.dcm")
    assert screen.open(ds.StudyInstanceUID, ds.SeriesInstanceUID) == "loaded"
    screen.page.locator(".object-tree li").first.wait_for()
    words = shown(screen)
    assert ds.ConceptNameCodeSequence[0].CodeMeaning in words
    texts = [item.TextValue for item in ds.ContentSequence if item.ValueType == "TEXT"]
    flat = " ".join(words.split())
    assert texts and all(" ".join(text.split()) in flat for text in texts)
    family = str(ds.PatientName).split("^")[0]
    assert family and family in screen.page.locator(".object-patient").inner_text(), "a report says whose it is"
    assert screen.page.locator('[data-action="tool:length"]').is_disabled(), "nothing is measured on a report"
    assert screen.page.locator('[data-action="panel"]').is_enabled()
    screen.shot("report")


def test_what_was_acquired_is_seen_before_what_was_drawn_over_it(screen: Screen, put: Put) -> None:
    """The segmentation has the lower series number; the PET is what people came to see."""
    mask, pet = put("series/pt_headneck/seg_tumor.dcm"), put("series/pt_headneck/001.dcm")
    assert mask.StudyInstanceUID == pet.StudyInstanceUID
    assert screen.open(pet.StudyInstanceUID) == "loaded"
    assert screen.page.locator(".viewer-series[aria-current]").get_attribute("data-series") == pet.SeriesInstanceUID


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("waveform/ecg_12lead.dcm", "Waveform"),
        ("ko/ko_parity.dcm", "report"),
        ("rt/rtplan.dcm", "without an image"),
        ("sr/rwvm_pet.dcm", "without an image"),
    ],
)
def test_other_objects_say_what_they_are(screen: Screen, put: Put, name: str, word: str) -> None:
    ds = put(name)
    assert screen.open(ds.StudyInstanceUID, ds.SeriesInstanceUID) == "loaded"
    assert word in shown(screen)
    assert not screen.page.locator(".cell .cell-canvas").is_visible()
