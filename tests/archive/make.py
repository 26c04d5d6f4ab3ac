"""Small real-shaped objects, made by pydicom."""

from io import BytesIO
from typing import Any

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID


def ct(
    sop: str = "1.2.3.1.1.1", study: str = "1.2.3.1", series: str = "1.2.3.1.1", *, syntax: str = "1.2.840.10008.1.2.1",
    pixels: bytes | None = b"\x01\x00" * 16, **more: Any,
) -> Dataset:  # fmt: skip
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = UID(syntax)
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    ds.SOPInstanceUID, ds.StudyInstanceUID, ds.SeriesInstanceUID = sop, study, series
    ds.PatientName, ds.PatientID, ds.PatientBirthDate, ds.PatientSex = "Doe^Jane", "P1", "19700101", "F"
    ds.StudyDate, ds.StudyTime, ds.AccessionNumber, ds.StudyID = "20240102", "101112", "A1", "S1"
    ds.StudyDescription, ds.ReferringPhysicianName, ds.Modality = "Chest", "House^Gregory", "CT"
    ds.SeriesNumber, ds.InstanceNumber = 1, 1
    if pixels is not None:
        ds.Rows = ds.Columns = 4
        ds.SamplesPerPixel, ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 1, 16, 12, 11, 0
        ds.PhotometricInterpretation = "MONOCHROME2"
        ds.PixelData = pixels
        ds["PixelData"].VR = "OW"
    for keyword, value in more.items():
        setattr(ds, keyword, value)
    return ds


def part10(ds: Dataset) -> bytes:
    ds.file_meta.MediaStorageSOPClassUID = ds.get("SOPClassUID")
    ds.file_meta.MediaStorageSOPInstanceUID = ds.get("SOPInstanceUID")
    out = BytesIO()
    ds.save_as(out, enforce_file_format=True)
    return out.getvalue()


def ct_bytes(sop: str = "1.2.3.1.1.1", study: str = "1.2.3.1", series: str = "1.2.3.1.1", **more: Any) -> bytes:
    return part10(ct(sop, study, series, **more))
