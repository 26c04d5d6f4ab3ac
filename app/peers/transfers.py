"""Sending studies on: durable rows, one transfer for each study and destination, one row for each instance (FWD-2)."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import insert, update
from sqlalchemy.orm import Session

from app import audit, events, jobs
from app.jobs.models import Job
from app.kit.clock import now
from app.kit.errors import Conflict, Invalid
from app.kit.ids import new_id
from app.kit.phrases import phrase
from app.peers import options, queries
from app.peers.models import Transfer, TransferInstance
from app.peers.settings import DicomSettings
from app.security.actor import Actor, require
from app.security.verbs import Verb
from app.settings import load

KIND = "transfer.send"
QUEUED, RUNNING, DONE, FAILED, CANCELLED = "queued", "running", "done", "failed", "cancelled"
WAITING, SENT, WARNED, REFUSED = "waiting", "sent", "warned", "failed"


def create_transfer(
    session: Session,
    actor: Actor,
    study_instance_uid: str,
    node_name: str,
    sop_instance_uids: Sequence[str] | None = None,
) -> Transfer:
    """Queues the study, as it is now, for a node, or only the objects named. NotFound, Conflict (node switched off) or
    Invalid."""
    require(actor, Verb.STUDY_SEND)
    node = queries.node(session, actor, node_name)
    study = queries.study(session, actor, study_instance_uid)
    if not node.enabled:
        raise Conflict(
            phrase("The node {name} is switched off.", name=node.name), hint="Switch it on under Settings, Nodes."
        )
    if "store" not in options.of(node).capabilities:
        raise Invalid(
            phrase("The node {name} is not set to store.", name=node.name), field="node", hint="Tick Store in its form."
        )
    uids = queries.instance_uids(session, study.id)
    if sop_instance_uids is not None:
        wanted = set(sop_instance_uids)
        uids = [uid for uid in uids if uid in wanted]
    if not uids:
        raise Conflict("This study has no objects to send.")
    transfer = Transfer(
        id=new_id(),
        job_id="",
        node_id=node.id,
        study_instance_uid=study_instance_uid,
        facility_id=study.facility_id,
        state=QUEUED,
        total=len(uids),
        created_by=actor.name,
        created_at=now(),
    )
    retries = load(session, DicomSettings).send_retries
    transfer.job_id = jobs.enqueue(
        session,
        KIND,
        {"transfer_id": transfer.id},
        actor_name=actor.name,
        facility_id=study.facility_id,
        max_attempts=retries + 1,
        total=len(uids),
    )
    session.add(transfer)
    session.flush()
    session.execute(insert(TransferInstance), [{"transfer_id": transfer.id, "sop_instance_uid": uid} for uid in uids])
    _record(session, actor, transfer, Verb.STUDY_SEND, node.name)
    tell(session, transfer)
    return transfer


def cancel_transfer(session: Session, actor: Actor, transfer_id: str) -> Transfer:
    """Stops what has not ended; what the peer has already taken stays there and is marked so."""
    transfer = _own(session, actor, transfer_id)
    jobs.cancel(session, transfer.job_id)
    transfer.state, transfer.finished_at = CANCELLED, now()
    _record(session, actor, transfer, "transfer.cancel")
    tell(session, transfer)
    return transfer


def retry_transfer(session: Session, actor: Actor, transfer_id: str) -> Transfer:
    """Sends again what has not arrived; what has is not sent twice. Conflict when nothing is left or it still runs."""
    transfer = _own(session, actor, transfer_id)
    jobs.retry(session, transfer.job_id)
    session.execute(
        update(TransferInstance)
        .where(TransferInstance.transfer_id == transfer.id, TransferInstance.state == REFUSED)
        .values(state=WAITING, status=None, message=None)
    )
    transfer.state, transfer.error, transfer.failed, transfer.finished_at = QUEUED, None, 0, None
    _record(session, actor, transfer, "transfer.retry")
    tell(session, transfer)
    return transfer


def _own(session: Session, actor: Actor, transfer_id: str) -> Transfer:
    require(actor, Verb.STUDY_SEND)
    return queries.transfer(session, actor, transfer_id)


def _record(session: Session, actor: Actor, transfer: Transfer, verb: str, node_name: str = "") -> None:
    detail: dict[str, Any] = {"transfer": transfer.id, "instances": transfer.total}
    if node_name:
        detail["node"] = node_name
    audit.record(
        session,
        actor_name=actor.name,
        actor_kind=actor.kind,
        verb=verb,
        thing="study",
        thing_id=transfer.study_instance_uid,
        facility_id=transfer.facility_id,
        address=actor.address,
        detail=detail,
    )


def tell(session: Session, transfer: Transfer) -> None:
    """The event that moves the bars on the pages."""
    payload: dict[str, Any] = {
        "id": transfer.id,
        "state": transfer.state,
        "study_instance_uid": transfer.study_instance_uid,
    }
    payload |= {"sent": transfer.sent + transfer.warned, "failed": transfer.failed, "total": transfer.total}
    events.append(session, "transfer.changed", payload, facility_id=transfer.facility_id)


def state_of(session: Session, transfer: Transfer) -> tuple[str, str | None]:
    """State and error; a job that was given up with its worker speaks for its transfer."""
    job = session.get(Job, transfer.job_id)
    if job is not None and transfer.state in (QUEUED, RUNNING) and job.state in (FAILED, CANCELLED):
        return job.state, job.error or transfer.error
    return transfer.state, transfer.error


def transfer_json(session: Session, transfer: Transfer, node_name: str) -> dict[str, Any]:
    """A transfer as REST shows it (DESIGN part 2: long work)."""
    state, error = state_of(session, transfer)
    done = transfer.sent + transfer.warned + transfer.failed
    return {
        "id": transfer.id,
        "state": state,
        "progress": {"done": done, "total": transfer.total},
        "error": error,
        "study_instance_uid": transfer.study_instance_uid,
        "node": node_name,
        "sent": transfer.sent,
        "warned": transfer.warned,
        "failed": transfer.failed,
        "waiting": transfer.total - done,
        "attempts": transfer.attempts,
        "created_by": transfer.created_by,
        "created_at": transfer.created_at.isoformat(),
        "finished_at": transfer.finished_at and transfer.finished_at.isoformat(),
    }


def instance_json(row: TransferInstance) -> dict[str, Any]:
    return {
        "sop_instance_uid": row.sop_instance_uid,
        "state": row.state,
        "status": None if row.status is None else f"{row.status:04X}",
        "message": row.message,
    }
