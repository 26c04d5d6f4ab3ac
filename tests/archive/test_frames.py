"""The one cache of frame layouts: its bound in bytes, what it counts, and that every reader goes by it."""

import tracemalloc
from collections.abc import Iterator

import pytest
from pydicom.encaps import encapsulate
from sqlalchemy import select

from app.archive import Archive, content, frames
from app.archive.frames import Cache, Layout, Located, frame_bytes, layout_of, locate_objects
from app.archive.models import Instance
from app.dicom.frames import FrameTable, unpack
from app.viewing.frames import Frames
from tests.archive.conftest import Put
from tests.archive.make import ct, part10

FRAMES = [b"\xff\xd8\xff" + bytes([n]) * 5 for n in range(3)]


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cache]:
    """In place of the one of the process."""
    own = Cache()
    monkeypatch.setattr(frames, "CACHE", own)
    yield own


def _several() -> bytes:
    ds = ct(syntax="1.2.840.10008.1.2.4.70", pixels=encapsulate(FRAMES), NumberOfFrames=len(FRAMES))
    ds["PixelData"].VR = "OB"
    return part10(ds)


def _layout(number: int, fragments: int) -> Layout:
    table = unpack(FrameTable(1000, [10] * fragments, range(fragments)).pack())
    table.locate(1)
    one = Instance(id=number, sha256=f"{number:064}", path=f"a/{number}", number_of_frames=fragments)
    return Layout(one, table=table)


def _key(number: int) -> frames.Key:
    return number, f"{number:064}", f"a/{number}"


def test_the_cache_takes_no_more_than_its_bytes_and_forgets_what_was_not_used_for_longest() -> None:
    cache = Cache(1 << 20)
    for number in range(200):
        cache.put(_layout(number, 1000))
        assert cache.get(_key(0)) is not None, "used again and again"
        assert cache.bytes <= cache.most
    assert len(cache) == (1 << 20) // (4096 + 16 * 1000)
    assert cache.get(_key(1)) is None and cache.get(_key(199)) is not None
    before = cache.bytes
    cache.put(_layout(199, 1000))
    assert cache.bytes == before, "the same again"
    cache.put(_layout(200, 100_000))
    assert len(cache) == 1 and cache.get(_key(200)) is not None, "larger than the bound: alone"
    cache.put(_layout(201, 10))
    assert len(cache) == 1 and cache.bytes == 4096 + 160


@pytest.mark.parametrize("fragments", [2, 3000])
def test_a_layout_takes_no_more_memory_than_is_counted(fragments: int) -> None:
    cache = Cache()
    cache.put(_layout(0, fragments))  # what is made once
    tracemalloc.start()
    try:
        counted, before = cache.bytes, tracemalloc.get_traced_memory()[0]
        for number in range(1, 101):
            cache.put(_layout(number, fragments))
        assert tracemalloc.get_traced_memory()[0] - before <= cache.bytes - counted
    finally:
        tracemalloc.stop()


def test_all_readers_of_an_object_share_its_layout(archive: Archive, put: Put, cache: Cache) -> None:
    put(_several())
    with archive.database.read() as session:
        one = session.scalars(select(Instance)).one()
        located = locate_objects(session, [one])[0]
        layout = located.layout()
        assert layout_of(session, one) is layout is Located(one, None).layout(), "the table is not asked for again"
        read = [frame_bytes(archive, session, one, n) for n in (1, 2, 3)]
    with Frames(archive, located) as opened:
        assert [opened.read_frame(n) for n in (1, 2, 3)] == read == FRAMES
    assert len(cache) == 1


def test_another_content_of_the_same_object_has_a_layout_of_its_own(archive: Archive, put: Put, cache: Cache) -> None:
    put(_several())
    with archive.database.read() as session:
        one = session.scalars(select(Instance)).one()
        first = layout_of(session, one)
        session.expunge(one)
        one.sha256 = "f" * 64
        assert layout_of(session, one) is not first
    assert len(cache) == 2


def test_a_kept_layout_outlives_the_session_it_was_made_in(archive: Archive, put: Put, cache: Cache) -> None:
    put(_several())
    with archive.database.write() as session:
        layout = layout_of(session, session.scalars(select(Instance)).one())
        session.rollback()
    assert layout is cache.get(frames.key_of(layout.instance))
    place = layout.locate_frame(2)
    assert content.read_parts(archive, layout.instance, place.parts) == FRAMES[1]
