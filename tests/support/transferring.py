"""A worker that sends when the test says so, an archive with objects, and transfers to a node."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread

from app.archive import Source
from app.config import Config
from app.db import Database
from app.forward import queries as transfer_queries
from app.forward import transfer_json, transfers
from app.nodes import service
from app.nodes.service import NodeValues
from app.worker import Worker
from tests.support.client import actor
from tests.support.dimse import Station
from tests.support.forwarding import work_off

STUDY = "1.2.826.0.1.3680043.9.7000.1"


@pytest.fixture
def worker(sqlite_config: Config, receiver: Station) -> Iterator[Worker]:
    made = Worker(sqlite_config)
    made.archive = receiver.archive
    yield made
    made.database.dispose()


def fill_archive(receiver: Station, source: Path, count: int, tmp_path: Path) -> None:
    """A study of `count` copies of a file."""
    ds = dcmread(source)
    ds.StudyInstanceUID, ds.SeriesInstanceUID = STUDY, STUDY + ".1"
    for number in range(count):
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"{STUDY}.1.{number + 1}"
        ds.InstanceNumber = number + 1
        _take(receiver, ds, tmp_path)


def _take(receiver: Station, ds: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "one.dcm"
    ds.save_as(path)
    incoming = receiver.archive.receive(Source(kind="upload", actor_name="admin"))
    incoming.write(path.read_bytes())
    assert receiver.archive.ingest(incoming).status == "stored"


def order_transfer(database: Database, port: int, title: str = "STORESCP", **options: object) -> str:
    admin = actor(database, "admin")
    with database.write() as session:
        values = NodeValues("pacs", title, "127.0.0.1", port, **options)  # type: ignore[arg-type]
        service.create_node(session, admin, values)
        return transfers.create_transfer(session, admin, STUDY, "pacs").id


def work_until_idle(worker: Worker) -> None:
    """What is due, once."""
    assert work_off(worker)


def transfer_shown(database: Database, transfer_id: str) -> dict[str, object]:
    with database.read() as session:
        row = transfer_queries.transfer(session, actor(database, "admin"), transfer_id)
        return transfer_json.transfer_json(row, "pacs")
