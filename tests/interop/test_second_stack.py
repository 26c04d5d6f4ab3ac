"""Other programs in the roles that DCMTK and Orthanc do not try: pynetdicom's own programs as processes (its reader and
writer are not ours, we use neither), and GDCM's gdcmscu."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread

from app.archive import Source
from app.forward import store_lane
from app.network.find_scu import Finder
from app.network.probe import probe
from app.network.retrieve_scu import Getter, Mover
from app.network.scu import Peer
from app.network.settings import DicomSettings
from tests.support import dcmtk
from tests.support.dimse import Station, data_set_of
from tests.support.pacs import Made, make_study
from tests.support.postgres import free_port
from tests.support.retrieving import add_node, fill
from tests.support.waiting import eventually

pytestmark = pytest.mark.peer
SETTINGS = DicomSettings(network_timeout=30, idle_timeout=30)
TITLES = ("-aet", "PYNET", "-aec", "FILMROOM")


@pytest.fixture
def study(tmp_path: Path) -> Made:
    return make_study(tmp_path / "study", 1)


def _program(name: str, *arguments: object) -> dcmtk.Run:
    command = [sys.executable, "-m", "pynetdicom", name, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, timeout=120, check=False)
    return dcmtk.Run(done.returncode, (done.stdout + done.stderr).decode("utf-8", "replace"))


@contextlib.contextmanager
def _qrscp(folder: Path, our_port: int) -> Iterator[Peer]:
    """pynetdicom's archive: stores, finds, moves to FILMROOM and answers C-GET."""
    port = free_port()
    folder.mkdir(parents=True)
    (folder / "qrscp.ini").write_text(
        f"[DEFAULT]\nae_title: QRSCP\nport: {port}\nmax_pdu: 16382\nacse_timeout: 30\ndimse_timeout: 30\n"
        "network_timeout: 30\nbind_address: 127.0.0.1\ninstance_location: instances\n"
        f"database_location: instances.sqlite\nlog_identifier: False\n[FILMROOM]\naddress: 127.0.0.1\nport: {our_port}\n"
    )
    with (folder / "log").open("wb") as log:
        command = [sys.executable, "-m", "pynetdicom", "qrscp", "-c", "qrscp.ini", "-v"]
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    peer = Peer("QRSCP", "FILMROOM", "127.0.0.1", port)
    try:
        eventually(lambda: probe(peer, SETTINGS).ok, f"qrscp answers (log: {folder / 'log'})", process=process)
        yield peer
    finally:
        process.kill()
        process.wait()


@pytest.mark.slow
def test_an_archive_of_pynetdicom_takes_finds_moves_and_gives(receiver: Station, study: Made, tmp_path: Path) -> None:
    second = make_study(tmp_path / "second", 2, name="Ramos^Luis", patient_id="74-30118", series=[("MR", 2)])
    fill(receiver, [*study.files, *second.files])
    sent = receiver.instances()
    with _qrscp(tmp_path / "qr", receiver.port) as peer:
        answers: list[int | None] = []
        store_lane.deliver(receiver.archive, peer, SETTINGS, sent, lambda _one, answer: answers.append(answer.status))
        assert answers == [0] * len(sent)
        with Finder(peer, SETTINGS) as finder:
            found = list(finder.find("STUDY", {"PatientName": "Ramos*"}))
            assert {one["StudyInstanceUID"] for one in found} == {second.uid}  # it answers once for each object
            series = list(finder.find("SERIES", {"StudyInstanceUID": study.uid}))
            assert {one["SeriesInstanceUID"] for one in series} == set(study.series)
            uid = next(iter(study.series))
            images = list(finder.find("IMAGE", {"StudyInstanceUID": study.uid, "SeriesInstanceUID": uid}))
            assert {one["SOPInstanceUID"] for one in images} == set(study.series[uid])
        _forget(receiver)
        with Mover(peer, SETTINGS, "FILMROOM") as mover:
            done = mover.retrieve("STUDY", {"StudyInstanceUID": study.uid})
            assert done.success and done.counts.completed == len(study.instances), done
        assert {one.sop_instance_uid for one in receiver.instances()} == set(study.instances)
        with Mover(peer, SETTINGS, "ELSEWHERE") as mover:
            assert mover.retrieve("STUDY", {"StudyInstanceUID": study.uid}).status == 0xA801
        with Getter(peer, SETTINGS, receiver.archive, Source(kind="dimse")) as getter:
            done = getter.retrieve("STUDY", {"StudyInstanceUID": second.uid})
            assert done.success and done.counts.stored == 2, done
    for path in (*study.files, *second.files):  # it sends them in Implicit VR
        assert _kept(receiver, path) == _plain(path)


def _kept(receiver: Station, path: Path) -> Dataset:
    """What we have of the object in this file."""
    uid = dcmread(path).SOPInstanceUID
    (found,) = [one.path for one in receiver.instances() if one.sop_instance_uid == uid]
    return _plain(receiver.config.store / found)


def _plain(path: Path) -> Dataset:
    ds = dcmread(path)
    del ds.file_meta
    return ds


def _forget(receiver: Station) -> None:
    from app.archive import service
    from app.security import SYSTEM

    for uid in {str(row) for row in _studies(receiver)}:
        with receiver.database.write() as session:
            service.delete_study(session, SYSTEM, uid)
    assert receiver.instances() == []


def _studies(receiver: Station) -> list[str]:
    from sqlalchemy import select

    from app.archive.models import Study

    with receiver.database.read() as session:
        return list(session.scalars(select(Study.study_instance_uid)))


def test_programs_of_pynetdicom_echo_and_store_to_us(receiver: Station, study: Made) -> None:
    done = _program("echoscu", "127.0.0.1", receiver.port, *TITLES, "-v")
    assert done.code == 0 and "0x0000" in done.output, done.output
    done = _program("storescu", "127.0.0.1", receiver.port, study.files[0].parent, *TITLES, "-cx")
    assert done.code == 0, done.output
    for path in study.files:
        assert receiver.data_set(str(dcmread(path).SOPInstanceUID)) == data_set_of(path)


@pytest.mark.slow
def test_programs_of_pynetdicom_find_move_and_get(receiver: Station, study: Made, tmp_path: Path) -> None:
    fill(receiver, study.files)
    with dcmtk.storescp(tmp_path / "moved", title="THERE") as there:
        for title, port in (("PYNET", 104), ("THERE", there)):
            add_node(receiver, title, port)
        root = ("127.0.0.1", receiver.port, *TITLES, "-S")
        keys = ("-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={study.uid}")
        done = _program("findscu", *root, *keys, "-k", "PatientID=", "-v")
        assert done.code == 0 and "80-11862" in done.output and "0x0000" in done.output, done.output
        done = _program("movescu", *root, *keys, "-aem", "THERE", "-v")
        assert done.code == 0 and "0x0000" in done.output, done.output
        done = _program("getscu", *root, *keys, "-od", tmp_path / "got", "-v")
        assert done.code == 0 and "0x0000" in done.output, done.output
    for folder in ("moved", "got"):
        came = {str(dcmread(path, force=True).SOPInstanceUID): path for path in (tmp_path / folder).iterdir()}
        assert set(came) == set(study.instances), folder
        for path in study.files:
            assert data_set_of(came[str(dcmread(path).SOPInstanceUID)]) == data_set_of(path), folder


def test_gdcm_echoes_and_stores_to_us(receiver: Station, study: Made, caplog: pytest.LogCaptureFixture) -> None:
    """Debian's gdcmscu dies when it has released the association, whoever answers; that it understood shows in the
    release."""
    caplog.set_level("INFO")
    titles = ("--aetitle", "GDCMSCU", "--call", "FILMROOM")
    done = dcmtk.run("gdcmscu", "--echo", *titles, "127.0.0.1", str(receiver.port))
    receiver.calm()
    assert "GDCMSCU to FILMROOM from 127.0.0.1: released; echo 1 with 0000" in caplog.text, done.output
    done = dcmtk.run("gdcmscu", "--store", *titles, "127.0.0.1", str(receiver.port), *study.files)
    assert {one.sop_instance_uid for one in receiver.instances()} == set(study.instances), done.output
    for path in study.files:
        assert _kept(receiver, path) == _plain(path)
