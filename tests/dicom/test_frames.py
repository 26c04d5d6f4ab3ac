"""Where frames lie: tables that tell the truth, tables that lie, and none."""

import contextlib
import struct
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.dicom.frames import BadFrames, FrameTable, locate_encapsulated, native, unpack
from app.kit.phrases import Phrase

END = b"\xfe\xff\xdd\xe0\0\0\0\0"


def item(value: bytes) -> bytes:
    return b"\xfe\xff\x00\xe0" + struct.pack("<I", len(value)) + value


def build(frames: list[list[bytes]], *, basic: list[int] | None = None, end: bytes = END) -> bytes:
    return (
        item(struct.pack(f"<{len(basic or [])}I", *(basic or [])))
        + b"".join(item(f) for fr in frames for f in fr)
        + end
    )


def offsets(frames: list[list[bytes]]) -> list[int]:
    return list(accumulate((sum(len(f) + 8 for f in fr) for fr in frames[:-1]), initial=0))


def found(data: bytes, count: int | None, **how: object) -> tuple[list[bytes], list[Phrase]]:
    table, warnings = locate_encapsulated(lambda o, n: data[o : o + n], 0, len(data), count, **how)  # type: ignore[arg-type]
    table = unpack(table.pack())
    return [b"".join(data[o : o + n] for o, n in table.locate(k + 1)) for k in range(table.count)], warnings


fragment = st.binary(min_size=2, max_size=20).filter(lambda b: len(b) % 2 == 0)
some_frames = st.lists(st.lists(fragment, min_size=1, max_size=4), min_size=1, max_size=8)


@given(some_frames)
def test_the_basic_offset_table_is_followed(frames: list[list[bytes]]) -> None:
    got, warnings = found(build(frames, basic=offsets(frames)), len(frames))
    assert got == [b"".join(f) for f in frames] and warnings == []


@given(some_frames)
def test_the_extended_offset_table_is_followed(frames: list[list[bytes]]) -> None:
    extended = struct.pack(f"<{len(frames)}Q", *offsets(frames))
    got, warnings = found(build(frames), len(frames), extended=extended)
    assert got == [b"".join(f) for f in frames] and warnings == []


@given(st.lists(fragment, min_size=1, max_size=8))
def test_without_a_table_one_fragment_is_one_frame(fragments: list[bytes]) -> None:
    got, _ = found(build([[f] for f in fragments]), len(fragments))
    assert got == fragments


@given(st.lists(fragment, min_size=2, max_size=8), st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=9))
def test_a_lying_table_is_ignored_with_a_warning(fragments: list[bytes], lies: list[int]) -> None:
    frames = [[f] for f in fragments]
    got, warnings = found(build(frames, basic=lies), len(frames))
    assert got == fragments
    assert warnings or lies[: len(frames)] == offsets(frames)


def test_a_single_frame_takes_all_fragments() -> None:
    assert found(build([[b"ab", b"cd", b"ef"]]), 1)[0] == [b"abcdef"]


def test_code_streams_tell_frames_apart() -> None:
    frames = [[b"\xff\xd8\xff\xe0ab", b"cdef"], [b"\xff\xd8\xff\xe0gh"], [b"\xff\xd8\xff\xe0ij", b"kl", b"mn"]]
    assert found(build(frames), 3)[0] == [b"".join(f) for f in frames]


def test_a_video_is_one_stream() -> None:
    assert found(build([[b"ab"], [b"cd"]]), 300, video=True)[0] == [b"abcd"]


def test_what_is_cut_off_is_a_warning_or_cannot_be_located() -> None:
    data = build([[b"ab"], [b"cd"], [b"ef"]])
    for cut in range(len(data)):
        try:
            got, warnings = found(data[:cut], 3)
        except BadFrames:
            continue
        whole = [b"ab", b"cd", b"ef"]
        assert warnings and got[:-1] == whole[: len(got) - 1]
        assert whole[len(got) - 1].startswith(got[-1]), "what is there of the last one"


STREAMS = [[b"\xff\xd8\xff\xe0ab", b"cdef"], [b"\xff\xd8\xff\xe0gh"], [b"\xff\xd8\xff\xe0ij", b"kl", b"mn"]]
RUNS = [[struct.pack("<16I", 1, 64, *[0] * 14) + bytes([n] * 4)] for n in range(3)]


@pytest.mark.parametrize("stated", [None, 1, 2, 3, 4, 7, 2_000_000_000])
@pytest.mark.parametrize("frames", [STREAMS, RUNS], ids=["JPEG", "RLE"])
@pytest.mark.parametrize("table", ["basic", "extended", "none", "wrong"])
def test_all_frames_are_found_whatever_number_is_stated(
    stated: int | None, frames: list[list[bytes]], table: str
) -> None:
    how: dict[str, object] = {"extended": struct.pack("<3Q", *offsets(frames))} if table == "extended" else {}
    basic = {"basic": offsets(frames), "wrong": [0, 5]}.get(table)
    got, warnings = found(build(frames, basic=basic), stated, **how)
    assert got == [b"".join(f) for f in frames]
    assert any("Number of Frames" in w for w in warnings) == (stated != 3)
    assert any("Offset Table" in w for w in warnings) == (table == "wrong")


@given(st.binary(max_size=200), st.integers(1, 9))
def test_noise_never_breaks_it(noise: bytes, count: int) -> None:
    for data in (noise, item(b"") + item(b"abcd") + noise):
        with contextlib.suppress(BadFrames):
            found(data, count)


def test_many_fragments_are_quick() -> None:
    data = build([[b"ab"]] * 100_000)
    got, _ = found(data, 100_000)
    assert len(got) == 100_000


def test_native_frames_by_arithmetic() -> None:
    ct = native(512, 512, 1, 16, "MONOCHROME2", 10, 10 * 524288)
    assert (ct.count, ct.span(3)) == (10, (2 * 524288, 524288, 0, 0))
    bits = native(3, 3, 1, 1, "MONOCHROME2", 2, 4)
    assert (bits.count, bits.span(2)) == (2, (1, 2, 1, 0))  # single-bit frames of 3 x 3
    with pytest.raises(BadFrames):
        ct.span(11)


@pytest.mark.parametrize("padding", [0, 1])
@pytest.mark.parametrize("frames", [1, 2, 3, 7])
@pytest.mark.parametrize("label", ["YBR_FULL", "YBR_FULL_422", "YBR_PARTIAL_422"])
@pytest.mark.parametrize(("columns", "word"), [(4, 8), (5, 8), (6, 16), (7, 16)])
@pytest.mark.parametrize("per_pixel", [2, 3])
def test_the_length_says_how_chroma_is_sampled(
    per_pixel: int, columns: int, word: int, label: str, frames: int, padding: int
) -> None:
    size = 6 * columns * per_pixel * word // 8
    found = native(6, columns, 3, word, label, frames, frames * size + padding)
    assert (found.bits // 8, found.count) == (size, frames)


@pytest.mark.parametrize("stated", [None, 1, 2, 3, 4, 900, 2_000_000_000])
@pytest.mark.parametrize(("samples", "word"), [(1, 8), (1, 16), (3, 8), (1, 1)])
def test_native_frames_are_counted_by_what_is_there(stated: int | None, samples: int, word: int) -> None:
    size = 8 * 8 * samples * word // 8
    for extra, count in ((0, 3), (size // 2, 4 if stated is not None and stated > 3 else 3)):
        found = native(8, 8, samples, word, "RGB" if samples == 3 else "MONOCHROME2", stated, 3 * size + extra)
        assert found.count == count
        assert found.span(3)[:2] == (2 * size, size)
    assert found.count == 3 or found.span(4) == (3 * size, size // 2, 0, size - size // 2)


def test_frames_of_an_odd_number_of_bytes_may_each_be_padded() -> None:
    assert native(3, 5, 1, 8, "MONOCHROME2", 4, 4 * 16).span(3) == (32, 15, 0, 0)
    assert native(3, 5, 1, 8, "MONOCHROME2", 4, 4 * 15).span(3) == (30, 15, 0, 0)
    assert native(3, 5, 1, 8, "MONOCHROME2", 3, 3 * 15 + 1).span(3) == (30, 15, 0, 0)


def test_locate_names_each_fragment() -> None:
    table = FrameTable(100, [4, 6, 2], [0, 2])
    assert table.locate(1) == [(100, 4), (112, 6)]
    assert table.locate(2) == [(126, 2)]
