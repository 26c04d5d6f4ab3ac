"""The disk works while an object is hashed and indexed; nothing is named, committed or acknowledged before it is done."""

import errno
import os
import threading
from pathlib import Path

import pytest
from sqlalchemy import func, select

from app.archive import Archive, IngestOutcome, Source
from app.archive.models import Instance, Study
from app.archive.store import _EARLY, Incoming
from app.kit.errors import Unavailable
from tests.archive.make import ct, part10


def _incoming(archive: Archive, data: bytes) -> Incoming:
    incoming = archive.receive(Source("test"))
    incoming.write(data[:100])
    incoming.write(data[100:], last=True)
    return incoming


def _left(archive: Archive) -> list[Path]:
    return [p for p in archive.config.store.rglob("*") if p.is_file() and p.name != "lock"]


def test_no_name_and_no_success_before_the_file_is_durable(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, allowed = threading.Event(), threading.Event()
    real = os.fsync

    def slow(fd: int) -> None:
        if threading.current_thread().name == "sync":
            asked.set()
            assert allowed.wait(60)
        real(fd)

    monkeypatch.setattr(os, "fsync", slow)
    outcomes: list[IngestOutcome] = []
    worker = threading.Thread(target=lambda: outcomes.append(archive.ingest(_incoming(archive, part10(ct())))))
    worker.start()
    assert asked.wait(60)
    worker.join(0.3)
    assert worker.is_alive() and not outcomes
    assert not list(archive.config.store.rglob("*.dcm")), "a final name before the fsync had ended"
    allowed.set()
    worker.join(60)
    assert outcomes[0].status == "stored"
    assert len(list(archive.config.store.rglob("*.dcm"))) == 1


def test_a_disk_that_refuses_leaves_nothing(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.fsync

    def broken(fd: int) -> None:
        if threading.current_thread().name == "sync":
            raise OSError(errno.EIO, "input/output error")
        real(fd)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", broken)
        with pytest.raises(Unavailable):
            archive.ingest(_incoming(archive, part10(ct())))
    with archive.database.read() as session:
        assert not session.scalar(select(func.count()).select_from(Instance))
        assert not session.scalar(select(func.count()).select_from(Study))
    assert not _left(archive)
    assert archive.ingest(_incoming(archive, part10(ct()))).status == "stored"


def test_a_large_file_is_durable_before_it_takes_its_turn(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    began: list[int] = []
    monkeypatch.setattr(archive._syncer, "start", began.append)
    assert archive.ingest(_incoming(archive, part10(ct(pixels=bytes(_EARLY))))).status == "stored"
    assert not began


def test_what_is_discarded_while_the_disk_works_is_gone(archive: Archive) -> None:
    for number in range(60):
        archive.discard(_incoming(archive, part10(ct(f"1.2.3.1.1.{number}"))))
    assert not _left(archive)


def test_no_success_before_the_commit_is_durable(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    """The log is synced after the commit: where the disk refuses that, the sender hears no success, and what stands in
    the index all the same keeps its file."""
    if archive.database.dialect != "sqlite" or not hasattr(os, "fdatasync"):
        pytest.skip("the database syncs by itself")
    synced: list[str] = []
    real = os.fdatasync

    def broken(fd: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{fd}"))
        raise OSError(errno.EIO, "input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", broken)
        with pytest.raises(Unavailable):
            archive.ingest(_incoming(archive, part10(ct())))
    assert [Path(path).name[-4:] for path in synced] == ["-wal"]
    monkeypatch.setattr(os, "fdatasync", lambda fd: (synced.append("ok"), real(fd)))
    assert archive.ingest(_incoming(archive, part10(ct("1.2.3.1.1.77")))).status == "stored"  # and the doubt is cleared
    assert synced[1:] == ["ok"]
    assert archive.ingest(_incoming(archive, part10(ct()))).status == "duplicate"
    assert len(list(archive.config.store.rglob("*.dcm"))) == 2
    with archive.database.write() as session:  # every other transaction syncs by SQLite itself
        assert session.connection().exec_driver_sql("PRAGMA synchronous").scalar() == 2
