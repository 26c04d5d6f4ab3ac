"""The bench and the REST interface of routes: what would fire, why not, what would leave; who may; what is refused."""

import json
from typing import Any

import pytest

from app.archive import Archive, Source
from app.config import Config
from app.db import Database
from app.kit.clock import now
from app.kit.ids import new_id
from app.kit.phrases import phrase
from app.routing.models import RouteRun
from tests.archive.make import ct_bytes
from tests.support.client import Web

NODE = {"name": "pacs", "ae_title": "PACS", "host": "127.0.0.1", "port": 104}
SEND = {"do": "send", "nodes": ["pacs"]}


@pytest.fixture
def stored(web: Web, config: Config, database: Database) -> str:
    """A stored study of two objects and a node to send it to."""
    archive = Archive(config, database)
    for number, modality in enumerate(("CT", "SR")):
        incoming = archive.receive(Source("dimse", "MODALITY1", "FILMROOM"))
        incoming.write(ct_bytes(f"1.2.3.1.{number}.1", series=f"1.2.3.1.{number}", Modality=modality))
        assert archive.ingest(incoming).status == "stored"
    archive.close()
    assert web.admin.post("/api/v1/nodes", json=NODE).status_code == 201
    return "1.2.3.1"


def _make(web: Web, name: str, **body: Any) -> dict[str, Any]:
    answer = web.admin.post("/api/v1/routes", json={"name": name, "actions": [SEND], **body})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def test_the_bench_says_what_fires_and_why_not(web: Web, stored: str) -> None:
    _make(web, "CT", conditions={"items": [{"field": "Modality", "value": "CT"}]})
    _make(
        web,
        "old women",
        conditions={
            "match": "all",
            "items": [
                {"field": "PatientSex", "value": "F"},
                {
                    "match": "any",
                    "items": [
                        {"field": "PatientBirthDate", "op": "less", "value": "1940-01-01"},
                        {"field": "calling", "value": "WARD"},
                    ],
                },
            ],
        },
    )
    answer = web.admin.post("/api/v1/routes/test", json={"study_instance_uid": stored})
    assert answer.status_code == 200, answer.text
    fires, other = answer.json()["items"]
    assert (fires["fires"], fires["objects"], fires["total"]) == (True, 1, 2)
    assert fires["sends"][0]["node"] == "pacs" and fires["sends"][0]["objects"] == 1
    assert other["fires"] is False and other["why_not"]
    sex, group = other["conditions"]["items"]
    assert (sex["met"], sex["seen"]) == (2, [["F"]])
    assert [one["met"] for one in group["items"]] == [0, 0]
    assert group["items"][0]["seen"] == [["19700101"]]
    assert group["items"][1]["seen"] == [["MODALITY1"]]


def test_the_bench_shows_what_would_leave_otherwise(web: Web, stored: str) -> None:
    rule = {
        "actions": [
            SEND,
            {"do": "change", "changes": [{"op": "set", "tag": "StudyDescription", "value": "Köln"}]},
            SEND,
            {"do": "anonymize", "profile": "basic"},
            SEND,
        ]
    }
    answer = web.admin.post("/api/v1/routes/test", json={"study_instance_uid": stored, "rule": rule})
    assert answer.status_code == 200, answer.text
    plain, changed, clean = answer.json()["items"][0]["sends"]
    assert plain["changes"] == []
    assert [(c["before"], c["after"]) for c in changed["changes"]] == [("Chest", "Köln")]
    names = {c["name"]: c for c in clean["changes"]}
    assert names["Patient's Name"]["before"] == "Doe^Jane" and "Doe" not in names["Patient's Name"]["after"]
    assert names["SOP Instance UID"]["after"].startswith("2.25.")


def test_a_dropped_file_is_tried_and_not_kept(web: Web, stored: str) -> None:
    route = _make(
        web, "MR", conditions={"items": [{"field": "Modality", "value": "MR"}, {"field": "source", "value": "upload"}]}
    )
    file = ct_bytes("1.2.77.1", "1.2.77", "1.2.77.2", Modality="MR")
    answer = web.admin.post("/api/v1/routes/test/file", files={"file": ("x.dcm", file)}, data={"routes": route["id"]})
    assert answer.status_code == 200, answer.text
    assert answer.json()["items"][0]["fires"] is True
    assert web.admin.get("/api/v1/studies/1.2.77").status_code == 404
    refused = web.admin.post("/api/v1/routes/test/file", files={"file": ("x.txt", b"no DICOM at all, really")})
    assert (refused.status_code, refused.json()["field"]) == (422, "file")
    with_rule = {"rule": json.dumps({"actions": [SEND]})}
    answer = web.admin.post("/api/v1/routes/test/file", files={"file": ("x.dcm", file)}, data=with_rule)
    assert answer.json()["items"][0]["fires"] is True


def test_a_route_is_tested_before_it_is_turned_on(web: Web, stored: str) -> None:
    route = _make(web, "all")
    place = f"/api/v1/routes/{route['id']}"
    refused = web.admin.patch(place, json={"enabled": True})
    assert refused.status_code == 409 and refused.json()["type"].endswith("not-tested")
    web.admin.post("/api/v1/routes/test", json={"study_instance_uid": stored, "routes": ["all"]})
    assert web.admin.patch(place, json={"enabled": True}).json()["enabled"] is True
    changed = web.admin.patch(place, json={"take": "study"}).json()
    assert changed["tested_at"] is None and changed["take"] == "study" and changed["actions"][0]["nodes"] == ["pacs"]
    assert web.admin.patch(place, json={"enabled": False}).json()["enabled"] is False


def test_routes_have_an_order(web: Web, stored: str) -> None:
    ids = [_make(web, name)["id"] for name in ("a", "b", "c")]
    answer = web.admin.put("/api/v1/routes/order", json={"order": ids[::-1]})
    assert [one["name"] for one in answer.json()["items"]] == ["c", "b", "a"]
    assert web.admin.put("/api/v1/routes/order", json={"order": ids[:2]}).status_code == 422


def test_a_bad_rule_is_refused_by_field(web: Web, stored: str) -> None:
    bad = {
        "name": "bad",
        "conditions": {"items": [{"field": "Modalitty", "value": "CT"}, {"field": "Rows", "op": "less", "value": "x"}]},
        "actions": [{"do": "send", "nodes": ["pacs"]}],
    }
    answer = web.admin.post("/api/v1/routes", json=bad)
    assert answer.status_code == 422
    assert {one["field"] for one in answer.json()["errors"]} == {"conditions.items.0.field", "conditions.items.1.value"}
    answer = web.admin.post("/api/v1/routes", json={"name": "x", "actions": [{"do": "send", "nodes": ["nowhere"]}]})
    assert answer.json()["errors"] == [{"field": "actions.0.nodes.0", "message": "There is no node nowhere."}]
    assert web.admin.post("/api/v1/routes", json={"name": "", "actions": [SEND]}).status_code == 422
    _make(web, "twice")
    assert web.admin.post("/api/v1/routes", json={"name": "Twice", "actions": [SEND]}).status_code == 409


@pytest.mark.parametrize("name", ["alice", "bob", "charlie", "dora"])
def test_only_administrators_come_near(web: Web, stored: str, name: str) -> None:
    client = getattr(web, name)
    assert client.get("/api/v1/routes").status_code == 403
    assert client.post("/api/v1/routes", json={"name": "x", "actions": [SEND]}).status_code == 403
    assert client.post("/api/v1/routes/test", json={"study_instance_uid": stored}).status_code == 403


def test_every_change_is_audited(web: Web, stored: str) -> None:
    route = _make(web, "seen")
    web.admin.patch(f"/api/v1/routes/{route['id']}", json={"name": "seen well"})
    assert web.admin.delete(f"/api/v1/routes/{route['id']}").status_code == 204
    verbs = [one["verb"] for one in web.admin.get("/api/v1/audit").json()["items"]]
    assert {"route.create", "route.edit", "route.delete"} <= set(verbs)


def test_routes_go_to_a_file_and_come_back(web: Web, stored: str) -> None:
    _make(
        web,
        "night",
        when={"kind": "schedule", "at": ["02:00"]},
        conditions={"match": "any", "items": [{"field": "Modality", "value": "CT"}, {"items": []}]},
    )
    file = web.admin.get("/api/v1/routes/export").json()
    assert file["routes"][0]["actions"][0]["nodes"] == ["pacs"]
    schema = web.admin.get("/api/v1/routes/schema").json()
    assert set(file["routes"][0]) == set(schema["properties"]["routes"]["items"]["properties"])
    again = web.admin.post("/api/v1/routes/import", json=file).json()
    assert again["items"] == [{"name": "night", "result": "same"}]
    file["routes"][0]["take"] = "study"
    file["routes"].append({"name": "more", "actions": [SEND]})
    tried = web.admin.post("/api/v1/routes/import?dry_run=true", json=file).json()
    assert [one["result"] for one in tried["items"]] == ["changed", "created"]
    assert len(web.admin.get("/api/v1/routes").json()["items"]) == 1
    web.admin.post("/api/v1/routes/import", json=file)
    assert [one["take"] for one in web.admin.get("/api/v1/routes").json()["items"]] == ["study", "matching"]
    file["routes"][1]["actions"] = [{"do": "send", "nodes": ["gone"]}]
    refused = web.admin.post("/api/v1/routes/import", json=file)
    assert refused.status_code == 422 and refused.json()["errors"][0]["field"] == "routes.1.actions.0.nodes.0"
    assert web.admin.post("/api/v1/routes/import", json={"format": "else"}).status_code == 422


def test_incoming_tells_of_a_route_that_failed(web: Web, stored: str, database: Database) -> None:
    route = _make(web, "Nightly copies")
    with database.write() as session:
        session.add(
            RouteRun(
                id=new_id(),
                route_id=route["id"],
                study_instance_uid=stored,
                state="failed",
                reason=phrase("Its job is gone."),
                picked=[[1, 2]],
                objects=2,
                done={},
                created_at=now(),
                last_at=now(),
            )
        )
    page = web.admin.get("/").text
    assert "Nightly copies" in page and "Its job is gone." in page
    runs = web.admin.get("/api/v1/routes/runs", params={"state": "failed"}).json()["items"]
    assert [run["route"] for run in runs] == ["Nightly copies"]
    assert web.admin.post(f"/api/v1/routes/runs/{runs[0]['id']}/drop").json()["state"] == "dropped"
