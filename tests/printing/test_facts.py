"""What is read from real headers for the Sheet."""

from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset

from app.dicom import dicomjson
from app.dicom.dates import age_at
from app.http.i18n import format_person
from app.pages import rows
from app.printing import facts, wording
from app.printing.shapes import SheetOptions, View
from app.viewing import manifest

WORDS = wording.words("en")


@pytest.mark.parametrize(
    ("view", "letters"),
    [
        (View(), ("R", "L", "A", "P")),
        (View(rotation=90), ("P", "A", "R", "L")),
        (View(rotation=180), ("L", "R", "P", "A")),
        (View(rotation=270), ("A", "P", "L", "R")),
        (View(flip=True), ("L", "R", "A", "P")),
        (View(rotation=90, flip=True), ("A", "P", "R", "L")),
    ],
)
def test_letters_turn_with_the_image(view: View, letters: tuple[str, str, str, str]) -> None:
    assert facts.turned(("R", "L", "A", "P"), view) == letters


def test_a_real_ct(shared_data: Path) -> None:
    ds = pydicom.dcmread(shared_data / "series" / "ct_chest_lidc0314" / "001.dcm", stop_before_pixels=True)
    known = facts.picture(ds, ds.SOPInstanceUID, 1, View(), "1 / 32", WORDS)
    assert (known.rows, known.columns) == (512, 512)
    assert known.spacing == tuple(float(v) for v in ds.PixelSpacing)
    assert known.letters == ("R", "L", "A", "P")
    assert known.values["Window"].startswith("W ") and known.values["Modality"] == "CT"
    seen = facts.picture(ds, ds.SOPInstanceUID, 1, View(window=(-600, 1500), invert=True), "1", WORDS)
    assert seen.values["Window"] == "W 1500 L -600 inverted"


def test_two_people_of_one_name_are_two(shared_data: Path) -> None:
    ds = pydicom.dcmread(shared_data / "modality" / "ct_small.dcm", stop_before_pixels=True)
    one = facts.picture(ds, "1", 1, View(), "", WORDS)
    ds.PatientID = "another"
    assert facts.picture(ds, "1", 1, View(), "", WORDS).patient != one.patient


def test_the_detector_is_not_the_patient() -> None:
    ds = Dataset()
    ds.Rows, ds.Columns, ds.BitsAllocated, ds.SamplesPerPixel = 10, 10, 16, 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.ImagerPixelSpacing = [0.2, 0.2]
    assert facts.picture(ds, "1", 1, View(), "", WORDS).plane == "detector"
    ds.EstimatedRadiographicMagnificationFactor = "1.25"
    corrected = facts.picture(ds, "1", 1, View(), "", WORDS)
    assert corrected.plane == "" and corrected.spacing == pytest.approx((0.16, 0.16))


@pytest.mark.parametrize(
    ("birth", "day", "said"),
    [
        ("19680101", "20261120", "58 yrs"),
        ("20260901", "20261120", "2 mths"),
        ("20261101", "20261120", "19 days"),
        ("", "2", ""),
    ],
)
def test_ages(birth: str, day: str, said: str) -> None:
    assert WORDS.age(age_at(birth, day)) == said


@pytest.mark.parametrize(
    ("birth", "day", "stated", "age", "row"),
    [
        ("19680101", "20261120", "060Y", "58Y", "58"),
        ("", "20261120", "058Y", "58 Y", "58"),
        ("1968", "20261120", "018M", "18 M", "18 mo"),
        ("19680101", "", "003W", "3 W", "3 wk"),
        ("20270101", "20261120", "009D", "9 D", "9 d"),
        ("", "20261120", "about 60", "about 60", "about 60"),
        ("", "20261120", "", "", ""),
    ],
)
def test_list_viewer_and_paper_tell_one_age(birth: str, day: str, stated: str, age: str, row: str) -> None:
    """Without a birth date, too: what the header states, everywhere."""
    ds = Dataset()
    ds.PatientBirthDate, ds.StudyDate, ds.PatientName = birth, day, "Doe^Jane^Q^Dr.^PhD=山田^太郎"
    ds.add_new(0x00101010, "AS", stated)
    paper = facts.header_values(ds, WORDS)
    patient = manifest.study_entry(dicomjson.to_json(ds))["patient"]
    assert (patient.get("patient_age", ""), paper["PatientAge"]) == (age, WORDS.age(age))
    assert rows.age(birth, day, stated) == row
    said = "Doe, Dr. Jane Q, PhD (山田, 太郎)"
    assert patient["patient_name_shown"] == paper["PatientName"] == format_person(str(ds.PatientName)) == said


def test_days_and_names_in_the_readers_language() -> None:
    assert wording.words("es").day("20261120") == "20 nov 2026"
    assert WORDS.day("not a day") == "not a day"
    assert WORDS.person("Hong^Gildong=洪^吉洞=홍^길동") == "Hong, Gildong (洪, 吉洞)"


def test_the_lines_of_a_page_are_in_the_language_of_who_orders() -> None:
    options = wording.translated(SheetOptions(), "es")
    assert options.lines.warning == "No apto para diagnóstico primario en papel"
    assert wording.translated(options, "en").lines.warning == "Not for primary diagnosis on paper"
