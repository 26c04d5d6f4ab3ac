"""Palettes of PALETTE COLOR images and supplemental ones (PS3.3 C.7.6.3.1.5, C.7.6.3.1.6, C.7.6.19, C.7.9)."""

import numpy as np
from pydicom.dataset import Dataset

from app.imaging.errors import CannotDecode
from app.imaging.native import Samples
from app.imaging.tables import bytes_of, descriptor, words_of
from app.kit.phrases import phrase

_MOST = 65536  # entries
_DISCRETE, _LINEAR, _INDIRECT = range(3)


def palette(ds: Dataset, big_endian: bool = False, signed: bool = False) -> tuple[int, Samples]:
    """The palette as (first stored value mapped, uint8 array (entries, 3)). signed: stored values are.

    Raises CannotDecode when a colour's table is missing or broken."""
    columns, firsts, depth = [], [], 8
    for name in ("Red", "Green", "Blue"):
        entries, first, bits = descriptor(ds, f"{name}PaletteColorLookupTableDescriptor")
        segmented = ds.get(f"Segmented{name}PaletteColorLookupTableData")
        if segmented:
            data = _expanded(segmented, entries, bits, big_endian)
        else:
            data = words_of(ds.get(f"{name}PaletteColorLookupTableData"), big_endian, entries, bits)
        if entries == 0 or len(data) == 0:
            raise CannotDecode(phrase("The {name} palette is missing.", name=name.lower()))
        columns.append(data[:entries])
        firsts.append(_first(first, signed))
        # Tables that say 16 bits but hold 8 (and the other way round) are common; the content of all three decides.
        deep = int(data.max()) > 255
        depth = max(depth, bits if deep else 8, int(data.max()).bit_length())
    longest = max(len(column) for column in columns)
    table = np.stack([np.pad(column, (0, longest - len(column)), mode="edge") for column in columns], axis=1)
    return firsts[0], (table >> (depth - 8)).astype(np.uint8)


def _first(first: int, signed: bool) -> int:
    """First stored value mapped, whose VR follows Pixel Representation, though not in every file."""
    first &= 0xFFFF
    return first - 0x10000 if signed and first > 0x7FFF else first


def _expanded(segmented: object, entries: int, bits: int, big_endian: bool) -> Samples:
    """Segmented data in segments of 8 bits where the descriptor says 8, else of 16; where that does not give the entries
    it announces, as the other kind."""
    kinds = {8: bytes_of(segmented, big_endian), 16: words_of(segmented, big_endian)}
    order = (8, 16) if bits == 8 else (16, 8)
    found: list[Samples] = []
    fault: CannotDecode | None = None
    for width in order:
        try:
            data = expand_segments(kinds[width], width)
        except CannotDecode as error:
            fault = fault or error
            continue
        if len(data) == entries:
            return data
        found.append(data)
    if fault is not None and not found:
        raise fault
    return found[0]


def expand_segments(data: Samples, width: int) -> Samples:
    """Segmented palette data (PS3.3 C.7.9.2): discrete (0), linear (1) and indirect (2) segments of fields of `width` bits.

    Raises CannotDecode for unknown opcodes and for indirect segments that point nowhere or at each other."""
    out: list[int] = []
    _expand([int(word) for word in data], 0, None, out, width)
    return np.array(out[:_MOST], np.uint16)


def _expand(words: list[int], at: int, segments: int | None, out: list[int], width: int) -> None:
    """Appends `segments` segments from `at` on; None: all there are, indirect ones among them."""
    done, offset_fields = 0, 32 // width
    while at < len(words) and (segments is None or done < segments) and len(out) < _MOST:
        if at + 1 >= len(words):
            return  # what makes the value even
        opcode, length = words[at], words[at + 1]
        if opcode == _DISCRETE:
            out += words[at + 2 : at + 2 + length]
            at += 2 + length
        elif opcode == _LINEAR and out and at + 2 < len(words):
            out += [round(v) for v in np.linspace(out[-1], words[at + 2], length + 1)[1:]]
            at += 3
        elif opcode == _INDIRECT and segments is None and at + 1 + offset_fields < len(words):
            fields = words[at + 2 : at + 2 + offset_fields]
            offset = sum(field << width * n for n, field in enumerate(fields))  # bytes, least significant field first
            _expand(words, offset * 8 // width, length, out, width)
            at += 2 + offset_fields
        else:
            raise CannotDecode("The segmented palette is damaged.")
        done += 1
