"""Lanes against real destinations: stubborn peers, Orthanc, DICOMweb servers, folders."""

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread
from sqlalchemy import select, update

from app.db import Database
from app.dicom import syntaxes
from app.dicom.paths import object_path
from app.forward import stow, transfers
from app.forward.models import Transfer
from app.kit import multipart
from app.kit.clock import now
from app.network.commitment_data import Reference, References
from app.nodes import commitment, service
from app.nodes import queries as node_queries
from app.nodes.models import CommitmentInstance
from app.nodes.options import NodeValues
from app.worker import Worker
from tests.support.client import actor
from tests.support.destinations import STUDY, node, objects, put, send, shown
from tests.support.dimse import Station
from tests.support.forwarding import due, work_off
from tests.support.live import running
from tests.support.network_log import logged
from tests.support.orthanc import orthanc
from tests.support.postgres import free_port
from tests.support.scp import listening
from tests.support.waiting import eventually

pytestmark = pytest.mark.peer


def soon(database: Database) -> None:
    with database.write() as session:
        session.execute(update(Transfer).where(Transfer.state == "queued").values(run_after=now()))


class Answers:
    """A C-STORE handler that answers by SOP Instance UID, or by what `otherwise` says; it keeps what came."""

    def __init__(self, otherwise: int = 0, **special: int | str) -> None:
        self.otherwise, self.special = otherwise, {uid.replace("_", "."): what for uid, what in special.items()}
        self.came: list[str] = []

    def __call__(self, event: Any) -> Any:
        uid = event.request.AffectedSOPInstanceUID
        self.came.append(uid)
        answer = self.special.get(uid.removeprefix(STUDY + ".1."), self.otherwise)
        if answer == "abort":
            event.assoc.abort()
            return 0
        status = Dataset()
        status.Status, status.ErrorComment = answer, f"because {answer:04X}"
        return status


def test_warnings_are_kept_and_refusals_stop_nobody_else(receiver: Station, worker: Worker, peopled: Database) -> None:
    for number in range(5):
        put(receiver, number)
    with listening(Answers(**{"1": 0xB007, "2": 0xA900, "3": 0xC000})) as peer:
        node(peopled, peer.port)
        transfer = send(peopled)
        work_off(worker)
    found = shown(peopled, transfer)
    assert (found["state"], found["sent"], found["warned"], found["failed"]) == ("failed", 2, 1, 2)
    rows = objects(peopled, transfer)
    assert [(row.state, row.status) for row in rows] == [
        ("sent", 0), ("warned", 0xB007), ("failed", 0xA900), ("failed", 0xC000), ("sent", 0),
    ]  # fmt: skip
    assert rows[2].message == "because A900"


def test_a_peer_out_of_resources_gets_the_object_again(receiver: Station, worker: Worker, peopled: Database) -> None:
    for number in range(3):
        put(receiver, number)
    answers = Answers(**{"1": 0xA700})
    with listening(answers) as peer:
        node(peopled, peer.port)
        transfer = send(peopled)
        work_off(worker)
        found = shown(peopled, transfer)
        assert (found["state"], found["sent"], found["waiting"]) == ("queued", 1, 2)
        assert "out of resources" in found["error"] and "because A700" in found["error"] and found["next_try_at"]
        assert not due(worker)
        answers.special.clear()
        soon(peopled)
        work_off(worker)
    assert shown(peopled, transfer)["state"] == "done"
    assert answers.came == [f"{STUDY}.1.{n}" for n in (0, 1, 1, 2)]


def test_an_object_that_always_breaks_the_association_is_given_up_alone(
    receiver: Station, worker: Worker, peopled: Database
) -> None:
    for number in range(4):
        put(receiver, number)
    answers = Answers(**{"1": "abort"})
    with listening(answers) as peer:
        node(peopled, peer.port, retries=1)
        transfer = send(peopled)
        for _ in range(4):
            soon(peopled)
            work_off(worker)
    found = shown(peopled, transfer)
    assert (found["state"], found["sent"], found["failed"]) == ("failed", 3, 1)
    assert answers.came.count(f"{STUDY}.1.1") == 2 and len(answers.came) == 5
    assert "abort" in str(objects(peopled, transfer)[1].message) or "closed" in str(
        objects(peopled, transfer)[1].message
    )


@pytest.mark.parametrize("protocol", ["dicom", "dicomweb", "folder"])
def test_a_nodes_bandwidth_is_heeded_whatever_it_speaks(
    receiver: Station, worker: Worker, peopled: Database, tmp_path: Path, protocol: str
) -> None:
    side, kib = 256, 256  # 128 KiB an object: three of them need 1.5 s, all but the first stretch
    for number in range(3):
        put(receiver, number, pixels=bytes(side * side * 2), Rows=side, Columns=side)
    with listening(Answers()) as peer, stow_server(lambda uids: (200, {"00081199": _sequence(uids)})) as (url, _):
        (tmp_path / "folder").mkdir()
        how: dict[str, Any] = {
            "dicom": {"port": peer.port},
            "dicomweb": {"protocol": "dicomweb", "url": url},
            "folder": {"protocol": "folder", "path": str(tmp_path / "folder")},
        }[protocol]
        node(peopled, bandwidth_kib=kib, **how)
        transfer = send(peopled)
        begun = time.monotonic()
        work_off(worker)
        seconds = time.monotonic() - begun
    assert shown(peopled, transfer)["sent"] == 3
    assert seconds > 0.6 * 3 * side * side * 2 / 1024 / kib, f"{seconds:.2f} s"


def test_two_at_a_time_share_one_study(receiver: Station, worker: Worker, peopled: Database) -> None:
    for number in range(40):
        put(receiver, number)
    both = threading.Barrier(2, timeout=30)
    seen: set[Any] = set()
    came: list[str] = []

    def handle(event: Any) -> int:
        came.append(event.request.AffectedSOPInstanceUID)
        if event.assoc not in seen:
            seen.add(event.assoc)
            both.wait()  # the first object of each association is answered when there are two
        return 0

    with listening(handle) as peer:
        node(peopled, peer.port, parallel=2)
        transfer = send(peopled)
        worker.forwarder.start()
        try:
            eventually(lambda: shown(peopled, transfer)["state"] == "done", "the transfer is done")
        finally:
            worker.forwarder.stop(5)
    assert shown(peopled, transfer)["sent"] == 40
    assert len(seen) == 2 and sorted(came) == sorted(f"{STUDY}.1.{n}" for n in range(40))


def test_a_slow_and_a_dead_destination_hold_up_nobody_else(
    receiver: Station, worker: Worker, peopled: Database
) -> None:
    for study in range(6):
        put(receiver, 1, f"1.2.79.{study}")
    stuck = threading.Event()

    def slow(event: Any) -> int:
        stuck.wait(60)
        return 0

    def done() -> int:
        with peopled.read() as session:
            return len(list(session.scalars(select(Transfer.state).where(Transfer.state == "done"))))

    with listening(slow) as snail, listening(Answers()) as quick:
        for name, port in (("snail", snail.port), ("dead", free_port()), ("quick", quick.port)):
            node(peopled, port, name=name)
        with peopled.write() as session:
            for study in range(6):
                for name in ("snail", "dead", "quick"):
                    transfers.create_transfer(session, actor(peopled, "admin"), f"1.2.79.{study}", name)
        worker.forwarder.start()
        try:
            eventually(done, "the transfers to the quick node are done", until=lambda count: count == 6)
        finally:
            stuck.set()
            worker.forwarder.stop(10)


def test_only_what_committed_counts_where_that_is_asked_for(
    receiver: Station, worker: Worker, peopled: Database
) -> None:
    """The node's answer comes in as the commitment package takes it (its own tests ask real peers)."""
    for number in range(2):
        put(receiver, number)
    with listening(Answers()) as peer:
        node(peopled, peer.port, commitment=True)
        transfer = send(peopled)
        work_off(worker)
    found = shown(peopled, transfer)
    assert (found["state"], found["committing"], found["sent"]) == ("running", True, 2)
    with peopled.read() as session:
        assert transfers.delivered(session, [transfer]).safe == frozenset()
        (asked,) = node_queries.commitments_of(session, transfer)
        waiting = list(session.scalars(select(CommitmentInstance).order_by(CommitmentInstance.id)))
    with peopled.write() as session:
        good, bad = (Reference(one.sop_class_uid, one.sop_instance_uid) for one in waiting)
        answer = References(asked.transaction_uid, [good], [Reference(bad.sop_class, bad.sop_instance, 0x0110)])
        commitment.record_answer(session, asked.node_id, answer)
    worker.forwarder.start_lanes()
    found = shown(peopled, transfer)
    assert (found["state"], found["committed"], found["failed"]) == ("failed", 1, 1)
    with peopled.read() as session:
        proof = transfers.delivered(session, [transfer])
        assert proof.safe == {good.sop_instance} and set(proof.missing) == {bad.sop_instance}


@pytest.mark.slow
def test_orthanc_gets_only_what_it_lacks(receiver: Station, worker: Worker, peopled: Database, tmp_path: Path) -> None:
    files = [put(receiver, number) for number in range(4)]
    with orthanc(tmp_path / "orthanc", receiver.port) as (port, client):
        for data in files[:3]:
            assert client.post("/instances", content=data).status_code == 200
        node(peopled, port, ae_title="ORTHANC", lacks_only=True)
        transfer = send(peopled)
        work_off(worker)
        found = shown(peopled, transfer)
        assert (found["state"], found["there"], found["sent"]) == ("done", 3, 1), found
        assert len(client.get("/instances").json()) == 4
    assert logged(worker.database) == [("find", "pacs", "success"), ("store", "pacs", "success")]


# -- DICOMweb ----------------------------------------------------------------------------------------------------


def test_a_second_filmroom_takes_them_by_stow(
    receiver: Station, worker: Worker, peopled: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stow, "OBJECTS", 3)
    files = {f"{STUDY}.1.{n}": put(receiver, n) for n in range(7)}
    with running(tmp_path / "second") as second, second.client() as client:
        url = second.url + "/dicom-web"
        with peopled.write() as session:
            values = NodeValues("pacs", protocol="dicomweb", url=url, username="admin", password=second_password())
            service.create_node(session, actor(peopled, "admin"), values, worker.config)
        transfer = send(peopled)
        work_off(worker)
        assert (shown(peopled, transfer)["state"], shown(peopled, transfer)["sent"]) == ("done", 7), shown(
            peopled, transfer
        )
        for uid, data in files.items():
            answer = client.get(f"/dicom-web/studies/{STUDY}/series/{STUDY}.1/instances/{uid}",
                                headers={"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'})  # fmt: skip
            assert answer.status_code == 200 and data[-32:] in answer.content
        with peopled.write() as session:
            service.update_node(session, actor(peopled, "admin"), "pacs", NodeValues(lacks_only=True))
        put(receiver, 7)
        again = send(peopled)
        work_off(worker)
        assert (shown(peopled, again)["there"], shown(peopled, again)["sent"]) == (7, 1)


def second_password() -> str:
    from tests.support.live import PASSWORD

    return PASSWORD


@contextmanager
def stow_server(answer: Callable[[list[str]], tuple[int, Any]]) -> Iterator[tuple[str, list[list[str]]]]:
    """A server that reads STOW requests as it should and answers as the test wants: status, and a model or nothing."""
    requests: list[list[str]] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            reader = multipart.Reader(multipart.boundary_of(self.headers["Content-Type"]))
            parts: list[bytearray] = []
            for event in reader.feed(body):
                if isinstance(event, multipart.Begin):
                    assert event.headers["content-type"].startswith("application/dicom")
                    parts.append(bytearray())
                elif isinstance(event, multipart.Data):
                    parts[-1] += event.data
            reader.close()
            from io import BytesIO

            uids = [str(dcmread(BytesIO(bytes(part))).SOPInstanceUID) for part in parts]
            requests.append(uids)
            status, model = answer(uids)
            said = json.dumps(model).encode() if model is not None else b""
            self.send_response(status)
            self.send_header("Content-Type", "application/dicom+json")
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/dicom-web", requests
    finally:
        server.shutdown()
        server.server_close()


def _sequence(uids: list[str], reason_tag: str = "", reason: int = 0) -> dict[str, Any]:
    items = []
    for uid in uids:
        item: dict[str, Any] = {"00081155": {"vr": "UI", "Value": [uid]}}
        if reason_tag:
            item[reason_tag] = {"vr": "US", "Value": [reason]}
        items.append(item)
    return {"vr": "SQ", "Value": items}


def test_each_object_has_its_own_answer_in_a_stow_response(
    receiver: Station, worker: Worker, peopled: Database
) -> None:
    for number in range(4):
        put(receiver, number)

    def answer(uids: list[str]) -> tuple[int, Any]:
        stored = _sequence(uids[:2])
        stored["Value"][1]["00081196"] = {"vr": "US", "Value": [0xB000]}
        return 202, {"00081199": stored, "00081198": _sequence(uids[2:3], "00081197", 0xA900)}

    with stow_server(answer) as (url, _):
        node(peopled, protocol="dicomweb", url=url)
        transfer = send(peopled)
        work_off(worker)
    rows = objects(peopled, transfer)
    assert [(row.state, row.status) for row in rows] == [
        ("sent", 0), ("warned", 0xB000), ("failed", 0xA900), ("failed", None),
    ]  # fmt: skip
    assert "does not say that it stored it" in str(rows[3].message)


@pytest.mark.parametrize(
    ("model", "state"),
    [
        (None, "sent"),
        ({}, "sent"),
        ({"00081199": {"vr": "SQ"}, "00081198": {"vr": "SQ"}}, "failed"),
        ({"00081199": {"vr": "SQ", "Value": []}}, "failed"),
    ],
)
def test_success_with_an_empty_list_of_what_is_stored_is_none(
    receiver: Station, worker: Worker, peopled: Database, model: Any, state: str
) -> None:
    """Orthanc answers so when it has passed over every part; 200 without a word means that all was stored."""
    put(receiver, 1)
    with stow_server(lambda uids: (200, model)) as (url, _):
        node(peopled, protocol="dicomweb", url=url, retries=0)
        transfer = send(peopled)
        work_off(worker)
    assert [row.state for row in objects(peopled, transfer)] == [state]


def test_too_large_a_request_is_made_smaller_and_a_busy_server_asked_later(
    receiver: Station, worker: Worker, peopled: Database
) -> None:
    for number in range(5):
        put(receiver, number)
    busy = [True]

    def answer(uids: list[str]) -> tuple[int, Any]:
        if busy[0]:
            return 503, None
        return (413, None) if len(uids) > 2 else (200, {"00081199": _sequence(uids)})

    with stow_server(answer) as (url, requests):
        node(peopled, protocol="dicomweb", url=url)
        transfer = send(peopled)
        work_off(worker)
        found = shown(peopled, transfer)
        assert found["state"] == "queued" and "503" in found["error"]
        busy[0] = False
        soon(peopled)
        work_off(worker)
    assert (shown(peopled, transfer)["state"], shown(peopled, transfer)["sent"]) == ("done", 5)
    assert [len(uids) for uids in requests] == [5, 5, 2, 2, 1]


def test_a_server_that_refuses_us_says_so(receiver: Station, worker: Worker, peopled: Database) -> None:
    put(receiver, 1)
    with stow_server(lambda uids: (401, None)) as (url, _):
        node(peopled, protocol="dicomweb", url=url, retries=0)
        transfer = send(peopled)
        work_off(worker)
    found = shown(peopled, transfer)
    assert found["state"] == "failed" and "401" in found["error"]


# -- folders -----------------------------------------------------------------------------------------------------


def test_a_folder_gets_whole_files_in_the_layout_of_the_archive(
    receiver: Station, worker: Worker, peopled: Database, tmp_path: Path
) -> None:
    files = {n: put(receiver, n, PatientID="../P 1") for n in range(3)}
    folder = tmp_path / "out"
    folder.mkdir()
    node(peopled, protocol="folder", path=str(folder))
    transfer = send(peopled)
    work_off(worker)
    assert shown(peopled, transfer)["state"] == "done", shown(peopled, transfer)
    for number, data in files.items():
        path = folder / object_path("../P 1", STUDY, f"{STUDY}.1", f"{STUDY}.1.{number}")
        assert path.resolve().is_relative_to(folder) and path.read_bytes() == data
    assert len([p for p in tmp_path.rglob("*.dcm") if "data" not in p.parts]) == 3
    assert not list(folder.rglob("*.part"))


def test_the_same_file_again_is_delivered_and_another_one_is_left_alone(
    receiver: Station, worker: Worker, peopled: Database, tmp_path: Path
) -> None:
    for number in range(2):
        put(receiver, number)
    folder = tmp_path / "out"
    folder.mkdir()
    node(peopled, protocol="folder", path=str(folder))
    first = send(peopled)
    work_off(worker)
    other = next(folder.rglob("*1.1.dcm"))
    other.write_bytes(b"somebody's own")
    second = send(peopled)
    work_off(worker)
    assert shown(peopled, first)["sent"] == 2
    assert [row.state for row in objects(peopled, second)] == ["sent", "failed"]
    assert "other content" in str(objects(peopled, second)[1].message)
    assert other.read_bytes() == b"somebody's own"


def test_a_share_that_is_gone_is_waited_for(
    receiver: Station, worker: Worker, peopled: Database, tmp_path: Path
) -> None:
    put(receiver, 1)
    folder = tmp_path / "share"
    node(peopled, protocol="folder", path=str(folder))
    transfer = send(peopled)
    work_off(worker)
    found = shown(peopled, transfer)
    assert found["state"] == "queued" and "not a folder" in found["error"] and not folder.exists()
    folder.mkdir()
    soon(peopled)
    work_off(worker)
    assert shown(peopled, transfer)["state"] == "done"


def test_a_link_in_the_folder_leads_nowhere_else(
    receiver: Station, worker: Worker, peopled: Database, tmp_path: Path
) -> None:
    put(receiver, 1)
    folder, outside = tmp_path / "out", tmp_path / "outside"
    folder.mkdir()
    outside.mkdir()
    os.symlink(outside, folder / "P1")
    node(peopled, protocol="folder", path=str(folder))
    transfer = send(peopled)
    work_off(worker)
    assert shown(peopled, transfer)["state"] == "failed"
    assert not [p for p in outside.rglob("*") if p.is_file()]


def test_a_folder_may_want_another_syntax(receiver: Station, worker: Worker, peopled: Database, tmp_path: Path) -> None:
    put(receiver, 1)
    folder = tmp_path / "out"
    folder.mkdir()
    node(peopled, protocol="folder", path=str(folder), transfer_syntax="rle")
    transfer = send(peopled)
    work_off(worker)
    assert shown(peopled, transfer)["state"] == "done"
    (path,) = folder.rglob("*.dcm")
    found = dcmread(path)
    assert found.file_meta.TransferSyntaxUID == syntaxes.RLE
    assert found.pixel_array.tobytes() == b"\x01\x00" * 16
