"""Sending studies on: durable rows, one transfer for each study, destination and source, one row for each object (FWD-2).

The worker's lanes (forwarder.py) take the objects from here."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import insert, update
from sqlalchemy.orm import Session

from app import audit
from app.archive import holds
from app.archive.models import Study
from app.forward import queries as transfer_queries
from app.forward import queue_queries, transfer_events
from app.forward.claims import (
    CANCELLED,
    DONE,
    FAILED,
    QUEUED,
    REFUSED,
    RUNNING,
    SENT,
    THERE,
    WAITING,
    WARNED,
    hold_name,
)
from app.forward.delivery import Proof, delivered
from app.forward.derived import Derived
from app.forward.models import Transfer, TransferInstance
from app.kit import queue_priority
from app.kit.clock import now
from app.kit.errors import Conflict, Invalid
from app.kit.ids import new_id
from app.kit.phrases import phrase
from app.nodes import commitment, options
from app.nodes import queries as node_queries
from app.nodes.models import Node
from app.security.actor import Actor, require
from app.security.verbs import Verb

CURRENT = "current"  # the saved version of a study; there is no other yet
MANY = 10_000  # transfers that one click retries


def create_transfer(
    session: Session,
    actor: Actor,
    study_instance_uid: str,
    node_name: str,
    sop_instance_uids: Sequence[str] | None = None,
    priority: int | None = None,
    version: str = CURRENT,
    source: str = "",
) -> Transfer:
    """Queues the study as it is now, or these objects of it, for a node.

    priority: 0 to 9, a higher number is first; None as the node is set. version: the saved one. source: "" for a
    person; a route passes its id and adds later objects by `append`. NotFound, Conflict (node switched off, nothing to
    send) or Invalid."""
    require(actor, Verb.STUDY_SEND)
    node = node_queries.node(session, actor, node_name)
    study = node_queries.study(session, actor, study_instance_uid)
    _check(node, priority, version)
    there = node_queries.instance_uids(session, study.id)
    wanted = there if sop_instance_uids is None else _filter_existing(there, sop_instance_uids)
    if not wanted:
        raise Conflict("This study has no objects to send.")
    transfer = _made(session, actor, node, study, priority, source)
    _add(session, transfer, wanted)
    transfer_events.publish_change(session, transfer)
    return transfer


def append(
    session: Session,
    actor: Actor,
    study_instance_uid: str,
    node_name: str,
    sop_instance_uids: Sequence[str],
    *,
    source: str,
    priority: int | None = None,
    again: bool = False,
    made: Derived | None = None,
) -> Transfer:
    """Adds newly arrived objects to the transfer of this study, node and source, which goes on even when it was done;
    the first ones make it. What is in it already is not sent twice, unless `again` is set because it has changed. made:
    what leaves in place of the stored objects. Cheap: a few statements for a batch of any size. The same faults as
    create_transfer."""
    require(actor, Verb.STUDY_SEND)
    node = node_queries.node(session, actor, node_name)
    study = node_queries.study(session, actor, study_instance_uid)
    _check(node, priority, CURRENT)
    uids = list(dict.fromkeys(sop_instance_uids))
    transfer = queue_queries.open_transfer(session, node.id, study_instance_uid, source)
    if transfer is None:
        transfer = _made(session, actor, node, study, priority, source)
        known: dict[str, TransferInstance] = {}
    else:
        known = queue_queries.rows_of_objects(session, transfer.id, uids)
    changed = [row.id for row in known.values() if again and row.state != WAITING]
    if changed:
        _wait_again(session, changed)
    for uid, row in known.items():
        row.derived_id = made.get(uid) if made and row.id in changed else row.derived_id
    fresh = [uid for uid in uids if uid not in known]
    if fresh:
        _add(session, transfer, fresh, made)
    if fresh or changed:
        _wake(session, transfer)
        transfer_events.publish_change(session, transfer)
    return transfer


def _check(node: Node, priority: int | None, version: str) -> None:
    if not node.enabled:
        raise Conflict(
            phrase("The node {name} is switched off.", name=node.name), hint="Switch it on under Settings, Nodes."
        )
    if "store" not in options.node_options(node).capabilities:
        raise Invalid(
            phrase("The node {name} is not set to store.", name=node.name), field="node", hint="Tick Store in its form."
        )
    if priority is not None:
        _check_priority(priority)
    if version != CURRENT:
        raise Invalid("There is no such version of the study.", field="version")


def _check_priority(priority: int) -> None:
    if not queue_priority.LOWEST <= priority <= queue_priority.HIGHEST:
        raise Invalid("A priority is a number from 0 to 9; a higher number is first.", field="priority")


def _filter_existing(there: Sequence[str], wanted: Sequence[str]) -> list[str]:
    """Those that are in the study, in its order; what is not there (any more) is passed over."""
    chosen = set(wanted)
    return [uid for uid in there if uid in chosen]


def _made(session: Session, actor: Actor, node: Node, study: Study, priority: int | None, source: str) -> Transfer:
    transfer = Transfer(
        id=new_id(),
        node_id=node.id,
        study_instance_uid=study.study_instance_uid,
        facility_id=study.facility_id,
        source=source,
        state=QUEUED,
        priority=options.node_options(node).priority if priority is None else priority,
        run_after=now(),
        total=0,
        sent=0,
        warned=0,
        failed=0,
        there=0,
        committed=0,
        faults=0,
        unreached=False,
        attempts=0,
        created_by=actor.name,
        created_at=now(),
    )
    session.add(transfer)
    session.flush()
    holds.hold(session, transfer.study_instance_uid, hold_name(transfer))
    _record(session, actor, transfer, Verb.STUDY_SEND, node.name)
    return transfer


def _add(session: Session, transfer: Transfer, uids: Sequence[str], made: Derived | None = None) -> None:
    of = made or {}
    rows = [{"transfer_id": transfer.id, "sop_instance_uid": uid, "derived_id": of.get(uid)} for uid in uids]
    session.execute(insert(TransferInstance), rows)
    transfer.total += len(uids)


def _wake(session: Session, transfer: Transfer) -> None:
    """More is to be sent: one that ended goes on; one that waits for its pause keeps its pause."""
    if transfer.committing:
        commitment.discard_requests(session, transfer.id)
    if transfer.state in (DONE, FAILED) or transfer.committing:
        _reset_tries(transfer)
        transfer.committing = False
        holds.hold(session, transfer.study_instance_uid, hold_name(transfer))
    session.flush()
    _recount(session, transfer)


def _reset_tries(transfer: Transfer) -> None:
    """It begins anew, with all its tries."""
    transfer.state, transfer.run_after, transfer.faults = QUEUED, now(), 0
    transfer.error, transfer.finished_at = None, None
    transfer.unreached, transfer.woken_from = False, None


def _wait_again(session: Session, row_ids: Sequence[int]) -> None:
    session.execute(
        update(TransferInstance)
        .where(TransferInstance.id.in_(row_ids))
        .values(state=WAITING, status=None, message=None, tries=0, committed=False)
    )


def _recount(session: Session, transfer: Transfer) -> None:
    of = queue_queries.counts(session, [transfer.id])[transfer.id]
    transfer.sent, transfer.warned, transfer.failed = (of.get(s, 0) for s in (SENT, WARNED, REFUSED))
    transfer.there, transfer.committed = of.get(THERE, 0), of.get("committed", 0)


def cancel_transfer(session: Session, actor: Actor, transfer_id: str) -> Transfer:
    """Stops what has not ended; what the peer has already taken stays there and is marked so."""
    transfer = _locked_transfer(session, actor, transfer_id)
    if transfer.state not in queue_queries.ACTIVE:
        raise Conflict("This transfer has already ended.", hint="Nothing to cancel.")
    _end(session, transfer)
    _record(session, actor, transfer, "transfer.cancel")
    return transfer


def drop_transfer(session: Session, actor: Actor, transfer_id: str) -> Transfer:
    """Drops a failed transfer: it leaves the list, and holds its study no more. What arrived stays marked so."""
    transfer = _locked_transfer(session, actor, transfer_id)
    if transfer.state != FAILED:
        raise Conflict("Only a failed transfer can be dropped.", hint="Stop it first.")
    _end(session, transfer)
    _record(session, actor, transfer, "transfer.drop")
    return transfer


def _end(session: Session, transfer: Transfer) -> None:
    commitment.discard_requests(session, transfer.id)
    transfer.state, transfer.finished_at, transfer.committing = CANCELLED, now(), False
    holds.release(session, transfer.study_instance_uid, hold_name(transfer))
    transfer_events.publish_change(session, transfer)


def retry_transfer(session: Session, actor: Actor, transfer_id: str) -> Transfer:
    """Sends again what has not arrived; what has is not sent twice. One that waits for its pause goes now. Conflict when
    nothing is left or it still runs."""
    transfer = _locked_transfer(session, actor, transfer_id)
    if transfer.state == QUEUED and transfer.run_after > now():
        transfer.run_after, transfer.woken_from = now(), None
    elif transfer.state in (FAILED, CANCELLED):
        _resume(session, transfer)
    else:
        raise Conflict("Only a failed or stopped transfer can be sent again.", hint="Wait until it ends.")
    _record(session, actor, transfer, "transfer.retry")
    return transfer


def _resume(session: Session, transfer: Transfer) -> None:
    session.execute(
        update(TransferInstance)
        .where(TransferInstance.transfer_id == transfer.id, TransferInstance.state == REFUSED)
        .values(state=WAITING, status=None, message=None, tries=0)
    )
    _recount(session, transfer)
    if transfer.sent + transfer.warned + transfer.there == transfer.total:
        raise Conflict("Everything in this transfer has arrived.", hint="Send the study again if it has changed.")
    _reset_tries(transfer)
    holds.hold(session, transfer.study_instance_uid, hold_name(transfer))
    transfer_events.publish_change(session, transfer)


def retry_many(
    session: Session, actor: Actor, *, ids: Sequence[str] | None = None, node_name: str | None = None
) -> int:
    """Sends all dead letters again, and at once what waits for its next try: those of `ids`, of a node, or (neither
    given) all the actor sees; how many. A user who chooses "Retry all" after an outage means the whole queue."""
    found = _failed(session, actor, ids, node_name)
    for transfer in found:
        _resume(session, transfer)
    paused = _pausing(session, actor, ids, node_name)
    for transfer in paused:
        transfer.run_after, transfer.woken_from = now(), None
        transfer_events.publish_change(session, transfer)
    _record_many(session, actor, "transfer.retry", [*found, *paused], node_name)
    return len(found) + len(paused)


def cancel_many(session: Session, actor: Actor, ids: Sequence[str]) -> int:
    """Stops those of them that have not ended; how many."""
    require(actor, Verb.STUDY_SEND)
    found = queue_queries.visible_transfers(session, actor, ids=ids, node_id=None, states=queue_queries.ACTIVE)
    for transfer in found:
        _end(session, transfer)
    _record_many(session, actor, "transfer.cancel", found, None)
    return len(found)


def drop_many(session: Session, actor: Actor, *, ids: Sequence[str] | None = None, node_name: str | None = None) -> int:
    """Drops failed transfers, chosen as in retry_many; how many."""
    found = _failed(session, actor, ids, node_name)
    for transfer in found:
        _end(session, transfer)
    _record_many(session, actor, "transfer.drop", found, node_name)
    return len(found)


def _failed(session: Session, actor: Actor, ids: Sequence[str] | None, node_name: str | None) -> list[Transfer]:
    require(actor, Verb.STUDY_SEND)
    node_id = node_queries.node(session, actor, node_name).id if node_name else None
    return queue_queries.visible_transfers(session, actor, ids=ids, node_id=node_id, states=(FAILED,))[:MANY]


def _pausing(session: Session, actor: Actor, ids: Sequence[str] | None, node_name: str | None) -> list[Transfer]:
    """Those that a fault has held up until a later moment."""
    node_id = node_queries.node(session, actor, node_name).id if node_name else None
    waiting = queue_queries.visible_transfers(
        session, actor, ids=ids, node_id=node_id, states=queue_queries.ACTIVE, after=now()
    )
    return waiting[:MANY]


def set_priority(session: Session, actor: Actor, transfer_id: str, priority: int) -> Transfer:
    """Changes the priority of the objects that are still to be sent: 0 to 9, a higher number is first."""
    transfer = _locked_transfer(session, actor, transfer_id)
    _check_priority(priority)
    if transfer.state not in queue_queries.ACTIVE:
        raise Conflict("This transfer has already ended.")
    transfer.priority = priority
    _record(session, actor, transfer, "transfer.priority")
    transfer_events.publish_change(session, transfer)
    return transfer


def _locked_transfer(session: Session, actor: Actor, transfer_id: str) -> Transfer:
    """The transfer, locked until the verb ends: a lane may be about to end it."""
    require(actor, Verb.STUDY_SEND)
    found = transfer_queries.transfer(session, actor, transfer_id)
    session.refresh(found, with_for_update=True)
    return found


def _record(session: Session, actor: Actor, transfer: Transfer, verb: str, node_name: str = "") -> None:
    detail: dict[str, Any] = {"transfer": transfer.id, "instances": transfer.total}
    if node_name:
        detail["node"] = node_name
    audit.by(
        session, actor, verb, "study", transfer.study_instance_uid, facility_id=transfer.facility_id, detail=detail
    )


def _record_many(
    session: Session, actor: Actor, verb: str, transfers: Sequence[Transfer], node_name: str | None
) -> None:
    audit.by(
        session,
        actor,
        verb,
        "node",
        node_name or "",
        detail={"transfers": [one.id for one in transfers[:100]], "count": len(transfers)},
    )


__all__ = [
    "CANCELLED",
    "DONE",
    "FAILED",
    "QUEUED",
    "RUNNING",
    "Proof",
    "append",
    "cancel_many",
    "cancel_transfer",
    "create_transfer",
    "delivered",
    "drop_many",
    "drop_transfer",
    "retry_many",
    "retry_transfer",
    "set_priority",
]
