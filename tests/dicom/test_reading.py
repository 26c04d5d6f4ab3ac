"""One damaged element does not take the rest of an object with it."""

import re
import struct
from io import BytesIO
from pathlib import Path

import pytest

import app
from app.dicom.reading import dcmread
from tests.archive.make import ct_bytes


@pytest.mark.parametrize(("vr", "birth"), [(b"EA", "19700101"), (b"\x43\x00", "19700101"), (b"DA", "19700101")])
def test_an_unknown_representation_is_read_as_the_tags_own(vr: bytes, birth: str) -> None:
    data = ct_bytes()
    found = dcmread(BytesIO(data.replace(struct.pack("<HH", 0x10, 0x30) + b"DA", struct.pack("<HH", 0x10, 0x30) + vr)))
    assert found.PatientBirthDate == birth and found.PatientID == "P1"


def test_an_unknown_representation_of_a_private_tag_is_bytes() -> None:
    extra = struct.pack("<HH2sH", 0x0009, 0x1001, b"QQ", 4) + b"\1\2\3\4"
    data = ct_bytes().replace(struct.pack("<HH", 0x10, 0x10), extra + struct.pack("<HH", 0x10, 0x10), 1)
    found = dcmread(BytesIO(data))
    assert found[0x00091001].value == b"\1\2\3\4" and found.PatientID == "P1"


def test_all_readers_of_the_house_are_these() -> None:
    direct = re.compile(r"from pydicom(\.filereader)? import .*\b(dcmread|read_dataset)\b|pydicom\.dcmread")
    root = Path(app.__file__).parent
    found = [p.name for p in root.rglob("*.py") if direct.search(p.read_text()) and p.name != "reading.py"]
    assert found == []
