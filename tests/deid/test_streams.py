"""What stands in and behind the pixels goes; the pixels stay, frame by frame."""

import struct
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, encapsulate_extended, generate_frames
from pydicom.filebase import DicomIO
from pydicom.filewriter import write_dataset, write_file_meta_info
from pydicom.uid import UID

from app.deid import streams
from app.deid.errors import CannotClean
from app.deid.files import anonymize
from app.deid.profile import resolve
from app.deid.pseudonym import Pseudonyms
from app.imaging import PixelSpec
from app.imaging.decode import decode_frame
from tests.imaging.support import stored_frame

CASES = Path(__file__).parents[1] / "cases"
KEY = Pseudonyms(b"k" * 32)
SECRET = b"Quillfeather^Theodora 1960-02-03"
Plant = Callable[[bytes], bytes]


def cleaned(ds: Dataset) -> Dataset:
    """Written by hand: pydicom does not save transfer syntaxes newer than itself."""
    source, out = BytesIO(), BytesIO()
    source.write(bytes(128) + b"DICM")
    target = DicomIO(source)
    target.is_implicit_VR, target.is_little_endian = False, True
    write_file_meta_info(target, ds.file_meta, enforce_standard=False)
    write_dataset(target, ds)
    anonymize(BytesIO(source.getvalue()), out, resolve("basic"), KEY)
    assert SECRET not in out.getvalue()
    return dcmread(BytesIO(out.getvalue()))


def segment(marker: int, data: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data


def in_jpeg(frame: bytes) -> bytes:
    """Exif, IPTC, a JFIF thumbnail and a comment ahead of all, a comment before the picture's data, bytes behind its end."""
    at, end = 2, frame.rindex(b"\xff\xd9") + 2
    while frame[at + 1] != 0xDA:
        at += 2 + int.from_bytes(frame[at + 2 : at + 4], "big")
    ahead = segment(0xE1, b"Exif\0\0" + SECRET) + segment(0xED, SECRET) + segment(0xE2, SECRET) + segment(0xFE, SECRET)
    return frame[:2] + ahead + frame[2:at] + segment(0xFE, SECRET) + frame[at:end] + SECRET


def in_j2k(frame: bytes) -> bytes:
    """A comment in the main header and in each header of a tile-part, whose length it adds to, and bytes behind the end."""
    start = frame.index(b"\xff\x4f\xff\x51")
    size = int.from_bytes(frame[start + 4 : start + 6], "big")
    comment = struct.pack(">HHH", 0xFF64, len(SECRET) + 4, 1) + SECRET
    head = start + 4 + size
    tile = frame.index(b"\xff\x90\x00\x0a", head)
    length = int.from_bytes(frame[tile + 6 : tile + 10], "big")
    sot = frame[tile : tile + 6] + struct.pack(">I", length and length + len(comment)) + frame[tile + 10 : tile + 12]
    end = frame.rindex(b"\xff\xd9") + 2
    return frame[:head] + comment + frame[head:tile] + sot + comment + frame[tile + 12 : end] + SECRET


def in_rle(frame: bytes) -> bytes:
    """Behind each segment, in the unused offsets, and behind the last one."""
    count, *offsets = struct.unpack("<16L", frame[:64])
    pieces = [frame[a:b] for a, b in zip(offsets[:count], [*offsets[1:count], len(frame)], strict=True)]
    data, places = b"", []
    for piece in pieces:
        places.append(64 + len(data))
        data += piece + SECRET
    header = struct.pack(f"<{count + 1}L", count, *places).ljust(64, SECRET[:1])
    return header + data


PLANTED: list[tuple[str, Plant]] = [
    ("codecs/jpeg-baseline_gray8.dcm", in_jpeg),
    ("codecs/wg04/mr4/mr4_jpeg-lossless-sv1.dcm", in_jpeg),
    ("codecs/wg04/nm1/nm1_jpegls-lossless.dcm", in_jpeg),
    ("codecs/wg04/mr4/mr4_jpeg-extended-12bit.dcm", in_jpeg),
    ("codecs/htj2k_lossless_rgb.dcm", in_j2k),
    ("codecs/wg04/nm1/nm1_j2k-lossless.dcm", in_j2k),
    ("codecs/j2k_jp2_boxes_inside.dcm", in_j2k),
    ("enhanced/emr_10frames_j2k.dcm", in_j2k),
    ("enhanced/emr_10frames_rle.dcm", in_rle),
    ("pixel/us_palette_2frames_rle.dcm", in_rle),
]


def find(folder: Path, name: str) -> Path:
    path = folder / name
    return path if path.is_file() else next(folder.rglob(path.name), path)


@pytest.mark.parametrize(("name", "plant"), PLANTED, ids=[name for name, _ in PLANTED])
@pytest.mark.parametrize("tables", ["basic", "extended", "fragments"])
def test_every_frame_is_cleaned_and_decodes_to_the_same(
    shared_data: Path, name: str, plant: Plant, tables: str
) -> None:
    ds = dcmread(find(shared_data, name))
    spec = PixelSpec.from_dataset(ds)
    frames = list(generate_frames(ds.PixelData, number_of_frames=spec.frames))
    planted = [plant(frame) for frame in frames]
    if tables == "extended":
        ds.PixelData, ds.ExtendedOffsetTable, ds.ExtendedOffsetTableLengths = encapsulate_extended(planted)
    else:
        parts = 3 if tables == "fragments" and plant is not in_rle else 1
        ds.PixelData = encapsulate(planted, fragments_per_frame=parts)
    assert ds.PixelData.count(SECRET) >= len(frames)
    again = cleaned(ds)
    assert again.file_meta.TransferSyntaxUID == ds.file_meta.TransferSyntaxUID
    for number in range(1, spec.frames + 1):
        whole = frames[number - 1]
        assert np.array_equal(decode_frame(stored_frame(again, spec, number), spec), decode_frame(whole, spec)), number


def test_a_thumbnail_inside_a_jpeg_goes(shared_data: Path) -> None:
    ds = dcmread(shared_data / "codecs" / "jpeg-baseline_gray8.dcm")
    frame = next(generate_frames(ds.PixelData, number_of_frames=1))
    thumbnail = segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\x04\x03" + (SECRET + bytes(36))[:36]) + segment(
        0xE0, b"JFXX\0\x10" + SECRET
    )
    ds.PixelData = encapsulate([frame[:2] + thumbnail + frame[2:]])
    spec = PixelSpec.from_dataset(ds)
    assert np.array_equal(decode_frame(stored_frame(cleaned(ds), spec), spec), decode_frame(frame, spec))


def test_a_deflated_frame_ends_with_its_stream() -> None:
    ds = dcmread(CASES / "H51" / "x.dcm")
    packer = zlib.compressobj(wbits=-15)
    stream = packer.compress(ds.PixelData) + packer.flush()
    ds.file_meta.TransferSyntaxUID = UID("1.2.840.10008.1.2.8.1")
    ds.PixelData = encapsulate([stream + SECRET])
    ds["PixelData"].is_undefined_length = True
    again = cleaned(ds)
    frame = next(generate_frames(again.PixelData, number_of_frames=1))
    assert zlib.decompressobj(-15).decompress(frame) == dcmread(CASES / "H51" / "x.dcm").PixelData


def test_boxes_of_jpeg_xl_become_free_space() -> None:
    import imagecodecs

    ds = dcmread(CASES / "H51" / "x.dcm")
    picture = np.frombuffer(ds.PixelData, np.uint8).reshape(ds.Rows, ds.Columns)
    bare = imagecodecs.jpegxl_encode(picture, lossless=True, usecontainer=True)
    boxes = b"".join(struct.pack(">I4s", len(SECRET) + 8, name) + SECRET for name in (b"Exif", b"xml ", b"jbrd"))
    ds.PixelData = encapsulate([bare + boxes])
    ds["PixelData"].is_undefined_length = True
    ds.file_meta.TransferSyntaxUID = UID("1.2.840.10008.1.2.4.111")
    again = cleaned(ds)
    assert again.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.4.112", "no JPEG can be made of it again"
    frame = next(generate_frames(again.PixelData, number_of_frames=1))
    assert np.array_equal(imagecodecs.jpegxl_decode(frame), picture)


@pytest.mark.parametrize(
    ("syntax", "unit"),
    [
        ("1.2.840.10008.1.2.4.102", b"\x06\x05\x40" + bytes(range(1, 17)) + SECRET + b"\x80"),
        ("1.2.840.10008.1.2.4.107", b"\x4e\x01\x05\x40" + bytes(range(1, 17)) + SECRET + b"\x80"),
        ("1.2.840.10008.1.2.4.100", b"\xb2" + SECRET),
    ],
)
def test_user_data_of_a_video_goes_and_its_pictures_stay(syntax: str, unit: bytes) -> None:
    ds = dcmread(CASES / "H51" / "x.dcm")
    start, slices = b"\0\0\0\1", [b"\x65\x11\x22" * 50, b"\x41\x33\x44" * 50]
    stream = start + slices[0] + start + unit + start + slices[1] + start + unit
    cut = stream.index(SECRET) + 5  # a text over two fragments
    ds.PixelData = b"\xfe\xff\0\xe0\0\0\0\0" + b"".join(
        b"\xfe\xff\0\xe0" + struct.pack("<L", len(part)) + part for part in (stream[:cut], stream[cut:])
    )
    ds["PixelData"].is_undefined_length = True
    ds.file_meta.TransferSyntaxUID = UID(syntax)
    again = cleaned(ds)
    data = next(generate_frames(again.PixelData, number_of_frames=1))
    assert len(data) == len(stream)
    assert [data.count(one) for one in slices] == [1, 1]


def test_the_texts_of_an_mp4_go_and_the_rest_is_told_of() -> None:
    def box(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I4s", len(data) + 8, name) + data

    ds = dcmread(CASES / "H51" / "x.dcm")
    handler = box(b"hdlr", bytes(8) + b"vide" + bytes(12) + SECRET + b"\0")
    movie = box(b"moov", box(b"trak", box(b"mdia", handler)) + box(b"udta", SECRET))
    stream = box(b"ftyp", b"isom" + bytes(4)) + movie + box(b"free", SECRET) + box(b"mdat", b"\x65" * 100)
    ds.PixelData = encapsulate([stream])
    ds["PixelData"].is_undefined_length = True
    ds.file_meta.TransferSyntaxUID = UID("1.2.840.10008.1.2.4.102")
    source, out = BytesIO(), BytesIO()
    ds.save_as(source)
    _, tally = anonymize(source, out, resolve("basic"), KEY)
    assert SECRET not in out.getvalue()
    assert any("metadata or the sound of a video" in warning for warning in tally.warnings)


@pytest.mark.parametrize("extra", [SECRET, bytes(64) + SECRET, SECRET * 100])
def test_native_pixel_data_ends_where_its_header_says(extra: bytes) -> None:
    ds = dcmread(CASES / "H51" / "x.dcm")
    pixels = ds.PixelData
    ds.PixelData = pixels + extra
    assert cleaned(ds).PixelData == pixels


def test_the_padding_of_odd_pixel_data_is_zero() -> None:
    ds = dcmread(CASES / "H51" / "x.dcm")
    ds.Rows, ds.Columns, ds.PixelData = 3, 3, b"123456789X"
    assert cleaned(ds).PixelData == b"123456789\0"


def test_frames_of_444_declared_as_422_stay_whole() -> None:
    ds = dcmread(CASES / "H03" / "1.dcm")
    assert cleaned(ds).PixelData == ds.PixelData


def test_what_lies_between_the_fragments_goes() -> None:
    """Wrong offsets in the table, a length at the end of the sequence."""
    ds = dcmread(CASES / "H51" / "x.dcm")
    stream = b"\xff\x4f\xff\x51" + b"\0\x04\0\0" + b"\xff\xd9"
    value = (
        b"\xfe\xff\0\xe0"
        + struct.pack("<L", len(SECRET))
        + SECRET
        + b"\xfe\xff\0\xe0"
        + struct.pack("<L", len(stream))
        + stream
    )
    ds.PixelData = value
    ds["PixelData"].is_undefined_length = True
    ds.file_meta.TransferSyntaxUID = UID("1.2.840.10008.1.2.4.90")
    assert SECRET not in cleaned(ds).PixelData


def test_an_unknown_compression_is_refused_in_words() -> None:
    ds = dcmread(CASES / "H51" / "x.dcm")
    ds.PixelData = encapsulate([b"what is this? " + SECRET])
    ds["PixelData"].is_undefined_length = True
    ds.file_meta.TransferSyntaxUID = UID("1.2.840.10008.1.2.4.90")
    with pytest.raises(CannotClean, match="cannot be parsed"):
        cleaned(ds)


def _edited(frame: bytes) -> bytes:
    written = bytearray(frame)
    for at, data in streams.edits(frame, streams.Kind()):
        written[at : at + len(data)] = data
    return bytes(written)


@pytest.mark.parametrize("marker", [0x02, 0x5C, 0xBF, 0xF0, 0xF6, 0xFD])
def test_reserved_segments_of_jpeg_are_emptied(marker: int) -> None:
    quantization = segment(0xDB, bytes(65))
    frame = b"\xff\xd8" + segment(marker, SECRET) + quantization + b"\xff\xd9"
    assert _edited(frame) == frame.replace(SECRET, bytes(len(SECRET)))


@pytest.mark.parametrize(
    ("marker", "table"),
    [
        (0xDB, b"\0" + bytes(range(1, 65))),
        (0xC4, b"\x10\0\1" + bytes(14) + b"\x05"),
        (0xC0, b"\x08\0\x08\0\x08\1\1\x11\0"),
        (0xDD, b"\0\x08"),
    ],
)
def test_a_segment_of_jpeg_ends_where_its_tables_end(marker: int, table: bytes) -> None:
    """The length says so, and FF may stand before the next marker (T.81 B.1.1.2)."""
    frame = b"\xff\xd8" + segment(marker, table + SECRET) + segment(0xFE, b"") + b"\xff\xd9"
    assert (
        _edited(frame)
        == b"\xff\xd8" + segment(marker, table) + b"\xff" * len(SECRET) + segment(0xFE, b"") + b"\xff\xd9"
    )


@pytest.mark.parametrize(
    "name",
    [
        "jpeg-baseline_gray8.dcm", "jpeg-baseline_ybr_full_422.dcm", "jpeg-extended_12bit_nm.dcm", "jpeg-lossless-sv1_rgb.dcm",
        "wg04/nm1/nm1_jpeg-lossless-sv1.dcm",
    ],
)  # fmt: skip
@pytest.mark.parametrize("ending", [b"", b"\xff\xd9"])
def test_text_behind_the_codes_of_a_scan_goes(shared_data: Path, name: str, ending: bytes) -> None:
    """Before the end of the image, or without one: only who follows the codes sees that it is none."""
    ds = dcmread(shared_data / "codecs" / name)
    spec = PixelSpec.from_dataset(ds)
    frame = next(generate_frames(ds.PixelData, number_of_frames=spec.frames))
    codes = frame[: frame.rindex(b"\xff\xd9")]
    clean = _edited(codes + SECRET + ending)
    assert SECRET not in clean
    assert clean.startswith(_edited(codes)), "not one byte of the codes changes"
    assert np.array_equal(decode_frame(clean, spec), decode_frame(frame, spec))


@pytest.mark.parametrize("name", ["jpeg-baseline_gray8.dcm", "jpeg-baseline_ybr_411.dcm", "jpeg-lossless-sv1_rgb.dcm"])
def test_text_in_tables_that_no_scan_asks_for_goes(shared_data: Path, name: str) -> None:
    """Numbers that no component has, and a table that is defined again before a scan."""
    ds = dcmread(shared_data / "codecs" / name)
    spec = PixelSpec.from_dataset(ds)
    frame = next(generate_frames(ds.PixelData, number_of_frames=spec.frames))
    spare = SECRET.ljust(64, b"!")
    counts = bytes(15) + bytes([len(SECRET)])
    planted = segment(0xDB, b"\x03" + spare + b"\0" + spare) + segment(
        0xC4, b"\x13" + counts + SECRET + b"\0" + counts + SECRET
    )
    clean = _edited(frame[:2] + planted + frame[2:])
    assert SECRET not in clean
    assert np.array_equal(decode_frame(clean, spec), decode_frame(frame, spec))


def test_a_short_name_behind_the_codes_of_a_scan_goes(shared_data: Path) -> None:
    frame = next(
        generate_frames(dcmread(shared_data / "codecs" / "jpeg-baseline_gray8.dcm").PixelData, number_of_frames=1)
    )
    codes = frame[: frame.rindex(b"\xff\xd9")]
    assert b"Smith" not in _edited(codes + b"Smith\xff\xd9")


@pytest.mark.parametrize("ending", [b"", b"\xff\xd9"])
def test_text_behind_codes_that_are_not_followed_is_refused(shared_data: Path, ending: bytes) -> None:
    frame = next(
        generate_frames(dcmread(shared_data / "codecs" / "jpeg-ls_lossless_mr.dcm").PixelData, number_of_frames=1)
    )
    with pytest.raises(CannotClean):
        _edited(frame[: frame.rindex(b"\xff\xd9")] + SECRET + ending)


def test_a_frame_that_is_cut_off_stays_as_it_is(shared_data: Path) -> None:
    path = shared_data / "codecs" / "wg04" / "mr4" / "mr4_jpeg-lossless-sv1.dcm"
    frame = next(generate_frames(dcmread(path).PixelData, number_of_frames=1))
    assert _edited(frame[:80_000]) == _edited(frame)[:80_000]


@pytest.mark.parametrize("marker", [0xFF54, 0xFF62, 0xFF6F, 0xFF80])
def test_unknown_segments_of_jpeg_2000_are_emptied(marker: int) -> None:
    unknown = struct.pack(">HH", marker, len(SECRET) + 2) + SECRET
    frame = b"\xff\x4f\xff\x51" + struct.pack(">H", 40) + bytes(range(38)) + unknown + b"\xff\xd9"
    empty = struct.pack(">HHH", 0xFF64, len(SECRET) + 2, 1) + b" " * (len(SECRET) - 2)
    assert _edited(frame) == frame.replace(unknown, empty)


def _lengthened(frame: bytes, marker: int) -> bytes:
    """A segment of the main header with a text behind its content."""
    at = frame.index(struct.pack(">H", marker))
    length = int.from_bytes(frame[at + 2 : at + 4])
    end = at + 2 + length
    return frame[: at + 2] + struct.pack(">H", length + len(SECRET)) + frame[at + 4 : end] + SECRET + frame[end:]


def _ahead_of_tiles(frame: bytes, marker: int, content: bytes) -> bytes:
    at = frame.index(b"\xff\x90\x00\x0a")
    return frame[:at] + struct.pack(">HH", marker, len(content) + 2) + content + frame[at:]


@pytest.mark.parametrize(
    "name",
    ["codecs/wg04/nm1/nm1_j2k-lossless.dcm", "codecs/wg04/us1/us1_j2k-lossy.dcm", "codecs/htj2k_lossless_rgb.dcm"],
)
@pytest.mark.parametrize("marker", [0xFF51, 0xFF52, 0xFF5C, 0xFF50])
def test_what_stands_behind_the_content_of_a_segment_of_jpeg_2000_goes(
    shared_data: Path, name: str, marker: int
) -> None:
    frame = next(generate_frames(dcmread(shared_data / name).PixelData, number_of_frames=1))
    if struct.pack(">H", marker) not in frame[:200]:
        marker = 0xFF5C
    edited = _edited(_lengthened(frame, marker))
    assert SECRET not in edited
    assert edited == _edited(_lengthened(_edited(frame), marker).replace(SECRET, bytes(len(SECRET))))


@pytest.mark.parametrize("marker", [0xFF55, 0xFF57, 0xFF58, 0xFF63, 0xFF56, 0xFF59])
def test_segments_of_jpeg_2000_that_only_help_go_unless_they_are_true(shared_data: Path, marker: int) -> None:
    ds = dcmread(shared_data / "codecs/wg04/nm1/nm1_j2k-lossless.dcm")
    spec = PixelSpec.from_dataset(ds)
    frame = next(generate_frames(ds.PixelData, number_of_frames=1))
    edited = _edited(_ahead_of_tiles(frame, marker, b"\0" + SECRET))
    assert SECRET not in edited
    assert np.array_equal(decode_frame(edited, spec), decode_frame(frame, spec))


def test_lengths_of_tile_parts_that_are_true_stay(shared_data: Path) -> None:
    frame = _edited(
        next(
            generate_frames(dcmread(shared_data / "codecs/wg04/nm1/nm1_j2k-lossless.dcm").PixelData, number_of_frames=1)
        )
    )
    tile = frame.index(b"\xff\x90\x00\x0a")
    told = _ahead_of_tiles(frame, 0xFF55, b"\0\x40" + frame[tile + 6 : tile + 10])
    assert _edited(told) == told


def test_packet_lengths_of_a_real_object_stay(shared_data: Path) -> None:
    path = shared_data / "modality" / "dx_966_mono1_12bit_j2k-lossless.dcm"
    frame = next(generate_frames(dcmread(path).PixelData, number_of_frames=1))
    assert _edited(frame).count(b"\xff\x58") == frame.count(b"\xff\x58") >= 6


@pytest.mark.parametrize("behind", [b"", b"\0", SECRET, b"\0\0" + SECRET])
@pytest.mark.parametrize("is_told", [True, False])
def test_jpeg_2000_without_an_end_gets_one(shared_data: Path, behind: bytes, is_told: bool) -> None:
    """is_told: the tile-part says how long it is."""
    ds = dcmread(shared_data / "codecs/wg04/nm1/nm1_j2k-lossless.dcm")
    spec = PixelSpec.from_dataset(ds)
    frame = next(generate_frames(ds.PixelData, number_of_frames=1))
    tile = frame.index(b"\xff\x90\x00\x0a")
    bare = frame[: frame.rindex(b"\xff\xd9")]
    length = struct.pack(">I", len(bare) - tile if is_told else 0)
    edited = _edited(bare[: tile + 6] + length + bare[tile + 10 :] + behind)
    assert SECRET not in edited
    assert len(edited) == len(bare) + len(behind)
    assert np.array_equal(decode_frame(edited, spec), decode_frame(frame, spec))


CUT = [
    "codecs/implicit_mr.dcm", "codecs/bigendian_mr.dcm", "codecs/wg04/mr4/mr4_jpeg-lossless-sv1.dcm",
    "codecs/wg04/nm1/nm1_jpegls-lossless.dcm", "codecs/htj2k_lossless_rgb.dcm", "enhanced/emr_10frames_j2k.dcm",
    "enhanced/emr_10frames_rle.dcm", "codecs/jpeg-baseline_gray8.dcm",
]  # fmt: skip


@pytest.mark.parametrize("name", CUT)
def test_cut_off_pixel_data_is_copied_as_far_as_it_goes(shared_data: Path, name: str) -> None:
    path = find(shared_data, name)
    data, whole = path.read_bytes(), dcmread(path)
    start = data.index(b"\xe0\x7f\x10\x00" if b"\xe0\x7f\x10\x00" in data else b"\x7f\xe0\x00\x10")
    out = BytesIO()
    _, tally = anonymize(BytesIO(data[: start + (len(data) - start) * 3 // 4]), out, resolve("basic"), KEY)
    assert any("the available frames" in warning for warning in tally.warnings)
    again = dcmread(BytesIO(out.getvalue()))
    assert again.PatientIdentityRemoved == "YES"
    spec = PixelSpec.from_dataset(whole)
    if not again["PixelData"].is_undefined_length:
        assert whole.PixelData.startswith(again.PixelData[:-2])
        assert len(again.PixelData) >= len(whole.PixelData) * 7 // 10
        return
    frames = list(generate_frames(whole.PixelData, number_of_frames=spec.frames))
    there = len(frames) * 3 // 4
    left = list(generate_frames(again.PixelData, number_of_frames=max(1, there)))[: there - 1] if there else []
    assert [np.array_equal(decode_frame(one, spec), decode_frame(frames[n], spec)) for n, one in enumerate(left)] == [
        True
    ] * len(left)
    assert len(again.PixelData) > len(whole.PixelData) // 2


def test_pixel_data_cut_off_before_its_first_frame_is_refused_with_what_to_do(shared_data: Path) -> None:
    data = (shared_data / "codecs" / "htj2k_lossless_rgb.dcm").read_bytes()
    with pytest.raises(CannotClean, match="Store the complete object again"):
        anonymize(BytesIO(data[: data.index(b"\xff\x4f\xff\x51") + 20]), BytesIO(), resolve("basic"), KEY)


@pytest.mark.parametrize(
    ("name", "charset"),
    [
        ("Quillfeather^Theodora", "utf-8"),
        ("Müllersen^Jörg", "latin-1"),
        ("王小东明", "gb18030"),
        ("Quillfeather^Jo", "utf-16-le"),
    ],
)
def test_a_name_that_coded_data_hold_where_it_cannot_be_removed_is_told(
    shared_data: Path, name: str, charset: str
) -> None:
    """In the packet headers of JPEG 2000, which nothing but a decoder can follow."""
    ds = dcmread(shared_data / "codecs/wg04/nm1/nm1_j2k-lossless.dcm")
    ds.SpecificCharacterSet, ds.PatientName = "ISO_IR 192", name
    frame = next(generate_frames(ds.PixelData, number_of_frames=1))
    ds.PixelData = encapsulate([_ahead_of_tiles(frame, 0xFF60, b"\0" + name.split("^")[0].encode(charset))])
    with pytest.raises(CannotClean, match="cannot be cleaned"):
        cleaned(ds)


@pytest.mark.parametrize("name", [b"uuid", b"xml ", b"res "])
def test_boxes_within_the_header_of_jp2_are_emptied(name: bytes) -> None:
    def box(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I4s", len(data) + 8, kind) + data

    size = box(b"ihdr", bytes(range(14)))
    frame = b"\x00\x00\x00\x0cjP  \r\n\x87\n" + box(b"jp2h", size + box(name, SECRET))
    assert _edited(frame) == frame.replace(name + SECRET, b"free" + bytes(len(SECRET)))
