"""Identifiers in odd places: values of another VR than the attribute's, numbers, UIDs, tables, words of an address."""

from io import BytesIO

import pytest
from pydicom import dcmread
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from app.deid import people
from app.deid.profile import Options, Profile, resolve
from app.deid.pseudonym import Pseudonyms
from app.deid.walker import Cleaner

KEY = Pseudonyms(b"k" * 32)


def scan() -> Dataset:
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", "1.2.3.1"
    ds.PatientName, ds.PatientID, ds.PatientBirthDate = "Quillfeather^Theodora", "MRN-5581234", "19600203"
    ds.StudyDate = "20210704"
    return ds


def cleaned(ds: Dataset, profile: Profile | None = None) -> Dataset:
    Cleaner(ds, profile or resolve("basic"), KEY).clean(ds)
    out = BytesIO()
    ds.save_as(out, implicit_vr=False, little_endian=True)
    return dcmread(BytesIO(out.getvalue()), force=True)


def raw(tag: int, vr: str, value: bytes) -> RawDataElement:
    return RawDataElement(BaseTag(tag), vr, len(value), value, 0, False, True)


@pytest.mark.parametrize("vr", ["OB", "UN", "LO", "LT"])
def test_a_name_of_another_vr_is_read_and_replaced_as_a_name(vr: str) -> None:
    ds = scan()
    ds.add(raw(0x00100010, vr, b"Quillfeather^Theodora "))
    ds.SequenceName = "Quillfeather"
    clean = cleaned(ds)
    assert clean["PatientName"].VR == "PN"
    assert str(clean.PatientName).startswith("ANON")
    assert "SequenceName" not in clean


@pytest.mark.parametrize("vr", ["FL", "SL", "AT", "LO", "PN", "US", "DS", "UN"])
def test_what_is_put_in_the_place_of_a_value_has_the_vr_of_its_attribute(vr: str) -> None:
    """In every VR of the wrong kind, at the top and in an item: a document, a waveform, names, dates, UIDs, codes."""
    ds, inner = scan(), Dataset()
    for one in (ds, inner):
        for tag in (
            0x00420011,
            0x54001010,
            0x00081070,
            0x00080020,
            0x00080018,
            0x00100040,
            0x00080104,
            0x00081140,
            0x00189073,
        ):
            one.add(raw(tag, vr, b"Quillfeather    "))
    shell = Dataset()
    shell._dict[BaseTag(0x52009229)] = DataElement(0x52009229, "SQ", [inner])
    ds._dict[BaseTag(0x00400275)] = DataElement(0x00400275, "SQ", [shell])
    ds._dict[BaseTag(0x52009229)] = DataElement(0x52009229, "SQ", [inner])
    assert "uillfeather" not in str(cleaned(ds))


@pytest.mark.parametrize("text", ["19600203", "03021960", "2031960"])
def test_a_birth_date_in_a_numeric_string_goes(text: str) -> None:
    ds = scan()
    ds.add(DataElement(0x00181150, "IS", text))
    assert not cleaned(ds).get("ExposureTime")


@pytest.mark.parametrize("option", ["retain_uids", "retain_device_identity"])
def test_a_uid_with_a_number_of_the_patient_is_replaced_though_uids_stay(option: str) -> None:
    ds = scan()
    ds.DeviceUID, ds.FrameOfReferenceUID = "1.2.5581234.3", "1.2.55.8.12.34"
    clean = cleaned(ds, resolve("basic", [option]))
    assert clean.DeviceUID.startswith("2.25.")
    if option == "retain_uids":
        assert clean.FrameOfReferenceUID == "1.2.55.8.12.34"


@pytest.mark.parametrize("keyword", ["Rows", "BitsAllocated", "SamplesPerPixel", "TubeAngle"])
def test_a_text_in_the_bytes_of_numbers_goes_though_they_were_read_before(keyword: str) -> None:
    ds = scan()
    ds.add(raw(tag_for_keyword(keyword) or 0, "FD" if keyword == "TubeAngle" else "US", b"quillfeather    "))
    assert len(ds[keyword].value) > 1, "read, as the sizes of pixels are"
    assert keyword not in cleaned(ds)


def test_a_table_of_just_the_right_length_that_holds_the_name_goes() -> None:
    ds = scan()
    ds.RedPaletteColorLookupTableDescriptor = [16, 0, 8]
    ds.add(DataElement(0x00281201, "OW", b"quillfeather" * 3))
    assert "RedPaletteColorLookupTableData" not in cleaned(ds)


WORDS = [
    ("PatientAddress", "17 Zwickelgasse, 8010 Grazmannsdorf", ["ZWICKELGASSE", "grazmannsdorf 2"]),
    ("PatientTelephoneNumbers", "+43 316 555-01-77", ["tel 433165550177", "316/5550177"]),
    ("InsurancePlanIdentification", "AXQ-77123", ["axq77123"]),
    ("Occupation", "Glockenspieler", ["Glockenspieler"]),
    ("PatientMotherBirthName", "Ploppenstein", ["PLOPPENSTEIN", "Plopenstein"]),
    ("OtherPatientIDs", "OTH-445566", ["oth445566"]),
    ("MilitaryRank", "Obergefreiter", ["obergefreiter"]),
    ("InstitutionName", "St. Egbertus Hospital", ["EGBERTUS", "St Egbertus Hospital"]),
    ("InstitutionAddress", "1 Quorndon Road", ["Quorndon"]),
    ("StudyID", "ST-12345", ["ST12345"]),
    ("DeviceSerialNumber", "SN-424242", ["sn424242"]),
    ("ClinicalTrialSubjectID", "SUBJ-7001", ["subj7001"]),
    ("StudyDate", "20210704", ["2021-07-04", "04.07.2021", "20210704"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("keyword", "value", "text"), [(key, value, text) for key, value, all_ in WORDS for text in all_]
)
def test_what_the_record_says_of_the_patient_is_found_in_kept_texts(keyword: str, value: str, text: str) -> None:
    ds = scan()
    setattr(ds, keyword, value)
    ds.ManufacturerModelName = text
    assert cleaned(ds).get("ManufacturerModelName", "") in ("", "REMOVED")


@pytest.mark.parametrize(
    "text", ["Hospital Street scanner", "Philips Healthcare", "Chest Clinic Mode", "General Medical", "2021.7"]
)
def test_words_that_stand_in_every_address_stay(text: str) -> None:
    ds = scan()
    ds.PatientAddress, ds.InstitutionName = (
        "1 Hospital Street, Clinic Road",
        "General Medical Chest Clinic, Philips Healthcare",
    )
    ds.ManufacturerModelName = text
    assert cleaned(ds).ManufacturerModelName == text


def test_an_ordinary_word_as_a_study_id_empties_nothing() -> None:
    ds = scan()
    ds.StudyID, ds.EthnicGroup, ds.InstitutionalDepartmentName = "CHEST", "White", "Radiology"
    ds.ManufacturerModelName, ds.ConvolutionKernel = "Chest Radiology", "white"
    clean = cleaned(ds)
    assert (clean.ManufacturerModelName, clean.ConvolutionKernel) == ("Chest Radiology", "white")


def test_a_uid_in_a_text_goes_and_a_version_stays() -> None:
    ds = scan()
    ds.ManufacturerModelName, ds.SequenceName = "of 1.2.840.113619.2.5.1762583153.215519", "1.2.840.10008.1.2"
    clean = cleaned(ds)
    assert "1762583153" not in str(clean.get("ManufacturerModelName", ""))
    assert clean.SequenceName == "1.2.840.10008.1.2"


def test_options_that_keep_a_fact_do_not_look_for_it() -> None:
    ds = scan()
    ds.InstitutionName, ds.DeviceSerialNumber = "Egbertus", "SN-424242"
    facts = people.facts(ds)
    assert people.identifiers(facts, Options()).holds("Egbertus")
    assert not people.identifiers(facts, Options(retain_institution_identity=True)).holds("Egbertus")
    assert not people.identifiers(facts, Options(retain_device_identity=True)).holds("SN424242")
    assert not people.identifiers(facts, Options(retain_full_dates=True)).holds("20210704")
    assert people.identifiers(facts, Options(retain_full_dates=True)).holds("19600203")
