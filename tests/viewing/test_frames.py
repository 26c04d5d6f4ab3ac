"""Frames as they are stored, byte for byte, whatever their size."""

import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, JPEGLSLossless

from app.archive import Archive, queries
from app.archive.errors import NoFrame
from app.archive.frames import frame_bytes, locate_objects
from app.security import SYSTEM
from app.viewing.frames import Frames
from tests.archive.make import ct, part10
from tests.viewing.conftest import store

UID = "1.2.3.1.1.1"
STREAM = b"\xff\xd8" + bytes(range(200)) + b"\xff\xd9"


def _both_ways(archive: Archive, n: int) -> tuple[bytes, bytes]:
    """Frame n as everybody reads it, and as the stream of a viewer gives it."""
    with archive.database.read() as session:
        instance = queries.instance(session, SYSTEM, UID)
        [located] = locate_objects(session, [instance])
        whole = frame_bytes(archive, session, instance, n)
    with Frames(archive, located) as frames:
        assert frames.read_frame(n) == whole
        return whole, b"".join(frames.read_pieces(n))


@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("bits", [8, 16])
def test_a_native_frame_with_a_number_of_pixels_that_is_no_multiple_of_eight_is_whole(
    archive: Archive, bits: int, n: int
) -> None:
    size = 3 * 5 * bits // 8
    pixels = bytes(range(1, 2 * size + 1))
    store(archive, part10(ct(pixels=pixels, Rows=3, Columns=5, NumberOfFrames=2, BitsAllocated=bits, BitsStored=bits)))
    assert _both_ways(archive, n) == (pixels[(n - 1) * size : n * size],) * 2


def test_so_is_a_compressed_one(archive: Archive) -> None:
    ds = ct(syntax=JPEGLSLossless, pixels=encapsulate([STREAM]), Rows=50, Columns=11, BitsStored=16)
    ds["PixelData"].VR = "OB"
    store(archive, part10(ds))
    assert _both_ways(archive, 1) == (STREAM, STREAM)


def test_single_bit_frames_begin_on_a_byte(archive: Archive) -> None:
    pixels = bytes([0b10101101, 0b00110011, 0b01010101, 0b00001111])  # 15 pixels a frame, least significant bit first
    store(
        archive,
        part10(ct(pixels=pixels, Rows=3, Columns=5, NumberOfFrames=2, BitsAllocated=1, BitsStored=1, HighBit=0)),
    )
    whole = int.from_bytes(pixels, "little")
    for n in (1, 2):
        wanted = ((whole >> 15 * (n - 1)) & 0x7FFF).to_bytes(2, "little")
        assert _both_ways(archive, n) == (wanted, wanted)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
@pytest.mark.parametrize("samples", [1, 3, 65535])
def test_a_header_that_asks_for_gigabytes_of_a_few_bytes_has_no_frame(
    archive: Archive, syntax: str, samples: int
) -> None:
    ds = ct(syntax=syntax, pixels=bytes(256), Rows=65535, Columns=65535, BitsAllocated=8, BitsStored=8, HighBit=7)
    ds.SamplesPerPixel = samples
    store(archive, part10(ds))
    with archive.database.read() as session:
        [located] = locate_objects(session, [queries.instance(session, SYSTEM, UID)])
    with Frames(archive, located) as frames:
        for read in (frames.size, frames.missing_bytes, lambda n: next(frames.read_pieces(n))):
            with pytest.raises(NoFrame):
                read(1)
