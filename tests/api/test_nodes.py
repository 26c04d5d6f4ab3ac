"""Nodes and transfers over REST, by everyone who may and may not."""

from pathlib import Path

import pytest

from app.archive import Source
from tests.support import dcmtk
from tests.support.client import Web
from tests.support.postgres import free_port

NODE = {"name": "pacs", "ae_title": "PACS1", "host": "127.0.0.1", "port": 104}
STUDY = "1.3.6.1.4.1.5962.1.2.1.20040119072730.12322"


def test_a_node_is_made_read_changed_and_removed(web: Web) -> None:
    made = web.admin.post("/api/v1/nodes", json=NODE)
    assert made.status_code == 201, made.text
    assert made.json()["capabilities"] == ["store"] and made.json()["enabled"] is True
    assert web.admin.get(made.headers["location"]).json()["name"] == "pacs"
    assert web.alice.get("/api/v1/nodes").json()["items"][0]["ae_title"] == "PACS1"
    assert web.admin.patch("/api/v1/nodes/pacs", json={"port": 11112}).json()["port"] == 11112
    assert web.admin.put("/api/v1/nodes/pacs", json=NODE | {"host": "pacs.example"}).json()["host"] == "pacs.example"
    assert web.admin.delete("/api/v1/nodes/pacs").status_code == 204
    assert web.admin.get("/api/v1/nodes/pacs").status_code == 404
    assert web.admin.get("/api/v1/nodes").json() == {"items": [], "total": 0, "next": None}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"ae_title": "A TITLE FAR TOO LONG"}, "ae_title"),
        ({"host": "http://x"}, "host"),
        ({"port": 0}, "port"),
        ({"name": " "}, "name"),
        ({"facility_id": "zz"}, "facility_id"),
        ({"facility_id": "x" * 300}, "facility_id"),
        ({"protocol": "folder", "path": "/proc/1/root/tmp"}, "path"),
        ({"retries": -1}, "retries"),
        ({"max_pdu": -1}, "max_pdu"),
        ({"connect_timeout": -1}, "connect_timeout"),
        ({"network_timeout": -5}, "network_timeout"),
        ({"priority": True}, "priority"),
        ({"priority": " 5 "}, "priority"),
        ({"priority": 9.0}, "priority"),
    ],
)
def test_nonsense_is_a_problem_that_names_the_field(web: Web, change: dict[str, object], field: str) -> None:
    answer = web.admin.post("/api/v1/nodes", json=NODE | change)
    assert answer.status_code == 422
    assert answer.json()["code"] == "invalid" and field in [one["field"] for one in answer.json()["errors"]]


def test_other_protocols_and_secrets(web: Web) -> None:
    body = {"name": "cloud", "protocol": "dicomweb", "url": "https://x.example/dw", "token": "Daisy-3", "retries": 5}
    made = web.admin.post("/api/v1/nodes", json=body)
    assert made.status_code == 201 and "Daisy" not in made.text
    assert made.json()["token_set"] is True and made.json()["port"] is None and made.json()["retries"] == 5
    assert web.admin.patch("/api/v1/nodes/cloud", json={"retries": None}).json()["retries"] is None
    assert web.admin.patch("/api/v1/nodes/cloud", json={"token": ""}).json()["token_set"] is False
    assert web.admin.post("/api/v1/nodes", json={"name": "f", "protocol": "folder"}).json()["errors"] == [
        {"field": "path", "message": "This is needed."}
    ]


def test_repeats_of_a_service_are_stored_once(web: Web) -> None:
    made = web.admin.post("/api/v1/nodes", json=NODE | {"capabilities": ["find", "store"] * 5000})
    assert made.json()["capabilities"] == ["find", "store"]


def test_a_name_is_taken_once(web: Web) -> None:
    assert web.admin.post("/api/v1/nodes", json=NODE).status_code == 201
    assert web.admin.post("/api/v1/nodes", json=NODE).status_code == 409


def test_who_may_what(web: Web) -> None:
    web.admin.post("/api/v1/nodes", json=NODE | {"port": free_port()})
    for person, reads, edits, tests in (("alice", 200, 403, 200), ("bob", 200, 403, 200), ("charlie", 403, 403, 403)):
        client = getattr(web, person)
        assert client.get("/api/v1/nodes").status_code == reads
        assert client.post("/api/v1/nodes", json=NODE | {"name": "x"}).status_code == edits
        assert client.delete("/api/v1/nodes/pacs").status_code == edits
        assert client.post("/api/v1/nodes/pacs/echo").status_code == tests
        assert client.get("/api/v1/transfers").status_code == reads
    assert web.nobody.get("/api/v1/nodes").status_code == 401


def test_an_echo_that_fails_is_a_result(web: Web) -> None:
    web.admin.post("/api/v1/nodes", json=NODE | {"port": free_port()})
    found = web.alice.post("/api/v1/nodes/pacs/echo").json()
    assert found["ok"] is False and "refuses connections" in found["message"] and found["seconds"] < 5
    assert web.admin.get("/api/v1/nodes/pacs").json()["last_fault"] == found["message"]
    assert web.alice.post("/api/v1/nodes/nobody/echo").status_code == 404


@pytest.mark.peer
def test_an_echo_that_works(web: Web, tmp_path: Path) -> None:
    with dcmtk.storescp(tmp_path / "scp", title="PACS1") as port:
        web.admin.post("/api/v1/nodes", json=NODE | {"port": port})
        found = web.alice.post("/api/v1/nodes/pacs/echo").json()
    assert found["ok"] is True and found["offers"] == ["store"]
    assert [s["step"] for s in found["steps"]] == ["reach", "association", "echo"]


def _study(web: Web, shared_data: Path, facility_id: str | None = None) -> str:
    archive = web.services.archive
    incoming = archive.receive(Source(kind="upload", actor_name="admin", facility_id=facility_id))
    incoming.write((shared_data / "codecs/wg04/ct1/ct1_uncompressed.dcm").read_bytes())
    return str(archive.ingest(incoming).study_instance_uid)


def test_a_transfer_is_queued_listed_cancelled_and_tried_again(web: Web, shared_data: Path) -> None:
    study = _study(web, shared_data)
    web.admin.post("/api/v1/nodes", json=NODE)
    made = web.admin.post("/api/v1/transfers", json={"study_instance_uid": study, "node": "pacs"})
    assert made.status_code == 202, made.text
    where = made.headers["location"]
    shown = web.admin.get(where).json()
    assert (shown["state"], shown["progress"], shown["node"]) == ("queued", {"done": 0, "total": 1}, "pacs")
    assert web.admin.get("/api/v1/transfers", params={"state": "queued"}).json()["total"] == 1
    assert web.admin.get("/api/v1/transfers", params={"state": "done"}).json()["total"] == 0
    assert web.admin.get(f"{where}/instances").json()["items"][0]["state"] == "waiting"
    assert web.admin.post(f"{where}/retry").status_code == 409, "it has not ended"
    assert web.admin.delete(where).json()["state"] == "cancelled"
    assert web.admin.post(f"{where}/cancel").status_code == 409
    assert web.admin.post(f"{where}/retry").json()["state"] == "queued"
    assert web.admin.delete("/api/v1/nodes/pacs").status_code == 409, "its transfers name it"


def test_a_transfer_of_another_facilitys_study_does_not_exist(web: Web, shared_data: Path) -> None:
    south = web.actor("dora").facility_id
    study = _study(web, shared_data, south)
    web.admin.post("/api/v1/nodes", json=NODE)
    body = {"study_instance_uid": study, "node": "pacs"}
    assert web.bob.post("/api/v1/transfers", json=body).status_code == 404
    made = web.admin.post("/api/v1/transfers", json=body)
    assert web.bob.get(made.headers["location"]).status_code == 404
    assert web.bob.get("/api/v1/transfers").json()["total"] == 0
    assert web.charlie.post("/api/v1/transfers", json=body).status_code == 403


def test_what_is_not_there_cannot_be_sent(web: Web) -> None:
    body = {"study_instance_uid": STUDY, "node": "pacs"}
    assert web.admin.post("/api/v1/transfers", json=body).status_code == 404
    web.admin.post("/api/v1/nodes", json=NODE)
    assert web.admin.post("/api/v1/transfers", json=body).status_code == 404
