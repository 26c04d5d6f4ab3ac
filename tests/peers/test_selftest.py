"""The self-test of a node, against real archives: what works, what does not and why, and that nothing stays here."""

import contextlib
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset

from app import jobs
from app.db import Database
from app.jobs.context import JobContext
from app.kit.clock import now
from app.kit.errors import Conflict, Forbidden
from app.network.settings import DicomSettings
from app.nodes import activity_queries, selftest, service
from app.nodes import queries as node_queries
from app.nodes.service import NodeValues
from app.security.actor import SYSTEM
from app.selftest import job, other_protocols, test_object
from app.settings import save
from tests.support import dcmtk
from tests.support.client import Web, actor
from tests.support.dimse import Station
from tests.support.live import Live
from tests.support.network_log import logged
from tests.support.orthanc import orthanc, web
from tests.support.pacs import dcmqrscp
from tests.support.postgres import free_port
from tests.support.selftests import run_selftest, step_states, step_text
from tests.support.storer import storer
from tests.support.waiting import job_ended

EVERYTHING = ["store", "find", "move", "get", "commitment"]


@pytest.fixture
def here(receiver: Station) -> Iterator[Station]:
    """Our receiver; jobs say that DICOM listens on its port."""
    yield receiver


def test_the_test_object_is_plain_dicom(tmp_path: Path) -> None:
    made = test_object.make("FILMROOM^TEST", "FILMROOM-TEST", now())
    found = read_dataset(DicomBytesIO(made.data), True, True)
    assert (found.PatientName, found.PatientID, found.Rows) == ("FILMROOM^TEST", "FILMROOM-TEST", 64)
    assert found.SOPInstanceUID == made.sop_instance and found.StudyInstanceUID == made.study
    assert len(found.PixelData) == 64 * 64 and max(found.PixelData) > min(found.PixelData)
    again = test_object.make("FILMROOM^TEST", "FILMROOM-TEST", now())
    assert again.sop_instance != made.sop_instance


@pytest.mark.peer
def test_all_steps_with_an_archive_that_knows_us(here: Station, tmp_path: Path) -> None:
    with orthanc(tmp_path / "orthanc", here.port) as (port, client):
        values = NodeValues("pacs", "ORTHANC", "127.0.0.1", port, capabilities=EVERYTHING)
        test = run_selftest(here, values)
        there = client.get("/instances").json()
        assert len(there) == 1, "the test study stays on the PACS"
        assert client.get(f"/instances/{there[0]}/simplified-tags").json()["PatientName"] == "FILMROOM^TEST"
    states = step_states(test)
    wanted = ["reach", "association", "echo", "find", "store", "find-back", "move", "get", "commitment", "stays"]
    assert {name: states.get(name) for name in wanted} == dict.fromkeys(wanted[:-1], "ok") | {"stays": "warned"}
    assert test.state == "done" and test.finished_at and all(step["seconds"] < 60 for step in test.steps)
    told = [kind for kind, peer, result in logged(here.database) if (peer, result) == ("pacs", "success")]
    assert sorted(told) == sorted(["echo", "find", "store", "find", "move", "get", "commit"])
    assert here.instances() == [], "what came back is removed"
    with here.database.read() as session:
        assert activity_queries.running_studies(session) == {test.study_instance_uid}, "routes leave it alone"
        shown = selftest.test_json(session, test)
    assert shown["ok"] == ("failed" not in states.values()) and "stays on the PACS" in step_text(test, "stays")


@pytest.mark.peer
def test_an_archive_that_does_not_know_our_title_is_explained(here: Station, tmp_path: Path) -> None:
    """dcmqrscp knows no destination FILMROOM; the other ways are tried all the same."""
    with dcmqrscp(tmp_path / "qr", here.port, title="QR", destinations="SOMEONE") as port:
        test = run_selftest(
            here, NodeValues("pacs", "QR", "127.0.0.1", port, capabilities=["store", "find", "move", "get"])
        )
    states = step_states(test)
    assert (states["store"], states["find-back"], states["move"], states["get"]) == ("ok", "ok", "failed", "ok")
    assert "Move destination unknown (A801)" in step_text(test, "move")
    assert f"title FILMROOM at 127.0.0.1:{here.port}" in step_text(test, "move")
    assert here.instances() == []


@pytest.mark.peer
def test_an_archive_that_lets_us_do_nothing_is_explained(here: Station, tmp_path: Path) -> None:
    """Orthanc knows us as FILMROOM; called under another title it lets us store, and breaks off at a move."""
    with orthanc(tmp_path / "orthanc", here.port) as (port, _):
        values = NodeValues("pacs", "ORTHANC", "127.0.0.1", port, capabilities=["store", "move"], local_title="X1")
        test = run_selftest(here, values)
    assert step_states(test)["move"] == "failed" and here.instances() == []
    assert f"AE title X1 (127.0.0.1:{here.port})" in step_text(test, "move")


@pytest.mark.peer
def test_without_consent_nothing_is_stored(here: Station, tmp_path: Path) -> None:
    with dcmtk.storescp(tmp_path / "scp", title="STORESCP") as port:
        test = run_selftest(here, NodeValues("scp", "STORESCP", "127.0.0.1", port), with_object=False)
    assert list((tmp_path / "scp").iterdir()) == []
    assert set(step_states(test)) == {"reach", "association", "echo"} and test.study_instance_uid == ""


@pytest.mark.peer
def test_a_node_that_only_stores(here: Station, tmp_path: Path) -> None:
    with dcmtk.storescp(tmp_path / "scp", title="STORESCP") as port:
        test = run_selftest(here, NodeValues("scp", "STORESCP", "127.0.0.1", port))
    states = step_states(test)
    assert states["store"] == "ok" and states["move"] == "skipped" and "find" not in states
    (file,) = (tmp_path / "scp").iterdir()
    assert dcmread(file, force=True).PatientID == "FILMROOM-TEST"


@contextlib.contextmanager
def _within(seconds: float) -> Iterator[None]:
    """Of processor time: a test runs in this process, and the machine may be busy."""
    begun = time.process_time()
    yield
    assert time.process_time() - begun < seconds


@pytest.mark.peer
def test_an_archive_that_refuses_every_association(here: Station, tmp_path: Path) -> None:
    """Nobody waits for it, and it is said who has to be asked."""
    with storer("PACS", strict=True) as there, _within(20):
        test = run_selftest(here, NodeValues("pacs", "OTHER", "127.0.0.1", there.port, capabilities=EVERYTHING))
    assert step_states(test) == {"reach": "ok", "association": "failed"}
    assert "the called AE title is not known there" in step_text(test, "association"), step_text(test, "association")


@pytest.mark.peer
def test_an_archive_that_refuses_every_object(here: Station, tmp_path: Path) -> None:
    """dcmqrscp that may only be read from; a storage that is full."""
    with dcmqrscp(tmp_path / "qr", here.port, title="QR", rights="R") as port, _within(20):
        test = run_selftest(here, NodeValues("pacs", "QR", "127.0.0.1", port, capabilities=EVERYTHING))
    states = step_states(test)
    assert (states["echo"], states["find"], states["store"]) == ("ok", "ok", "failed") and "move" not in states
    assert "stays" not in states, "nothing does"
    with storer("FULL", otherwise=0xA700) as there, _within(20):
        full = run_selftest(here, NodeValues("full", "FULL", "127.0.0.1", there.port))
    assert "is out of resources (A700" in step_text(full, "store") and "Is its storage full?" in step_text(
        full, "store"
    )


@pytest.mark.peer
def test_an_archive_that_takes_and_drops(here: Station, tmp_path: Path) -> None:
    """Orthanc with a filter that lets nothing in answers success all the same."""
    lua = tmp_path / "filter.lua"
    lua.write_text("function ReceivedInstanceFilter(dicom, origin, info) return false end")
    more: dict[str, object] = {"LuaScripts": [str(lua)]}
    with orthanc(tmp_path / "orthanc", here.port, more=more) as (port, client), _within(20):
        test = run_selftest(here, NodeValues("pacs", "ORTHANC", "127.0.0.1", port, capabilities=EVERYTHING))
        assert client.get("/instances").json() == []
    states = step_states(test)
    assert states["store"] == "ok"
    assert {states[name] for name in ("find-back", "move", "get", "commitment")} == {"failed"}, states
    assert "did not store it" in step_text(test, "move") and "did not store it" in step_text(test, "get")


@pytest.mark.peer
def test_a_dicomweb_server_as_a_dicom_node(here: Station, tmp_path: Path) -> None:
    with orthanc(tmp_path / "orthanc", here.port, more=web()) as (_, client):
        values = NodeValues(name="web", protocol="dicomweb", url=f"{client.base_url}/dicom-web")
        test = run_selftest(here, values)
        (there,) = client.get("/instances").json()
        assert client.get(f"/instances/{there}/simplified-tags").json()["PatientName"] == "FILMROOM^TEST"
    wanted = ["reach", "search", "find", "store", "find-back", "get"]
    assert step_states(test) == dict.fromkeys(wanted, "ok") | {"stays": "warned"}
    assert "0 studies of today" in step_text(test, "find") and "received back" in step_text(test, "get")
    assert here.instances() == []


def test_a_dicomweb_server_that_takes_nothing(here: Station) -> None:
    class ReadOnly(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(204)
            self.end_headers()

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(403)
            self.send_header("content-length", "0")
            self.end_headers()

    server = ThreadingHTTPServer(("127.0.0.1", 0), ReadOnly)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with _within(20):
            url = f"http://127.0.0.1:{server.server_port}/dicom-web"
            test = run_selftest(here, NodeValues(name="web", protocol="dicomweb", url=url))
    finally:
        server.shutdown()
        server.server_close()
    assert step_states(test) == {"reach": "ok", "search": "ok", "find": "ok", "store": "failed"}
    assert "web refused us (403)" in step_text(test, "store") and "their permissions on the node" in step_text(
        test, "store"
    )


def test_a_folder_gets_a_picture_and_is_left_as_it_was(here: Station, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    (folder / "others").mkdir(parents=True)
    test = run_selftest(here, NodeValues(name="out", protocol="folder", path=str(folder)))
    steps = ("folder", "write", "space", "store", "get", "remove")
    assert step_states(test) == dict.fromkeys(steps, "ok")
    assert f"was written below {folder}/FILMROOM-TEST." in step_text(test, "store")
    assert [path.name for path in folder.rglob("*")] == ["others"]


def test_a_folder_that_changes_files_is_told(here: Station, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that watches the folder takes the file away at once."""
    kept = other_protocols.FolderSteps.get_back

    def taken(steps: other_protocols.FolderSteps) -> tuple[str, str, str]:
        for path in tmp_path.rglob("*.dcm"):
            path.write_bytes(path.read_bytes()[:-1])
        return kept(steps)

    monkeypatch.setattr(other_protocols.FolderSteps, "get_back", taken)
    test = run_selftest(here, NodeValues(name="out", protocol="folder", path=str(tmp_path)))
    assert step_states(test)["get"] == "failed" and "received back changed" in step_text(test, "get")
    assert step_states(test)["remove"] == "ok" and not list(tmp_path.rglob("*.dcm"))


def test_a_node_that_is_not_there(here: Station) -> None:
    test = run_selftest(here, NodeValues("gone", "GONE", "127.0.0.1", free_port()))
    assert step_states(test) == {"reach": "failed"} and "refuses connections" in step_text(test, "reach")
    with here.database.read() as session:
        assert selftest.test_json(session, test)["ok"] is False
        assert node_queries.node(session, SYSTEM, "gone").last_fault


def test_who_may_and_how_often(peopled: Database) -> None:
    with peopled.write() as session:
        service.create_node(session, SYSTEM, NodeValues("n", "N", "127.0.0.1", 104))
        with pytest.raises(Forbidden):
            selftest.start_test(session, actor(peopled, "charlie"), "n")
        selftest.start_test(session, actor(peopled, "bob"), "n", True)
        with pytest.raises(Conflict):
            selftest.start_test(session, actor(peopled, "bob"), "n")


@pytest.mark.peer
def test_echoes_by_the_clock_set_the_lamps(here: Station, tmp_path: Path) -> None:
    with here.database.write() as session:
        save(session, DicomSettings(echo_minutes=10), "test")
        for name, port in (("ours", here.port), ("gone", free_port()), ("off", free_port())):
            node = service.create_node(session, SYSTEM, NodeValues(name, "FILMROOM", "127.0.0.1", port))
            node.changed_at = node.changed_at.replace(year=2020)
            node.enabled = name != "off"
        jobs.enqueue(session, "node.echo", {})
    with here.database.write() as session:
        claimed = jobs.claim(session, ["node.echo"], "test")
    assert claimed is not None
    assert job.echo_all(JobContext(here.config, here.database, here.archive, claimed), {}) == {"nodes": 2}
    with here.database.read() as session:
        found = {node.name: node for node in node_queries.nodes(session, SYSTEM)}
        assert found["ours"].last_ok_at and found["gone"].last_fault and not found["off"].last_ok_at
        assert activity_queries.nodes_to_echo(session, 10) == []
    assert set(logged(here.database)) == {("echo", "ours", "success"), ("echo", "gone", "failure")}


def test_over_rest(web: Web) -> None:
    node = {"name": "n", "ae_title": "N", "host": "127.0.0.1", "port": free_port()}
    web.admin.post("/api/v1/nodes", json=node)
    made = web.bob.post("/api/v1/nodes/n/tests", json={})
    assert made.status_code == 202, made.text
    assert web.bob.post("/api/v1/nodes/n/tests", json={}).status_code == 409
    shown = web.bob.get(made.headers["location"]).json()
    assert (shown["state"], shown["steps"], shown["with_object"]) == ("queued", [], False)
    assert web.charlie.post("/api/v1/nodes/n/tests", json={}).status_code == 403
    assert web.charlie.get(made.headers["location"]).status_code == 403


@pytest.mark.slow
def test_a_running_installation_tests_itself_live(live: Live) -> None:
    """The worker carries it out; the node is the installation itself, which takes the picture and keeps it."""
    with live.client() as client:
        node = {"name": "self", "ae_title": "FILMROOM", "host": "127.0.0.1", "port": live.dicom_port}
        assert client.post("/api/v1/nodes", json=node).status_code == 201
        where = client.post("/api/v1/nodes/self/tests", json={"with_object": False}).headers["location"]
        shown = job_ended(client, where)
        assert shown["ok"], shown
        assert [step["step"] for step in shown["steps"]][:3] == ["reach", "association", "echo"]
