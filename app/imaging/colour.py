"""Colour spaces, palettes and ICC (PS3.3 C.7.6.3.1.2, C.7.9, C.11.15)."""

import io
import struct
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
from pydicom.dataset import Dataset

from app.imaging.errors import CannotDecode
from app.imaging.native import Samples
from app.kit.phrases import phrase

_BAND = 1 << 18  # pixels turned at a time
# Rows: R, G, B; columns: Y, Cb, Cr, by the equations of PS3.3 C.7.6.3.1.2 turned round.
_FULL = np.array([[1, 0, 1.402], [1, -0.344136, -0.714136], [1, 1.772, 0]], np.float32)
_PARTIAL = np.array([[1.1644, 0, 1.5960], [1.1644, -0.3917, -0.8130], [1.1644, 2.0173, 0]], np.float32)


def to_rgb(values: Samples, photometric: str, bits: int) -> Samples:
    """Three samples per pixel as RGB of the same depth. What the codec has already turned (ICT, RCT) passes unchanged.

    ARGB and CMYK (retired in 2001) are turned by their old definitions."""
    if values.ndim != 3:
        return values
    if values.shape[2] == 4:
        return _four(values, photometric, bits)
    if not photometric.startswith(("YBR_FULL", "YBR_PARTIAL")):
        return values
    matrix = _PARTIAL if "PARTIAL" in photometric else _FULL
    floor = (16 << (bits - 8) if bits >= 8 else 0) if matrix is _PARTIAL else 0
    out = np.empty_like(values)
    middle, top = 1 << (bits - 1), (1 << bits) - 1
    for rows in _bands(values):
        band = values[rows].astype(np.float32)
        band -= np.array([floor, middle, middle], np.float32)
        rgb = band @ matrix.T
        np.rint(rgb, out=rgb)
        out[rows] = np.clip(rgb, 0, top, out=rgb)
    return out


def _bands(values: Samples) -> Iterator[slice]:
    """The rows of an image, some at a time: float copies of a large frame would take four times its memory."""
    step = max(1, _BAND // max(1, values.shape[1]))
    return (slice(start, start + step) for start in range(0, values.shape[0], step))


def from_rgb(values: Samples, photometric: str, bits: int) -> Samples:
    """The inverse of `to_rgb` for YBR_FULL and YBR_PARTIAL: three samples a pixel, chroma not yet halved."""
    partial = "PARTIAL" in photometric
    matrix = np.linalg.inv(_PARTIAL if partial else _FULL).astype(np.float32)
    middle, top = 1 << (bits - 1), (1 << bits) - 1
    floor = (16 << (bits - 8) if bits >= 8 else 0) if partial else 0
    out = np.empty_like(values)
    for band in _bands(values):
        made = values[band].astype(np.float32) @ matrix.T
        made += np.array([floor, middle, middle], np.float32)
        out[band] = np.clip(np.rint(made, out=made), 0, top, out=made)
    return out


def halved_chroma(values: Samples) -> Samples:
    """4:4:4 as 4:2:2: (rows, columns / 2, 4) of Y, Y, Cb, Cr with the mean chroma of each pair (PS3.3 C.7.6.3.1.2)."""
    rows, columns, _ = values.shape
    pairs = values.reshape(rows, columns // 2, 2, 3)
    out = np.empty((rows, columns // 2, 4), values.dtype)
    out[..., :2] = pairs[..., 0]
    for band in _bands(values):
        out[band, :, 2:] = (pairs[band, :, :, 1:].astype(np.uint32).sum(axis=2) + 1) // 2
    return out


def _four(values: Samples, photometric: str, bits: int) -> Samples:
    if photometric == "ARGB":
        return np.ascontiguousarray(values[:, :, 1:])
    if photometric == "CMYK":
        top = (1 << bits) - 1
        out = np.empty((*values.shape[:2], 3), values.dtype)
        for band in _bands(values):
            ink = values[band].astype(np.float32)
            out[band] = np.rint((top - ink[:, :, :3]) * (top - ink[:, :, 3:]) / top)
        return out
    raise CannotDecode(
        phrase(
            "Four samples per pixel with photometric interpretation {photometric} are not supported.",
            photometric=photometric,
        )
    )


def icc_profile(ds: Dataset) -> bytes | None:
    """The image's ICC profile, also from the optical path of a slide (C.8.12.5)."""
    profile = ds.get("ICCProfile")
    if not profile and ds.get("OpticalPathSequence"):
        profile = ds.OpticalPathSequence[0].get("ICCProfile")
    return bytes(profile) if profile else None


def has_broken_profile(ds: Dataset) -> bool:
    """Whether the header has an ICC profile that cannot be applied: damaged, or not for RGB."""
    coloured = ds.get("PhotometricInterpretation") == "PALETTE COLOR" or (ds.get("SamplesPerPixel") or 1) != 1
    profile = icc_profile(ds) if coloured else None
    return profile is not None and _transform(profile) is None


def to_srgb(rgb: Samples, profile: bytes | None) -> Samples:
    """8-bit RGB through its ICC profile into sRGB; unchanged where there is none, or a broken one (C.11.15)."""
    if not profile or rgb.dtype != np.uint8:
        return rgb
    turn = _transform(profile)
    if turn is None:
        return rgb
    from PIL import Image, ImageCms

    out = np.empty_like(rgb)
    for rows in _bands(rgb):
        band = Image.fromarray(np.ascontiguousarray(rgb[rows]))
        out[rows] = np.asarray(ImageCms.applyTransform(band, turn))
    return out


@lru_cache(maxsize=8)
def _transform(profile: bytes) -> Any:
    """The way from a profile to sRGB: relative colorimetric with black point compensation, so that white stays white and a
    colour that both can show stays what it is. None for a profile that cannot be used."""
    if len(profile) < 132:
        return None
    from PIL import ImageCms

    try:
        source: Any = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        return ImageCms.buildTransform(
            source,
            ImageCms.createProfile("sRGB"),
            "RGB",
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (ImageCms.PyCMSError, OSError, ValueError, struct.error):
        return None
