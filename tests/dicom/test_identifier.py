"""Identifiers of queries: what we write is read back by pydicom and by us, in every character set; rubbish is refused."""

import contextlib
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset

from app.dicom.identifier import UTF8, BadIdentifier, decode, encode, terms_for

NAMES = {
    "": "Doe^John",
    "ISO_IR 100": "Ramírez^Lucía",
    "ISO_IR 144": "Люкceмбypг",
    "ISO_IR 126": "Διονυσιος",
    "ISO_IR 192": "Wang^XiaoDong=王^小东",
    "GB18030": "Wang^XiaoDong=王^小东",
    "\\ISO 2022 IR 87": "Yamada^Tarou=山田^太郎",
}


@pytest.mark.parametrize("explicit", [False, True])
@pytest.mark.parametrize("terms", NAMES)
def test_what_is_written_is_read_back_by_pydicom_and_by_us(terms: str, explicit: bool) -> None:
    keys = {"PatientName": NAMES[terms], "StudyInstanceUID": "1.2.3", "QueryRetrieveLevel": "STUDY", "StudyDate": ""}
    data = encode(keys, terms_for(keys, terms), explicit=explicit)
    assert {k: v for k, v in decode(data, explicit=explicit).items() if k in keys} == keys
    there = read_dataset(BytesIO(data), not explicit, True)
    there.decode()
    assert str(there.PatientName) == NAMES[terms] and there.StudyInstanceUID == "1.2.3" and there.StudyDate == ""
    assert len(data) % 2 == 0


def test_the_character_set_is_what_the_node_wants_where_that_can_write_it() -> None:
    assert terms_for({"PatientName": "DOE^JOHN"}) == ()
    assert terms_for({"PatientName": "DOE^JOHN"}, "ISO_IR 100") == ("ISO_IR 100",)
    assert terms_for({"PatientName": "Müller"}, "ISO_IR 100") == ("ISO_IR 100",)
    assert terms_for({"PatientName": "Müller"}) == (UTF8,)
    assert terms_for({"PatientName": "Łukasz"}, "ISO_IR 100") == (UTF8,), "Latin-1 has no Ł: nothing may be lost"


def test_sequences_of_any_depth_are_passed_over() -> None:
    ds = Dataset()
    ds.StudyInstanceUID = "1.2.3"
    inner = ds
    for _ in range(60):
        item = Dataset()
        item.CodeValue = "X"
        inner.ProcedureCodeSequence = [item]
        inner = item
    ds.PatientID = "AFTER"
    for undefined in (False, True):
        if undefined:
            ds["ProcedureCodeSequence"].is_undefined_length = True
        file = DicomBytesIO()
        file.is_little_endian, file.is_implicit_VR = True, True
        write_dataset(file, ds)
        assert decode(file.getvalue()) == {"StudyInstanceUID": "1.2.3", "PatientID": "AFTER"}


@settings(max_examples=400, deadline=None)
@given(st.binary(max_size=400), st.booleans())
def test_rubbish_is_refused_or_read_never_more(data: bytes, explicit: bool) -> None:
    with contextlib.suppress(BadIdentifier):
        decode(data, explicit=explicit)


@given(st.data())
def test_a_cut_anywhere_is_noticed_or_loses_whole_elements(data: st.DataObject) -> None:
    keys = {"PatientName": "A^B", "PatientID": "12", "StudyDescription": "words"}
    whole = encode(keys, ())
    cut = data.draw(st.integers(0, len(whole)))
    try:
        found = decode(whole[:cut])
    except BadIdentifier:
        return
    assert all(keys[key] == value for key, value in found.items())


def test_numbers_of_fixed_size_are_read() -> None:
    ds = Dataset()
    ds.Rows, ds.SOPInstanceUID = 512, "1.2"
    ds.file_meta = FileMetaDataset()
    file = DicomBytesIO()
    file.is_little_endian, file.is_implicit_VR = True, False
    write_dataset(file, ds)
    assert decode(file.getvalue(), explicit=True) == {"Rows": "512", "SOPInstanceUID": "1.2"}
    with pytest.raises(ValueError):
        encode({"NoSuchThing": "1"})
