"""Colour spaces, palettes and ICC (PS3.3 C.7.6.3.1.2, C.7.9, C.11.15)."""

import io
import struct
from typing import Any

import numpy as np
from pydicom.dataset import Dataset

from app.imaging.errors import CannotDecode
from app.imaging.native import Samples
from app.imaging.tables import descriptor, words_of
from app.kit.phrases import phrase

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
    step = max(
        1, (1 << 20) // max(1, values.shape[1])
    )  # in bands: float copies of a large frame would triple its memory
    for start in range(0, values.shape[0], step):
        band = values[start : start + step].astype(np.float32)
        band -= np.array([floor, middle, middle], np.float32)
        rgb = band @ matrix.T
        np.rint(rgb, out=rgb)
        out[start : start + step] = np.clip(rgb, 0, top, out=rgb)
    return out


def _four(values: Samples, photometric: str, bits: int) -> Samples:
    if photometric == "ARGB":
        return np.ascontiguousarray(values[:, :, 1:])
    if photometric == "CMYK":
        top = (1 << bits) - 1
        ink = values.astype(np.float32)
        return np.rint((top - ink[:, :, :3]) * (top - ink[:, :, 3:]) / top).astype(values.dtype)
    raise CannotDecode(
        phrase(
            "Four samples per pixel with photometric interpretation {photometric} are not known.",
            photometric=photometric,
        )
    )


def palette(ds: Dataset, big_endian: bool = False) -> tuple[int, Samples]:
    """The palette as (first stored value mapped, uint8 array (entries, 3)).

    Raises CannotDecode when a colour's table is missing or broken."""
    columns, first = [], 0
    for name in ("Red", "Green", "Blue"):
        entries, first, bits = descriptor(ds, f"{name}PaletteColorLookupTableDescriptor")
        segmented = ds.get(f"Segmented{name}PaletteColorLookupTableData")
        if segmented is not None:
            data = expand_segments(words_of(segmented, big_endian), bits)
        else:
            data = words_of(ds.get(f"{name}PaletteColorLookupTableData"), big_endian, entries)
        if len(data) == 0:
            raise CannotDecode(phrase("The {name} palette is missing.", name=name.lower()))
        columns.append(_to_8_bits(_pad(data, entries), bits))
    return first, np.stack(columns, axis=1)


def _pad(data: Samples, entries: int) -> Samples:
    return data[:entries] if len(data) >= entries else np.pad(data, (0, entries - len(data)), mode="edge")


def _to_8_bits(data: Samples, bits: int) -> Samples:
    # Tables that say 16 bits but hold 8 (and the other way round) are common; what stands in them decides.
    if bits > 8 and int(data.max()) > 255:
        return np.asarray(data >> (bits - 8), np.uint8)
    return np.asarray(np.minimum(data, 255), np.uint8)


def expand_segments(data: Samples, bits: int) -> Samples:
    """Segmented palette data (PS3.3 C.7.9.2): discrete (0), linear (1) and indirect (2) segments.

    Raises CannotDecode for unknown opcodes and for indirect segments that point nowhere or at each other."""
    words = [int(word) for word in data]
    out: list[int] = []
    _expand(words, 0, len(words), out, nested=False)
    return np.array(out, np.uint16)


def _expand(words: list[int], at: int, count: int, out: list[int], nested: bool) -> None:
    done = 0
    while at < len(words) and (not nested or done < count) and len(out) <= 65536:
        if at + 1 >= len(words):
            return  # the pad word that makes the value even
        opcode, length = words[at], words[at + 1]
        if opcode == 0:
            out += words[at + 2 : at + 2 + length]
            at += 2 + length
        elif opcode == 1 and out and at + 2 < len(words):
            out += [round(v) for v in np.linspace(out[-1], words[at + 2], length + 1)[1:]]
            at += 3
        elif opcode == 2 and not nested and at + 3 < len(words):
            offset = words[at + 2] | words[at + 3] << 16
            _expand(words, _offset_in_words(offset), length, out, nested=True)
            at += 4
        else:
            raise CannotDecode("The segmented palette is damaged.")
        done += 1


def _offset_in_words(offset: int) -> int:
    return offset // 2  # the standard counts bytes


def icc_profile(ds: Dataset) -> bytes | None:
    """The image's ICC profile, also from the optical path of a slide (C.8.12.5)."""
    profile = ds.get("ICCProfile")
    if not profile and ds.get("OpticalPathSequence"):
        profile = ds.OpticalPathSequence[0].get("ICCProfile")
    return bytes(profile) if profile else None


def to_srgb(rgb: Samples, profile: bytes | None) -> Samples:
    """8-bit RGB through its ICC profile into sRGB; unchanged where there is none, or a broken one (C.11.15)."""
    if not profile or len(profile) < 132 or rgb.dtype != np.uint8:
        return rgb
    from PIL import Image, ImageCms

    try:
        source: Any = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        turn = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), "RGB", "RGB")
        out = np.empty_like(rgb)
        step = max(1, (1 << 20) // max(1, rgb.shape[1]))  # in bands: Pillow holds colour in four bytes, twice here
        for start in range(0, rgb.shape[0], step):
            band = Image.fromarray(np.ascontiguousarray(rgb[start : start + step]))
            out[start : start + step] = np.asarray(ImageCms.applyTransform(band, turn))
    except (ImageCms.PyCMSError, OSError, ValueError, struct.error):
        return rgb
    return out
