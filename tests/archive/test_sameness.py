"""The same object in another encoding is the same object (ARC-3); with other pixels or attributes it is not."""

import io
import zlib
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.sequence import Sequence
from pydicom.uid import UID
from sqlalchemy import func, select

from app.archive import Archive
from app.archive.models import ObjectConflict
from app.config import Config
from app.dicom import uids
from tests.archive.conftest import Put
from tests.archive.make import part10

CASE = Path(__file__).resolve().parents[1] / "cases" / "H67" / "x.dcm"
LOSSLESS = {
    "implicit": uids.IMPLICIT_LE,
    "explicit": uids.EXPLICIT_LE,
    "big endian": uids.EXPLICIT_BE,
    "RLE": "1.2.840.10008.1.2.5",
    "JPEG-LS": "1.2.840.10008.1.2.4.80",
    "JPEG 2000": "1.2.840.10008.1.2.4.90",
}


@pytest.fixture
def config(sqlite_config: Config) -> Config:
    """Once is enough: the database has no part in the comparison."""
    return sqlite_config


def image(samples: int = 1, frames: int = 1, signed: bool = False, bits: int = 16) -> Dataset:
    """An uncompressed image with attributes of every kind: a sequence, private ones, numbers, tags, a large value."""
    rng = np.random.default_rng(7)
    ds = pydicom.dcmread(CASE)
    ds.Rows, ds.Columns, ds.SamplesPerPixel, ds.NumberOfFrames = 64, 70, samples, frames
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = bits, min(bits, 12), min(bits, 12) - 1
    ds.PixelRepresentation = int(signed)
    ds.PhotometricInterpretation = "RGB" if samples == 3 else "MONOCHROME2"
    if samples == 3:
        ds.PlanarConfiguration = 0
    low, high = (-2048, 2047) if signed else (0, 255 if bits == 8 else 4095)
    values = rng.integers(low, high + 1, (frames, 64, 70, samples))
    ds.PixelData = values.astype(f"{'i' if signed else 'u'}{bits // 8}").tobytes()
    ds["PixelData"].VR = "OW"
    inside = Dataset()
    inside.CodeValue, inside.FrameIncrementPointer, inside.SliceThickness = "C1", 0x00180050, "1.50"
    ds.ProcedureCodeSequence = Sequence([inside])
    block = ds.private_block(0x0009, "TEST", create=True)
    block.add_new(1, "LO", "text")
    block.add_new(2, "FD", [1.5, -2.25])
    block.add_new(3, "UL", 70_000)
    ds.add_new(0x60003000, "OW", bytes(range(256)) * 1200)
    ds.TriggerTime, ds.RescaleSlope = "3.0", "0.50"
    return ds


def encoded(ds: Dataset, syntax: str) -> bytes:
    """The object in a lossless transfer syntax."""
    out = pydicom.dcmread(io.BytesIO(part10(ds)))
    if syntax in (uids.IMPLICIT_LE, uids.EXPLICIT_LE, uids.EXPLICIT_BE):
        if syntax == uids.EXPLICIT_BE:
            for element in (out["PixelData"], out[0x60003000]):
                if element.tag != 0x7FE00010 or out.BitsAllocated > 8:
                    element.value = np.frombuffer(element.value, "<u2").byteswap().tobytes()
            if out.BitsAllocated == 8:
                out["PixelData"].VR = "OB"
        out.file_meta.TransferSyntaxUID = UID(syntax)
        buffer = io.BytesIO()
        pydicom.dcmwrite(
            buffer, out, implicit_vr=syntax == uids.IMPLICIT_LE, little_endian=syntax != uids.EXPLICIT_BE,
            force_encoding=True,
        )  # fmt: skip
        return buffer.getvalue()
    if syntax == LOSSLESS["JPEG-LS"]:
        shape = (int(out.NumberOfFrames), out.Rows, out.Columns, out.SamplesPerPixel)
        values = np.frombuffer(out.PixelData, f"u{out.BitsAllocated // 8}").reshape(shape)
        out.PixelData = encapsulate([imagecodecs.jpegls_encode(np.squeeze(one)) for one in values])
        out["PixelData"].VR = "OB"
        out["PixelData"].is_undefined_length = True
        out.file_meta.TransferSyntaxUID = UID(syntax)
    else:
        out.compress(UID(syntax), generate_instance_uid=False)
    return part10(out)


def deflated(plain: bytes) -> bytes:
    start = 132 + 12 + int.from_bytes(plain[140:144], "little")
    machine = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    body = machine.compress(plain[start:]) + machine.flush()
    meta = pydicom.dcmread(io.BytesIO(plain), stop_before_pixels=True)
    meta.file_meta.TransferSyntaxUID = UID(uids.DEFLATED_LE)
    small = io.BytesIO()
    pydicom.dcmwrite(small, meta, enforce_file_format=True)
    head = small.getvalue()
    return head[: 132 + 12 + int.from_bytes(head[140:144], "little")] + body + b"\0" * (len(body) % 2)


@pytest.mark.parametrize(
    "kind", [{}, {"signed": True}, {"samples": 3, "bits": 8}, {"frames": 3}, {"frames": 2, "bits": 8}]
)
@pytest.mark.parametrize("first", ["implicit", "big endian", "JPEG 2000"])
def test_lossless_encodings_of_one_object_are_one_object(put: Put, kind: dict[str, Any], first: str) -> None:
    ds = image(**kind)
    assert put(encoded(ds, LOSSLESS[first])).status == "stored"
    for name, syntax in LOSSLESS.items():
        if not (name == "JPEG-LS" and kind.get("samples")):  # its encoder has no space for noise in colour
            assert put(encoded(ds, syntax)).status == "duplicate", name
    assert put(deflated(encoded(ds, uids.EXPLICIT_LE))).status == "duplicate"


def test_the_handed_case(archive: Archive, put: Put) -> None:
    raw = CASE.read_bytes()
    assert put(raw).status == "stored"
    ds = pydicom.dcmread(io.BytesIO(raw))
    other = uids.IMPLICIT_LE if ds.file_meta.TransferSyntaxUID == uids.EXPLICIT_LE else uids.EXPLICIT_LE
    ds.file_meta.TransferSyntaxUID = UID(other)
    out = io.BytesIO()
    pydicom.dcmwrite(out, ds, implicit_vr=other == uids.IMPLICIT_LE, little_endian=True, force_encoding=True)
    assert put(out.getvalue()).status == "duplicate"
    with archive.database.read() as session:
        assert session.scalar(select(func.count()).select_from(ObjectConflict)) == 0


def test_group_lengths_padding_offset_tables_and_fragments_say_nothing(put: Put) -> None:
    ds = image(frames=3)
    whole = pydicom.dcmread(io.BytesIO(encoded(ds, LOSSLESS["RLE"])))
    assert put(part10(whole)).status == "stored"
    frames = list(generate_frames(whole.PixelData, number_of_frames=3))
    whole.PixelData = encapsulate(frames, has_bot=False)
    assert put(part10(whole)).status == "duplicate"
    whole.PixelData = encapsulate(frames, fragments_per_frame=2)
    assert put(part10(whole)).status == "duplicate"
    whole.add_new(0xFFFCFFFC, "OB", bytes(3000))
    whole.add_new(0x00080000, "UL", 1234)
    assert put(part10(whole)).status == "duplicate"


@pytest.mark.parametrize(
    "change",
    [
        {"PatientComments": "other"},
        {"RescaleSlope": "0.51"},
        {"ProcedureCodeSequence": Sequence([Dataset()])},
        {"PhotometricInterpretation": "MONOCHROME1"},
        {"PixelRepresentation": 1},
    ],
)
def test_another_attribute_is_another_object(put: Put, change: dict[str, Any]) -> None:
    ds = image()
    put(encoded(ds, uids.EXPLICIT_LE))
    for keyword, value in change.items():
        setattr(ds, keyword, value)
    assert put(encoded(ds, uids.IMPLICIT_LE)).status == "conflict"
    assert put(encoded(ds, LOSSLESS["RLE"])).status == "conflict"


def test_other_pixels_a_private_value_or_a_large_value_are_another_object(put: Put) -> None:
    put(encoded(image(frames=2), uids.EXPLICIT_LE))
    pixels, private, large = image(frames=2), image(frames=2), image(frames=2)
    pixels.PixelData = pixels.PixelData[:-2] + bytes([pixels.PixelData[-2] ^ 1]) + pixels.PixelData[-1:]
    private[0x00091001].value = "texts"
    large[0x60003000].value = large[0x60003000].value[:-1] + b"\0"
    for ds in (pixels, private, large):
        for syntax in LOSSLESS.values():
            assert put(encoded(ds, syntax)).status == "conflict", syntax


def test_a_lossy_copy_is_another_object(put: Put) -> None:
    ds = image(bits=8)
    put(encoded(ds, uids.EXPLICIT_LE))
    ds.compress(UID("1.2.840.10008.1.2.4.91"), j2k_cr=[20], generate_instance_uid=False)
    assert put(part10(ds)).status == "conflict"


def test_objects_without_pixels_are_compared_too(put: Put) -> None:
    ds = image()
    del ds.PixelData
    assert put(encoded_header(ds, uids.EXPLICIT_LE)).status == "stored"
    assert put(encoded_header(ds, uids.IMPLICIT_LE)).status == "duplicate"
    ds.PatientComments = "other"
    assert put(encoded_header(ds, uids.IMPLICIT_LE)).status == "conflict"


def encoded_header(ds: Dataset, syntax: str) -> bytes:
    out = pydicom.dcmread(io.BytesIO(part10(ds)))
    out.file_meta.TransferSyntaxUID = UID(syntax)
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, out, implicit_vr=syntax == uids.IMPLICIT_LE, little_endian=True, force_encoding=True)
    return buffer.getvalue()
