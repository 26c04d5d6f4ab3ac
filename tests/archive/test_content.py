"""Frames of every real file equal pydicom's; a large object is never read whole; what is odd is a clear fault."""

import json
import os
import tracemalloc
import warnings
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.encaps import generate_frames
from sqlalchemy import select

from app.archive import Archive, Source, content, frames, queries
from app.archive.errors import Damaged, NoFrame
from app.archive.models import Instance
from app.kit.errors import NotFound, Unavailable
from app.security import SYSTEM
from tests.archive.conftest import Put
from tests.archive.make import ct, ct_bytes, part10
from tests.support.store_files import files_in


def _expected(path: Path, instance: Instance) -> list[bytes] | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ds = pydicom.dcmread(path, force=True)
        raw = next((ds[k].value for k in ("PixelData", "FloatPixelData", "DoubleFloatPixelData") if k in ds), None)
        if raw is None or not instance.number_of_frames:
            return None
        count = instance.number_of_frames
        if instance.pixel_bytes == -1:
            extended = (
                (ds["ExtendedOffsetTable"].value, ds["ExtendedOffsetTableLengths"].value)
                if "ExtendedOffsetTable" in ds
                else None
            )
            return list(generate_frames(raw, number_of_frames=count, extended_offsets=extended))
    bits = frames.native_layout(instance).bits
    if bits % 8 == 0:
        return [raw[n * bits // 8 : (n + 1) * bits // 8] for n in range(count)]
    flat = np.unpackbits(np.frombuffer(raw, np.uint8), bitorder="little")
    return [np.packbits(flat[n * bits : (n + 1) * bits], bitorder="little").tobytes() for n in range(count)]


@pytest.mark.slow
def test_frames_of_every_real_file(archive: Archive, put: Put, shared_data: Path) -> None:
    compared = 0
    for path in files_in(shared_data):
        outcome = put(path)
        if outcome.status != "stored":
            continue
        with archive.database.read() as session:
            instance = queries.instance(session, SYSTEM, outcome.sop_instance_uid)
            try:
                expected = _expected(path, instance)
            except Exception:
                expected = None  # pydicom cannot tell
            if expected is None:
                continue
            bits = frames.native_layout(instance).bits
            for n, frame in enumerate(expected, 1):
                if instance.pixel_bytes != -1 and len(frame) < -(-bits // 8):
                    assert instance.warnings, "as far as it goes, and said so"
                assert frames.frame_bytes(archive, session, instance, n) == frame, (path, n)
                compared += 1
            for n in (0, -1, len(expected) + 1):
                with pytest.raises(NoFrame):
                    frames.frame_bytes(archive, session, instance, n)
            json.dumps(content.dicom_json(session, instance))
    assert compared > 900


def test_a_frame_of_a_large_object_is_one_read(archive: Archive) -> None:
    """2 GB, sparse on disk: nothing of it may come to memory but the frame."""
    ds = ct(pixels=b"\0\0")
    ds.Rows = ds.Columns = 1024
    ds.NumberOfFrames = 1000
    head = part10(ds)
    at = head.index(b"\xe0\x7f\x10\x00OW")
    size = 1000 * 1024 * 1024 * 2
    incoming = archive.receive(Source("test"))
    incoming.write(head[: at + 8] + size.to_bytes(4, "little"))
    offset = at + 12
    os.pwrite(incoming.fileno(), b"\x07" * 2048, offset + 998 * 2097152)
    os.ftruncate(incoming.fileno(), offset + size)
    tracemalloc.start()
    outcome = archive.ingest(incoming)
    assert outcome.status == "stored" and outcome.warnings == []
    with archive.database.read() as session:
        instance = queries.instance(session, SYSTEM, outcome.sop_instance_uid)
        frame = frames.frame_bytes(archive, session, instance, 999)
        assert frame == b"\x07" * 2048 + b"\0" * (2097152 - 2048)
        assert frames.layout_of(session, instance).locate_frame(999).parts == [(offset + 998 * 2097152, 2097152)]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20_000_000


def test_a_missing_or_shortened_file_is_a_clear_fault(archive: Archive, put: Put) -> None:
    put(ct_bytes())
    with archive.database.read() as session:
        instance = session.scalars(select(Instance)).one()
        path = archive.store.full_path(instance.path)
        os.truncate(path, path.stat().st_size - 4)
        with pytest.raises(Damaged):
            frames.frame_bytes(archive, session, instance, 1)
        archive.files.close()
        path.unlink()
        with pytest.raises(NotFound):
            frames.frame_bytes(archive, session, instance, 1)
        with pytest.raises(NotFound):
            content.open_object(archive, instance)


def test_files_are_private(archive: Archive, put: Put) -> None:
    put(ct_bytes())
    for path in archive.config.store.rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path


def test_open_files_stay_few(archive: Archive, put: Put) -> None:
    for n in range(100):
        put(ct_bytes(f"1.2.3.1.1.{n}"))
    before = len(os.listdir("/proc/self/fd"))
    with archive.database.read() as session:
        for instance in session.scalars(select(Instance)):
            frames.frame_bytes(archive, session, instance, 1)
    assert len(os.listdir("/proc/self/fd")) - before < 70


def test_a_full_disk_is_unavailable_and_recovers(archive: Archive, put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real thing: a file size limit makes write() fail as a full disk does (EFBIG is patched to ENOSPC)."""
    import errno

    real = os.write

    def full(fd: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    incoming = archive.receive(Source("test"))
    with pytest.raises(Unavailable) as caught:
        incoming.write(ct_bytes())
    assert caught.value.dimse == 0xA700
    archive.discard(incoming)
    monkeypatch.setattr(os, "write", real)
    real_link = os.link
    monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOSPC, "full")))
    with pytest.raises(Unavailable):
        put(ct_bytes())
    monkeypatch.setattr(os, "link", real_link)
    assert put(ct_bytes()).status == "stored"
    assert len([p for p in archive.config.store.rglob("*") if p.is_file() and p.name != "lock"]) == 1
