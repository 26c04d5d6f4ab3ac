"""Palettes as they come (PS3.3 C.7.6.3.1.5, C.7.6.3.1.6, C.7.9): whatever their spelling, the same colours."""

import struct
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset

from tests.archive.make import ct
from tests.pixels.conftest import CASES, Seen

RAMP = np.arange(256)
TABLES = {"Red": RAMP, "Green": 255 - RAMP, "Blue": RAMP // 2}
COLOURS = np.stack(list(TABLES.values()), axis=1)


def _image(values: Any = None, signed: bool = False, first: int = 0, entries: int = 256, bits: int = 8) -> Dataset:
    words = np.arange(256) if values is None else np.asarray(values)
    ds = ct(pixels=words.astype("<i2" if signed else "<u2").tobytes(), Rows=1, Columns=len(words))
    ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 15, int(signed)
    ds.PhotometricInterpretation = "PALETTE COLOR"
    for name in TABLES:
        ds.add_new(
            f"{name}PaletteColorLookupTableDescriptor", "SS" if signed else "US", [entries & 0xFFFF, first, bits]
        )
    return ds


def _with(ds: Dataset, spell: Any, segmented: bool = False, order: str = "<") -> Dataset:
    for name, table in TABLES.items():
        value = spell(table)
        data = value if isinstance(value, bytes) else value.astype(f"{order}u2").tobytes()
        ds.add_new(f"{'Segmented' * segmented}{name}PaletteColorLookupTableData", "OW", data)
    return ds


def test_h04_a_segmented_palette_of_8_bit_entries_is_drawn_everywhere(seen: Seen) -> None:
    one = seen.put(CASES / "H04" / "x.dcm")
    stored = np.frombuffer((CASES / "H04" / "x.dcm").read_bytes()[-16384:], np.uint8).reshape(64, 256).astype(float)
    wanted = np.stack([np.full_like(stored, 255), stored, 255 - stored], axis=2)
    for way, picture in seen.everywhere(one).items():
        off = np.abs(picture.astype(int) - wanted)
        assert off.max() <= (1 if way in ("rendered", "wado-uri", "api") else 40), way


def _eight_bit_line(table: Any) -> bytes:
    data = bytes([0, 1, int(table[0]), 1, 255, int(table[255])])
    return data + b"\0" * (len(data) % 2)


def _eight_bit_pieces(table: Any) -> bytes:
    half = bytes([0, 128, *(int(v) for v in table[:128])])
    return half + bytes([0, 128, *(int(v) for v in table[128:])])


def _sixteen_bit_pieces(table: Any) -> Any:
    return np.array([0, 100, *(table[:100] * 257), 0, 156, *(table[100:] * 257)])


SPELLINGS = {
    "8-bit entries packed two to a word": (8, lambda t: t.astype(np.uint8).tobytes(), False),
    "16-bit words": (16, lambda t: t * 257, False),
    "16-bit descriptor, 8-bit data packed": (16, lambda t: t.astype(np.uint8).tobytes(), False),
    "16-bit descriptor, values up to 255": (16, lambda t: t, False),
    "8-bit descriptor, 16-bit words": (8, lambda t: t * 257, False),
    "8-bit descriptor, words up to 255": (8, lambda t: t, False),
    "12-bit entries": (12, lambda t: t * 16, False),
    "segments of 8 bits": (8, _eight_bit_pieces, True),
    "lines of 8 bits": (8, _eight_bit_line, True),
    "segments of 16 bits": (16, _sixteen_bit_pieces, True),
    "8-bit descriptor, segments of 16 bits": (8, lambda t: np.array([0, 256, *t]), True),
}


@pytest.mark.parametrize("name", SPELLINGS)
@pytest.mark.parametrize("big_endian", [False, True])
def test_all_spellings_of_a_palette_are_the_same_colours(seen: Seen, name: str, big_endian: bool) -> None:
    bits, spell, segmented = SPELLINGS[name]
    ds = _with(_image(bits=bits), spell, segmented, ">" if big_endian else "<")
    if big_endian:
        ds.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.2"
        ds.PixelData = np.frombuffer(ds.PixelData, "<u2").astype(">u2").tobytes()
        for element in ds:
            if "PaletteColorLookupTableData" in element.keyword and isinstance(spell(RAMP), bytes):
                element.value = np.frombuffer(element.value, "<u2").byteswap().tobytes()
    picture = seen.rendered(seen.put(ds))[0].astype(int)
    wanted = COLOURS if "lines" not in name else np.stack([RAMP, 255 - RAMP, np.rint(RAMP / 255 * 127)], axis=1)
    assert np.abs(picture - wanted).max() <= 1


def test_all_three_tables_say_how_deep_they_are(seen: Seen) -> None:
    """A colour that never gets bright has entries up to 255 of 65535: it is black, not white."""
    ds = _image(bits=16)
    for name, table in (("Red", RAMP * 257), ("Green", RAMP), ("Blue", RAMP * 0)):
        ds.add_new(f"{name}PaletteColorLookupTableData", "OW", table.astype("<u2").tobytes())
    picture = seen.rendered(seen.put(ds))[0]
    assert picture[255].tolist() == [255, 0, 0]


@pytest.mark.parametrize("first", [-128, -1, 100])
def test_values_below_and_above_the_table_take_its_ends(seen: Seen, first: int) -> None:
    values = np.array([first - 5, first, first + 1, first + 200, first + 255, first + 900])
    ds = _with(_image(values, signed=True, first=first), lambda t: t.astype(np.uint8).tobytes())
    wanted = COLOURS[np.clip(values - first, 0, 255)]
    assert np.array_equal(seen.rendered(seen.put(ds))[0], wanted)


def test_a_negative_first_value_written_without_its_sign(seen: Seen) -> None:
    values = np.array([-100, -1, 0, 50])
    ds = _with(_image(values, signed=True), lambda t: t.astype(np.uint8).tobytes())
    for name in TABLES:
        ds.add_new(f"{name}PaletteColorLookupTableDescriptor", "US", [256, 0x10000 - 100, 8])
    assert np.array_equal(seen.rendered(seen.put(ds))[0], COLOURS[[0, 99, 100, 150]])


def test_no_entries_are_65536(seen: Seen) -> None:
    values = np.array([0, 256, 65535])
    ds = _image(values, entries=65536, bits=16)
    assert ds.RedPaletteColorLookupTableDescriptor[0] == 0
    for name, top in (("Red", 65535), ("Green", 0), ("Blue", 65535)):
        ds.add_new(f"{name}PaletteColorLookupTableData", "OW", np.linspace(0, top, 65536).astype("<u2").tobytes())
    assert seen.rendered(seen.put(ds))[0].tolist() == [[0, 0, 0], [1, 0, 1], [255, 0, 255]]


@pytest.mark.parametrize("bits", [8, 16])
def test_data_that_is_too_short_goes_on_with_its_last_colour(seen: Seen, bits: int) -> None:
    spell = (lambda t: t[:200].astype(np.uint8).tobytes()) if bits == 8 else (lambda t: t[:200] * 257)
    picture = seen.rendered(seen.put(_with(_image(bits=bits), spell)))[0]
    assert np.array_equal(picture, COLOURS[np.minimum(RAMP, 199)])


@pytest.mark.parametrize("width", [8, 16])
def test_indirect_segments_repeat_others(seen: Seen, width: int) -> None:
    """Two segments of 64 entries, then both again by their place in bytes, then 128 discrete ones (C.7.9.2.3)."""

    def spell(table: Any) -> Any:
        first = [0, 64, *range(64), 0, 64, *range(64, 128)]
        if width == 8:
            return bytes([*first, 2, 2, *struct.pack("<I", 0)])
        return np.array([*(v * 257 if n not in (0, 1, 66, 67) else v for n, v in enumerate(first)), 2, 2, 0, 0])

    ds = _with(_image(bits=width), spell, segmented=True)
    assert np.array_equal(seen.rendered(seen.put(ds))[0][:, 0], np.tile(np.arange(128), 2))


def test_a_supplemental_palette_colours_the_values_above_it_names(seen: Seen) -> None:
    """A grey picture whose values from 100 on are colours (C.7.6.19)."""
    values = np.array([0, 50, 99, 100, 101, 110])
    ds = _with(_image(values, first=100, entries=11), lambda t: (t[:11] * 20).astype(np.uint8).tobytes() + b"\0")
    ds.PhotometricInterpretation, ds.PixelPresentation = "MONOCHROME2", "MIXED"
    ds.WindowCenter, ds.WindowWidth = 50, 100
    picture = seen.rendered(seen.put(ds))[0].astype(int)
    assert (picture[:3, 0] == picture[:3, 2]).all() and picture[2, 0] > picture[1, 0] > picture[0, 0]
    for n, value in ((3, 0), (4, 1), (5, 10)):
        wanted = [int(np.uint8(table[value] * 20)) for table in TABLES.values()]
        assert picture[n].tolist() == wanted


def test_tables_of_different_lengths_are_no_fault_of_the_server(seen: Seen) -> None:
    ds = _with(_image(), lambda t: t.astype(np.uint8).tobytes())
    ds.GreenPaletteColorLookupTableDescriptor = [100, 0, 8]
    ds.GreenPaletteColorLookupTableData = bytes(range(100))
    picture = seen.rendered(seen.put(ds))[0]
    assert (picture[:, 0] == RAMP).all() and picture[255, 1] == 99
