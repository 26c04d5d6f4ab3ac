"""Table E.1-1 as published, the choice inside combined codes, options, and the rule for what the table leaves out."""

import json
import os
import re
from datetime import datetime, timedelta
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.uid import UID

from app.deid import build_table, dummies, iods, moments, table
from app.deid.decide import AttributePlace, decide, settle
from app.deid.errors import UnknownProfile
from app.deid.profile import Options, Profile, resolve
from app.deid.pseudonym import Pseudonyms
from app.deid.walker import Cleaner

BASIC = Profile("basic")
CT, SR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.88.11"
KEY = Pseudonyms(b"k" * 32)


def test_the_kept_table_is_what_the_script_makes() -> None:
    standard = Path(
        os.environ.get("FILMROOM_STANDARD", Path(__file__).parents[2] / ".." / "shared" / "standard")
    ).resolve()
    if not standard.is_dir():
        pytest.skip("only with the published tables of PS3.15: set FILMROOM_STANDARD")
    kept = json.loads((Path(build_table.__file__).parent / "data" / "table_e1_1.json").read_text())
    assert build_table.attributes(standard) == kept


def test_the_table_is_whole() -> None:
    codes = [table.lookup(tag).basic for tag in table.tags()]  # type: ignore[union-attr]
    assert len(codes) >= 650
    assert set(codes) == {"X", "Z", "D", "U", "X/Z", "X/D", "Z/D", "X/Z/D", "X/Z/U*"}


@pytest.mark.parametrize(
    ("tag", "action"),
    [
        (0x00080050, "Z"),  # Accession Number
        (0x00100010, "Z"),
        (0x00080018, "U"),
        (0x00081030, "X"),  # Study Description
        (0x00091001, "X"),  # private
        (0x50003000, "X"),
        (0x501E2500, "X"),
        (0x60003000, "X"),
        (0x60024000, "X"),
        (0x00080070, "K"),  # Manufacturer is in no row
        (0x00080060, "K"),
        (0x7FE00010, "K"),
    ],
)
def test_single_codes(tag: int, action: str) -> None:
    vr = {0x7FE00010: "OW", 0x00080018: "UI"}.get(tag, "LO")
    assert decide(AttributePlace(CT, (tag,)), vr, BASIC) == action


def test_a_choice_is_settled_by_the_type_in_the_iod() -> None:
    """PS3.15 E.1.1: X unless Z or D is needed to keep the object conformant."""
    by_type = {3: ("X", "X", "Z", "X", "X"), 2: ("Z", "D", "Z", "Z", "Z"), 1: ("Z", "D", "D", "D", "U*")}
    for kind, expected in by_type.items():
        place = _place_of_type(kind)
        assert tuple(settle(code, place) for code in ("X/Z", "X/D", "Z/D", "X/Z/D", "X/Z/U*")) == expected


def _place_of_type(kind: int) -> AttributePlace:
    """At the top of a CT image: Image Type, Accession Number, Derivation Description."""
    place = AttributePlace(CT, ({1: 0x00080008, 2: 0x00080050, 3: 0x00082111}[kind],))
    assert iods.type_of(CT, place.path) == kind
    return place


def test_where_the_iod_is_not_known_a_dummy_stays() -> None:
    place = AttributePlace("1.2.3", (0x00181030,))
    assert [settle(code, place) for code in ("X/Z", "X/D", "Z/D", "X/Z/D", "X/Z/U*")] == ["Z", "D", "D", "D", "U*"]


def test_the_iod_is_asked_for_the_very_place() -> None:
    """Series Date: type 3 in CT. Content Date: type 1 in SR documents."""
    assert decide(AttributePlace(CT, (0x00080021,)), "DA", BASIC) == "X"
    assert decide(AttributePlace(SR, (0x00080023,)), "DA", BASIC) == "D"
    assert decide(AttributePlace(CT, (0x00081140, 0x00080021)), "DA", BASIC) == "X"  # not there by the IOD: it can go


@pytest.mark.parametrize(
    ("option", "tag", "vr", "action"),
    [
        ("retain_uids", 0x00080018, "UI", "R"),
        ("retain_device_identity", 0x00181000, "LO", "R"),
        ("retain_institution_identity", 0x00080080, "LO", "R"),
        ("retain_patient_characteristics", 0x00101010, "AS", "R"),
        ("retain_patient_characteristics", 0x00102110, "LO", "X"),  # C there: text that cannot be cleaned goes
        ("retain_full_dates", 0x00080020, "DA", "R"),
        ("retain_modified_dates", 0x00080020, "DA", "C"),
        ("retain_modified_dates", 0x00100030, "DA", "Z"),  # a birth date is no longitudinal information
    ],
)
def test_options(option: str, tag: int, vr: str, action: str) -> None:
    profile = Profile("own", Options(**{option: True}))
    assert decide(AttributePlace(CT, (tag,)), vr, profile) == action
    assert decide(AttributePlace(CT, (tag,)), vr, BASIC) != action or action in ("X", "Z")


def test_every_option_is_recorded_with_its_code() -> None:
    everything = resolve("basic", ["retain_uids", "retain_device_identity", "retain_full_dates"])
    assert [code for code, _ in everything.codes()] == ["113100", "113110", "113109", "113106"]
    assert everything.dates == "UNMODIFIED"


@pytest.mark.parametrize("name", ["full", "Basic", "", "retain_uids"])
def test_a_profile_that_cannot_be_kept_is_no_profile(name: str) -> None:
    with pytest.raises(UnknownProfile):
        resolve(name)


MOMENTS = st.datetimes(min_value=datetime(1901, 1, 1), max_value=datetime(2100, 1, 1))
SHIFTS = st.timedeltas(min_value=timedelta(days=1), max_value=timedelta(days=3651))


@settings(max_examples=200, deadline=None)
@given(MOMENTS, MOMENTS, SHIFTS)
def test_moments_keep_their_distance_over_midnight_too(one: datetime, other: datetime, by: timedelta) -> None:
    shift = moments.Shift(by)
    found = []
    for moment in (one, other):
        day, time = moment.strftime("%Y%m%d"), moment.strftime("%H%M%S.%f")
        pair = {0x00080020: day, 0x00080030: time}
        moved = [
            moments.shifted(tag, vr, pair[tag], pair, shift) for tag, vr in ((0x00080020, "DA"), (0x00080030, "TM"))
        ]
        assert shift.date_time(day + time + "+0200") == "".join(part or "" for part in moved) + "+0200"
        found.append(datetime.strptime("".join(part or "" for part in moved), "%Y%m%d%H%M%S.%f"))
    assert found[0] - found[1] == one - other
    assert one - found[0] == by


@settings(max_examples=100, deadline=None)
@given(MOMENTS, SHIFTS, st.integers(2, 13).filter(lambda digits: digits not in (3, 5, 7)))
def test_a_time_keeps_the_precision_it_is_written_in(moment: datetime, by: timedelta, digits: int) -> None:
    time = moment.strftime("%H%M%S.%f")[:digits]
    moved = moments.Shift(by).time(time)
    assert moved is not None
    assert len(moved) == len(time)
    assert re.fullmatch(r"\d{2}(\d{2}(\d{2}(\.\d{1,6})?)?)?", moved)


def test_equal_dates_stay_equal_though_only_one_has_a_time() -> None:
    shift = moments.Shift(timedelta(days=3, hours=5), "010000")
    both = {0x00080020: "20240506", 0x00080030: "010000", 0x00080021: "20240506"}
    assert moments.shifted(0x00080020, "DA", "20240506", both, shift) == "20240502"
    assert moments.shifted(0x00080021, "DA", "20240506", both, shift) == "20240502"
    assert moments.shifted(0x00080030, "TM", "010000", both, shift) == "200000"


@pytest.mark.parametrize("text", ["2020", "20201399", "JOHNSMITH", "00010101", "20200101T10"])
def test_what_is_no_date_is_not_shifted(text: str) -> None:
    shift = moments.Shift(timedelta(days=400))
    assert shift.date(text) is None
    assert shift.date_time(text) is None
    assert moments.shifted(0x00080020, "DA", f"20200101\\{text}", {}, shift) is None


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=70), st.text(max_size=20))
def test_pseudonyms_are_stable_valid_and_differ_by_project(value: str, project: str) -> None:
    one, other = Pseudonyms(b"k" * 32, project), Pseudonyms(b"k" * 32, project + "2")
    assert UID(one.uid(value)).is_valid
    assert one.uid(value) == Pseudonyms(b"k" * 32, project).uid(value) != other.uid(value)
    assert one.uid(value) != Pseudonyms(b"l" * 32, project).uid(value)
    assert len(one.patient(value)) == 14
    assert timedelta(days=1) < one.shift(value) < timedelta(days=3651)


def test_every_vr_has_a_dummy_that_can_be_written() -> None:

    for vr in [
        "AE",
        "AS",
        "CS",
        "DA",
        "DS",
        "DT",
        "FD",
        "FL",
        "IS",
        "LO",
        "LT",
        "OB",
        "OD",
        "OF",
        "OL",
        "OV",
        "OW",
        "PN",
        "SH",
        "SL",
        "SQ",
        "SS",
        "ST",
        "SV",
        "TM",
        "UC",
        "UI",
        "UL",
        "UN",
        "UR",
        "US",
        "UT",
        "UV",
    ]:
        ds = Dataset()
        tag = 0x00189999
        ds.add(DataElement(tag, vr, dummies.dummy((tag,), vr, ds)))
        ds.add(DataElement(tag + 2, vr, dummies.empty(vr)))
        out = BytesIO()
        ds.save_as(out, implicit_vr=False, little_endian=True)
        assert len(out.getvalue()) > 16


def test_a_dummy_report_keeps_a_content_tree() -> None:
    ds = Dataset()
    ds.SOPClassUID = SR
    secret = Dataset()
    secret.ValueType, secret.TextValue = "TEXT", "Mrs Quillfeather has"
    ds.ContentSequence = [secret]
    Cleaner(ds, BASIC, KEY).clean(ds)
    (item,) = ds.ContentSequence
    assert (item.ValueType, item.TextValue) == ("TEXT", "REMOVED")


def test_a_dummy_document_is_a_pdf() -> None:
    import pikepdf

    ds = Dataset()
    ds.MIMETypeOfEncapsulatedDocument = "application/pdf"

    with pikepdf.open(BytesIO(dummies.dummy((0x00420011,), "OB", ds))) as pdf:
        assert len(pdf.pages) == 1
        assert pdf.check_pdf_syntax() == []


def test_sequences_deeper_than_sense_are_removed() -> None:
    top = Dataset()
    inner = top
    for _ in range(100):
        below = Dataset()
        below.PatientName = "Quillfeather"
        inner.add(DataElement(0x52009229, "SQ", [below]))
        inner = below
    cleaner = Cleaner(top, BASIC, KEY)
    cleaner.clean(top)
    assert "Quillfeather" not in str(top)
    assert any("deeper" in warning for warning in cleaner.tally.warnings)


def test_uids_of_the_standard_stay() -> None:
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = UID(CT), UID("1.2.3.4")
    ds.ReferencedSOPClassUID = UID(CT)
    ds.RelatedGeneralSOPClassUID = [UID(CT), UID("1.2.3.9")]
    Cleaner(ds, BASIC, KEY).clean(ds)
    assert ds.SOPClassUID == ds.ReferencedSOPClassUID == CT
    assert ds.SOPInstanceUID == KEY.uid("1.2.3.4")
    assert list(ds.RelatedGeneralSOPClassUID) == [CT, KEY.uid("1.2.3.9")]


@pytest.mark.parametrize("uid", ["1.2.840.10008.9.12345678", "1.2.840.10008.5.1.4.1.1.2.19510427", "1.2.840.10008.77"])
@pytest.mark.parametrize(
    "keyword", ["StudyInstanceUID", "FrameOfReferenceUID", "ReferencedSOPInstanceUID", "TrackingUID"]
)
def test_what_only_begins_like_a_uid_of_the_standard_is_replaced(keyword: str, uid: str) -> None:
    ds = Dataset()
    ds.SOPClassUID = UID(CT)
    setattr(ds, keyword, uid)
    Cleaner(ds, BASIC, KEY).clean(ds)
    assert ds.get(keyword) == KEY.uid(uid)


def test_well_known_frames_of_reference_stay() -> None:
    """PS3.6 table A-2, and the Synchronization Frame of Reference of UTC."""
    ds = Dataset()
    ds.SOPClassUID = UID(CT)
    ds.FrameOfReferenceUID, ds.SynchronizationFrameOfReferenceUID = "1.2.840.10008.1.4.1.1", "1.2.840.10008.15.1.1"
    Cleaner(ds, BASIC, KEY).clean(ds)
    assert ds.FrameOfReferenceUID == "1.2.840.10008.1.4.1.1"
    assert ds.SynchronizationFrameOfReferenceUID == "1.2.840.10008.15.1.1"


def test_kinds_of_objects_stay_though_they_are_private_or_new() -> None:
    ds = Dataset()
    ds.SOPClassUID = UID("1.3.12.2.1107.5.9.1")
    ds.ReferencedSOPClassUID = UID("1.2.840.10008.5.1.4.1.1.999.1")
    ds.AvailableTransferSyntaxUID = UID("1.2.840.113619.5.2.1")
    kept = str(ds)
    Cleaner(ds, BASIC, KEY).clean(ds)
    assert str(ds) == kept


def test_a_number_of_the_patient_is_no_kind_of_object() -> None:
    ds = Dataset()
    ds.SOPClassUID, ds.PatientID = UID(CT), "551234"
    ds.ReferencedSOPClassUID = UID("1.2.840.113619.4.551234")
    ds.RelatedGeneralSOPClassUID = UID("1.2.840.10008.9.12345678")
    Cleaner(ds, BASIC, KEY).clean(ds)
    assert ds.ReferencedSOPClassUID == KEY.uid("1.2.840.113619.4.551234")
    assert ds.RelatedGeneralSOPClassUID == KEY.uid("1.2.840.10008.9.12345678")


@pytest.mark.parametrize(
    ("keyword", "uid", "kept"),
    [
        ("ContextUID", "1.2.840.10008.6.1.2300", True),
        ("CodingSchemeUID", "2.16.840.1.113883.6.96", True),
        ("CodingSchemeUID", "2.16.840.1.113883.6.19510427", False),
        ("ContextUID", "1.2.840.10008.6.1.12345678", False),
    ],
)
def test_uids_of_coding_schemes_stay(keyword: str, uid: str, kept: bool) -> None:
    ds = Dataset()
    setattr(ds, keyword, uid)
    Cleaner(ds, BASIC, KEY).clean(ds)
    assert (ds.get(keyword) == uid) is kept


def test_an_empty_document_says_its_own_length() -> None:
    ds = Dataset()
    ds.SOPClassUID, ds.MIMETypeOfEncapsulatedDocument = "1.2.840.10008.5.1.4.1.1.104.2", "text/XML"
    ds.EncapsulatedDocument, ds.EncapsulatedDocumentLength = b"<name>Quillfeather</name>\0", 25
    Cleaner(ds, BASIC, KEY).clean(ds)
    assert b"Quillfeather" not in ds.EncapsulatedDocument
    assert ds.EncapsulatedDocument.startswith(b"<?xml")
    assert ds.EncapsulatedDocumentLength == len(ds.EncapsulatedDocument)
