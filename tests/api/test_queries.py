"""Queries and retrievals through REST on both databases, without a network: rows as nodes would have filled them."""

from app import jobs
from app.jobs.models import Job
from app.retrieve import queries as retrieve_queries
from app.retrieve import remote_queries
from app.retrieve.models import RemoteQueryNode
from tests.support.client import Web
from tests.support.query_nodes import add_query_node


def _answered(web: Web, query_id: str, node: str, answers: list[dict[str, str]], state: str = "done") -> None:
    with web.database.write() as session:
        row = next(n for n in retrieve_queries.nodes_of(session, query_id) if n.node_name == node)
        remote_queries.add_answers(session, row, "STUDY", answers)
        row.state = state


def test_who_may_ask_and_who_sees_the_answers(web: Web) -> None:
    add_query_node(web, "P1")
    body = {"nodes": ["P1"], "patient_name": "Doe*"}
    for who, status in (("bob", 202), ("alice", 202), ("admin", 202), ("charlie", 403), ("nobody", 401)):
        client = web.nobody if who == "nobody" else getattr(web, who)
        made = client.post("/api/v1/queries", json=body)
        assert made.status_code == status, (who, made.text)
        assert client.get("/query").status_code in ((200,) if status == 202 else (303, 401, 403))
        if status != 202:
            assert client.get("/api/v1/retrieves").status_code == status
    mine = web.bob.post("/api/v1/queries", json=body).headers["location"]
    assert web.bob.get(mine).status_code == 200 and web.alice.get(mine).status_code == 404
    assert web.admin.get(mine).status_code == 200, "an administrator sees others' work"
    assert web.bob.get("/api/v1/queries").json()["total"] == 2


def test_answers_are_merged_sorted_and_paged(web: Web) -> None:
    add_query_node(web, "P1")
    add_query_node(web, "P2")
    made = web.bob.post("/api/v1/queries", json={"nodes": ["P1", "P2"], "description": "chest*", "modalities": ["ct"]})
    shown = made.json()
    assert (
        shown["state"] == "queued" and shown["keys"] == {"StudyDescription": "chest*"} and shown["modalities"] == ["CT"]
    )
    place = made.headers["location"]
    studies = [
        {"StudyInstanceUID": f"1.2.{n}", "StudyDate": f"202601{n:02}", "PatientName": f"N{n:02}^X", "PatientID": f"{n}"}
        for n in range(1, 31)
    ]
    _answered(web, shown["id"], "P1", studies)
    _answered(web, shown["id"], "P2", [studies[0] | {"NumberOfStudyRelatedInstances": "12"}], "failed")
    found = web.bob.get(place, params={"limit": 10}).json()
    assert found["total"] == 30 and found["next"] == "10" and found["items"][0]["key"] == "1.2.30"
    last = web.bob.get(place, params={"limit": 10, "cursor": 20}).json()
    assert last["next"] is None and last["items"][-1]["where"] == ["P1", "P2"] and last["items"][-1]["images"] == 12
    by_name = web.bob.get(place, params={"sort": "name", "limit": 1}).json()
    assert by_name["items"][0]["patient_name"] == "N01^X"
    assert {n["node"]: (n["state"], n["answers"]) for n in by_name["nodes"]} == {
        "P1": ("done", 30),
        "P2": ("failed", 1),
    }
    page = web.bob.get(f"/query?id={shown['id']}").text
    assert "N30" in page and "30 studies" in page
    part = web.bob.get(f"/query/rows?id={shown['id']}").text
    assert part.count('<tr class="item"') == 30 and "hx-partial" in part


def test_a_query_is_stopped_once(web: Web) -> None:
    add_query_node(web, "P1")
    place = web.bob.post("/api/v1/queries", json={"nodes": ["P1"]}).headers["location"]
    stopped = web.bob.post(f"{place}/cancel").json()
    assert stopped["state"] == "cancelled" and stopped["nodes"][0]["state"] == "cancelled"
    assert web.bob.delete(place).status_code == 409


def test_a_query_whose_worker_died_says_so(web: Web) -> None:
    add_query_node(web, "P1")
    made = web.bob.post("/api/v1/queries", json={"nodes": ["P1"]}).json()
    with web.database.write() as session:
        query = retrieve_queries.query(session, web.actor("bob"), made["id"])
        job = session.get(Job, query.job_id)
        assert job is not None
        job.state = "failed"
    assert web.bob.get(f"/api/v1/queries/{made['id']}").json()["state"] == "failed"


def test_what_cannot_be_asked_names_its_field(web: Web) -> None:
    add_query_node(web, "P1")
    add_query_node(web, "OFF", enabled=False)
    for body, field in (
        ({"nodes": []}, "nodes"),
        ({"nodes": ["P1"], "level": "frame"}, "level"),
        ({"nodes": ["P1"], "level": "image", "study_instance_uid": "1.2"}, "SeriesInstanceUID"),
        ({"nodes": ["P1"], "keys": {"PixelData": "x"}}, "PixelData"),
        ({"nodes": ["P1"], "patient_name": "x\u0007"}, "PatientName"),
    ):
        answer = web.bob.post("/api/v1/queries", json=body)
        assert answer.status_code == 422 and answer.json().get("field") == field, answer.text
    assert web.bob.post("/api/v1/queries", json={"nodes": ["OFF"]}).status_code == 409
    assert web.bob.post("/api/v1/queries", json={"nodes": ["NONE"]}).status_code == 404
    assert web.bob.get("/api/v1/queries/no-such").status_code == 404
    assert web.bob.get("/query?id=no-such").status_code == 200, "an old address opens the empty page"


def test_a_retrieval_waits_in_the_queue_of_who_ordered_it(web: Web) -> None:
    add_query_node(web, "P1")
    made = web.bob.post("/api/v1/queries", json={"nodes": ["P1"]}).json()
    told = {"StudyInstanceUID": "1.2.7", "PatientName": "Seven^Sam", "NumberOfStudyRelatedInstances": "70"}
    _answered(web, made["id"], "P1", [told])
    order = {"node": "P1", "study_instance_uid": "1.2.7"}
    place = web.bob.post("/api/v1/retrieves", json=order)
    assert place.status_code == 202 and place.json()["progress"] == {"done": 0, "total": 70}
    at = place.headers["location"]
    assert web.alice.get(at).status_code == 404 and web.admin.get(at).status_code == 200
    found = web.bob.get(f"/api/v1/queries/{made['id']}").json()["items"][0]
    assert found["here"] == {"state": "none", "have": 0, "retrieving": place.json()["id"]}
    queue = web.bob.get("/query/queue").text
    assert "Seven, Sam" in queue and "Waiting" in queue and "Seven, Sam" not in web.alice.get("/query/queue").text
    assert web.bob.get("/query/here/1.2.7").json() == {"series": {}, "images": []}
    assert web.bob.post(f"{at}/cancel").json()["state"] == "cancelled"
    assert web.bob.post(f"{at}/retry").json()["state"] == "queued"
    with web.database.write() as session:
        assert jobs.get(session, session.get(retrieve_queries.Retrieval, place.json()["id"]).job_id).state == "queued"
    assert web.bob.get("/api/v1/retrieves", params={"state": "queued"}).json()["total"] == 1
    assert web.bob.delete(at).status_code == 204 and web.bob.get("/api/v1/retrieves").json()["total"] == 0


def test_old_rows_go_with_their_answers(web: Web) -> None:
    from app.kit.clock import now

    add_query_node(web, "P1")
    made = web.bob.post("/api/v1/queries", json={"nodes": ["P1"]}).json()
    _answered(web, made["id"], "P1", [{"StudyInstanceUID": "1.2.7"}])
    with web.database.write() as session:
        retrieve_queries.prune(session, now(), now())
    with web.database.read() as session:
        assert session.query(RemoteQueryNode).count() == 0 and not retrieve_queries.answers_of(session, made["id"])
