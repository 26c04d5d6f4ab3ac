"""The object of a self-test: one small grey picture with its own UIDs and a fictitious patient. Pure."""

import struct
from dataclasses import dataclass
from datetime import datetime

from app.dicom.uids import new_uid

SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_SIDE = 64


@dataclass(frozen=True, slots=True)
class TestObject:
    """data: the data set in Implicit VR Little Endian."""

    sop_class: str
    sop_instance: str
    study: str
    series: str
    data: bytes


def make(patient: str, patient_id: str, moment: datetime) -> TestObject:
    """A Secondary Capture image (PS3.3 A.8.1) of 64 x 64 grey steps, of this moment."""
    instance, study, series = new_uid(), new_uid(), new_uid()
    day, time = f"{moment:%Y%m%d}", f"{moment:%H%M%S}"
    texts: dict[int, str] = {
        0x00080005: "ISO_IR 100",
        0x00080008: "DERIVED\\SECONDARY",
        0x00080016: SECONDARY_CAPTURE,
        0x00080018: instance,
        0x00080020: day,
        0x00080023: day,
        0x00080030: time,
        0x00080033: time,
        0x00080050: "",
        0x00080060: "OT",
        0x00080064: "SYN",
        0x00080090: "",
        0x00081030: "Filmroom connection test, may be deleted",
        0x0008103E: "Connection test",
        0x00100010: patient,
        0x00100020: patient_id,
        0x00100030: "",
        0x00100040: "O",
        0x0020000D: study,
        0x0020000E: series,
        0x00200010: "TEST",
        0x00200011: "1",
        0x00200013: "1",
        0x00200020: "",
        0x00280004: "MONOCHROME2",
    }
    numbers = {
        0x00280002: 1,
        0x00280010: _SIDE,
        0x00280011: _SIDE,
        0x00280100: 8,
        0x00280101: 8,
        0x00280102: 7,
        0x00280103: 0,
    }
    values = {tag: _padded(tag, text) for tag, text in texts.items()}
    values |= {tag: struct.pack("<H", number) for tag, number in numbers.items()}
    values[0x7FE00010] = bytes(4 * (x // 8 + y // 8) * 4 & 0xFF for y in range(_SIDE) for x in range(_SIDE))
    data = b"".join(
        struct.pack("<HHI", tag >> 16, tag & 0xFFFF, len(value)) + value for tag, value in sorted(values.items())
    )
    return TestObject(SECONDARY_CAPTURE, instance, study, series, data)


def _padded(tag: int, text: str) -> bytes:
    raw = text.encode("ascii")
    is_uid = tag in (0x00080016, 0x00080018, 0x0020000D, 0x0020000E)
    return raw + ((b"\0" if is_uid else b" ") if len(raw) % 2 else b"")
