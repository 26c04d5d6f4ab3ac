"""REST of transfers: lists with filters, dead letters one, many and all, priorities, pausing a node; and who sees what."""

from datetime import timedelta

import pytest
from sqlalchemy import update

from app.forward.models import Transfer, TransferInstance
from app.kit.clock import now
from app.kit.phrases import phrase, verbatim
from tests.archive.make import ct_bytes
from tests.support.client import Web


@pytest.fixture
def stocked(web: Web) -> Web:
    """Two studies with two objects each, and two nodes that nobody listens at."""
    for study in (1, 2):
        for number in (1, 2):
            data = ct_bytes(study=f"1.2.{study}", series=f"1.2.{study}.1", sop=f"1.2.{study}.1.{number}")
            files = {"files": ("a.dcm", data, "application/dicom")}
            assert web.admin.post("/api/v1/imports", files=files).status_code == 200
    for name in ("one", "two"):
        body = {"name": name, "ae_title": name.upper(), "host": "127.0.0.1", "port": 104}
        assert web.admin.post("/api/v1/nodes", json=body).status_code == 201
    return web


def _send(web: Web, study: str, node: str, **more: object) -> str:
    answer = web.admin.post("/api/v1/transfers", json={"study_instance_uid": study, "node": node, **more})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def _fail(web: Web, *ids: str) -> None:
    """As a lane leaves them after their last try."""
    with web.database.write() as session:
        session.execute(
            update(Transfer).where(Transfer.id.in_(ids)).values(state="failed", error=phrase("It is off."), failed=2)
        )
        session.execute(
            update(TransferInstance)
            .where(TransferInstance.transfer_id.in_(ids))
            .values(state="failed", message=verbatim("no"))
        )


def test_dead_letters_are_tried_again_one_many_of_a_node_and_all(stocked: Web) -> None:
    web = stocked
    a, b, c = _send(web, "1.2.1", "one"), _send(web, "1.2.2", "one"), _send(web, "1.2.1", "two")
    _fail(web, a, b, c)
    listed = web.admin.get("/api/v1/transfers", params={"state": "failed", "node": "one"}).json()
    assert (listed["total"], {item["id"] for item in listed["items"]}) == (2, {a, b})
    assert listed["items"][0]["error"] == "It is off."
    assert web.admin.post(f"/api/v1/transfers/{a}/retry").json()["state"] == "queued"
    assert web.admin.post(f"/api/v1/transfers/{a}/retry").status_code == 409, "it waits already"
    assert web.admin.post("/api/v1/transfers/retry", json={"node": "one"}).json() == {"retried": 1}
    assert web.admin.get(f"/api/v1/transfers/{b}").json()["waiting"] == 2
    assert web.admin.post("/api/v1/transfers/retry", json={"ids": [a, b]}).json() == {"retried": 0}
    assert web.admin.post("/api/v1/transfers/retry", json={"all": True}).json() == {"retried": 1}
    assert web.admin.post("/api/v1/transfers/retry", json={}).status_code == 422
    assert web.admin.post("/api/v1/transfers/retry", json={"all": True, "node": "one"}).status_code == 422


def test_what_waits_for_its_next_try_goes_at_once_with_the_dead_letters(stocked: Web) -> None:
    web = stocked
    held, due = _send(web, "1.2.1", "one"), _send(web, "1.2.2", "one")
    with web.database.write() as session:
        later = now() + timedelta(minutes=5)
        session.execute(update(Transfer).where(Transfer.id == held).values(faults=3, run_after=later))
    assert web.admin.post("/api/v1/transfers/retry", json={"all": True}).json() == {"retried": 1}
    assert web.admin.post("/api/v1/transfers/retry", json={"ids": [held, due]}).json() == {"retried": 0}
    with web.database.read() as session:
        assert session.get_one(Transfer, held).run_after <= now()


def test_a_dropped_dead_letter_leaves_the_list_and_its_study_may_go(stocked: Web) -> None:
    web = stocked
    one = _send(web, "1.2.1", "one")
    assert web.admin.post(f"/api/v1/transfers/{one}/drop").status_code == 409, "it still waits"
    refused = web.admin.delete("/api/v1/studies/1.2.1", params={"reason": "test"})
    assert refused.status_code == 409 and "not complete" in refused.json()["detail"]
    _fail(web, one)
    assert web.admin.delete("/api/v1/studies/1.2.1", params={"reason": "test"}).status_code == 409
    assert web.admin.post(f"/api/v1/transfers/{one}/drop").json()["state"] == "cancelled"
    assert web.admin.get("/api/v1/transfers", params={"state": "failed"}).json()["total"] == 0
    assert web.admin.delete("/api/v1/studies/1.2.1", params={"reason": "test"}).status_code == 204


def test_some_objects_only_and_how_urgent(stocked: Web) -> None:
    web = stocked
    one = _send(web, "1.2.1", "one", sop_instance_uids=["1.2.1.1.2"], priority=9)
    shown = web.admin.get(f"/api/v1/transfers/{one}").json()
    assert (shown["progress"], shown["priority"]) == ({"done": 0, "total": 1}, 9)
    objects = web.admin.get(f"/api/v1/transfers/{one}/instances").json()["items"]
    assert [item["sop_instance_uid"] for item in objects] == ["1.2.1.1.2"]
    assert web.admin.patch(f"/api/v1/transfers/{one}", json={"priority": 1}).json()["priority"] == 1
    assert web.admin.patch(f"/api/v1/transfers/{one}", json={"priority": 10}).status_code == 422
    body = {"study_instance_uid": "1.2.1", "node": "one", "sop_instance_uids": ["1.9"]}
    assert web.admin.post("/api/v1/transfers", json=body).status_code == 409


def test_a_node_is_paused_and_resumed(stocked: Web) -> None:
    web = stocked
    assert web.admin.post("/api/v1/nodes/one/pause").json()["paused"] is True
    assert web.admin.get("/api/v1/nodes/one").json()["paused"] is True
    assert web.admin.post("/api/v1/nodes/one/resume").json()["paused"] is False
    assert web.bob.post("/api/v1/nodes/one/pause").status_code == 403


def test_another_facility_sees_and_touches_nothing(stocked: Web) -> None:
    web = stocked
    one = _send(web, "1.2.1", "one")
    _fail(web, one)
    for answer in (
        web.charlie.get(f"/api/v1/transfers/{one}"),
        web.charlie.post(f"/api/v1/transfers/{one}/retry"),
        web.charlie.post(f"/api/v1/transfers/{one}/drop"),
        web.charlie.post("/api/v1/transfers/retry", json={"all": True}),
        web.charlie.get("/transfers"),
    ):
        assert answer.status_code in (403, 404), answer.text
    assert web.admin.get(f"/api/v1/transfers/{one}").json()["state"] == "failed"


def test_the_page_lists_them_with_their_reasons_and_acts(stocked: Web) -> None:
    web = stocked
    one, two = _send(web, "1.2.1", "one"), _send(web, "1.2.2", "two")
    _fail(web, one)
    page = web.admin.get("/transfers").text
    assert "It is off." in page and f"t-{one}" in page and f"t-{two}" in page
    assert f"t-{two}" not in web.admin.get("/transfers", params={"show": "failed"}).text
    shown = web.admin.get(f"/transfers/{one}")
    assert shown.status_code == 200 and "1.2.1.1.2" in shown.text, shown.text
    assert web.admin.get(f"/transfers/{two}").status_code == 200
    assert web.admin.get("/transfers/rows").status_code == 200
    token: dict[str, str] = {}
    done = web.admin.post("/transfers", data={"do": f"retry:{one}", **token}, follow_redirects=False)
    assert done.status_code == 303 and web.admin.get(f"/api/v1/transfers/{one}").json()["state"] == "queued"
    done = web.admin.post("/transfers", data={"do": "cancel", "id": [one, two], **token}, follow_redirects=False)
    assert done.status_code == 303
    assert {web.admin.get(f"/api/v1/transfers/{i}").json()["state"] for i in (one, two)} == {"cancelled"}
