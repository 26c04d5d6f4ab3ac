"""Facilities on the DICOM network: ports that open and close while the receiver runs, and whose it is what comes in."""

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from app.archive.models import Study
from app.config import Config
from app.db import Database
from app.dimse.listen_socket import ListenSocket, hosts_of
from app.kit.phrases import NOTHING
from app.nodes import callers, facility_titles, service
from app.nodes.service import NodeValues
from app.security import facilities
from app.security.actor import SYSTEM
from tests.support import dcmtk, live
from tests.support.client import actor, add_cast
from tests.support.dimse import Station, station
from tests.support.postgres import free_port
from tests.support.waiting import eventually

pytestmark = pytest.mark.peer
CT1 = "codecs/wg04/ct1/ct1_uncompressed.dcm"
CT2 = "codecs/wg04/mr1/mr1_uncompressed.dcm"


@pytest.fixture
def here(config: Config, database: Database) -> Iterator[Station]:
    add_cast(database)
    with station(config, database) as made:
        yield made


def _made(here: Station, name: str, port: int) -> str:
    with here.database.write() as session:
        return facilities.create(session, SYSTEM, name, port=port).id


def _owner(here: Station) -> str | None:
    with here.database.read() as session:
        (study,) = session.query(Study).all()
        return str(study.facility_id)


def _answers(port: int, called: str = "ANY") -> bool:
    return dcmtk.echoscu(port, called).code == 0


def test_a_port_opens_moves_and_closes_without_a_restart(here: Station, shared_data: Path) -> None:
    first, second = free_port(), free_port()
    clinic = _made(here, "Clinic", first)
    here.wait(lambda: _answers(first), 30)
    assert here.receiver.facilities.state == {str(first): "open"}
    with here.database.write() as session:
        facilities.change(session, SYSTEM, clinic, "Clinic", None, second)
    here.wait(lambda: _answers(second), 30)
    assert not _answers(first)
    sent = dcmtk.storescu(second, [shared_data / CT1], called="WHATEVER")
    assert sent.code == 0, sent.output
    assert _owner(here) == clinic, "whatever title is called"
    with here.database.write() as session:
        facilities.change(session, SYSTEM, clinic, "Clinic", None, 0)
    here.wait(lambda: not _answers(second), 30)
    assert here.receiver.facilities.state == {}


def test_a_taken_port_is_said_once_and_had_when_it_is_free(here: Station, caplog: pytest.LogCaptureFixture) -> None:
    port = free_port()
    with socket.create_server(("0.0.0.0", port)):
        _made(here, "Clinic", port)
        here.wait(lambda: "in use" in here.receiver.facilities.state.get(str(port), ""), 30)
        looked = here.receiver.facilities._looked
        here.wait(lambda: here.receiver.facilities._looked > looked, 30)
    here.wait(lambda: here.receiver.facilities.state == {str(port): "open"}, 30)
    assert caplog.text.count("cannot be opened") == 1
    assert not facility_titles.is_free(here.config, port)


def test_the_called_title_wins_over_the_port_and_the_clash_is_noted(
    here: Station, shared_data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    port = free_port()
    _made(here, "Clinic", port)
    hospital = _made(here, "Hospital", 0)
    here.wait(lambda: _answers(port), 30)
    assert dcmtk.storescu(port, [shared_data / CT1], called="HOSPITAL").code == 0
    assert _owner(here) == hospital
    here.calm()
    here.receiver._book.write()
    with here.database.read() as session:
        (clash,) = callers.list_callers(session, SYSTEM, kind=callers.CLASH)
    assert clash.words == "It called the AE title of Hospital at the port of Clinic: its objects belong to Hospital."
    assert (clash.title, clash.called, clash.refused) == ("STORESCU", "HOSPITAL", False)
    assert "title of Hospital at the port of Clinic" in caplog.text


def test_unknown_callers_are_listed_once_with_what_they_asked(here: Station, shared_data: Path) -> None:
    for _ in range(2):
        assert dcmtk.echoscu(here.port, calling="NEWCT").code == 0
    assert dcmtk.storescu(here.port, [shared_data / CT1], calling="NEWCT").code == 0
    assert dcmtk.echoscu(here.port, "NOBODY", "LOST").code != 0
    here.calm()
    here.receiver._book.write()
    with here.database.read() as session:
        found = {one.title: one for one in callers.list_callers(session, SYSTEM)}
    known = found["NEWCT"]
    assert (known.count, known.asked, known.refused, known.address) == (3, "echo,store", False, "127.0.0.1")
    assert known.first_at < known.last_at and known.called == "FILMROOM"
    assert found["LOST"].refused and "does not belong to this station" in found["LOST"].words


def test_the_table_of_callers_is_bounded(here: Station) -> None:
    book = here.receiver._book
    for n in range(3):
        for k in range(callers._WAITING + 20):
            book.record_call(callers.UNKNOWN, f"X{n}-{k}\0\n", "FILMROOM", "10.0.0.1", None, [], NOTHING)
        book.write()
    with here.database.read() as session:
        found = callers.list_callers(session, SYSTEM)
    assert len(found) == callers.MOST and found[0].title.startswith("X2-") and "?" in found[0].title


def test_callers_are_shown_to_their_facility_only(here: Station) -> None:
    north = actor(here.database, "bob").facility_id
    here.receiver._book.record_call(callers.UNKNOWN, "A", "F", "10.0.0.1", north, [], NOTHING)
    here.receiver._book.record_call(callers.UNKNOWN, "B", "F", "10.0.0.1", None, [], NOTHING)
    here.receiver._book.write()
    with here.database.read() as session:
        assert [c.title for c in callers.list_callers(session, actor(here.database, "bob"))] == ["A"]
        assert len(callers.list_callers(session, actor(here.database, "alice"))) == 2


def test_a_door_may_have_several_addresses() -> None:
    assert hosts_of(" 127.0.0.1, ::1 ,") == ["127.0.0.1", "::1"]
    port = free_port()
    listener = ListenSocket("127.0.0.1, ::1", port)
    try:
        for host in ("127.0.0.1", "::1"):
            with socket.create_connection((host, port), 5):
                sock, peer = listener.accept()
                assert peer[0] == host and sock.getblocking()
                sock.close()
        listener.settimeout(0)
        with pytest.raises(TimeoutError):
            listener.accept()
        with pytest.raises(OSError):
            ListenSocket("127.0.0.1", port)
    finally:
        listener.close()
    with contextlib.closing(ListenSocket("127.0.0.1", port)):
        pass


@pytest.mark.slow
def test_every_receiver_process_follows_and_health_tells(tmp_path: Path, shared_data: Path) -> None:
    """A running installation with two receiver processes: made by REST, called at once, told by /healthz and the page."""
    with live.running(tmp_path / "data", "--receivers", "2") as station_, station_.client() as client:
        wanted = free_port()
        made = client.post("/api/v1/facilities", json={"name": "Clinic 1", "port": wanted}).json()
        assert (made["ae_title"], made["port"]) == ("CLINIC1", wanted)
        address = f"/api/v1/facilities/{made['id']}"

        eventually(lambda: client.get(address).json()["listening"] == "open", "the facility's port is open")
        roles = client.get("/healthz").json()["roles"]
        assert roles["dicom"]["facility_ports"] == {"open": 1, "failed": 0}
        for _ in range(6):  # the kernel deals callers out among the processes
            assert _answers(wanted, "CLINIC1")
        assert dcmtk.storescu(wanted, [shared_data / CT1, shared_data / CT2], called="CLINIC1").code == 0
        found = client.get("/dicom-web/studies", headers={"Accept": "application/dicom+json"}).json()
        assert len(found) == 2
        client.put(address, json={"name": "Clinic 1", "port": None})
        eventually(lambda: not _answers(wanted, "CLINIC1"), "the port is closed")
        assert client.get(address).json()["listening"] is None
        with pytest.raises(httpx.HTTPStatusError):
            client.delete(address).raise_for_status()  # its studies name it


def _found(port: int, called: str) -> str:
    keys = ("-S", "-k", "QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID", "-k", "PatientID")
    return dcmtk.run("findscu", "-v", *keys, "-aec", called, "-aet", "BOUND", "127.0.0.1", str(port)).output


def test_another_facilitys_title_is_no_key_to_its_studies(here: Station, shared_data: Path) -> None:
    """SEC-10 on DIMSE: a node of North finds what is North's, and nothing at the title or port of the Clinic."""
    port = free_port()
    _made(here, "Clinic", port)
    north = actor(here.database, "bob").facility_id
    with here.database.write() as session:
        service.create_node(session, SYSTEM, NodeValues("b", "BOUND", "127.0.0.1", 104, facility_id=north))
    here.wait(lambda: _answers(port), 30)
    assert dcmtk.storescu(here.port, [shared_data / CT1], calling="BOUND").code == 0
    assert dcmtk.storescu(port, [shared_data / CT2], calling="BOUND", called="CLINIC").code == 0
    own = _found(here.port, "FILMROOM")
    assert own.count("StudyInstanceUID") == 2, "the question, and the one answer: CT1 is North's, CT2 the Clinic's"
    for where, called in ((here.port, "CLINIC"), (port, "FILMROOM"), (port, "CLINIC")):
        said = _found(where, called)
        assert said.count("StudyInstanceUID") == 1 and "0x124" in said, "not authorized"
    here.calm()
    here.receiver._book.write()
    with here.database.read() as session:
        words = {one.words for one in callers.list_callers(session, SYSTEM, kind=callers.CLASH)}
    assert any("belongs to North but called Clinic" in one for one in words)


def test_only_the_accepted_syntaxes_are_taken(here: Station, shared_data: Path) -> None:
    """Implicit VR Little Endian always (PS3.5 10.1), explicit because it is listed, JPEG 2000 not."""
    here.set(accepted_syntaxes=["1.2.840.10008.1.2.1"])
    assert dcmtk.storescu(here.port, [shared_data / CT1], "-xe").code == 0
    assert dcmtk.storescu(here.port, [shared_data / CT2], "-xi").code == 0
    compressed = shared_data / "codecs/wg04/mr1/mr1_j2k-lossless.dcm"
    assert dcmtk.storescu(here.port, [compressed], "-xv").code != 0
    here.set(accepted_syntaxes=[])
    assert dcmtk.storescu(here.port, [compressed], "-xv").code == 0
