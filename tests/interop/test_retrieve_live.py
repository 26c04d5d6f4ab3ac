"""Query and retrieve through REST: from Orthanc by C-MOVE and C-GET, and from a second Filmroom by DICOM and by
DICOMweb; what survives a restart; who may."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydicom import Dataset, dcmread
from pynetdicom import AE, evt
from pynetdicom.sop_class import (
    CTImageStorage,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
)

from tests.support.dimse import data_set_of
from tests.support.live import PASSWORD, Live, running, start
from tests.support.orthanc import orthanc
from tests.support.pacs import Made, make_study
from tests.support.waiting import eventually, job_ended, pace

pytestmark = [pytest.mark.slow, pytest.mark.peer]


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> list[Made]:
    folder = tmp_path_factory.mktemp("made")
    return [
        make_study(folder, n, name=f"Live^N{n}", patient_id=f"L{n}", series=[("CT", 6), ("MR", 3)])
        for n in range(50, 55)
    ]


def _wait(client: httpx.Client, place: str, seconds: float = 60) -> dict:
    return job_ended(client, place, seconds)


def _node(admin: httpx.Client, name: str, **body: object) -> None:
    answer = admin.post("/api/v1/nodes", json={"name": name, **body})
    assert answer.status_code == 201, answer.text


def _retrieve(admin: httpx.Client, **order: object) -> dict:
    answer = admin.post("/api/v1/retrieves", json=order)
    assert answer.status_code == 202, answer.text
    return _wait(admin, answer.headers["location"])


def _ask(admin: httpx.Client, **wish: object) -> dict:
    answer = admin.post("/api/v1/queries", json=wish)
    assert answer.status_code == 202, answer.text
    return _wait(admin, answer.headers["location"])


def _stored(live: Live) -> set[bytes]:
    return {data_set_of(path) for path in (live.data / "store").rglob("*.dcm") if "/." not in str(path)}


@pytest.fixture(scope="module")
def archive(live: Live, studies: list[Made], tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """Orthanc as the node ORTHANC, with the first three studies."""
    with orthanc(tmp_path_factory.mktemp("o") / "orthanc", live.dicom_port) as (port, client), live.client() as admin:
        for file in (f for made in studies[:3] for f in made.files):
            assert client.post("/instances", content=file.read_bytes()).status_code == 200
        can = ["store", "find", "move", "get"]
        _node(admin, "ORTHANC", ae_title="ORTHANC", host="127.0.0.1", port=port, capabilities=can)
        yield admin


def _logged(admin: httpx.Client) -> set[str]:
    """What the transfer log has of our asking ORTHANC, and that it went well."""
    items = (
        admin.get("/api/v1/operations", params={"peer": "ORTHANC", "role": "scu"}).raise_for_status().json()["items"]
    )
    return {one["kind"] for one in items if one["result"] == "success"}


def test_orthanc_is_queried_and_gives_by_move_and_get(live: Live, archive: httpx.Client, studies: list[Made]) -> None:
    shown = _ask(archive, nodes=["ORTHANC"], patient_name="Live*", modalities=["MR"])
    assert shown["state"] == "done" and shown["total"] == 3, shown
    first = next(item for item in shown["items"] if item["key"] == studies[0].uid)
    assert first["images"] == 9 and first["here"] == {"state": "none", "have": 0, "retrieving": None}
    assert first["modalities_in_study"] == "CT\\MR" and first["where"] == ["ORTHANC"]
    place = f"/api/v1/queries/{shown['id']}/studies/{studies[0].uid}/series"
    series = archive.get(place).json()
    assert {one["key"]: one["images"] for one in series["items"]} == {
        uid: len(n) for uid, n in studies[0].series.items()
    }
    uid = next(iter(studies[0].series))
    images = archive.get(f"{place}/{uid}/instances").json()["items"]
    assert {one["sop_instance_uid"] for one in images} == set(studies[0].series[uid])

    moved = _retrieve(archive, node="ORTHANC", study_instance_uid=studies[0].uid, method="move")
    assert moved["state"] == "done" and moved["progress"] == {"done": 9, "total": 9} and moved["used"] == "move", moved
    got = _retrieve(archive, node="ORTHANC", study_instance_uid=studies[1].uid, method="get")
    assert got["state"] == "done" and got["progress"] == {"done": 9, "total": 9} and got["used"] == "get", got
    series_uid = list(studies[2].series)[1]
    part = _retrieve(archive, node="ORTHANC", study_instance_uid=studies[2].uid, series_instance_uid=series_uid)
    assert part["state"] == "done" and part["progress"] == {"done": 3, "total": 3}, part
    sent = {data_set_of(f) for made in studies[:2] for f in made.files}
    assert sent <= _stored(live)
    again = archive.get(f"/api/v1/queries/{shown['id']}").json()
    states = {item["key"]: (item["here"]["state"], item["here"]["have"]) for item in again["items"]}
    assert states == {studies[0].uid: ("all", 9), studies[1].uid: ("all", 9), studies[2].uid: ("part", 3)}
    only = archive.get(f"/api/v1/queries/{shown['id']}", params={"here": "part", "sort": "name"}).json()
    assert [item["key"] for item in only["items"]] == [studies[2].uid]
    # Its rows are written a little later.
    eventually(lambda: _logged(archive), "all kinds are logged", until=lambda kinds: kinds >= {"find", "move", "get"})


def test_a_second_filmroom_gives_by_dicom_and_by_dicomweb(
    live: Live, archive: httpx.Client, studies: list[Made], tmp_path: Path
) -> None:
    with running(tmp_path / "second", "--aet", "SECOND") as other, other.client() as there:
        for file in (f for made in studies[3:5] for f in made.files):
            assert there.post("/api/v1/imports", files=[("files", file.read_bytes())]).status_code == 200
        us = {"ae_title": "FILMROOM", "host": "127.0.0.1", "port": live.dicom_port}
        _node(there, "US", **us, capabilities=["store", "find", "move", "get"])
        can = ["find", "move", "get"]
        _node(archive, "SECOND", ae_title="SECOND", host="127.0.0.1", port=other.dicom_port, capabilities=can)
        web = {"protocol": "dicomweb", "url": f"{other.url}/dicom-web", "username": "admin", "password": PASSWORD}
        _node(archive, "SECOND-WEB", **web, capabilities=["find"])
        shown = _ask(archive, nodes=["SECOND", "SECOND-WEB", "ORTHANC"], patient_name="Live*")
        where = {item["key"]: item["where"] for item in shown["items"]}
        assert where[studies[3].uid] == ["SECOND", "SECOND-WEB"] and where[studies[0].uid] == ["ORTHANC"], shown[
            "nodes"
        ]
        by_web = _retrieve(archive, node="SECOND-WEB", study_instance_uid=studies[3].uid)
        assert by_web["state"] == "done" and by_web["progress"] == {"done": 9, "total": 9}, by_web
        assert by_web["used"] == "web"
        uid = next(iter(studies[4].series))
        got = _retrieve(
            archive, node="SECOND", study_instance_uid=studies[4].uid, series_instance_uid=uid, method="get"
        )
        assert got["state"] == "done" and got["progress"] == {"done": 6, "total": 6}, got
        moved = _retrieve(archive, node="SECOND", study_instance_uid=studies[4].uid, method="move")
        assert moved["state"] == "done" and moved["progress"] == {"done": 9, "total": 9}, moved
        assert moved["completed"] == 3, "what the series of before brought is not fetched again"
    sent = {data_set_of(f) for made in studies[3:5] for f in made.files}
    assert sent <= _stored(live)


def test_a_retrieval_waits_for_a_node_that_is_away_and_can_be_stopped_and_dropped(archive: httpx.Client) -> None:
    _node(archive, "AWAY", ae_title="AWAY", host="127.0.0.1", port=1, capabilities=["find", "move"])
    order = {"node": "AWAY", "study_instance_uid": "1.2.3.4.5"}
    answer = archive.post("/api/v1/retrieves", json=order)
    place = answer.headers["location"]
    assert archive.post("/api/v1/retrieves", json=order).status_code == 409
    shown = eventually(lambda: archive.get(place).json(), "an error is shown", until=lambda found: found["error"])
    assert shown["state"] == "queued" and "refuses connections" in shown["error"] and shown["attempts"] == 1, shown
    assert archive.post(f"{place}/cancel").json()["state"] == "cancelled"
    assert archive.post(f"{place}/cancel").status_code == 409
    assert archive.post(f"{place}/retry").status_code == 202
    assert archive.delete(place).status_code == 204 and archive.get(place).status_code == 404


@contextmanager
def slow_archive(made: Made, pause: float) -> Iterator[tuple[int, list[str], threading.Event]]:
    """A pynetdicom archive with one study that gives its images slowly: its port, what it has sent, and the brake that
    also holds back a query for the patient "Nobody" until it is let go."""
    sent: list[str] = []
    brake = threading.Event()
    files = dict(zip(made.instances, made.files, strict=True))

    def find(event: Any) -> Iterator[tuple[int, Any]]:
        asked = event.identifier
        if asked.QueryRetrieveLevel == "SERIES":
            for uid, uids in made.series.items():
                ds = Dataset()
                ds.QueryRetrieveLevel, ds.SeriesInstanceUID, ds.NumberOfSeriesRelatedInstances = (
                    "SERIES",
                    uid,
                    len(uids),
                )
                yield 0xFF00, ds
        elif asked.QueryRetrieveLevel == "IMAGE":
            for uid in made.series[asked.SeriesInstanceUID]:
                ds = Dataset()
                ds.QueryRetrieveLevel, ds.SOPInstanceUID, ds.SOPClassUID = "IMAGE", uid, CTImageStorage
                yield 0xFF00, ds
        elif asked.PatientName == "Nobody":
            brake.wait(60)
        yield 0x0000, None

    def get(event: Any) -> Iterator[Any]:
        asked = event.identifier
        wanted = asked.get("SOPInstanceUID") or made.instances
        uids = [wanted] if isinstance(wanted, str) else list(wanted)
        yield len(uids)
        for uid in uids:
            if event.is_cancelled:
                yield 0xFE00, None
                return
            sent.append(str(uid))
            yield 0xFF00, dcmread(files[str(uid)])
            pace(pause)

    ae = AE(ae_title="SLOW")
    ae.add_supported_context(StudyRootQueryRetrieveInformationModelFind)
    ae.add_supported_context(StudyRootQueryRetrieveInformationModelGet)
    ae.add_supported_context(CTImageStorage, scu_role=True, scp_role=True)
    handlers = [(evt.EVT_C_FIND, find), (evt.EVT_C_GET, get)]
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    try:
        yield server.socket.getsockname()[1], sent, brake
    finally:
        brake.set()
        server.shutdown()


def _fetched(client: httpx.Client, place: str, count: int) -> None:
    """Waits until this many objects of the retrieval are here."""
    eventually(
        lambda: client.get(place).json(),
        f"{count} objects fetched",
        until=lambda shown: shown["progress"]["done"] >= count,
        seconds=180,
    )


def test_a_retrieval_goes_on_after_a_restart_and_fetches_nothing_twice(tmp_path: Path) -> None:
    made = make_study(tmp_path / "made", 60, series=[("CT", 40)])
    with slow_archive(made, 0.1) as (port, sent, _brake):
        first = start(tmp_path / "data")
        try:
            with first.client() as admin:
                _node(admin, "SLOW", ae_title="SLOW", host="127.0.0.1", port=port, capabilities=["find", "get"])
                order = {"node": "SLOW", "study_instance_uid": made.uid}
                place = admin.post("/api/v1/retrieves", json=order).headers["location"]
                _fetched(admin, place, 5)
        finally:
            first.stop()
        with running(tmp_path / "data") as second, second.client() as admin:
            shown = _wait(admin, place)
            assert shown["state"] == "done" and shown["progress"] == {"done": 40, "total": 40}, shown
    assert set(sent) == set(made.instances)
    assert len(sent) - len(set(sent)) <= 3, "at most what was under way came twice"


def test_a_retrieval_outlives_kill_9_of_every_role(tmp_path: Path) -> None:
    """The worker that fetches and the receiver that files die in the middle; it goes on by itself, without a person."""
    made = make_study(tmp_path / "made", 61, series=[("CT", 40)])
    with slow_archive(made, 0.1) as (port, sent, _brake), running(tmp_path / "data") as live, live.client() as admin:
        _node(admin, "SLOW", ae_title="SLOW", host="127.0.0.1", port=port, capabilities=["find", "get"])
        order = {"node": "SLOW", "study_instance_uid": made.uid}
        place = admin.post("/api/v1/retrieves", json=order).headers["location"]
        for role, done in (("worker", 5), ("dicom", 12), ("worker", 20)):
            _fetched(admin, place, done)
            for pid in live.role_pids(role):
                os.kill(pid, signal.SIGKILL)
        shown = _wait(admin, place, 120)
        assert shown["state"] == "done" and shown["progress"] == {"done": 40, "total": 40}, shown
        paths = [path for path in (live.data / "store").rglob("*.dcm") if "/." not in str(path)]
        here = {(str(ds.SOPInstanceUID), ds.PixelData) for ds in map(dcmread, paths)}
    assert {(str(ds.SOPInstanceUID), ds.PixelData) for ds in map(dcmread, made.files)} == here
    assert set(sent) == set(made.instances)
    assert len(sent) - len(set(sent)) <= 6, "at most what was under way at a kill came twice"


def test_stopping_a_query_is_heeded_at_once_and_the_next_need_not_wait(live: Live, tmp_path: Path) -> None:
    made = make_study(tmp_path / "made", 61, series=[("CT", 1)])
    with slow_archive(made, 0) as (port, _sent, _brake), live.client() as admin:
        _node(admin, "TARDY", ae_title="SLOW", host="127.0.0.1", port=port, capabilities=["find"])
        places = [
            admin.post("/api/v1/queries", json={"nodes": ["TARDY"], "patient_name": "Nobody"}).headers["location"]
            for _ in range(3)
        ]
        eventually(lambda: admin.get(places[2]).json()["state"] == "running", "the third query runs")
        started = time.monotonic()
        for place in places:
            assert admin.delete(place).json()["state"] == "cancelled"
        shown = _ask(admin, nodes=["TARDY"], patient_name="Somebody")
        assert shown["state"] == "done" and shown["total"] == 0, shown
        assert time.monotonic() - started < 50, "three stopped queries held all places of the worker"


def test_what_is_kept_of_a_query_is_no_ones_else_business(live: Live, archive: httpx.Client) -> None:
    shown = _ask(archive, nodes=["ORTHANC"], patient_name="Live^N51*")
    assert shown["total"] == 1
    audit = archive.get("/api/v1/audit", params={"thing_id": shown["id"]}).json()["items"]
    assert audit and "Live" not in str(audit), "the trail names the keys, never their values"
    jobs = archive.get("/api/v1/jobs", params={"kind": "query.ask"}).json()["items"]
    assert jobs and "Live" not in str(jobs)
    log = "".join(path.read_text() for path in (live.data / "logs").iterdir())
    assert "Live^N" not in log and "L51" not in log
