"""A receiver of ours in this process, on a free port: the real one, with its real archive."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pydicom.dataset import FileMetaDataset
from pydicom.filereader import read_file_meta_info
from sqlalchemy import select

from app.archive import Archive
from app.archive.models import Instance
from app.config import Config
from app.db import Database
from app.dimse.server import Receiver
from app.network.settings import DicomSettings
from app.settings import save
from tests.support.waiting import eventually

PREFIX = 132  # preamble and DICM


@dataclass
class Station:
    """The receiver and what stands behind it."""

    port: int
    receiver: Receiver
    config: Config
    database: Database
    archive: Archive

    def instances(self) -> list[Instance]:
        with self.database.read() as session:
            return list(session.scalars(select(Instance).order_by(Instance.id)))

    def data_set(self, sop_instance_uid: str) -> bytes:
        """The stored data set, without preamble and file meta information."""
        with self.database.read() as session:
            found = session.scalars(select(Instance).where(Instance.sop_instance_uid == sop_instance_uid)).one()
        return (self.config.store / found.path).read_bytes()[found.data_set_offset :]

    def path(self, sop_instance_uid: str) -> Path:
        """The stored file of an object."""
        found = next(one for one in self.instances() if one.sop_instance_uid == sop_instance_uid)
        return self.config.store / found.path

    def newest(self) -> bytes:
        """The data set that was stored last."""
        with self.database.read() as session:
            uid = session.scalars(select(Instance.sop_instance_uid).order_by(Instance.id.desc()).limit(1)).one()
        return self.data_set(uid)

    def files(self) -> list[Path]:
        """Everything in the store but locks."""
        return [p for p in self.config.store.rglob("*") if p.is_file() and p.name != "lock"]

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)

    def set(self, **values: object) -> None:
        """Changes settings; they hold for the next association."""
        with self.database.write() as session:
            save(session, DicomSettings.model_validate(values), "test")
        self.receiver._known = (float("-inf"), DicomSettings())

    def wait(self, condition: Callable[[], bool], seconds: float = 60) -> None:
        eventually(condition, "the state the test waits for", seconds=seconds)

    def calm(self) -> None:
        """Waits until no association is open."""
        self.wait(lambda: not self.receiver._open)


@contextlib.contextmanager
def station(config: Config, database: Database) -> Iterator[Station]:
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    archive = Archive(config, database)
    receiver = Receiver(config, database, archive)
    serving = threading.Thread(target=receiver.serve, args=(listener,), daemon=True)
    serving.start()
    try:
        yield Station(listener.getsockname()[1], receiver, config, database, archive)
    finally:
        receiver.stop(3.0)
        serving.join(60)
        archive.close()


def parts_of(path: Path) -> tuple[FileMetaDataset, bytes] | None:
    """File meta information and data set bytes of a Part 10 file; None where there is no such thing."""
    data = path.read_bytes()
    if data[128:132] != b"DICM" or data[132:136] != b"\x02\x00\x00\x00":
        return None
    try:
        meta = read_file_meta_info(path)
        found = data_set_of(path)
    except Exception:
        return None
    needed = ("MediaStorageSOPClassUID", "MediaStorageSOPInstanceUID", "TransferSyntaxUID")
    return (meta, found) if all(meta.get(k) for k in needed) else None


def data_set_of(path: Path) -> bytes:
    """The data set bytes of a Part 10 file on the disk, found by its group length."""
    data = path.read_bytes()
    assert data[128:132] == b"DICM" and data[132:136] == b"\x02\x00\x00\x00", path
    return data[144 + int.from_bytes(data[140:144], "little") :]
