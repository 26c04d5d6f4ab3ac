"""The dicom role in processes of its own: one port for several, quick to stop, safe to kill."""

import os
import shutil
import signal
import threading
import time
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread
from sqlalchemy import select

from app.archive import Archive
from app.archive.models import Instance
from app.config import Config
from app.db import open_database
from app.kit import running
from app.kit.errors import PeerFault
from app.network.pdu import Context
from app.network.scu import Association, Peer
from app.network.settings import DicomSettings
from tests.support import dcmtk
from tests.support.dicom_role import CT, CT1, EXPLICIT, dicom_role
from tests.support.dimse import parts_of
from tests.support.large import kilobytes, sparse_multiframe
from tests.support.postgres import free_port
from tests.support.waiting import eventually, pace

pytestmark = pytest.mark.slow


def _association(port: int) -> Association:
    return Association(Peer("FILMROOM", "KILL", "127.0.0.1", port), [Context(1, CT, [EXPLICIT])], DicomSettings())


def _gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text().split()[2]


def test_two_receivers_share_the_port_and_one_that_dies_comes_back(sqlite_config: Config) -> None:
    with dicom_role(sqlite_config, 2) as role:
        first = role.wait(2)
        os.kill(first[0], signal.SIGKILL)
        eventually(role.pids, "another process in its stead", until=lambda pids: len(set(pids) - {first[0]}) >= 2)
        assert all(dcmtk.echoscu(role.port).code == 0 for _ in range(6))
        left = role.pids()
        role.process.kill()  # their supervisor: they make space
        role.process.wait()
        eventually(lambda: all(_gone(pid) for pid in left), "the children end")


@pytest.mark.parametrize("receivers", [1, 2])
def test_it_stops_within_five_seconds_with_associations_open(sqlite_config: Config, receivers: int) -> None:
    with dicom_role(sqlite_config, receivers) as role:
        role.wait(receivers)
        idle = [_association(role.port).__enter__() for _ in range(4)]
        started = time.monotonic()
        assert running.stop(role.run) == ("stopped", True), "as `filmroom stop` does"
        assert role.process.wait(60) == 0
        assert time.monotonic() - started < 30, "it does not wait for the associations, which may be silent for longer"
        for association in idle:
            with pytest.raises(PeerFault):
                association.store(1, CT, "1.2.3", BytesIO(b""), 0)
            association.wire.close()
        assert role.pids() == []


def test_kill_nine_in_the_middle_loses_nothing_that_was_acknowledged(
    sqlite_config: Config, shared_data: Path, tmp_path: Path
) -> None:
    """Four senders of ours push small objects while the receiver is killed again and again."""
    template = dcmread(shared_data / "codecs/wg04/ct1/ct1_uncompressed.dcm")
    template.pop("DataSetTrailingPadding", None)
    acknowledged: dict[str, bytes] = {}
    ended = threading.Event()
    port = free_port()

    def push(sender: int) -> None:
        number = 0
        while not ended.is_set():
            try:
                with _association(port) as association:
                    while not ended.is_set():
                        number += 1
                        uid, data = _object(template, sender, number, tmp_path)
                        answer = association.store(1, CT, uid, BytesIO(data), len(data))
                        assert answer.status == 0, answer
                        acknowledged[uid] = data
            except PeerFault:
                pace(0.05)

    senders = [threading.Thread(target=push, args=(n + 1,)) for n in range(4)]
    for sender in senders:
        sender.start()
    try:
        for round_number in range(4):
            with dicom_role(sqlite_config, 1, port) as role:
                (pid,) = role.wait(1)
                before = len(acknowledged)
                enough = before + 20 + 7 * round_number
                eventually(lambda: len(acknowledged), "objects arrive", until=lambda count: count >= enough)  # noqa: B023
                os.kill(pid, signal.SIGKILL)
                role.process.wait()
    finally:
        ended.set()
        for sender in senders:
            sender.join(30)
    assert len(acknowledged) >= 80
    _check(sqlite_config, acknowledged)


def _object(template: object, sender: int, number: int, folder: Path) -> tuple[str, bytes]:
    uid = f"1.2.826.0.1.5.{sender}.{number}"
    template_copy = dcmread(BytesIO(_bytes(template)))
    template_copy.SOPInstanceUID = template_copy.file_meta.MediaStorageSOPInstanceUID = uid
    template_copy.SeriesInstanceUID = f"1.2.826.0.1.6.{sender}"
    template_copy.StudyInstanceUID = "1.2.826.0.1.7.1"
    path = folder / f"{sender}.dcm"
    template_copy.save_as(path)
    parts = parts_of(path)
    assert parts is not None
    return uid, parts[1]


_cached: list[bytes] = []


def _bytes(template: object) -> bytes:
    if not _cached:
        buffer = BytesIO()
        template.save_as(buffer)  # type: ignore[attr-defined]
        _cached.append(buffer.getvalue())
    return _cached[0]


def _check(config: Config, acknowledged: dict[str, bytes]) -> None:
    """Every acknowledged object is there byte for byte, and after a sweep nothing half is."""
    database = open_database(config)
    archive = Archive(config, database)
    archive.sweep()
    with database.read() as session:
        rows = {i.sop_instance_uid: i for i in session.scalars(select(Instance))}
    for uid, data in acknowledged.items():
        assert uid in rows, f"{uid} was acknowledged and is gone"
        stored = (config.store / rows[uid].path).read_bytes()
        assert stored[rows[uid].data_set_offset :] == data
    files = {p for p in config.store.rglob("*.dcm") if p.is_file() and ".incoming" not in p.parts}
    assert files == {config.store / row.path for row in rows.values()}, "a file without a row, or a row without a file"
    assert not [p for p in (config.store / ".incoming").rglob("*") if p.is_file() and p.name != "lock"]
    database.dispose()


def test_a_very_large_object_costs_little_memory(sqlite_config: Config, shared_data: Path, tmp_path: Path) -> None:
    """400 MB in one multi-frame object, from a sparse file, while an echo gets its answer beside it."""
    frames = 800
    large, length = sparse_multiframe(shared_data / CT1, tmp_path, frames, "1.2.826.0.1.9.1")
    with dicom_role(sqlite_config, 1) as role:
        (pid,) = role.wait(1)
        idle = kilobytes(pid, "VmRSS")
        with _association(role.port) as association, large.open("rb", buffering=0) as file:
            answer = association.store(1, CT, "1.2.826.0.1.9.1", file, length, plain_file=True)
        assert answer.status == 0, answer
        assert kilobytes(pid, "VmHWM") - idle < 60_000
        database = open_database(sqlite_config)
        with database.read() as session:
            stored = session.scalars(select(Instance)).one()
        assert stored.number_of_frames == frames and stored.bytes > length
        database.dispose()
        shutil.rmtree(sqlite_config.store)  # 400 MB need not stay with the test's folder
