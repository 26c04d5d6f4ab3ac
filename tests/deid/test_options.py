"""Every option against every row of table E.1-1: what it says is kept is kept, unless it names the patient (H51)."""

from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from app.deid import table
from app.deid.files import anonymize
from app.deid.profile import resolve
from app.deid.pseudonym import Pseudonyms
from tests.deid.planted import vr_of

CASES = Path(__file__).parents[1] / "cases"
KEY = Pseudonyms(b"k" * 32)
OPTIONS = (
    "retain_uids",
    "retain_device_identity",
    "retain_institution_identity",
    "retain_patient_characteristics",
    "retain_full_dates",
)
_VALUES: dict[str, Any] = {
    "AE": "STATION7", "AS": "045Y", "CS": "PLAIN", "DA": "20240506", "DS": "1.5", "DT": "20240506101112", "FD": 1.5, "FL": 1.5,
    "IS": "7", "LO": "Hospital of Nowhere", "LT": "Long text", "OB": b"\1\2", "PN": "Kept^Person", "SH": "Room 7", "SL": 7, "SS": 7,
    "ST": "Lane 1", "TM": "101112", "UC": "Text", "UI": "1.2.3.4", "UL": 7, "UR": "http://a.example", "US": 7, "UT": "Text", "UN": b"\1\2",
}  # fmt: skip


def kept_rows(option: str) -> list[int]:
    return [tag for tag in table.tags() if table.lookup(tag).options.get(option) == "K" and tag >> 16 > 4]  # type: ignore[union-attr]


def cleaned(ds: Dataset, options: list[str]) -> Dataset:
    source, out = BytesIO(), BytesIO()
    ds.save_as(source)
    anonymize(source, out, resolve("basic", options), KEY)
    return dcmread(BytesIO(out.getvalue()))


def with_value(tag: int, value: Any = None) -> Dataset:
    ds = dcmread(CASES / "H51" / "x.dcm")
    vr = vr_of(tag)
    if vr == "SQ":
        code = Dataset()
        code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "R7", "99SITE", "Room seven"
        code.StationAETitle = "STATION7"
        ds.add(DataElement(tag, "SQ", [code]))
    else:
        ds.add(DataElement(tag, vr, _VALUES[vr] if value is None else value))
    return ds


@pytest.mark.parametrize("option", OPTIONS)
def test_what_an_option_keeps_is_kept(option: str) -> None:
    tags = kept_rows(option)
    assert tags
    lost = []
    for tag in tags:
        ds = with_value(tag)
        clean = cleaned(ds, [option])
        if tag not in clean:
            lost.append(f"{tag:08X} is gone")
        elif vr_of(tag) == "SQ":
            if clean[tag].value[0].get("CodeValue") != "R7":
                lost.append(f"{tag:08X} lost its code")
        elif clean[tag].value != ds[tag].value:
            lost.append(f"{tag:08X} {vr_of(tag)} {clean[tag].value!r}")
    assert lost == []


@pytest.mark.parametrize("option", OPTIONS)
def test_the_patient_is_taken_out_of_what_an_option_keeps(option: str) -> None:
    """The patient of H51 is HUNT^H51."""
    left = []
    for tag in kept_rows(option):
        if vr_of(tag) not in ("LO", "SH", "LT", "ST", "UT", "UC"):
            continue
        clean = cleaned(with_value(tag, "Ward of Hunt"), [option])
        if tag in clean and "hunt" in str(clean[tag].value).lower():
            left.append(f"{tag:08X}")
    assert left == []


def test_the_handed_case_keeps_institution_and_station() -> None:
    ds = dcmread(CASES / "H51" / "x.dcm")
    institution = cleaned(ds, ["retain_institution_identity"])
    assert (institution.InstitutionName, institution.InstitutionalDepartmentName) == (
        "Hospital of Nowhere",
        "Radiology",
    )
    assert institution.InstitutionAddress == "Lane 1"
    assert "StationName" not in institution
    device = cleaned(ds, ["retain_device_identity"])
    assert (device.StationName, device.DeviceSerialNumber) == ("CTROOM01", "SN-123456")
    assert "InstitutionName" not in device


def test_a_birth_date_equal_to_the_study_date_does_not_empty_kept_dates() -> None:
    ds = dcmread(CASES / "H51" / "x.dcm")
    ds.PatientBirthDate = ds.StudyDate
    assert cleaned(ds, ["retain_full_dates"]).StudyDate == ds.StudyDate
