"""Jobs: one's own, and everybody's for administrators."""

from app import jobs
from tests.support.client import Web


def test_everyone_sees_their_own(web: Web) -> None:
    with web.database.write() as session:
        mine = jobs.enqueue(session, "print.render", {}, actor_name="bob", owner_id=web.actor("bob").user_id)
        theirs = jobs.enqueue(session, "print.render", {}, actor_name="alice", owner_id=web.actor("alice").user_id)
    assert [job["id"] for job in web.bob.get("/api/v1/jobs").json()["items"]] == [mine]
    assert {job["id"] for job in web.admin.get("/api/v1/jobs").json()["items"]} == {mine, theirs}
    assert web.bob.get(f"/api/v1/jobs/{theirs}").status_code == 404
    assert web.bob.post(f"/api/v1/jobs/{theirs}/cancel").status_code == 404
    assert web.bob.get(f"/api/v1/jobs/{mine}").json()["state"] == "queued"


def test_one_is_cancelled_and_tried_again(web: Web) -> None:
    with web.database.write() as session:
        mine = jobs.enqueue(session, "print.render", {}, actor_name="bob", owner_id=web.actor("bob").user_id)
    assert web.bob.post(f"/api/v1/jobs/{mine}/retry").status_code == 409
    assert web.bob.post(f"/api/v1/jobs/{mine}/cancel").status_code == 204
    assert web.bob.get(f"/api/v1/jobs/{mine}").json()["state"] == "cancelled"
    assert web.bob.post(f"/api/v1/jobs/{mine}/retry").status_code == 204
    assert web.bob.get(f"/api/v1/jobs/{mine}").json()["state"] == "queued"
