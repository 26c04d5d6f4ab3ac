"""Database operations of lanes: take a slot, take objects, write answers down, give back. Each verb runs in the
caller's short transaction; none is open while the network is waited for.

A slot is one association that a node allows (option `parallel`). Objects that a lane has in its hands carry the slot's
number, so that several lanes share one study, and what a dead worker held can be found and given back."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import bindparam, delete, select, update
from sqlalchemy.orm import Session

from app.archive import holds
from app.forward import queue_queries, transfer_events
from app.forward.journal import DeliveryAnswer
from app.forward.models import Transfer, TransferInstance, TransferSlot
from app.forward.queue_queries import ACTIVE, WaitingObject
from app.forward.schedule import after_fault, in_window
from app.kit.clock import now
from app.kit.phrases import Phrase, phrase
from app.network.settings import DicomSettings
from app.nodes import commitment, options, service
from app.nodes.models import Node
from app.security.actor import SYSTEM
from app.settings import load

QUEUED, RUNNING, DONE, FAILED, CANCELLED = "queued", "running", "done", "failed", "cancelled"
WAITING, SENT, WARNED, REFUSED, THERE = "waiting", "sent", "warned", "failed", "there"
SILENT = timedelta(seconds=30)  # a slot without a sign of life for so long is taken away

_rows = TransferInstance.__table__


@dataclass(frozen=True, slots=True)
class Slot:
    """A slot that this process has."""

    node_id: str
    number: int
    owner: str


@dataclass(frozen=True, slots=True)
class ClaimedBatch:
    """The next work of a lane. may_send: the node still wants anything; share: of how many open associations this is
    one; rows: the objects it now has in its hands."""

    may_send: bool
    node: Node | None
    settings: DicomSettings
    share: int
    rows: list[WaitingObject]


def may_send(node: Node | None, moment: datetime) -> bool:
    """Whether the node is to be sent anything at this moment: switched on, not paused, within its hours."""
    if node is None or not node.enabled:
        return False
    set_to = options.node_options(node)
    return not set_to.paused and in_window(set_to.window, moment)


def _locked(session: Session, node_id: str) -> Node | None:
    """The node's row, so that lanes of several processes choose one after another (SQLite has one writer anyway)."""
    return session.scalar(select(Node).where(Node.id == node_id).with_for_update())


def take_slot(session: Session, node_id: str, owner: str) -> Slot | None:
    """A free slot of the node; None when all are taken or nothing may be sent to it now."""
    node = _locked(session, node_id)
    if node is None or not may_send(node, now()):
        return None
    taken = {one.number for one in queue_queries.slots(session, node_id)}
    for number in range(options.node_options(node).parallel):
        if number not in taken:
            session.add(TransferSlot(node_id=node_id, number=number, owner=owner, heartbeat_at=now()))
            return Slot(node_id, number, owner)
    return None


def heartbeat(session: Session, rates: Mapping[Slot, int]) -> None:
    """Records that these lanes are alive, with their bytes per second."""
    for slot, rate in rates.items():
        session.execute(
            update(TransferSlot)
            .where(
                TransferSlot.node_id == slot.node_id,
                TransferSlot.number == slot.number,
                TransferSlot.owner == slot.owner,
            )
            .values(heartbeat_at=now(), rate=rate)
        )


def free_slot(session: Session, slot: Slot) -> bool:
    """Gives back the slot and what its lane still had in its hands; False when it was no longer that owner's."""
    freed = session.execute(
        delete(TransferSlot)
        .where(
            TransferSlot.node_id == slot.node_id,
            TransferSlot.number == slot.number,
            TransferSlot.owner == slot.owner,
        )
        .returning(TransferSlot.number)
    ).all()
    if not freed:
        return False
    active = select(Transfer.id).where(Transfer.node_id == slot.node_id, Transfer.state.in_((*ACTIVE, CANCELLED)))
    session.execute(
        update(TransferInstance)
        .where(
            TransferInstance.slot == slot.number,
            TransferInstance.state == WAITING,
            TransferInstance.transfer_id.in_(active),
        )
        .values(slot=None)
    )
    return True


def claim(session: Session, slot: Slot, most: int) -> ClaimedBatch:
    """Takes the next objects of the node, at most `most`; none when it may not be sent to any more or the slot was
    taken away."""
    node = _locked(session, slot.node_id)
    taken = queue_queries.slots(session, slot.node_id)
    owns_slot = any(one.number == slot.number and one.owner == slot.owner for one in taken)
    settings = load(session, DicomSettings)
    if node is None or not owns_slot or not may_send(node, now()) or slot.number >= options.node_options(node).parallel:
        return ClaimedBatch(False, node, settings, 1, [])
    rows = queue_queries.next_objects(session, slot.node_id, now(), most)
    if rows:
        session.execute(
            update(TransferInstance).where(TransferInstance.id.in_([row.id for row in rows])).values(slot=slot.number)
        )
        for transfer in queue_queries.by_id(session, {row.transfer_id for row in rows}):
            if transfer.state == QUEUED:
                transfer.state, transfer.attempts = RUNNING, transfer.attempts + 1
                transfer_events.publish_change(session, transfer)
    return ClaimedBatch(True, node, settings, max(len(taken), 1), rows)


def release_claimed(session: Session, row_ids: Sequence[int]) -> None:
    """Objects that a lane took and did not send wait again."""
    if row_ids:
        session.execute(
            update(TransferInstance)
            .where(TransferInstance.id.in_(row_ids), TransferInstance.state == WAITING)
            .values(slot=None)
        )


def record_answers(session: Session, answers: Sequence[DeliveryAnswer]) -> None:
    """Writes answers down, and ends the transfers that have none to wait for. An answer for a row that does not wait any
    more is passed over: written twice (from a journal) it is the same."""
    if not answers:
        return
    session.execute(
        update(_rows)  # type: ignore[arg-type]
        .where(_rows.c.id == bindparam("row_id"), _rows.c.state == WAITING)
        .values(
            state=bindparam("new_state"),
            status=bindparam("new_status"),
            message=bindparam("new_message"),
            slot=None,
        ),
        [
            {
                "row_id": one.row_id,
                "new_state": one.state,
                "new_status": one.status,
                "new_message": one.message,
            }
            for one in answers
        ],
    )
    moved = [one.row_id for one in answers if one.state in (SENT, WARNED, THERE)]
    touched = queue_queries.transfers_of_rows(session, [one.row_id for one in answers])
    went = queue_queries.transfers_of_rows(session, moved) if moved else set()
    found = _counted(session, touched)
    nodes = queue_queries.nodes_by_id(session, {one.node_id for one in found})
    with session.no_autoflush:  # many small transfers end together: one statement for all, not one for each
        done: list[Transfer] = []
        for transfer in found:
            if transfer.id in went and transfer.state in ACTIVE:
                transfer.faults, transfer.error = 0, None
                transfer.unreached, transfer.woken_from = False, None
            if _is_done(transfer) and not _to_commit(session, transfer, nodes[transfer.node_id]):
                _complete(transfer)
                done.append(transfer)
        _release(session, done)
        for transfer in found:
            transfer_events.publish_change(session, transfer)


def _counted(session: Session, transfer_ids: Collection[str]) -> list[Transfer]:
    """These transfers with their counters as their rows are."""
    found = queue_queries.by_id(session, transfer_ids)
    counts = queue_queries.counts(session, [one.id for one in found])
    for transfer in found:
        of = counts[transfer.id]
        transfer.sent, transfer.warned, transfer.failed = (of.get(s, 0) for s in (SENT, WARNED, REFUSED))
        transfer.there, transfer.committed = of.get(THERE, 0), of.get("committed", 0)
        transfer.total = sum(number for state, number in of.items() if state != "committed")
    return found


def _is_done(transfer: Transfer) -> bool:
    """Every object has its answer (the counters are fresh), and the transfer is not yet marked."""
    left = transfer.total - transfer.sent - transfer.warned - transfer.failed - transfer.there
    return transfer.state in ACTIVE and not transfer.committing and left <= 0


def _to_commit(session: Session, transfer: Transfer, node: Node) -> bool:
    """Has the node asked to commit what it took, where it is set so; False when there is nothing to ask."""
    if not options.node_options(node).commitment or options.node_options(node).protocol != "dicom":
        return False
    objects = queue_queries.sent_objects(session, transfer.id)
    if not objects:
        return False
    commitment.request(
        session, SYSTEM, transfer.node_id, objects, transfer_id=transfer.id, facility_id=transfer.facility_id
    )
    transfer.state, transfer.committing = RUNNING, True
    return True


def _complete_if_done(session: Session, transfer: Transfer, node: Node) -> None:
    if _is_done(transfer) and not _to_commit(session, transfer, node):
        complete_transfer(session, transfer)


def complete_transfer(session: Session, transfer: Transfer) -> None:
    """All objects have their answer: done, or failed with the number of objects that were not accepted."""
    _complete(transfer)
    _release(session, [transfer])


def _complete(transfer: Transfer) -> None:
    failed = transfer.failed
    transfer.state, transfer.committing, transfer.finished_at = FAILED if failed else DONE, False, now()
    transfer.error = (
        phrase("{failed:n} of {total:n} objects were not taken.", failed=failed, total=transfer.total)
        if failed
        else None
    )


def _release(session: Session, ended: Iterable[Transfer]) -> None:
    """Objects that have arrived are no longer held; what has not, is."""
    arrived = [one for one in ended if one.state == DONE]
    holds.release_all(session, {one.study_instance_uid for one in arrived}, {hold_name(one) for one in arrived})


def hold_name(transfer: Transfer) -> str:
    """Under which name the transfer holds its study (archive/holds.py)."""
    return f"transfer:{transfer.id}"


def apply_commitments(session: Session) -> int:
    """Ends the transfers whose objects the node has committed, or will not; how many."""
    count = 0
    for transfer in queue_queries.committing(session):
        found = commitment.transfer_outcome(session, transfer.id)
        if found.open:
            continue
        rows = queue_queries.sent_rows(session, transfer.id, sorted(found.committed | found.failed.keys()))
        for uid, row in rows.items():
            if uid in found.committed:
                row.committed = True
            elif row.state in (SENT, WARNED, THERE) and not row.committed:
                row.state, row.message = REFUSED, found.failed[uid]
        session.flush()
        _counted(session, {transfer.id})
        complete_transfer(session, transfer)
        transfer_events.publish_change(session, transfer)
        count += 1
    return count


def record_fault(
    session: Session, slot: Slot, words: Phrase, in_flight: Iterable[int], *, unreached: bool = True
) -> None:
    """The peer broke off, or could not be reached. in_flight: the rows whose objects were on their way: only their
    transfers are held up, and these objects go last from now on. None: every transfer that is due shares the try, unless
    another lane works, which shows that the node does. unreached: there was no way to it, rather than that it wanted
    nothing now."""
    node = _locked(session, slot.node_id)
    if node is None:
        return
    row_ids = list(in_flight)
    set_to, settings = options.node_options(node), load(session, DicomSettings)
    retries = settings.send_retries if set_to.retries is None else set_to.retries
    if row_ids:
        session.execute(
            update(TransferInstance)
            .where(TransferInstance.id.in_(row_ids), TransferInstance.state == WAITING)
            .values(tries=TransferInstance.tries + 1)
        )
        if not set_to.retry_forever:
            poison = (TransferInstance.id.in_(row_ids), TransferInstance.tries > retries)
            session.execute(
                update(TransferInstance)
                .where(*poison, TransferInstance.state == WAITING)
                .values(state=REFUSED, message=words, slot=None)
            )
        touched = _counted(session, queue_queries.transfers_of_rows(session, row_ids))
    else:
        others = [one for one in queue_queries.slots(session, slot.node_id) if one.number != slot.number]
        touched = [] if others else queue_queries.stalled(session, slot.node_id, now(), slot.number)
    for transfer in touched:
        _hold_up(session, transfer, node, words, retries, unreached and not row_ids)
    service.record_outcome(session, node.id, words)


def record_crash(session: Session, slot: Slot, keys: Collection[str]) -> None:
    """The worker of this slot died, and these objects (derived.key_of) were under its codecs: each has cost a try and
    goes last from now on. Once its tries are used up only this object is marked failed, also with `retry_forever`: it
    would take everything else down with it (OPS-8)."""
    node = _locked(session, slot.node_id)
    rows = [row for row in queue_queries.slot_objects(session, slot.node_id, slot.number) if row.key in keys]
    if node is None or not rows:
        return
    tries = options.node_options(node).retries
    retries = load(session, DicomSettings).send_retries if tries is None else tries
    of_slot = TransferInstance.id.in_([row.id for row in rows])
    session.execute(update(TransferInstance).where(of_slot).values(tries=TransferInstance.tries + 1))
    words = phrase("The worker stopped each time it converted this object.")
    given_up = session.execute(
        update(TransferInstance)
        .where(of_slot, TransferInstance.tries > retries)
        .values(state=REFUSED, message=words, slot=None)
        .returning(TransferInstance.id)
    ).all()
    if given_up:
        for transfer in _counted(session, {row.transfer_id for row in rows}):
            _complete_if_done(session, transfer, node)
            transfer_events.publish_change(session, transfer)


def _hold_up(session: Session, transfer: Transfer, node: Node, words: Phrase, retries: int, unreached: bool) -> None:
    """One try of the transfer has failed: it waits for the next, or is a dead letter. One that was early, since the node
    seemed to live (waking.py), costs nothing."""
    if transfer.state not in ACTIVE:
        return
    planned, transfer.woken_from, transfer.unreached = transfer.woken_from, None, unreached
    if unreached and planned is not None and planned > now():
        transfer.state, transfer.run_after, transfer.error = QUEUED, planned, words
        transfer_events.publish_change(session, transfer)
        return
    transfer.faults += 1
    then = after_fault(transfer.faults, retries, options.node_options(node).retry_forever)
    transfer.error = words
    if then.over:
        session.execute(
            update(TransferInstance)
            .where(TransferInstance.transfer_id == transfer.id, TransferInstance.state == WAITING)
            .values(state=REFUSED, message=words, slot=None)
        )
        session.flush()
        _counted(session, {transfer.id})
        transfer.state, transfer.finished_at, transfer.committing = FAILED, now(), False
    else:
        transfer.state, transfer.run_after = QUEUED, now() + then.pause
        _complete_if_done(session, transfer, node)  # the object in flight was the last one, and it is marked failed
    transfer_events.publish_change(session, transfer)


def stopped_transfers(session: Session, transfer_ids: Collection[str]) -> set[str]:
    """Which of these transfers are not to be gone on with: cancelled, or gone."""
    active = queue_queries.active_among(session, transfer_ids)
    return set(transfer_ids) - active
