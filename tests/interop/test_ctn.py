"""CTN, a stack of its own beside DCMTK and Orthanc: it echoes and stores to us, and takes what we send."""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import dcmread

from app.forward import store_lane
from app.network.scu import Association, Peer
from app.network.settings import DicomSettings
from tests.archive.make import ct_bytes
from tests.support import dcmtk
from tests.support.dimse import Station, data_set_of
from tests.support.postgres import free_port
from tests.support.waiting import eventually

pytestmark = pytest.mark.peer
UID = "1.2.826.0.1.3680043.9.7100.1.1.1"


@pytest.fixture
def one(tmp_path: Path) -> Path:
    path = tmp_path / "one.dcm"
    path.write_bytes(
        ct_bytes(UID, "1.2.826.0.1.3680043.9.7100.1", "1.2.826.0.1.3680043.9.7100.1.1", syntax="1.2.840.10008.1.2")
    )
    return path


def _listening(port: int) -> None:
    """Looks at the kernel's table: a connection without an association would end simple_storage."""

    def listens() -> bool:
        rows = [
            line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]
        ]
        return any(row[1].endswith(f":{port:04X}") and row[3] == "0A" for row in rows)

    eventually(listens, "simple_storage listens")


@contextlib.contextmanager
def _simple_storage(folder: Path) -> Iterator[int]:
    """CTN's storage provider, which stores into the folder; answers its port."""
    port = free_port()
    server = subprocess.Popen(
        [dcmtk.program("simple_storage"), "-c", "CTN", "-i", "-s", "-x", str(folder), str(port)],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _listening(port)
        yield port
    finally:
        server.kill()
        server.wait()


def test_ctn_echoes(receiver: Station) -> None:
    done = dcmtk.run("dicom_echo", "-a", "CTN", "-c", "FILMROOM", "127.0.0.1", str(receiver.port))
    assert done.code == 0 and "failed" not in done.output.lower(), done.output


def test_ctn_stores_to_us(receiver: Station, one: Path) -> None:
    done = dcmtk.run("send_image", "-a", "CTN", "-c", "FILMROOM", "-r", "127.0.0.1", str(receiver.port), one)
    assert done.code == 0, done.output
    (stored,) = receiver.instances()
    assert stored.sop_instance_uid == UID
    ours = dcmread(receiver.config.store / stored.path)
    theirs = dcmread(one)
    del ours.file_meta, theirs.file_meta
    assert ours == theirs


def test_ctn_takes_what_we_send(receiver: Station, one: Path, tmp_path: Path) -> None:
    from app.archive import Source

    incoming = receiver.archive.receive(Source(kind="upload", actor_name="admin"))
    incoming.write(one.read_bytes())
    assert receiver.archive.ingest(incoming).status == "stored"
    kept = tmp_path / "kept"
    kept.mkdir()
    with _simple_storage(kept) as port:
        answers: list[int] = []
        store_lane.deliver(
            receiver.archive,
            Peer("CTN", "FILMROOM", "127.0.0.1", port),
            DicomSettings(),
            receiver.instances(),
            lambda _one, answer: answers.append(answer.status),
        )
        assert answers == [0]
        files = eventually(
            lambda: [p for p in kept.rglob("*") if p.is_file() and p.stat().st_size], "simple_storage writes the file"
        )
        assert data_set_of(one) in b"".join(p.read_bytes() for p in files)


def test_ctn_is_echoed(tmp_path: Path) -> None:
    from app.network.pdu import Context

    with _simple_storage(tmp_path) as port:
        contexts = [Context(1, "1.2.840.10008.1.1", ["1.2.840.10008.1.2"])]
        with Association(Peer("CTN", "FILMROOM", "127.0.0.1", port), contexts, DicomSettings()) as association:
            assert association.echo().status == 0
