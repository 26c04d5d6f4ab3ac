"""`python -m tests.imaging.bench`: MB/s of stored pixels through each decoder, the LUT chain and the preview."""

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from pydicom import Dataset

from app.dicom import syntaxes
from app.imaging import PixelSpec, decode_frame, encode, preview_jpeg, render
from app.imaging.transcode import transcode_frame

NAMES = {
    syntaxes.EXPLICIT_LE: "native",
    syntaxes.RLE: "rle",
    syntaxes.JPEG_LS: "jpeg-ls",
    syntaxes.J2K_LOSSLESS: "j2k",
    syntaxes.HTJ2K_LOSSLESS: "htj2k",
}


def phantom(rows: int, columns: int) -> np.ndarray:
    """A 12-bit picture that compresses about as a radiograph does: smooth shapes and a little noise."""
    y, x = np.mgrid[0:rows, 0:columns]
    smooth = 1800 + 1200 * np.sin(x / 97) * np.cos(y / 131) + 400 * ((x // 211 + y // 157) % 2)
    return np.clip(smooth + np.random.default_rng(1).normal(0, 12, (rows, columns)), 0, 4095).astype(np.uint16)


def rate(work: Callable[[], object], size: int, seconds: float = 0.5) -> float:
    """MB/s, the best of as many runs as fit."""
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        started = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - started)
    return size / best / 1e6


def measure(rows: int = 2500, columns: int = 3000) -> dict[str, float]:
    """MB/s by step for one image of rows x columns x 12 bit."""
    values = phantom(rows, columns)
    spec = PixelSpec(rows, columns, bits_stored=12, high_bit=11)
    ds = Dataset()
    ds.Rows, ds.Columns, ds.BitsAllocated, ds.BitsStored, ds.HighBit = rows, columns, 16, 12, 11
    ds.SamplesPerPixel, ds.PixelRepresentation, ds.PhotometricInterpretation = 1, 0, "MONOCHROME2"
    ds.WindowCenter, ds.WindowWidth = 2000, 3000
    native, out = values.tobytes(), {}
    for uid, name in NAMES.items():
        frame, own = transcode_frame(native, spec, uid), replace(spec, transfer_syntax_uid=uid)
        out[f"decode {name}"] = rate(lambda f=frame, s=own: decode_frame(f, s), len(native))
        if uid != syntaxes.EXPLICIT_LE:
            out[f"encode {name}"] = rate(lambda u=uid: transcode_frame(native, spec, u), len(native))
    picture = render(values, ds)
    out["lut chain"] = rate(lambda: render(values, ds), len(native))
    out["preview 512"] = rate(lambda: preview_jpeg(native, ds, 512), len(native))
    out["jpeg of the picture"] = rate(lambda: encode(picture, "jpeg"), picture.nbytes)
    return out


if __name__ == "__main__":
    for step, speed in measure().items():
        print(f"{step:22} {speed:8.0f} MB/s")
