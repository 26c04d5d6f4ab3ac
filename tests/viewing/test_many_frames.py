"""A header that states millions of frames costs no more than what is asked of it."""

import struct
import tracemalloc
from collections.abc import Iterator
from itertools import islice, pairwise
from pathlib import Path

import pytest

from app.archive import Archive, queries
from app.archive.drawn import drawn_header
from app.archive.frames import locate_objects
from app.archive.pet_series import _slices
from app.http.bodies import MOST_PIECES, _Pump
from app.imaging import RenderParams
from app.security import SYSTEM
from app.viewing.pictures import Pictures
from app.viewing.streaming import series_stream
from tests.archive.make import ct, part10
from tests.viewing.conftest import store

UID = "1.2.3.1.1.1"
MANY = 8_000_000


def _stream(archive: Archive, start: int = 0) -> Iterator[bytes]:
    with archive.database.read() as session:
        located = locate_objects(session, [queries.instance(session, SYSTEM, UID)])
    return series_stream(archive, located, lambda _: None, start)


def _numbers(stream: Iterator[bytes], count: int) -> list[int]:
    """Frame numbers of the heads of one-byte frames."""
    return [struct.unpack("<IIII", head)[1] for head in islice(stream, 0, 2 * count, 2)]


def _store_many(archive: Archive, stated: int, there: int) -> None:
    one = ct(pixels=bytes(there), Rows=1, Columns=1, NumberOfFrames=stated, BitsAllocated=8, BitsStored=8, HighBit=7)
    store(archive, part10(one))


def test_the_first_frames_come_before_the_others_are_listed(archive: Archive) -> None:
    _store_many(archive, MANY, MANY)
    tracemalloc.start()
    try:
        assert _numbers(_stream(archive), 3) == [1, 2, 3]
        assert _numbers(_stream(archive, MANY - 2), 4) == [MANY - 1, MANY, 1, 2]
        assert _numbers(_stream(archive, 3 * MANY + 5), 2) == [6, 7]
        assert len(_Pump(_stream(archive)).next_batch()) == MOST_PIECES
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(("start", "wanted"), [(0, [1, 2, 3, 4]), (2, [3, 4, 1, 2]), (1000, [1, 2, 3, 4])])
def test_only_frames_that_are_there_are_looked_for(archive: Archive, start: int, wanted: list[int]) -> None:
    _store_many(archive, 2_000_000_000, 4)
    assert _numbers(_stream(archive, start), 9) == wanted


def test_slices_of_a_series_are_spread_over_all_its_frames(archive: Archive) -> None:
    _store_many(archive, MANY, MANY)
    with archive.database.read() as session:
        one = queries.instance(session, SYSTEM, UID)
    asked: list[int] = []

    def read(_: object, n: int) -> bytes:
        asked.append(n)
        return b"\0"

    header = ct(pixels=b"\0\0", Rows=1, Columns=1, BitsAllocated=8, BitsStored=8, HighBit=7)
    list(_slices([one], lambda _: header, read))
    assert len(asked) == 24 and asked[0] == -(-MANY // 24) // 2 + 1
    assert {after - before for before, after in pairwise(asked)} == {-(-MANY // 24)}


@pytest.mark.parametrize("rate", [10, 1e-300])
def test_a_loop_of_millions_of_frames_is_a_gif(archive: Archive, tmp_path: Path, rate: float) -> None:
    """What a GIF tells of the time of a frame has 16 bits, and frames that look alike are one with the sum of their times."""
    _store_many(archive, MANY, MANY)
    with archive.database.read() as session:
        located = locate_objects(session, [queries.instance(session, SYSTEM, UID)])[0]
        header = drawn_header(session, located.instance)
    header.RecommendedDisplayFrameRate = None
    header.CineRate = rate if rate == 10 else None
    header.FrameTime = 1 / rate
    assert Pictures(archive, tmp_path).animated(located, header, RenderParams()).startswith(b"GIF89a")
