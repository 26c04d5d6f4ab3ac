"""Storage commitment at the interface: nodes that ask us, and nodes that answer us."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from pynetdicom import AE, evt
from pynetdicom.sop_class import StorageCommitmentPushModel as PUSH_MODEL
from sqlalchemy import select, update

from app.jobs.models import Job
from app.kit.clock import now
from app.nodes import commitment
from app.nodes.models import Commitment
from app.security.actor import SYSTEM
from app.security.models import Facility
from app.worker import LANES, Worker, handler_of
from tests.archive.make import ct
from tests.support.commit_scu import Asker, commitment_state
from tests.support.committer import INSTANCE, committer
from tests.support.dimse import Station
from tests.support.pacs import CT, Made, make_study
from tests.support.retrieving import add_node, fill, two_facilities

pytestmark = pytest.mark.peer


@pytest.fixture
def study(receiver: Station, tmp_path: Path) -> Made:
    made = make_study(tmp_path / "study", 1)
    fill(receiver, made.files)
    return made


@pytest.fixture
def worker(receiver: Station) -> Iterator[Worker]:
    made = Worker(receiver.config)
    made.archive = receiver.archive
    yield made
    made.database.dispose()


def work(worker: Worker) -> bool:
    """One try of what the job table holds; False when it holds nothing."""
    with worker.database.write() as session:
        session.execute(update(Job).where(Job.state == "queued").values(run_after=now()))
    claimed = worker._claim(list(LANES["commitment"][1]))
    if claimed is not None:
        worker._run(claimed, handler_of(claimed.kind))
    return claimed is not None


def _uids(report: Dataset, keyword: str) -> list[str]:
    return [str(item.ReferencedSOPInstanceUID) for item in report.get(keyword, [])]


def test_a_caller_that_stays_is_told_on_its_own_association(receiver: Station, study: Made, worker: Worker) -> None:
    add_node(receiver, "MODALITY")
    asker = Asker()
    assert asker.ask(receiver, [*study.instances, "1.2.3.99"]) == 0
    ((kind, report),) = asker.reports
    assert kind == 2 and report.TransactionUID == asker.transaction
    assert _uids(report, "ReferencedSOPSequence") == study.instances
    assert _uids(report, "FailedSOPSequence") == ["1.2.3.99"]
    assert report.FailedSOPSequence[0].FailureReason == 0x0112
    assert commitment_state(receiver) == "done"
    assert work(worker), "the job is there all the same"
    with receiver.database.read() as session:
        assert session.scalars(select(Job.state).where(Job.kind == "commitment.report")).all() == ["done"]
    assert len(asker.reports) == 1, "and has nothing to do"


def test_a_caller_that_goes_is_told_on_an_association_of_ours(receiver: Station, study: Made, worker: Worker) -> None:
    with committer(receiver.port, title="MODALITY") as node:
        add_node(receiver, "MODALITY", node.port)
        asker = Asker(stay=0)
        assert asker.ask(receiver, study.instances) == 0
        receiver.calm()
        assert commitment_state(receiver) == "queued" and not asker.reports
        assert work(worker)
        ((kind, report),) = node.reports
    assert kind == 1 and _uids(report, "ReferencedSOPSequence") == study.instances
    assert "FailedSOPSequence" not in report and commitment_state(receiver) == "done"


def test_a_node_that_cannot_be_told_is_told_later(receiver: Station, study: Made, worker: Worker) -> None:
    with committer(receiver.port, title="MODALITY", answer_reports=0x0110) as node:
        add_node(receiver, "MODALITY", node.port)
        assert Asker(stay=0).ask(receiver, study.instances) == 0
        receiver.calm()
        assert work(worker)
        with receiver.database.read() as session:
            row = session.scalars(select(Commitment)).one()
        assert (row.state, row.attempts) == ("queued", 1) and row.error is not None and "0110" in row.error
        node.answer_reports = 0
        assert work(worker)
    assert len(node.reports) == 2 and commitment_state(receiver) == "done"


def test_a_report_that_is_refused_on_its_association_goes_out_again(
    receiver: Station, study: Made, worker: Worker
) -> None:
    with committer(receiver.port, title="MODALITY") as node:
        add_node(receiver, "MODALITY", node.port)
        asker = Asker(answer=0x0110)
        assert asker.ask(receiver, study.instances) == 0 and len(asker.reports) == 1
        receiver.calm()
        assert commitment_state(receiver) == "queued"
        assert work(worker)
    assert len(node.reports) == 1 and commitment_state(receiver) == "done"


def test_stores_and_requests_may_alternate_on_one_association(receiver: Station, study: Made, tmp_path: Path) -> None:
    add_node(receiver, "MODALITY")
    ae = AE(ae_title="MODALITY")
    ae.add_requested_context(PUSH_MODEL)
    ae.add_requested_context(CT, "1.2.840.10008.1.2.1")
    told: list[str] = []

    def report(event: Any) -> tuple[int, None]:
        told.append(str(event.event_information.TransactionUID))
        return 0, None

    association = ae.associate(
        "127.0.0.1", receiver.port, ae_title="FILMROOM", evt_handlers=[(evt.EVT_N_EVENT_REPORT, report)]
    )
    assert association.is_established
    more = make_study(tmp_path / "more", 2)
    asked = []
    for path, uid in zip(more.files, more.instances, strict=True):
        assert association.send_c_store(path).Status == 0
        request, item = Dataset(), Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = CT, uid
        request.TransactionUID, request.ReferencedSOPSequence = generate_uid(), [item]
        asked.append(str(request.TransactionUID))
        assert association.send_n_action(request, 1, PUSH_MODEL, INSTANCE)[0].Status == 0
    receiver.wait(lambda: len(told) == 5, 30)
    assert association.send_c_store(more.files[0]).Status == 0
    association.release()
    assert sorted(told) == sorted(asked)


@pytest.mark.parametrize(
    ("odd", "status"),
    [
        ({"action": 2}, 0x0123),
        ({"instance": "1.2.3"}, 0x0112),
        ({"uids": []}, 0x0115),
        ({"transaction": "x y"}, 0x0115),
    ],
)
def test_what_is_no_request_is_refused(receiver: Station, study: Made, odd: dict[str, Any], status: int) -> None:
    add_node(receiver, "MODALITY")
    uids = odd.pop("uids", study.instances)
    assert Asker().ask(receiver, uids, **odd) == status
    with receiver.database.read() as session:
        assert not session.scalars(select(Commitment)).all()


def test_an_unknown_caller_is_promised_nothing(receiver: Station, study: Made) -> None:
    assert Asker(title="STRANGER").ask(receiver, study.instances) == 0x0124


def test_a_node_at_another_facilitys_title_hears_of_its_own_objects_only(
    receiver: Station, tmp_path: Path, worker: Worker
) -> None:
    """It may store there, so what it stored is committed; of what others stored it learns nothing."""
    made, _ = two_facilities(receiver, tmp_path)
    with receiver.database.write() as session:
        session.scalars(select(Facility).where(Facility.name == "North")).one().ae_title = "NORTH"
    own = ct(sop="9.8.7.1", study="9.8.7", series="9.8.7.2")
    ae = AE(ae_title="SOUTHSCU")
    ae.add_requested_context(CT, "1.2.840.10008.1.2.1")
    association = ae.associate("127.0.0.1", receiver.port, ae_title="NORTH")
    assert association.send_c_store(own).Status == 0
    association.release()
    asker = Asker(title="SOUTHSCU")
    assert asker.ask(receiver, ["9.8.7.1", *made.instances, "9.9.9"], called="NORTH") == 0
    receiver.wait(lambda: len(asker.reports) == 1)
    event, report = asker.reports[0]
    failed = {str(item.ReferencedSOPInstanceUID): item.FailureReason for item in report.FailedSOPSequence}
    assert (event, _uids(report, "ReferencedSOPSequence")) == (2, ["9.8.7.1"])
    assert failed == dict.fromkeys([*made.instances, "9.9.9"], 0x0112)


def _ask(station: Station, node_id: str, uids: list[str]) -> str:
    """A request of ours that a node has taken; its Transaction UID."""
    with station.database.write() as session:
        made = commitment.request(session, SYSTEM, node_id, [(CT, uid) for uid in uids], transfer_id="t")
        commitment.mark_requested(session, made)
        return session.get_one(Commitment, made).transaction_uid


def _report(transaction: str, uids: list[str]) -> Dataset:
    report = Dataset()
    report.TransactionUID, report.ReferencedSOPSequence = transaction, []
    for uid in uids:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = CT, uid
        report.ReferencedSOPSequence.append(item)
    return report


def test_the_answer_to_us_may_come_on_an_association_of_the_nodes_own(receiver: Station, study: Made) -> None:
    node_id = add_node(receiver, "COMMITTER")
    add_node(receiver, "OTHER")
    transaction = _ask(receiver, node_id, study.instances)
    report = _report(transaction, study.instances[:4])
    with committer(receiver.port) as node:
        assert node.call(report, title="OTHER") == 0x0115, "another node has no say in it"
        assert node.call(report, title="STRANGER") == 0x0124
        assert node.call(_report("1.2.3.4", study.instances)) == 0x0115
        assert commitment_state(receiver) == "waiting"
        assert node.call(report) == 0
        assert node.call(report) == 0, "said again it is taken again"
    assert commitment_state(receiver) == "done"
    with receiver.database.read() as session:
        found = commitment.transfer_outcome(session, "t")
    assert found.committed == set(study.instances[:4]) and set(found.failed) == {study.instances[4]}


def test_reports_about_nothing_take_no_write_lock(receiver: Station, study: Made) -> None:
    """However many a node sends, what others store does not wait for them."""
    node_id = add_node(receiver, "COMMITTER")
    report = _report(_ask(receiver, node_id, study.instances), study.instances)
    with committer(receiver.port) as node:
        assert node.call(report) == 0
        with receiver.database.write():
            begun = time.monotonic()
            assert node.call(report) == 0 and node.call(_report("1.2.3.4", study.instances)) == 0x0115
            assert time.monotonic() - begun < 15


def test_a_node_may_have_only_so_many_objects_waiting(
    receiver: Station, study: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commitment, "MOST_OPEN", 4)
    add_node(receiver, "MODALITY")
    asker = Asker(stay=0)
    assert asker.ask(receiver, study.instances) == 0
    assert asker.ask(receiver, study.instances) == 0x0213


def test_both_ways_with_itself(receiver: Station, study: Made, worker: Worker) -> None:
    """Our SCU against our SCP, which tells it on the association of the request."""
    node_id = add_node(receiver, "FILMROOM", receiver.port)
    with receiver.database.write() as session:
        commitment.request(session, SYSTEM, node_id, [(CT, uid) for uid in study.instances], transfer_id="t")
    assert work(worker)
    with receiver.database.read() as session:
        assert commitment.transfer_outcome(session, "t").committed == set(study.instances)
