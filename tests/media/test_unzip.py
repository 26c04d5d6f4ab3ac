"""Zip files made to do harm, each against the limits; a good member beside a bad one always comes out."""

import io
import os
import stat
import struct
import subprocess
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.media.errors import BadArchive, MemberRefused
from app.media.unzip import Unzip, UnzipLimits
from app.media.zipping import stream

GOOD = os.urandom(5000)


def _made(fill: Callable[[zipfile.ZipFile], None], kind: int = zipfile.ZIP_DEFLATED) -> io.BytesIO:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", kind) as archive:
        fill(archive)
        archive.writestr("good.dcm", GOOD)
    return out


def _read(file: io.BytesIO, limits: UnzipLimits | None = None) -> dict[str, bytes | str]:
    found: dict[str, bytes | str] = {}
    for member in Unzip(file, limits or UnzipLimits()).members():
        try:
            found[member.name] = b"".join(member.chunks())
        except MemberRefused as fault:
            found[member.name] = fault.detail
    return found


def _symlink(archive: zipfile.ZipFile) -> None:
    info = zipfile.ZipInfo("link")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    archive.writestr(info, "/etc/passwd")


@pytest.mark.parametrize(
    ("name", "fill", "says"),
    [
        ("../../etc/cron.d/x", lambda z: z.writestr("../../etc/cron.d/x", b"x"), "outside"),
        ("/etc/x", lambda z: z.writestr("/etc/x", b"x"), "outside"),
        ("a\\..\\..\\x", lambda z: z.writestr("a\\..\\..\\x", b"x"), "outside"),
        ("C:\\x", lambda z: z.writestr("C:\\x", b"x"), "outside"),
        ("link", _symlink, "link"),
        ("inner.zip", lambda z: z.writestr("inner.zip", b"PK\x03\x04" + bytes(100)), "archive inside"),
        ("bomb", lambda z: z.writestr("bomb", bytes(60 << 20)), "possible ZIP bomb"),
        ("DICOMDIR", lambda z: z.writestr("DICOMDIR", b"x"), "DICOMDIR is not imported"),
        ("lzma", lambda z: z.writestr("lzma", b"x" * 100, zipfile.ZIP_LZMA), "compression method is not supported"),
    ],
)
def test_a_bad_member_is_refused_and_the_good_one_read(
    name: str, fill: Callable[[zipfile.ZipFile], None], says: str
) -> None:
    found = _read(_made(fill))
    assert says in str(found[name])
    assert found["good.dcm"] == GOOD


def test_an_encrypted_member_is_refused() -> None:
    made = _made(lambda z: z.writestr("secret", b"x" * 50))
    data = bytearray(made.getvalue())
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = data.find(mark)
        flags = struct.unpack_from("<H", data, place + at)[0]
        struct.pack_into("<H", data, place + at, flags | 1)
    found = _read(io.BytesIO(bytes(data)))
    assert "encrypted" in str(found["secret"])
    assert found["good.dcm"] == GOOD


def test_a_member_whose_size_lies_is_cut_off_at_the_limit() -> None:
    made = _made(lambda z: z.writestr("liar", os.urandom(3 << 20)), zipfile.ZIP_STORED)
    data = bytearray(made.getvalue())
    struct.pack_into("<I", data, data.find(b"PK\x01\x02") + 24, 10)  # uncompressed size
    assert isinstance(_read(io.BytesIO(bytes(data)))["liar"], str)


def test_limits_hold_for_all_members_together() -> None:
    made = _made(lambda z: [z.writestr(f"{n}", os.urandom(2 << 20)) for n in range(4)] and None, zipfile.ZIP_STORED)
    found = _read(made, UnzipLimits(unpacked_bytes=5 << 20))
    assert [isinstance(v, bytes) for v in found.values()] == [True, True, False, False, False]
    assert "too large" in str(_read(made, UnzipLimits(file_bytes=1 << 20))["0"])
    with pytest.raises(BadArchive, match="more than 3 files"):
        _read(made, UnzipLimits(members=3))


def test_overlapping_members_are_seen() -> None:
    made = _made(lambda z: z.writestr("a", os.urandom(4 << 20)), zipfile.ZIP_STORED)
    with zipfile.ZipFile(made) as archive:
        central = made.getvalue()[archive.start_dir :]
        count = len(archive.infolist())
    entry_length = central.index(b"PK\x01\x02", 4)
    entry, rest = central[:entry_length], central[entry_length:]
    body = made.getvalue()[: len(made.getvalue()) - len(central)]
    middle, end = rest[: rest.index(b"PK\x05\x06")], bytearray(rest[rest.index(b"PK\x05\x06") :])
    directory = entry * 50 + middle
    struct.pack_into("<HHII", end, 8, count + 49, count + 49, len(directory), len(body))
    with pytest.raises(BadArchive, match="overlap"):
        _read(io.BytesIO(body + directory + bytes(end)))


def test_a_wrong_checksum_is_told() -> None:
    made = _made(lambda z: z.writestr("bad", b"A" * 4000), zipfile.ZIP_STORED)
    data = made.getvalue().replace(b"AAAA", b"AABA", 1)
    found = _read(io.BytesIO(data))
    assert "damaged" in str(found["bad"])
    assert found["good.dcm"] == GOOD


def test_folders_and_clutter_are_left_out() -> None:
    def fill(archive: zipfile.ZipFile) -> None:
        for name in ("a/", "__MACOSX/a/._x.dcm", "a/.DS_Store", "a/Thumbs.db", "a/b/c.dcm"):
            archive.writestr(name, b"x" if not name.endswith("/") else b"")

    assert set(_read(_made(fill))) == {"a/b/c.dcm", "good.dcm"}


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400), st.integers(0, 6000), st.integers(0, 255))
def test_damaged_zips_end_in_an_answer(junk: bytes, at: int, value: int) -> None:
    data = bytearray(_made(lambda z: z.writestr("x", b"y" * 3000)).getvalue())
    data[at % len(data)] = value
    for candidate in (bytes(data), b"PK\x03\x04" + junk, bytes(data[:at])):
        try:
            found = _read(io.BytesIO(candidate))
        except BadArchive:
            continue
        assert all(isinstance(v, str | bytes) for v in found.values())


def test_a_streamed_zip_is_read_by_unzip(tmp_path: Path) -> None:
    members = [("S1/1.dcm", 3, [b"a", b"bc"]), ("S1/ü.dcm", len(GOOD), [GOOD])]
    made = tmp_path / "x.zip"
    made.write_bytes(b"".join(stream((n, s, iter(p)) for n, s, p in members)))
    with zipfile.ZipFile(made) as archive:
        assert archive.testzip() is None
        assert {i.filename: archive.read(i) for i in archive.infolist()} == {"S1/1.dcm": b"abc", "S1/ü.dcm": GOOD}
    assert (
        subprocess.run(["python3", "-m", "zipfile", "-t", str(made)], capture_output=True, check=False).returncode == 0
    )


def _entry(number: int, offset: int = 0, extra: bytes = b"") -> bytes:
    name = f"{number:05}".encode()
    sizes = (len(name), len(extra), 0)
    return (
        struct.pack("<4s6H3I5H2I", b"PK\x01\x02", 20, 20, 0, 0, 0, 0, 0, 0, 0, *sizes, 0, 0, 0, offset) + name + extra
    )


def _end(count: int, size: int, offset: int, comment: bytes = b"") -> bytes:
    return (
        struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, count & 0xFFFF, count & 0xFFFF, size, offset, len(comment))
        + comment
    )


def _end64(count: int, size: int, offset: int, at: int) -> bytes:
    record = struct.pack("<4sQ2H2I4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, size, offset)
    return record + struct.pack("<4sIQI", b"PK\x06\x07", 0, at, 1)


def _many(
    count: int, said: int | None = None, wide: bool = False, extra: bytes = b"", comment: bytes = b""
) -> io.BytesIO:
    table = b"".join(_entry(number, extra=extra) for number in range(count))
    said = count if said is None else said
    end = _end64(said, len(table), 0, len(table)) if wide else b""
    size = 0xFFFFFFFF if wide else len(table)
    return io.BytesIO(table + end + _end(0xFFFF if wide else said, size, 0xFFFFFFFF if wide else 0, comment))


@pytest.mark.parametrize(
    ("made", "says"),
    [
        (_many(200_000), "more than 1000"),
        (_many(200_000, said=1), "more than 1000"),
        (_many(200_000, wide=True), "more than 1000"),
        (_many(200_000, said=3, wide=True), "more than 1000"),
        (_many(2000, comment=b"x" * 65_535), "more than 1000"),
        (_many(500, extra=b"x" * 60_000), "names and comments"),
        (io.BytesIO(b"x" * 100 + _end(1, 0x7FFFFFFF, 0)), "damaged"),
        (io.BytesIO(b"x" * 100 + _end64(1, 1 << 60, 0, 100) + _end(1, 0xFFFFFFFF, 0xFFFFFFFF)), "damaged"),
        (io.BytesIO(_end64(1, 0, 0, 0)[56:] + _end(1, 0xFFFFFFFF, 0xFFFFFFFF)), "damaged"),
        (io.BytesIO(_entry(1) + b"PK\x01\x02" + _end(2, 55, 0)), "damaged"),
    ],
)
def test_a_table_of_contents_is_counted_before_it_is_read(made: io.BytesIO, says: str) -> None:
    """Whatever the count says, with zip64, long extra fields and comments."""
    tracemalloc.start()
    try:
        with pytest.raises(BadArchive, match=says):
            Unzip(made, UnzipLimits(members=1000))
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 4 << 20, f"{most >> 10} KiB"


def test_the_largest_table_that_is_allowed_is_read() -> None:
    """And takes a bounded amount of memory."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for number in range(3000):
            archive.writestr(f"study/{number:06}.dcm", b"x")
        archive.comment = b"PK and so on" * 100
    assert len(list(Unzip(out, UnzipLimits(members=3000)).members())) == 3000
    with pytest.raises(BadArchive, match="more than 2999"):
        Unzip(out, UnzipLimits(members=2999))


def test_members_that_share_bytes_in_part_are_seen() -> None:
    """Quoted local headers (David Fifield): each member holds the next one's header, and all share the same end."""
    kernel = zlib.compress(bytes(1 << 20), 9)[2:-4]
    local = struct.pack("<4s5H3I2H", b"PK\x03\x04", 20, 0, 8, 0, 0, 0, len(kernel), 1 << 20, 5, 0)
    body = b"".join(local + f"{number:05}".encode() for number in range(100)) + kernel
    table = b""
    for number in range(100):
        start = number * len(local + b"00000")
        packed = len(body) - start - len(local) - 5
        sizes = (5, 0, 0)
        head = struct.pack("<4s6H3I5H2I", b"PK\x01\x02", 20, 20, 0, 8, 0, 0, 0, packed, 1 << 20, *sizes, 0, 0, 0, start)
        table += head + f"{number:05}".encode()
    with pytest.raises(BadArchive, match="overlap"):
        Unzip(io.BytesIO(body + table + _end(100, len(table), len(body))), UnzipLimits())
