"""The file meta information we write, and the UIDs we find in a data set's first bytes."""

import zlib
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset, dcmread
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from app.dimse.negotiation import negotiate
from app.network import pdu
from app.network.file_meta import preamble_and_meta, sop_uids
from app.network.pdu import Associate, Context
from app.network.settings import DicomSettings
from app.network.storage_classes import storage_classes, transfer_syntaxes

CT, UID = "1.2.840.10008.5.1.4.1.1.2", "1.2.3.4.5"


def test_pydicom_reads_what_we_write() -> None:
    for uid in ("1.2.3", "1.2.34", "1." + "2" * 62):
        data = preamble_and_meta(CT, uid, "1.2.840.10008.1.2.4.90")
        meta = dcmread(BytesIO(data)).file_meta
        assert (meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID) == (CT, uid)
        assert meta.TransferSyntaxUID == "1.2.840.10008.1.2.4.90"
        assert len(data) <= 512 and len(data) == 144 + meta.FileMetaInformationGroupLength
        assert data == preamble_and_meta(CT, uid, "1.2.840.10008.1.2.4.90"), "the same object is the same file"


@pytest.mark.parametrize(
    ("syntax", "implicit", "little"),
    [
        ("1.2.840.10008.1.2", True, True),
        ("1.2.840.10008.1.2.1", False, True),
        ("1.2.840.10008.1.2.2", False, False),
        ("1.2.840.10008.1.2.1.99", False, True),
    ],
)
def test_the_data_sets_own_uids_are_found(syntax: str, implicit: bool, little: bool) -> None:
    ds = Dataset()
    ds.SpecificCharacterSet, ds.ImageType = "ISO_IR 192", ["ORIGINAL", "PRIMARY"]
    ds.SOPClassUID, ds.SOPInstanceUID, ds.PatientName = CT, UID, "Nobody"
    out = DicomBytesIO()
    out.is_implicit_VR, out.is_little_endian = implicit, little
    write_dataset(out, ds)
    data = out.getvalue()
    if syntax.endswith(".99"):
        squeeze = zlib.compressobj(wbits=-15)
        data = squeeze.compress(data) + squeeze.flush()
    assert sop_uids(memoryview(data), syntax) == (CT, UID)
    assert sop_uids(b"", syntax) == ("", "")


@settings(deadline=None)  # shared machines pause
@given(st.binary(max_size=300), st.sampled_from(["", ".1", ".2", ".1.99", ".4.50"]))
def test_no_bytes_break_the_search(data: bytes, end: str) -> None:
    for uid in sop_uids(data, "1.2.840.10008.1.2" + end):
        assert len(uid) <= 64


def test_everything_of_the_standard_is_taken_and_nothing_else() -> None:
    assert {CT, "1.2.840.10008.5.1.4.1.1.88.11", "1.2.840.10008.5.1.4.1.1.104.1"} <= storage_classes()
    assert len(storage_classes()) > 150 and len(transfer_syntaxes()) > 40
    wanted = [
        Context(1, CT, ["1.2.3", "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2"]),  # the first that we know
        Context(3, "1.2.840.10008.5.1.4.31", ["1.2.840.10008.1.2"]),  # the worklist is not served
        Context(5, CT, ["1.2.3"]),
        Context(7, "1.3.46.670589.2.5.1.1", ["1.2.840.10008.1.2"]),  # private
        Context(9, "1.2.840.10008.1.1", ["1.2.840.10008.1.2.4.50"]),
        Context(11, "1.2.840.10008.5.1.4.1.1.9999", ["1.2.840.10008.1.2.1"]),  # newer than our tables
    ]
    request = Associate("A", "B", wanted)
    found = {r.id: (r.result, r.transfer) for r in negotiate(request, DicomSettings())}
    assert found[1] == (pdu.ACCEPTED, "1.2.840.10008.1.2.4.90")
    assert found[3][0] == pdu.ABSTRACT_UNKNOWN and found[7][0] == pdu.ABSTRACT_UNKNOWN
    assert found[5][0] == pdu.TRANSFER_UNKNOWN and found[9][0] == pdu.TRANSFER_UNKNOWN
    assert found[11][0] == pdu.ACCEPTED
    open_door = DicomSettings(unknown_sop_classes=True, private_transfer_syntaxes=["1.2.3"])
    found = {r.id: (r.result, r.transfer) for r in negotiate(request, open_door)}
    assert found[7][0] == pdu.ACCEPTED and found[5] == (pdu.ACCEPTED, "1.2.3") and found[1][1] == "1.2.3"
    assert found[3][0] == pdu.ABSTRACT_UNKNOWN, "the worklist is not a storage class, even when any class is taken"
