"""Memory does not follow what a C-GET brings: one object of 400 MB, at both ends, and a study of 4,000."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import insert, select

from app.archive import Archive, Source
from app.archive.models import Instance, Study
from app.config import Config
from app.db import Database, open_database
from app.network.file_meta import preamble_and_meta
from app.network.retrieve_scu import Getter
from app.network.scu import Peer
from app.network.settings import DicomSettings
from app.nodes import service
from app.nodes.options import NodeValues
from app.security.actor import SYSTEM
from tests.support import dcmtk
from tests.support.dicom_role import CT, CT1, EXPLICIT, dicom_role
from tests.support.large import forget_peak, kilobytes, sparse_multiframe

pytestmark = [pytest.mark.slow, pytest.mark.peer]
LARGE = "1.2.826.0.1.9.2"
LIMIT = 30_000  # kB above idle; measured: 550 to send one, 930 to take it, 14,000 to send many
MANY = 4000


@pytest.fixture
def filled(sqlite_config: Config) -> Iterator[tuple[Config, Database, Archive]]:
    database = open_database(sqlite_config)
    archive = Archive(sqlite_config, database)
    with database.write() as session:
        service.create_node(session, SYSTEM, NodeValues("getter", "GETSCU", "127.0.0.1", 104))
    yield sqlite_config, database, archive
    archive.close()
    database.dispose()
    shutil.rmtree(sqlite_config.store, ignore_errors=True)


def _study(database: Database) -> str:
    with database.read() as session:
        return session.scalars(select(Study.study_instance_uid)).one()


def test_one_very_large_object(
    filled: tuple[Config, Database, Archive], _sqlite_template: Path, shared_data: Path, tmp_path: Path
) -> None:
    config, database, archive = filled
    file, length = sparse_multiframe(shared_data / CT1, tmp_path, 800, LARGE)
    incoming = archive.receive(Source("upload"))
    incoming.write(preamble_and_meta(CT, LARGE, EXPLICIT))
    with file.open("rb") as source:
        while piece := source.read(1 << 20):
            incoming.write(piece)
    assert archive.ingest(incoming).status == "stored"
    shutil.copytree(_sqlite_template, tmp_path / "other")
    elsewhere = Config(**{f: getattr(config, f) for f in config.__dataclass_fields__} | {"data": tmp_path / "other"})
    there = open_database(elsewhere)
    taker = Archive(elsewhere, there)
    with dicom_role(config, 1) as role:
        (pid,) = role.wait(1)
        _echoed(role.port)
        idle, own = kilobytes(pid, "VmRSS"), kilobytes("self", "VmRSS")
        forget_peak(pid), forget_peak("self")
        peer = Peer("FILMROOM", "GETSCU", "127.0.0.1", role.port)
        with Getter(peer, DicomSettings(), taker, Source("dimse", "FILMROOM", "GETSCU"), [CT]) as getter:
            ended = getter.retrieve("STUDY", {"StudyInstanceUID": _study(database)})
        assert ended.success and ended.counts.stored == 1, ended
        sent, got = kilobytes(pid, "VmHWM") - idle, kilobytes("self", "VmHWM") - own
    with there.read() as session:
        assert session.scalars(select(Instance)).one().bytes > length
    taker.close()
    there.dispose()
    shutil.rmtree(elsewhere.store)
    assert sent < LIMIT and got < LIMIT, (sent, got)


def test_a_study_of_many_objects(filled: tuple[Config, Database, Archive], shared_data: Path, tmp_path: Path) -> None:
    """All rows lead to one file: what is looked at is what the list and the sending cost."""
    config, database, archive = filled
    incoming = archive.receive(Source("upload"))
    incoming.write((shared_data / CT1).read_bytes())
    assert archive.ingest(incoming).status == "stored"
    with database.write() as session:
        one = session.scalars(select(Instance)).one()
        kept = {c.name: getattr(one, c.name) for c in Instance.__table__.columns if c.name != "id"}
        more = [kept | {"sop_instance_uid": f"{LARGE}.{n}", "instance_number": n} for n in range(2, MANY + 1)]
        session.execute(insert(Instance), more)
    with dicom_role(config, 1) as role:
        (pid,) = role.wait(1)
        _echoed(role.port)
        idle = kilobytes(pid, "VmRSS")
        forget_peak(pid)
        keys = {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": _study(database)}
        options = ("-S", "--ignore", "-pdu", "131072", "-aet", "GETSCU", "-aec", "FILMROOM")
        given = [part for name, value in keys.items() for part in ("-k", f"{name}={value}")]
        done = dcmtk.run("getscu", "-v", *options, *given, "127.0.0.1", str(role.port), seconds=280)
        assert done.code == 0, done.output[-2000:]
        assert f"Number of Completed Suboperations : {MANY}\n" in done.output, done.output[-700:]
        assert kilobytes(pid, "VmHWM") - idle < LIMIT, kilobytes(pid, "VmHWM") - idle


def _echoed(port: int) -> None:
    """What the first association loads is not counted."""
    assert dcmtk.echoscu(port, calling="GETSCU").code == 0
