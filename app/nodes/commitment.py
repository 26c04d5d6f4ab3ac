"""Storage Commitment (PS3.4 Annex J), both ways, as durable rows.

As SCP: a node sends a request (`store_request`), its objects are verified (`verify_objects`), and the result is
reported (`report_of`, `mark_reported`), on its association or by the job `commitment.report`. As SCU: `request` asks a
node about objects of a transfer by the job `commitment.ask`; its answer comes in on whichever association
(`record_answer`); `transfer_outcome` returns the result."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import delete, insert, update
from sqlalchemy.orm import Session

from app import audit, events, jobs
from app.archive import Archive, custody
from app.db import Database
from app.dicom import uids
from app.kit.clock import now
from app.kit.errors import Conflict, NotFound, Unavailable
from app.kit.ids import new_id
from app.kit.phrases import Phrase, phrase
from app.network.commitment_data import (
    CLASS_CONFLICT,
    NO_SUCH_OBJECT,
    PROCESSING_FAILURE,
    REASONS,
    Reference,
    References,
)
from app.network.settings import DicomSettings
from app.nodes import queries as node_queries
from app.nodes.models import Commitment, CommitmentInstance
from app.security.actor import SYSTEM, Actor, require
from app.security.verbs import Verb
from app.settings import load

ASK, REPORT = "commitment.ask", "commitment.report"
QUEUED, WAITING, DONE, FAILED = "queued", "waiting", "done", "failed"
COMMITTED = "committed"
REPORT_TRIES = 300  # a try each five minutes after the first ones: a day
MOST_OPEN = 500_000  # objects of one node that may wait for a report; a request has sixty thousand at most
PATIENCE = timedelta(seconds=10)  # so long the association of the request has for the report, before the job takes over


@dataclass(frozen=True, slots=True)
class CommitmentOutcome:
    """Result of the requests of one transfer. open: an answer is still to come."""

    open: bool
    committed: frozenset[str]
    failed: dict[str, Phrase]  # SOP Instance UID -> why


# As SCP


def store_request(session: Session, actor: Actor, node_id: str, asked: References, *, own_only: bool = False) -> str:
    """Keeps a node's request; the id of its row. What is not here, or is not what the node thinks, is known at once;
    the files are looked at later. Asked again with the same objects it is a new request; Conflict with others.
    Unavailable while too many objects of the node wait. own_only: what the node has not sent itself counts as not here; for a node at the title or port of another facility."""
    require(actor, Verb.STUDY_IMPORT)
    known = node_queries.commitment(session, "scp", node_id, asked.transaction)
    if known is not None:
        if node_queries.commitment_uids(session, known.id) != {one.sop_instance for one in asked.objects}:
            raise Conflict("This Transaction UID is in use for other objects.")
        session.delete(known)
        session.flush()
    if node_queries.commitment_objects_open(session, node_id) > MOST_OPEN:
        raise Unavailable("Too many objects of this node wait for their storage commitment.", hint="Ask again later.")
    there = custody.stored_objects(
        session, actor, [one.sop_instance for one in asked.objects], from_node=node_id if own_only else None
    )
    made = Commitment(
        id=new_id(),
        role="scp",
        transaction_uid=asked.transaction,
        node_id=node_id,
        facility_id=None if actor.sees_all else actor.facility_id,
        state=QUEUED,
        total=len(asked.objects),
        created_by=actor.name,
        created_at=now(),
    )
    made.job_id = jobs.enqueue(
        session,
        REPORT,
        {"commitment_id": made.id},
        actor_name=actor.name,
        owner_id=actor.user_id,
        facility_id=made.facility_id,
        max_attempts=REPORT_TRIES,
        run_after=now() + PATIENCE,
    )
    session.add(made)
    session.flush()
    session.execute(
        insert(CommitmentInstance), [_row(made.id, one, _failure_reason(one, there)) for one in asked.objects]
    )
    return made.id


def _failure_reason(one: Reference, there: dict[str, custody.Held]) -> int | None:
    """The Failure Reason of an object that follows from the index alone."""
    found = there.get(one.sop_instance)
    if found is None:
        return NO_SUCH_OBJECT
    return None if found.sop_class_uid == one.sop_class else CLASS_CONFLICT


def _row(commitment_id: str, one: Reference, reason: int | None) -> dict[str, object]:
    return {
        "commitment_id": commitment_id,
        "sop_class_uid": one.sop_class,
        "sop_instance_uid": one.sop_instance,
        "state": WAITING if reason is None else FAILED,
        "reason": reason,
    }


def verify_objects(database: Database, archive: Archive, commitment_id: str) -> None:
    """Looks at the files of what waits, and writes down what is safe. Opens its own transactions."""
    with database.read() as session:
        waiting = node_queries.commitment_waiting(session, commitment_id)
        there = custody.stored_objects(
            session, SYSTEM, [uid for _, uid in waiting]
        )  # who may see them was asked by `store_request`
    known = [uid for _, uid in waiting if uid in there]
    safe = {
        uid
        for uid, good in zip(known, custody.verify_files(archive, [there[uid] for uid in known]), strict=True)
        if good
    }
    values = [
        {
            "id": row_id,
            "state": COMMITTED if uid in safe else FAILED,
            "reason": None if uid in safe else PROCESSING_FAILURE if uid in there else NO_SUCH_OBJECT,
        }
        for row_id, uid in waiting
    ]
    with database.write() as session:
        row = session.get(Commitment, commitment_id)
        if row is None:
            return
        if values:
            session.execute(update(CommitmentInstance), values)
        _count(session, row)


def report_of(session: Session, commitment_id: str) -> References | None:
    """The report that is due; None when it has been given, or the request is no more."""
    row = session.get(Commitment, commitment_id)
    if row is None or row.state != QUEUED:
        return None
    found = References(row.transaction_uid)
    for one in node_queries.commitment_instances(session, commitment_id):
        reference = Reference(one.sop_class_uid, one.sop_instance_uid, one.reason)
        (found.failed if one.state == FAILED else found.objects).append(reference)
    return found


def mark_reported(session: Session, commitment_id: str) -> None:
    """The node has taken the report."""
    row = session.get(Commitment, commitment_id)
    if row is not None and row.state == QUEUED:
        _conclude(session, row, DONE)


def report_failed(session: Session, commitment_id: str, words: Phrase, final: bool) -> None:
    """A try to report failed; final: no other one follows."""
    row = session.get(Commitment, commitment_id)
    if row is None or row.state != QUEUED:
        return
    row.attempts, row.error = row.attempts + 1, words
    if final:
        _conclude(session, row, FAILED)


# As SCU


def request(
    session: Session,
    actor: Actor,
    node_id: str,
    objects: Iterable[tuple[str, str]],
    *,
    transfer_id: str | None = None,
    facility_id: str | None = None,
) -> str:
    """Has the node asked to commit these (SOP class, SOP instance); the id of the row. transfer_id: the transfer that
    waits for it."""
    asked = [Reference(sop_class, sop_instance) for sop_class, sop_instance in objects]
    made = Commitment(
        id=new_id(),
        role="scu",
        transaction_uid=uids.new_uid(),
        node_id=node_id,
        facility_id=facility_id,
        transfer_id=transfer_id,
        state=QUEUED,
        total=len(asked),
        created_by=actor.name,
        created_at=now(),
    )
    session.add(made)
    session.flush()
    if asked:
        session.execute(insert(CommitmentInstance), [_row(made.id, one, None) for one in asked])
    _enqueue_ask(session, made)
    return made.id


def _enqueue_ask(session: Session, row: Commitment) -> None:
    row.state, row.due_at = QUEUED, None
    row.job_id = jobs.enqueue(
        session,
        ASK,
        {"commitment_id": row.id},
        actor_name=row.created_by,
        facility_id=row.facility_id,
        max_attempts=load(session, DicomSettings).send_retries + 1,
    )


def waiting_of(session: Session, commitment_id: str) -> list[Reference]:
    """The objects of a request that have no answer yet."""
    found = node_queries.commitment_instances(session, commitment_id)
    return [Reference(one.sop_class_uid, one.sop_instance_uid) for one in found if one.state == WAITING]


def mark_requested(session: Session, commitment_id: str) -> None:
    """The node has taken the request: its answer is due within the time that is set. It may have come already."""
    row = session.get(Commitment, commitment_id)
    if row is not None and row.state == QUEUED:
        wait = load(session, DicomSettings).commitment_minutes
        row.state, row.attempts, row.error = WAITING, row.attempts + 1, None
        row.due_at = now() + timedelta(minutes=wait)


def ask_failed(session: Session, commitment_id: str, words: Phrase, final: bool) -> None:
    """The node could not be asked, or would not be; final: it is not tried again."""
    row = session.get(Commitment, commitment_id)
    if row is None or row.state != QUEUED:
        return
    row.error = words
    if final:
        _fail_request(session, row)


def take_report(database: Database, node_id: str, answer: References) -> None:
    """A node's report about a request of this station, see `record_answer`. An empty or repeated one takes no write
    lock: a node may send any number of them."""
    with database.read() as session:
        if request_asked(session, node_id, answer.transaction).state in (DONE, FAILED):
            return
    with database.write() as session:
        record_answer(session, node_id, answer)


def request_asked(session: Session, node_id: str, transaction: str) -> Commitment:
    """The request to that node with this Transaction UID. NotFound when it was not asked so."""
    row = node_queries.commitment_asked(session, node_id, transaction)
    if row is None:
        raise NotFound("This Transaction UID was not issued by this station.")
    return row


def record_answer(session: Session, node_id: str, answer: References) -> str:
    """A node's report about a request of this station; the id of the row. NotFound when that node was not asked so.
    Objects that the report does not name are not committed; objects that were not requested are ignored."""
    row = request_asked(session, node_id, answer.transaction)
    if row.state in (DONE, FAILED):
        return row.id  # repeated
    committed = {one.sop_instance for one in answer.objects}
    reasons = {one.sop_instance: one.reason for one in answer.failed}
    values = [
        {
            "id": row_id,
            "state": COMMITTED if uid in committed and uid not in reasons else FAILED,
            "reason": reasons.get(uid, None if uid in committed else PROCESSING_FAILURE),
        }
        for row_id, uid in node_queries.commitment_waiting(session, row.id)
    ]
    if values:
        session.execute(update(CommitmentInstance), values)
    _count(session, row)
    _conclude(session, row, DONE)
    return row.id


def is_overdue(session: Session) -> bool:
    """A look that takes no write lock."""
    return bool(node_queries.commitments_overdue(session, now()))


def retry_overdue(session: Session) -> int:
    """Requests that were not answered in time are repeated with another Transaction UID, or marked failed; how many."""
    found = node_queries.commitments_overdue(session, now())
    most = load(session, DicomSettings).send_retries + 1
    for row in found:
        row.error = phrase("The node did not answer the storage commitment request in time.")
        if row.attempts >= most:
            _fail_request(session, row)
        else:
            row.transaction_uid = uids.new_uid()
            _enqueue_ask(session, row)
    return len(found)


def prune(session: Session) -> int:
    """Forgets requests that ended longer ago than the transfer log is kept; how many."""
    limit = now() - timedelta(days=load(session, DicomSettings).log_days)
    expired = delete(Commitment).where(Commitment.finished_at < limit).returning(Commitment.id)
    return len(session.execute(expired).all())


def transfer_outcome(session: Session, transfer_id: str) -> CommitmentOutcome:
    """Result of the requests of a transfer; of an object asked about twice the last answer counts."""
    committed: set[str] = set()
    failed: dict[str, Phrase] = {}
    is_open = False
    for state, uid, reason, error in node_queries.commitment_results(session, transfer_id):
        committed.discard(uid)
        failed.pop(uid, None)
        if state == COMMITTED:
            committed.add(uid)
        elif state == FAILED:
            failed[uid] = words_of(reason, error)
        else:
            is_open = True
    return CommitmentOutcome(is_open, frozenset(committed), failed)


def discard_requests(session: Session, transfer_id: str) -> None:
    """The transfer is cancelled: its requests end, and a late answer is ignored."""
    for row in node_queries.commitments_of(session, transfer_id):
        if row.state in (QUEUED, WAITING):
            row.error = phrase("Cancelled")
            _fail_request(session, row)


# Both


def _count(session: Session, row: Commitment) -> None:
    states = node_queries.commitment_states(session, row.id)
    row.committed, row.failed = states.get(COMMITTED, 0), states.get(FAILED, 0)


def _fail_request(session: Session, row: Commitment) -> None:
    session.execute(
        update(CommitmentInstance)
        .where(CommitmentInstance.commitment_id == row.id, CommitmentInstance.state == WAITING)
        .values(state=FAILED)
    )
    _count(session, row)
    _conclude(session, row, FAILED)


def _conclude(session: Session, row: Commitment, state: str) -> None:
    row.state, row.finished_at, row.due_at = state, now(), None
    if state == DONE:
        row.error = None
    session.flush()
    payload = {"id": row.id, "role": row.role, "state": row.state, "committed": row.committed, "failed": row.failed}
    events.append(session, "commitment.changed", payload, facility_id=row.facility_id)
    audit.by(
        session,
        audit.Named(row.created_by, kind="node" if row.role == "scp" else "user"),
        "commitment.give" if row.role == "scp" else "commitment.get",
        "commitment",
        row.id,
        outcome="success" if state == DONE and not row.failed else "failure",
        facility_id=row.facility_id,
        detail={"transaction": row.transaction_uid, "committed": row.committed, "failed": row.failed},
    )


def words_of(reason: int | None, error: Phrase | None) -> Phrase:
    """Why an object was not committed, as people read it."""
    known = REASONS.get(reason) if reason is not None else None
    if known:
        return phrase("The node did not commit it: {why}.", why=known)
    if reason is not None:
        return phrase("The node did not commit it: reason {reason}.", reason=f"{reason:04X}")
    return error or phrase("The node did not commit it.")
