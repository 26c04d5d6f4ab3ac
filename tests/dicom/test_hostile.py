"""Bad input: each answered by the rule of the contract, quickly, and with little memory."""

import random
import struct
import time
import tracemalloc
import zlib
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.dicom import kept
from app.dicom.header import Header, NotDicom, scan_bytes
from app.dicom.walk import MAX_DEPTH
from tests.archive.make import ct, ct_bytes, part10

GOOD = ct_bytes()
DATA_SET = GOOD.index(b"\x08\x00\x05\x00CS")


def element(tag: int, vr: bytes, value: bytes, length: int | None = None) -> bytes:
    length = len(value) if length is None else length
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr
    long = vr in (b"OB", b"OW", b"SQ", b"UN", b"UT")
    return head + (struct.pack("<HI", 0, length) if long else struct.pack("<H", length)) + value


def with_elements(extra: bytes) -> bytes:
    """Extra elements between Series UID's group and the image's."""
    at = GOOD.index(b"\x28\x00\x02\x00US")
    return GOOD[:at] + extra + GOOD[at:]


@pytest.fixture(autouse=True)
def _quick() -> object:
    """Of this process's time: the machine may be busy with something else."""
    started = time.process_time()
    yield
    assert time.process_time() - started < 5


@pytest.mark.parametrize("defined", [True, False])
@pytest.mark.parametrize("vr", [b"SQ", b"UN"])
@pytest.mark.parametrize("levels", [5_000, 100_000])
def test_deep_nesting_is_stored_without_the_sequence(defined: bool, vr: bytes, levels: int) -> None:
    value = b""
    if defined:
        if levels > 5_000:
            pytest.skip("quadratic to build")
        for _ in range(levels):
            item = b"\xfe\xff\x00\xe0" + struct.pack("<I", len(value)) + value
            value = element(0x00081140, b"SQ", item)
        value = (
            value
            if vr == b"SQ"
            else element(0x00091001, b"UN", b"\xfe\xff\x00\xe0" + struct.pack("<I", len(value)) + value)
        )
    elif vr == b"UN":  # undefined length and UN: implicit inside
        value = element(0x00091001, b"UN", b"", 0xFFFFFFFF) + b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
        value += (b"\x08\x00\x40\x11\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\xff\xff\xff\xff") * levels
        value += (b"\xfe\xff\x0d\xe0\0\0\0\0" + b"\xfe\xff\xdd\xe0\0\0\0\0") * (levels + 1)
    else:
        value = (element(0x00081140, b"SQ", b"", 0xFFFFFFFF) + b"\xfe\xff\x00\xe0\xff\xff\xff\xff") * levels
        value += (b"\xfe\xff\x0d\xe0\0\0\0\0" + b"\xfe\xff\xdd\xe0\0\0\0\0") * levels
    header = scan_bytes(with_elements(value))
    if vr == b"SQ" or not defined:  # a private UN of defined length stays bytes for every reader
        assert any("too deep" in w for w in header.warnings)
    assert header.pixel_tag
    kept.unpack(header.kept).to_json()


def test_nesting_within_the_limit_is_kept() -> None:
    value = b""
    for _ in range(MAX_DEPTH):
        value = element(0x00081140, b"SQ", b"\xfe\xff\x00\xe0" + struct.pack("<I", len(value)) + value)
    header = scan_bytes(with_elements(value))
    assert header.warnings == []
    kept.unpack(header.kept).to_json()


def deflated(data: bytes) -> bytes:
    ds = ct(syntax="1.2.840.10008.1.2.1.99")
    whole = part10(ds)
    end = whole.index(b"1.2.840.10008.1.2.1.99") + 22
    length = int.from_bytes(whole[140:144], "little")
    start = 144 + length
    assert start >= end
    machine = zlib.compressobj(9, wbits=-15)
    return whole[:start] + machine.compress(data) + machine.flush()


def test_a_deflate_bomb_costs_little() -> None:
    head = GOOD[DATA_SET:]
    bomb = deflated(head[: head.index(b"\xe0\x7f\x10\x00")] + element(0x7FE00010, b"OW", b"\0" * 250_000_000))
    assert len(bomb) < 300_000
    tracemalloc.start()
    header = scan_bytes(bomb)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 150_000_000
    assert header.pixel_bytes == 250_000_000
    assert header.sop_instance_uid == "1.2.3.1.1.1"


def test_a_deflate_bomb_before_the_uids_is_refused() -> None:
    with pytest.raises(NotDicom):
        scan_bytes(deflated(element(0x00080001, b"UN", b"\0" * 100_000_000) + GOOD[DATA_SET:]))


def test_broken_deflate_is_refused() -> None:
    whole = deflated(GOOD[DATA_SET:])
    with pytest.raises(NotDicom, match=r"inflated|cannot be read"):
        scan_bytes(whole[:-60] and whole[:360] + bytes(range(256)) * 4)


@pytest.mark.parametrize("cut", range(0, len(GOOD), 7))
def test_a_truncated_file_is_refused_or_stored_with_a_warning(cut: int) -> None:
    try:
        header = scan_bytes(GOOD[:cut])
    except NotDicom as no:
        assert str(no).endswith(".")
        return
    at_an_element = header.pixel_tag == 0 and not header.warnings  # cut exactly between two
    assert header.warnings or at_an_element
    assert header.series_instance_uid == "1.2.3.1.1"


@pytest.mark.parametrize("length", [0xFFFFFFFE, 0x7FFFFFFF, 10_000])
def test_a_lying_length_after_the_uids_is_a_warning(length: int) -> None:
    header = scan_bytes(with_elements(element(0x00210010, b"UN", b"x", length)))
    assert any("damaged" in w for w in header.warnings)


def test_a_lying_length_before_the_uids_is_refused() -> None:
    bad = GOOD[:DATA_SET] + element(0x00080001, b"UN", b"", 0x7FFFFFFF) + GOOD[DATA_SET:]
    with pytest.raises(NotDicom, match="cannot be read"):
        scan_bytes(bad)


def test_empty_pixel_data_is_a_warning() -> None:
    assert any("empty" in w for w in scan_bytes(part10(ct(pixels=b""))).warnings)


def test_an_unknown_transfer_syntax_is_stored() -> None:
    data = GOOD.replace(b"1.2.840.10008.1.2.1\0", b"1.2.999.10008.1.2.1\0")
    assert scan_bytes(data).transfer_syntax_uid == "1.2.999.10008.1.2.1"


@pytest.mark.parametrize(
    "uid", ["../../../etc/x", "1.2'; DROP T", "1.2\n3", "1.2/3", "..", "1.2 3", "1.2\\..", "%2e%2e", "1" * 66, ""]
)
@pytest.mark.parametrize("keyword", ["SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_hostile_uids_are_refused(keyword: str, uid: str) -> None:
    ds = ct()
    ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPClassUID, "1.2"
    raw = uid.encode() + b"\0" * (len(uid) % 2)
    tag = {"SOPInstanceUID": 0x00080018, "StudyInstanceUID": 0x0020000D, "SeriesInstanceUID": 0x0020000E}[keyword]
    old = element(tag, b"UI", str(ds[tag].value).encode() + b"\0" * (len(ds[tag].value) % 2))
    assert old in GOOD
    data = GOOD.replace(old, element(tag, b"UI", raw))
    if uid == "" and keyword == "SOPInstanceUID":
        assert scan_bytes(data).sop_instance_uid == "1.2.3.1.1.1"  # from the file meta information
        return
    if uid == "1.2\\..":  # a second value is ignored
        assert scan_bytes(data).warnings
        return
    with pytest.raises(NotDicom):
        scan_bytes(data)


def test_a_wrong_vr_does_not_stop_the_scan() -> None:
    header = scan_bytes(with_elements(element(0x00211010, b"ZZ", b"abcd")))
    assert header.pixel_tag
    assert header.warnings == []


@given(st.binary(max_size=400))
def test_noise_is_refused_or_read(noise: bytes) -> None:
    for data in (noise, b"\0" * 128 + b"DICM" + noise, GOOD[:DATA_SET] + noise):
        try:
            scan_bytes(data)
        except NotDicom as no:
            assert str(no).endswith(".")


@settings(max_examples=300)
@given(st.data())
def test_mutated_files_are_refused_or_read(data: st.DataObject) -> None:
    raw = bytearray(GOOD)
    for _ in range(data.draw(st.integers(1, 6))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        header = scan_bytes(bytes(raw))
    except NotDicom:
        return
    assert isinstance(header, Header)
    kept.unpack(header.kept)


def test_mutations_of_real_files(shared_data: Path) -> None:
    chance = random.Random(7)
    paths = sorted((shared_data / "sr").glob("*.dcm")) + sorted((shared_data / "rt").rglob("*.dcm"))[:6]
    until = time.monotonic() + 3
    for path in paths:
        original = path.read_bytes()[:300_000]
        for _ in range(10):
            raw = bytearray(original)
            for _ in range(chance.randint(1, 40)):
                raw[chance.randrange(len(raw))] = chance.randrange(256)
            try:
                scan_bytes(bytes(raw))
            except NotDicom:
                continue
            if time.monotonic() > until:
                return


def test_ten_megabytes_of_tiny_elements() -> None:
    extra = element(0x00210010, b"SH", b"") * (10_000_000 // 8)
    assert scan_bytes(with_elements(extra)).pixel_tag


def test_ten_megabytes_of_tiny_items() -> None:
    value = b"\xfe\xff\x00\xe0\0\0\0\0" * (10_000_000 // 8)
    header = scan_bytes(with_elements(element(0x00081140, b"SQ", value)))
    assert header.pixel_tag


def test_large_values_stay_in_the_file() -> None:
    data = with_elements(element(0x00211010, b"OB", b"\x07" * 1_000_000))
    header = scan_bytes(data)
    (bulk,) = kept.bulks(header.kept)
    assert (bulk.tag, bulk.vr, bulk.length) == (0x00211010, "OB", 1_000_000)
    assert data[bulk.offset : bulk.offset + bulk.length] == b"\x07" * 1_000_000
    assert 0x00211010 not in kept.unpack(header.kept)
    assert BytesIO(header.kept).getbuffer().nbytes < 2000


def test_a_sequence_of_a_million_empty_items_is_left_out_in_a_moment() -> None:
    items = b"\xfe\xff\x00\xe0\0\0\0\0" * 1_200_000
    header = scan_bytes(
        with_elements(element(0x00081140, b"SQ", b"", 0xFFFFFFFF) + items + b"\xfe\xff\xdd\xe0\0\0\0\0")
    )
    assert any("too many items" in w for w in header.warnings)
    assert header.pixel_tag
    assert len(header.kept) < 10_000
