"""Headers of every kind that says how grey pixels are shown, over one small picture of blocks."""

import random
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian, generate_uid

SIDE, BLOCK = 64, 4  # pixels; each block has one value, so that a resampled picture can be compared too
DEPTHS = ((8, 8, 7), (16, 12, 11), (16, 16, 15), (16, 10, 9), (16, 12, 15))  # allocated, stored, high bit
RESCALES: tuple[tuple[str, str] | None, ...] = (
    None,
    ("1", "-1024"),
    ("-1", "0"),
    ("0.0001", "0"),
    ("2.5", "7"),
    ("0", "0"),
    ("0.25", "-3.5"),
)
WINDOWS = (
    "LINEAR",
    "LINEAR_EXACT",
    "SIGMOID",
    "narrow",
    "step",
    "several",
    "none",
    "voi8",
    "voi16",
    "voi-short",
    "voi-two",
)
SHAPES = ("", "IDENTITY", "INVERSE")
MODALITY_LUTS = ("", "", "", "lut16", "lut8")
PADDINGS = ("", "", "value", "range")
OVERLAYS = (False, False, False, True)


def headers(count: int = 66, seed: int = 7) -> Iterator[Dataset]:
    """Objects of one series, each kind of every attribute among them and many combinations."""
    choose = random.Random(seed)
    kinds: tuple[tuple[Any, ...], ...] = (
        ("MONOCHROME2", "MONOCHROME1"),
        (0, 1),
        DEPTHS,
        RESCALES,
        WINDOWS,
        SHAPES,
        MODALITY_LUTS,
        PADDINGS,
        OVERLAYS,
    )
    columns = [_spread(choose, kind, count) for kind in kinds]
    study, series = generate_uid(), generate_uid()
    for n, (photometric, signed, depth, rescale, window, shape, table, padding, overlay) in enumerate(
        zip(*columns, strict=True), 1
    ):
        ds = _blank(study, series, n, photometric, signed, depth)
        values = _values(choose, ds)
        if padding:
            _add_padding(ds, values, padding)
        if table and window not in ("voi8", "voi16", "voi-short", "voi-two"):
            ds.ModalityLUTSequence = [_lut(choose, values, 8 if table == "lut8" else 16, "US")]
            if rescale:  # which a table stands in place of
                ds.RescaleSlope, ds.RescaleIntercept = rescale
            units = np.array([0.0, 255.0 if table == "lut8" else 65535.0])
        else:
            if rescale:
                ds.RescaleSlope, ds.RescaleIntercept = rescale
            slope, intercept = (float(ds.get("RescaleSlope", 1)) or 1.0), float(ds.get("RescaleIntercept", 0))
            units = values * slope + intercept
        _add_window(choose, ds, units, window)
        if shape:
            ds.PresentationLUTShape = shape
        if overlay:
            _add_overlay(ds)
        ds.ImageComments = f"{photometric} {signed} {depth} {rescale} {window} {shape} {table} {padding} {overlay}"
        _put_values(ds, values)
        yield ds


def encoded(ds: Dataset) -> bytes:
    buffer = BytesIO()
    pydicom.dcmwrite(buffer, ds, enforce_file_format=True)
    return buffer.getvalue()


def _spread(choose: random.Random, kind: tuple[Any, ...], count: int) -> list[Any]:
    """Every member about equally often, in random order."""
    found = [kind[n % len(kind)] for n in range(count)]
    choose.shuffle(found)
    return found


def _blank(study: str, series: str, n: int, photometric: str, signed: int, depth: tuple[int, int, int]) -> Dataset:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = ComputedRadiographyImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    ds = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    ds.SOPClassUID, ds.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.InstanceNumber = study, series, n
    ds.PatientID, ds.PatientName, ds.Modality, ds.StudyDate = "HEADERS", "Headers^All", "CR", "20260101"
    ds.Rows = ds.Columns = SIDE
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PixelRepresentation = 1, photometric, signed
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = depth
    return ds


def _values(choose: random.Random, ds: Dataset) -> np.ndarray:
    """A value for each block, over most of the stored range."""
    top = 1 << ds.BitsStored
    low = -(top // 2) if ds.PixelRepresentation else 0
    blocks = SIDE // BLOCK
    made = np.linspace(low + top // 20, low + top - top // 20 - 1, blocks * blocks).round().astype(np.int64)
    order = list(range(blocks * blocks))
    choose.shuffle(order)
    return made[order].reshape(blocks, blocks)


def _add_padding(ds: Dataset, values: np.ndarray, kind: str) -> None:
    low = -(1 << (ds.BitsStored - 1)) if ds.PixelRepresentation else 0
    vr = "SS" if ds.PixelRepresentation else "US"
    values[:3] = low
    ds.add_new("PixelPaddingValue", vr, low)
    if kind == "range":
        values[3] = low + 3
        ds.add_new("PixelPaddingRangeLimit", vr, low + 5)


def _lut(choose: random.Random, values: np.ndarray, bits: int, kind: str = "") -> Dataset:
    """A gamma curve, up or down, over a part of the values: inputs outside of it take its ends."""
    item = Dataset()
    low, high = int(values.min()), int(values.max())
    first, count = low + (high - low) // 10, max(2, (high - low) * 8 // 10)
    curve = np.linspace(0, 1, count) ** choose.choice((0.5, 1.0, 1.8))
    entries = ((1 - curve if choose.random() < 0.3 else curve) * ((1 << bits) - 1)).round().astype(np.uint16)
    item.add_new("LUTDescriptor", "SS" if first < 0 else "US", [count & 0xFFFF, first, bits])
    if count > 0x7FFF or first > 0x7FFF:
        item.add_new("LUTDescriptor", "US", [count & 0xFFFF, first & 0xFFFF, bits])
    item.add_new("LUTData", "OW", entries.astype("<u2").tobytes())
    if kind:
        item.ModalityLUTType = kind
    return item


def _add_window(choose: random.Random, ds: Dataset, units: np.ndarray, kind: str) -> None:
    low, high = float(units.min()), float(units.max())
    center, width = (low + high) / 2, (high - low) * 0.7
    if kind.startswith("voi"):
        whole = units.round().astype(np.int64)
        bits = 8 if kind == "voi8" else 16
        if high - low < 2:
            kind, center, width = "LINEAR_EXACT", (low + high) / 2, high - low
        else:
            ds.VOILUTSequence = [_lut(choose, whole, bits) for _ in range(2 if kind == "voi-two" else 1)]
            return
    if kind == "none":
        return
    if kind == "narrow":
        width = min(width, 0.2)
    if kind == "step":
        center, width = center + 0.5, 1.0  # the step of LINEAR lies half a unit below the centre
    if kind in ("LINEAR_EXACT", "SIGMOID"):
        ds.VOILUTFunction = kind
    pairs = [(center, width), (center / 2, width / 2)] if kind == "several" else [(center, width)]
    ds.WindowCenter = [f"{c:.8g}" for c, _ in pairs]
    ds.WindowWidth = [f"{w:.8g}" for _, w in pairs]


def _add_overlay(ds: Dataset) -> None:
    """A band across the middle, by group 6000."""
    bits = np.zeros((SIDE, SIDE), np.uint8)
    bits[28:36] = 1
    ds.add_new(0x60000010, "US", SIDE)
    ds.add_new(0x60000011, "US", SIDE)
    ds.add_new(0x60000040, "CS", "G")
    ds.add_new(0x60000050, "SS", [1, 1])
    ds.add_new(0x60000100, "US", 1)
    ds.add_new(0x60000102, "US", 0)
    ds.add_new(0x60003000, "OW", np.packbits(bits.reshape(-1), bitorder="little").tobytes())


def _put_values(ds: Dataset, values: np.ndarray) -> None:
    picture = np.kron(values, np.ones((BLOCK, BLOCK), np.int64)) & ((1 << ds.BitsStored) - 1)
    picture <<= ds.HighBit + 1 - ds.BitsStored
    ds.PixelData = picture.astype(np.uint8 if ds.BitsAllocated == 8 else "<u2").tobytes()
    ds["PixelData"].VR = "OB" if ds.BitsAllocated == 8 else "OW"
