"""Storage commitment as rows: what is kept, what is answered, what is asked again. On both databases."""

from collections.abc import Iterator
from datetime import timedelta
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread, dcmwrite
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.filebase import DicomFileLike
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset
from sqlalchemy import select, update

from app.archive import Archive, Source
from app.config import Config
from app.db import Database
from app.forward import queue_queries
from app.forward.models import Transfer
from app.jobs.models import Job
from app.kit.clock import now
from app.kit.errors import Conflict, Forbidden, NotFound
from app.network.commitment_data import (
    CLASS_CONFLICT,
    NO_SUCH_OBJECT,
    PROCESSING_FAILURE,
    BadReferences,
    Reference,
    References,
    decode,
    encode,
)
from app.nodes import commitment, service
from app.nodes import queries as node_queries
from app.nodes.models import Commitment
from app.nodes.service import NodeValues
from app.security import Actor, Verb
from tests.support.client import Web, actor, add_cast
from tests.support.sender import make_ct

CT = "1.2.840.10008.5.1.4.1.1.2"
SYNTAXES = ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"]
CALLER = Actor(name="modality", kind="node", verbs=frozenset((Verb.STUDY_IMPORT,)), sees_all=True)


@pytest.fixture
def archive(config: Config, database: Database) -> Iterator[Archive]:
    add_cast(database)
    made = Archive(config, database)
    yield made
    made.close()


def _put(archive: Archive, tmp_path: Path, facility_id: str | None = None) -> str:
    """A stored CT; its SOP Instance UID."""
    made = make_ct("1.2.3.4", "1.2.3.4.1", 1, size=16)
    ds = dcmread(BytesIO(made.data), force=True)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = made.sop_class_uid, made.sop_instance_uid
    meta.TransferSyntaxUID = made.transfer_syntax
    out = BytesIO()
    dcmwrite(out, FileDataset(None, ds, file_meta=meta, preamble=b"\0" * 128), enforce_file_format=True)
    incoming = archive.receive(Source(kind="upload", actor_name="admin", facility_id=facility_id))
    incoming.write(out.getvalue())
    assert archive.ingest(incoming).status == "stored"
    return made.sop_instance_uid


def _node(database: Database, name: str = "modality", title: str = "MODALITY") -> str:
    with database.write() as session:
        return service.create_node(session, actor(database, "admin"), NodeValues(name, title, "127.0.0.1", 104)).id


def _keep(database: Database, node: str, asked: References, who: Actor = CALLER) -> str:
    with database.write() as session:
        return commitment.store_request(session, who, node, asked)


def _report(database: Database, made: str) -> References:
    with database.read() as session:
        report = commitment.report_of(session, made)
    assert report is not None
    return report


def test_what_is_on_the_disk_is_committed_and_nothing_else(
    archive: Archive, database: Database, config: Config, tmp_path: Path
) -> None:
    good, other_class, cut, gone, changed = (_put(archive, tmp_path) for _ in range(5))
    with database.read() as session:
        paths = {
            uid: config.store / held.path
            for uid, held in commitment.custody.stored_objects(session, CALLER, [good, cut, gone, changed]).items()
        }
    paths[cut].write_bytes(paths[cut].read_bytes()[:-1])
    paths[gone].unlink()
    flipped = bytearray(paths[changed].read_bytes())
    flipped[-1] ^= 1
    paths[changed].write_bytes(flipped)
    objects = [Reference(CT, uid) for uid in (good, cut, gone, changed, "1.2.3.999")]
    objects.append(Reference("1.2.840.10008.5.1.4.1.1.4", other_class))
    made = _keep(database, _node(database), References("1.2.3.100", objects))
    commitment.verify_objects(database, archive, made)
    report = _report(database, made)
    assert report.transaction == "1.2.3.100"
    assert report.objects == [Reference(CT, good)]
    assert {one.sop_instance: one.reason for one in report.failed} == {
        cut: PROCESSING_FAILURE,
        gone: PROCESSING_FAILURE,
        changed: PROCESSING_FAILURE,
        "1.2.3.999": NO_SUCH_OBJECT,
        other_class: CLASS_CONFLICT,
    }
    with database.write() as session:
        commitment.mark_reported(session, made)
        row = session.get_one(Commitment, made)
        assert (row.state, row.committed, row.failed) == ("done", 1, 5)
        assert commitment.report_of(session, made) is None, "it is told once"


def test_another_facilitys_objects_do_not_exist(archive: Archive, database: Database, tmp_path: Path) -> None:
    north, south = actor(database, "charlie").facility_id, actor(database, "dora").facility_id
    uid = _put(archive, tmp_path, north)
    node = _node(database)
    for facility, committed in ((north, 1), (south, 0)):
        who = Actor(name="modality", kind="node", verbs=CALLER.verbs, facility_id=facility)
        made = _keep(database, node, References(f"1.2.3.{committed}", [Reference(CT, uid)]), who)
        commitment.verify_objects(database, archive, made)
        report = _report(database, made)
        assert len(report.objects) == committed
        assert [one.reason for one in report.failed] == [NO_SUCH_OBJECT] * (1 - committed)
    with pytest.raises(Forbidden):
        _keep(database, node, References("1.2.9", [Reference(CT, uid)]), Actor(name="x", kind="node", sees_all=True))


def test_asked_again_it_is_answered_again_but_not_for_other_objects(archive: Archive, database: Database) -> None:
    node = _node(database)
    first = _keep(database, node, References("1.2.3.5", [Reference(CT, "1.2.3.6")]))
    with database.write() as session:
        commitment.mark_reported(session, first)
    again = _keep(database, node, References("1.2.3.5", [Reference(CT, "1.2.3.6")]))
    assert _report(database, again).failed == [Reference(CT, "1.2.3.6", NO_SUCH_OBJECT)]
    with pytest.raises(Conflict):
        _keep(database, node, References("1.2.3.5", [Reference(CT, "1.2.3.7")]))
    with database.read() as session:
        assert session.scalars(select(Commitment.id)).all() == [again]


def _ask(database: Database, node: str, *uids: str, transfer: str = "t") -> tuple[str, str]:
    """Id and Transaction UID of a request that the node has taken."""
    with database.write() as session:
        made = commitment.request(
            session, actor(database, "admin"), node, [(CT, u) for u in uids], transfer_id=transfer
        )
        commitment.mark_requested(session, made)
        return made, session.get_one(Commitment, made).transaction_uid


def test_an_answer_is_matched_by_transaction_and_node(archive: Archive, database: Database) -> None:
    node, same, other = _node(database), _node(database, "second port"), _node(database, "other", "OTHER")
    made, transaction = _ask(database, node, "1.2.1", "1.2.2", "1.2.3")
    answer = References(transaction, [Reference(CT, "1.2.1"), Reference(CT, "1.9")], [Reference(CT, "1.2.2", 0x0112)])
    with database.write() as session:
        assert commitment.transfer_outcome(session, "t").open
        for wrong_node, wrong_answer in ((other, answer), (node, References("1.2.3"))):
            with pytest.raises(NotFound):
                commitment.record_answer(session, wrong_node, wrong_answer)
        assert commitment.record_answer(session, same, answer) == made
        found = commitment.transfer_outcome(session, "t")
        assert (found.open, found.committed) == (False, {"1.2.1"})
        assert found.failed["1.2.2"] == "The node did not commit it: it has no such object."
        assert "1.2.3" in found.failed, "what the answer is silent about is not committed"
        commitment.record_answer(session, node, References(transaction, [Reference(CT, "1.2.2")]))
        assert "1.2.2" in commitment.transfer_outcome(session, "t").failed, "a second answer changes nothing"


def test_what_is_not_answered_in_time_is_asked_again_and_then_given_up(archive: Archive, database: Database) -> None:
    made, first = _ask(database, _node(database), "1.2.1")
    transactions = {first}
    for attempt in range(4):
        with database.write() as session:
            assert commitment.retry_overdue(session) == 0
            session.execute(update(Commitment).values(due_at=now() - timedelta(seconds=1)))
        with database.write() as session:
            assert commitment.retry_overdue(session) == 1
            row = session.get_one(Commitment, made)
            assert row.state == ("queued" if attempt < 3 else "failed")
            transactions.add(row.transaction_uid)
            commitment.mark_requested(session, made)
    assert len(transactions) == 4, "each try is a transaction of its own"
    with database.read() as session:
        found = commitment.transfer_outcome(session, "t")
        assert not found.open and "in time" in found.failed["1.2.1"]
        jobs = session.scalars(select(Job.kind)).all()
        assert jobs.count("commitment.ask") == 4


def test_of_an_object_asked_about_twice_the_last_answer_counts(archive: Archive, database: Database) -> None:
    node = _node(database)
    _, first = _ask(database, node, "1.2.1", "1.2.2")
    with database.write() as session:
        failed = [Reference(CT, "1.2.2", 0x0110)]
        commitment.record_answer(session, node, References(first, [Reference(CT, "1.2.1")], failed))
    _, second = _ask(database, node, "1.2.2")
    with database.write() as session:
        assert commitment.transfer_outcome(session, "t").open
        commitment.record_answer(session, node, References(second, [Reference(CT, "1.2.2")]))
        assert commitment.transfer_outcome(session, "t") == commitment.CommitmentOutcome(
            False, frozenset(("1.2.1", "1.2.2")), {}
        )


def test_what_ended_long_ago_is_forgotten(archive: Archive, database: Database) -> None:
    node = _node(database)
    _, first = _ask(database, node, "1.2.1", transfer="old")
    kept, _ = _ask(database, node, "1.2.2", transfer="new")
    with database.write() as session:
        commitment.record_answer(session, node, References(first, [Reference(CT, "1.2.1")]))
        assert commitment.prune(session) == 0
        session.execute(update(Commitment).values(created_at=now() - timedelta(days=400)))
        session.execute(update(Commitment).where(Commitment.id != kept).values(finished_at=now() - timedelta(days=91)))
    with database.write() as session:
        assert commitment.prune(session) == 1, "an open one stays, however old"
        assert not commitment.transfer_outcome(session, "old").committed
        assert commitment.transfer_outcome(session, "new").open


def test_only_transfers_that_are_answered_are_looked_at(archive: Archive, database: Database) -> None:
    """A PACS that commits by night must not have the queue read all that waits for it, again and again."""
    node = _node(database)
    for name in ("a", "b"):
        with database.write() as session:
            session.add(
                Transfer(
                    id=name,
                    node_id=node,
                    study_instance_uid="1.2.3",
                    state="running",
                    committing=True,
                    run_after=now(),
                    created_by="x",
                    created_at=now(),
                )
            )
    _, first = _ask(database, node, "1.2.1", transfer="a")
    _ask(database, node, "1.2.2", transfer="b")
    with database.write() as session:
        assert queue_queries.committing(session) == []
        commitment.record_answer(session, node, References(first, [Reference(CT, "1.2.1")]))
        assert [one.id for one in queue_queries.committing(session)] == ["a"]
        commitment.discard_requests(session, "b")
        assert [one.id for one in queue_queries.committing(session)] == ["a", "b"]


def test_rest_shows_them_to_their_own_facility(web: Web) -> None:
    database = web.database
    north = actor(database, "bob").facility_id
    node = _node(database)
    who = Actor(name="modality", kind="node", verbs=CALLER.verbs, facility_id=north)
    made = _keep(database, node, References("1.2.3.5", [Reference(CT, "1.2.3.6")]), who)
    shown = web.bob.get(f"/api/v1/commitments/{made}").json()
    assert (shown["role"], shown["state"], shown["node"], shown["total"]) == ("scp", "queued", "modality", 1)
    listed = web.bob.get("/api/v1/commitments?role=scp").json()
    assert [one["id"] for one in listed["items"]] == [made] and listed["total"] == 1
    (one,) = web.alice.get(f"/api/v1/commitments/{made}/instances").json()["items"]
    assert (one["sop_instance_uid"], one["state"], one["reason"]) == ("1.2.3.6", "failed", "0112")
    south = _keep(database, node, References("1.2.3.8", [Reference(CT, "1.2.3.6")]), CALLER)
    assert web.bob.get(f"/api/v1/commitments/{south}").status_code == 404
    assert web.bob.get("/api/v1/commitments").json()["total"] == 1
    assert web.admin.get("/api/v1/commitments").json()["total"] == 2
    assert web.charlie.get("/api/v1/commitments").status_code == 403
    with database.read() as session:
        assert node_queries.commitment_states(session, made) == {"failed": 1}


_uid = st.from_regex(r"1\.2\.[1-9][0-9]{0,20}", fullmatch=True)
_references = st.builds(
    References,
    _uid,
    st.lists(st.builds(Reference, _uid, _uid), max_size=5),
    st.lists(st.builds(Reference, _uid, _uid, st.integers(1, 0xFFFF)), max_size=5),
)


@given(_references, st.sampled_from(SYNTAXES))
def test_the_data_sets_come_back_as_they_went(references: References, syntax: str) -> None:
    assert decode(encode(references, syntax), syntax) == references


@given(_references, st.sampled_from(SYNTAXES), st.booleans())
def test_pydicom_and_we_write_and_read_the_same(references: References, syntax: str, undefined: bool) -> None:
    """The second opinion, with lengths given and undefined."""
    implicit, little = syntax == SYNTAXES[0], syntax != SYNTAXES[2]
    ds = read_dataset(BytesIO(encode(references, syntax)), implicit, little)
    assert [str(i.ReferencedSOPInstanceUID) for i in ds.get("ReferencedSOPSequence", [])] == [
        one.sop_instance for one in references.objects
    ]
    assert [i.FailureReason for i in ds.get("FailedSOPSequence", [])] == [one.reason for one in references.failed]
    for keyword in ("ReferencedSOPSequence", "FailedSOPSequence"):
        if keyword in ds:
            ds[keyword].is_undefined_length = undefined
            for item in ds[keyword].value:
                item.is_undefined_length_sequence_item = undefined
    ds.PatientComments = "passed over"
    out = DicomFileLike(BytesIO())
    out.is_implicit_VR, out.is_little_endian = implicit, little
    write_dataset(out, ds)
    assert decode(out.parent.getvalue(), syntax) == references


@given(_references, st.sampled_from(SYNTAXES), st.data())
def test_broken_data_sets_are_refused_in_words(references: References, syntax: str, data: st.DataObject) -> None:
    raw = bytearray(encode(references, syntax))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(raw[: data.draw(st.integers(0, len(raw)))])
    try:
        assert isinstance(decode(cut, syntax), References)
    except BadReferences as fault:
        assert str(fault)
