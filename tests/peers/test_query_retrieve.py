"""Queries and retrievals as jobs against dcmqrscp: merged answers, what is here, the truth about what has arrived."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.db import Database
from app.jobs.models import Job
from app.kit.errors import Conflict, Forbidden, Invalid, NotFound
from app.kit.phrases import phrase
from app.nodes import queries as node_queries
from app.nodes import service
from app.nodes.options import NodeValues
from app.retrieve import queries as retrieve_queries
from app.retrieve import query_jobs, remote_queries, retrievals
from app.retrieve.query_jobs import run_query
from app.retrieve.remote_queries import Wish
from app.retrieve.retrievals import RetrievalOrder
from app.retrieve.retrieve_jobs import retrieve_objects
from app.retrieve.settings import QuerySettings
from app.settings import save
from app.worker import Worker
from tests.support import dcmtk
from tests.support.client import actor
from tests.support.dimse import Station
from tests.support.pacs import Made, dcmqrscp, make_study, make_two_studies
from tests.support.postgres import free_port
from tests.support.query_retrieve import add_archive, retrieval_shown, work_one

pytestmark = [pytest.mark.slow, pytest.mark.peer]


@pytest.fixture
def pacs(receiver: Station, peopled: Database, tmp_path: Path) -> Iterator[list[Made]]:
    """dcmqrscp as the node PACS, with two studies; a dead node beside it."""
    made = make_two_studies(tmp_path / "made")
    with dcmqrscp(tmp_path / "qr", receiver.port) as port:
        assert dcmtk.storescu(port, [f for m in made for f in m.files], called="DCMQR").code == 0
        add_archive(peopled, "PACS", port, ["find", "move", "get"])
        add_archive(peopled, "DEAD", free_port(), ["find", "move"])
        yield made


def _ask(database: Database, worker: Worker, *nodes: str, who: str = "admin", **fields: str) -> str:
    with database.write() as session:
        query = remote_queries.create_query(session, actor(database, who), Wish(nodes, fields=fields))
    work_one(worker, "query.ask", run_query)
    return query.id


def _found(database: Database, query_id: str, who: str = "admin") -> tuple[dict, list[remote_queries.Match]]:
    with database.read() as session:
        person = actor(database, who)
        query = retrieve_queries.query(session, person, query_id)
        return remote_queries.query_json(session, query), remote_queries.sort_matches(
            remote_queries.matches(session, person, query)
        )


def _fetch(database: Database, worker: Worker, order: RetrievalOrder, who: str = "admin") -> dict:
    with database.write() as session:
        row = retrievals.create_retrieval(session, actor(database, who), order)
    work_one(worker, "retrieve.fetch", retrieve_objects)
    return retrieval_shown(database, row.id, who)


def test_a_dead_node_delays_no_other_and_says_why(pacs: list[Made], peopled: Database, worker: Worker) -> None:
    query_id = _ask(peopled, worker, "PACS", "DEAD", PatientName="Ram*")
    shown, found = _found(peopled, query_id)
    assert shown["state"] == "done" and shown["progress"] == {"done": 2, "total": 2}
    alive, dead = shown["nodes"]
    assert (alive["state"], alive["answers"]) == ("done", 2)
    assert dead["state"] == "failed" and "refuses connections" in dead["error"] and dead["hint"]
    assert [m.key for m in found] == [pacs[0].uid, pacs[1].uid], "newest first"
    assert found[0].where == ["PACS"] and found[0].here.state == "none"


def test_a_node_ends_even_when_its_answers_cannot_be_written(
    peopled: Database, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was asked for ever: the fault left the thread before the row of the node ended."""
    add_archive(peopled, "ODD", 104, ["find", "move"])
    monkeypatch.setattr(query_jobs.sources, "query_node", lambda *_: iter([{"StudyInstanceUID": "1.2\ud800"}]))
    shown, found = _found(peopled, _ask(peopled, worker, "ODD"))
    (odd,) = shown["nodes"]
    assert odd["state"] == "failed" and "Internal fault" in odd["error"] and not found


def test_all_of_it_is_fetched_and_then_nothing_more(
    pacs: list[Made], peopled: Database, worker: Worker, receiver: Station
) -> None:
    first = pacs[0]
    for method in ("move", "auto"):
        shown = _fetch(peopled, worker, RetrievalOrder("PACS", first.uid, method=method))
        assert shown["state"] == "done" and shown["progress"] == {"done": 5, "total": 5}, shown
        assert shown["used"] == ("move" if method == "move" else None), "what is here already is not asked for"
    assert {i.sop_instance_uid for i in receiver.instances()} == set(first.instances)
    query_id = _ask(peopled, worker, "PACS", PatientName="Ram*")
    _, found = _found(peopled, query_id)
    # dcmqrscp keeps no counts: how many there are is not known, so it cannot be said that all are here
    assert [(m.here.state, m.here.have) for m in found] == [("part", 5), ("none", 0)]
    shown = _fetch(peopled, worker, RetrievalOrder("PACS", pacs[1].uid, method="get"))
    assert (shown["state"], shown["used"], shown["progress"]) == ("done", "get", {"done": 2, "total": 2}), shown


def test_only_what_is_missing_is_asked_for(
    pacs: list[Made], peopled: Database, worker: Worker, receiver: Station, tmp_path: Path
) -> None:
    first = pacs[0]
    series = list(first.series)
    shown = _fetch(peopled, worker, RetrievalOrder("PACS", first.uid, series[1]))
    assert shown["state"] == "done" and shown["progress"] == {"done": 2, "total": 2}, shown
    one = first.series[series[0]][0]
    shown = _fetch(peopled, worker, RetrievalOrder("PACS", first.uid, series[0], (one,), "get"))
    assert shown["state"] == "done" and {i.sop_instance_uid for i in receiver.instances()} == {
        one,
        *first.series[series[1]],
    }
    shown = _fetch(peopled, worker, RetrievalOrder("PACS", first.uid))
    assert shown["state"] == "done" and shown["completed"] == 2, shown  # the other two of the first series alone


def test_an_unknown_destination_is_told_with_what_to_ask_the_administrator(
    receiver: Station, peopled: Database, worker: Worker, tmp_path: Path
) -> None:
    made = make_study(tmp_path / "made", 3)
    with dcmqrscp(tmp_path / "qr", receiver.port, destinations="SOMEONE") as port:
        assert dcmtk.storescu(port, made.files, called="DCMQR").code == 0
        add_archive(peopled, "PACS", port, ["find", "move"])
        shown = _fetch(peopled, worker, RetrievalOrder("PACS", made.uid))
        assert shown["state"] == "failed" and "A801" in shown["error"], shown
        assert f"add title FILMROOM at 127.0.0.1:{worker.config.dicom_port}" in shown["hint"]
        with peopled.write() as session:
            service.update_node(
                session, actor(peopled, "admin"), "PACS", NodeValues(capabilities=["find", "move", "get"])
            )
            retrievals.retry_retrieval(session, actor(peopled, "admin"), shown["id"])
        work_one(worker, "retrieve.fetch", retrieve_objects)
        shown = retrieval_shown(peopled, shown["id"])
        assert (shown["state"], shown["used"], shown["error"]) == ("done", "get", None), "C-GET needs no destination"


def test_what_cannot_be_asked_is_refused_in_words(pacs: list[Made], peopled: Database, worker: Worker) -> None:
    admin, bob = actor(peopled, "admin"), actor(peopled, "bob")
    with peopled.write() as session:
        for wish in (
            Wish(()),
            Wish(("PACS",), "FRAME"),
            Wish(("PACS",), "SERIES"),
            Wish(("PACS",), fields={"PixelData": "1"}),
            Wish(("PACS",), fields={"PatientName": "x" * 300}),
            Wish(("PACS",), modalities=("C;T",)),
        ):
            with pytest.raises(Invalid):
                remote_queries.create_query(session, admin, wish)
        with pytest.raises(NotFound):
            remote_queries.create_query(session, admin, Wish(("NOBODY",)))
        for order in (
            RetrievalOrder("PACS", "../x"),
            RetrievalOrder("PACS", "1.2", "", ("1.3",)),
            RetrievalOrder("DEAD", "1.2", method="get"),
        ):
            with pytest.raises(Invalid):
                retrievals.create_retrieval(session, admin, order)
        one = retrievals.create_retrieval(session, admin, RetrievalOrder("PACS", "1.2.3"))
        with pytest.raises(Conflict):
            retrievals.create_retrieval(session, admin, RetrievalOrder("PACS", "1.2.3"))
        with pytest.raises(NotFound):
            retrieve_queries.retrieval(session, bob, one.id)


def test_series_and_images_unfold(pacs: list[Made], peopled: Database, worker: Worker) -> None:
    first = pacs[0]
    query_id = _ask(peopled, worker, "PACS", PatientName="Ram*")
    admin, config = actor(peopled, "admin"), worker.config
    found, faults = query_jobs.query_children(
        peopled, config, admin, query_id, "SERIES", {"StudyInstanceUID": first.uid}
    )
    assert [m.key for m in found] == list(first.series) and not faults
    keys = {"StudyInstanceUID": first.uid, "SeriesInstanceUID": found[0].key}
    images, _ = query_jobs.query_children(peopled, config, admin, query_id, "IMAGE", keys)
    assert [m.key for m in images] == first.series[found[0].key]


def test_answers_are_kept_for_a_day_and_belong_to_who_asked(
    pacs: list[Made], peopled: Database, worker: Worker
) -> None:
    query_id = _ask(peopled, worker, "PACS", who="bob", PatientName="Ram*")
    with pytest.raises(NotFound):
        _found(peopled, query_id, "alice")
    assert len(_found(peopled, query_id, "bob")[1]) == 2
    with peopled.write() as session:
        query_jobs.prune(session)
    assert len(_found(peopled, query_id, "bob")[1]) == 2
    with peopled.write() as session:
        save(session, QuerySettings(keep_hours=1), "test")
        retrieve_queries.query(session, actor(peopled, "bob"), query_id).created_at -= query_jobs.timedelta(hours=2)
        query_jobs.prune(session)
    with pytest.raises(NotFound):
        _found(peopled, query_id, "bob")


def test_it_can_be_sent_to_another_node_instead(
    receiver: Station, peopled: Database, worker: Worker, tmp_path: Path
) -> None:
    made = make_study(tmp_path / "made", 4)
    other = free_port()
    with (
        dcmqrscp(tmp_path / "qr", receiver.port, more=f"o = (OTHER, 127.0.0.1, {other})\n") as port,
        dcmtk.storescp(tmp_path / "other", port=other, title="OTHER"),
    ):
        assert dcmtk.storescu(port, made.files, called="DCMQR").code == 0
        add_archive(peopled, "PACS", port, ["find", "move"])
        add_archive(peopled, "OTHER", other, ["store"], title="OTHER")
        shown = _fetch(peopled, worker, RetrievalOrder("PACS", made.uid, destination="OTHER"))
    assert shown["state"] == "done" and shown["completed"] == 5 and shown["destination"] == "OTHER", shown
    assert not receiver.instances() and len(list((tmp_path / "other").iterdir())) == 5


def test_what_a_facilitys_person_fetches_belongs_to_it_and_others_see_nothing_of_it(
    pacs: list[Made], peopled: Database, worker: Worker, receiver: Station
) -> None:
    first = pacs[0]
    shown = _fetch(peopled, worker, RetrievalOrder("PACS", first.uid, method="get"), who="bob")
    assert shown["state"] == "done", shown
    bob = actor(peopled, "bob")
    with peopled.read() as session:
        assert node_queries.study(session, bob, first.uid).facility_id == bob.facility_id
        assert retrieve_queries.local_studies(session, bob, [first.uid]) == {first.uid: 5}
        dora = actor(peopled, "dora")
        assert retrieve_queries.local_studies(session, dora, [first.uid]) == {}
        assert retrieve_queries.local_series(session, dora, first.uid) == {}
        assert retrieve_queries.local_images(session, dora, list(first.series)) == []
    with peopled.write() as session, pytest.raises(Forbidden):
        remote_queries.create_query(session, dora, Wish(("PACS",)))
    with peopled.write() as session, pytest.raises(Forbidden):
        retrievals.create_retrieval(session, dora, RetrievalOrder("PACS", first.uid))


def test_a_node_that_takes_no_heed_of_modalities_is_asked_for_its_series(
    pacs: list[Made], peopled: Database, worker: Worker
) -> None:
    with peopled.write() as session:
        wish = Wish(("PACS",), fields={"PatientName": "Ram*"}, modalities=("MR",))
        query = remote_queries.create_query(session, actor(peopled, "admin"), wish)
    work_one(worker, "query.ask", run_query)
    _, found = _found(peopled, query.id)
    assert [(m.key, m.values["ModalitiesInStudy"]) for m in found] == [(pacs[1].uid, "MR")]


def test_every_level_can_be_asked(pacs: list[Made], peopled: Database, worker: Worker) -> None:
    first = pacs[0]
    series = next(iter(first.series))
    for wish, keys in (
        (Wish(("PACS",), "PATIENT", {"PatientName": "Ram*"}), {"80-11862", "74-30118"}),
        (Wish(("PACS",), "SERIES", {"StudyInstanceUID": first.uid}), set(first.series)),
        (
            Wish(("PACS",), "IMAGE", {"StudyInstanceUID": first.uid, "SeriesInstanceUID": series}),
            set(first.series[series]),
        ),
    ):
        with peopled.write() as session:
            query = remote_queries.create_query(session, actor(peopled, "admin"), wish)
        work_one(worker, "query.ask", run_query)
        shown, found = _found(peopled, query.id)
        assert shown["state"] == "done" and {m.key for m in found} == keys, shown


def test_a_retrieval_that_died_with_its_worker_can_be_ordered_and_tried_again(
    pacs: list[Made], peopled: Database, worker: Worker
) -> None:
    admin = actor(peopled, "admin")
    with peopled.write() as session:
        row = retrievals.create_retrieval(session, admin, RetrievalOrder("PACS", pacs[1].uid))
        row.state = "running"
        job = session.get(Job, row.job_id)
        assert job is not None
        job.state, job.error = "failed", phrase("The worker stopped while it ran this job.")
    shown = retrieval_shown(peopled, row.id)
    assert shown["state"] == "failed" and "worker stopped" in shown["error"]
    with peopled.write() as session:
        other = retrievals.create_retrieval(session, admin, RetrievalOrder("PACS", pacs[1].uid))
        retrievals.drop_retrieval(session, admin, other.id)
        retrievals.retry_retrieval(session, admin, row.id)
    work_one(worker, "retrieve.fetch", retrieve_objects)
    assert retrieval_shown(peopled, row.id)["state"] == "done"
