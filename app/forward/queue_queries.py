"""Queries of the lanes and verbs of the forward queue; its display is in `queue_list`."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.archive.models import Instance, Series, Study
from app.forward import derived
from app.forward.models import DerivedObject, Transfer, TransferInstance, TransferSlot
from app.nodes.models import Commitment, Node
from app.security.actor import Actor

ACTIVE = ("queued", "running")
_AT_ONCE = 200  # transfers looked at together


@dataclass(frozen=True, slots=True)
class WaitingObject:
    """An object that waits: its row, its transfer, and which object it is."""

    id: int
    transfer_id: str
    study_instance_uid: str
    sop_instance_uid: str
    derived_id: int | None = None

    @property
    def key(self) -> str:
        """The key of derived.key_of."""
        return self.sop_instance_uid if self.derived_id is None else f"#{self.derived_id}"


def _free() -> Any:
    return (
        select(TransferInstance.id)
        .where(
            TransferInstance.transfer_id == Transfer.id,
            TransferInstance.state == "waiting",
            TransferInstance.slot.is_(None),
        )
        .exists()
    )


def _due(moment: datetime) -> tuple[Any, ...]:
    return (Transfer.state.in_(ACTIVE), Transfer.run_after <= moment, Transfer.committing.is_(False))


def due_nodes(session: Session, moment: datetime) -> list[Node]:
    """Nodes that have something to be sent now, whether or not they may be sent to."""
    ids = select(Transfer.node_id).where(*_due(moment), _free()).distinct()
    return list(session.scalars(select(Node).where(Node.id.in_(ids)).order_by(Node.id)))


def has_work(session: Session, node_id: str, moment: datetime) -> bool:
    query = select(Transfer.id).where(Transfer.node_id == node_id, *_due(moment), _free()).limit(1)
    return session.scalar(query) is not None


def next_objects(session: Session, node_id: str, moment: datetime, most: int) -> list[WaitingObject]:
    """The next objects for a node that no lane has: urgent transfers first, then older ones; within a transfer those
    that broke nothing yet. The transfers are walked by their index; only as many of them as are needed are opened."""
    found: list[WaitingObject] = []
    seen = 0
    while len(found) < most:
        some = session.execute(
            select(Transfer.id, Transfer.total - Transfer.sent - Transfer.warned - Transfer.failed - Transfer.there)
            .where(Transfer.node_id == node_id, *_due(moment))
            .order_by(Transfer.priority.desc(), Transfer.id)
            .offset(seen)
            .limit(_AT_ONCE)
        ).all()
        ids: list[str] = []
        left = 0
        for transfer_id, waiting in some:
            ids.append(transfer_id)
            left += max(waiting, 1)
            if left >= 2 * most:
                break
        seen += len(ids)
        found += _rows_of(session, ids, most - len(found))
        if len(some) < _AT_ONCE and len(ids) == len(some):
            break
    return found


def _rows() -> Any:
    """Columns of a Row."""
    return select(
        TransferInstance.id,
        Transfer.id,
        Transfer.study_instance_uid,
        TransferInstance.sop_instance_uid,
        TransferInstance.derived_id,
    ).join(Transfer, Transfer.id == TransferInstance.transfer_id)


def _rows_of(session: Session, transfer_ids: Sequence[str], most: int) -> list[WaitingObject]:
    rows = session.execute(
        _rows()
        .where(
            TransferInstance.transfer_id.in_(transfer_ids),
            TransferInstance.state == "waiting",
            TransferInstance.slot.is_(None),
        )
        .order_by(Transfer.priority.desc(), Transfer.id, TransferInstance.tries, TransferInstance.id)
        .limit(most)
    )
    return [WaitingObject(*row) for row in rows]


def slot_objects(session: Session, node_id: str, slot: int) -> list[WaitingObject]:
    """The objects that a slot of a node has in its hands."""
    rows = session.execute(
        _rows()
        .where(Transfer.node_id == node_id, Transfer.state.in_(ACTIVE))
        .where(TransferInstance.slot == slot, TransferInstance.state == "waiting")
    )
    return [WaitingObject(*row) for row in rows]


def objects(session: Session, wanted: Sequence[WaitingObject]) -> dict[str, Instance]:
    """The objects of these rows by their keys: the archive's rows as they are now, or what was made to leave in their
    place; those that are gone are missing."""
    uids = [row.sop_instance_uid for row in wanted if row.derived_id is None]
    found = {
        one.sop_instance_uid: one
        for one in session.scalars(select(Instance).where(Instance.sop_instance_uid.in_(uids)))
    }
    if made := [row.derived_id for row in wanted if row.derived_id is not None]:
        for one in derived.by_id(session, made).values():
            instance = derived.as_instance(one)
            found[derived.key_of(instance)] = instance
    return found


def series_of(session: Session, series_pks: Collection[int]) -> dict[int, str]:
    """Series Instance UID by key."""
    rows = session.execute(select(Series.id, Series.series_instance_uid).where(Series.id.in_(series_pks)))
    return {row[0]: row[1] for row in rows}


def object_addresses(session: Session, instances: Sequence[Instance]) -> dict[int, tuple[str, str, str]]:
    """Key of an object -> Patient ID, Study and Series Instance UID of the sent object."""
    found: dict[int, tuple[str, str, str]] = {}
    keys = [one.id for one in instances]
    for at in range(0, len(keys), 500):
        rows = session.execute(
            select(Instance.id, Study.patient_id, Study.study_instance_uid, Series.series_instance_uid)
            .join(Series, Series.id == Instance.series_pk)
            .join(Study, Study.id == Instance.study_pk)
            .where(Instance.id.in_(keys[at : at + 500]))
        )
        found |= {row[0]: (row[1], row[2], row[3]) for row in rows}
    for number, one in derived.by_id(session, [-key for key in keys if key < 0]).items():
        found[-number] = one.patient_id, one.study_instance_uid, one.series_instance_uid
    return found


def counts(session: Session, transfer_ids: Collection[str]) -> dict[str, dict[str, int]]:
    """Transfer -> state -> how many of its objects are in it; "committed" beside the states."""
    found: dict[str, dict[str, int]] = {one: {} for one in transfer_ids}
    rows = session.execute(
        select(TransferInstance.transfer_id, TransferInstance.state, TransferInstance.committed, func.count())
        .where(TransferInstance.transfer_id.in_(transfer_ids))
        .group_by(TransferInstance.transfer_id, TransferInstance.state, TransferInstance.committed)
    )
    for transfer_id, state, committed, number in rows:
        of = found[transfer_id]
        of[state] = of.get(state, 0) + number
        if committed:
            of["committed"] = of.get("committed", 0) + number
    return found


def transfers_of_rows(session: Session, row_ids: Sequence[int]) -> set[str]:
    return set(session.scalars(select(TransferInstance.transfer_id).where(TransferInstance.id.in_(row_ids)).distinct()))


def by_id(session: Session, transfer_ids: Collection[str]) -> list[Transfer]:
    """To be changed: locked in the order of their ids (PostgreSQL), so that counts are never of an older state."""
    query = select(Transfer).where(Transfer.id.in_(transfer_ids)).order_by(Transfer.id)
    return list(session.scalars(query.with_for_update().execution_options(populate_existing=True)))


def nodes_of(session: Session, transfer_ids: Collection[str]) -> dict[str, str]:
    """Transfer -> its node."""
    rows = session.execute(select(Transfer.id, Transfer.node_id).where(Transfer.id.in_(transfer_ids)))
    return {row[0]: row[1] for row in rows}


def active_among(session: Session, transfer_ids: Collection[str]) -> set[str]:
    """Those of them that have not ended."""
    return set(session.scalars(select(Transfer.id).where(Transfer.id.in_(transfer_ids), Transfer.state.in_(ACTIVE))))


def nodes_by_id(session: Session, node_ids: Collection[str]) -> dict[str, Node]:
    return {one.id: one for one in session.scalars(select(Node).where(Node.id.in_(node_ids)))}


def slots(session: Session, node_id: str) -> list[TransferSlot]:
    return list(session.scalars(select(TransferSlot).where(TransferSlot.node_id == node_id)))


def all_slots(session: Session) -> list[TransferSlot]:
    return list(session.scalars(select(TransferSlot)))


def stalled(session: Session, node_id: str, moment: datetime, slot: int) -> list[Transfer]:
    """Transfers that a fault of the destination as a whole has stopped: those that are due, but for those that another
    lane is busy with."""
    others = (
        select(TransferInstance.id)
        .where(
            TransferInstance.transfer_id == Transfer.id,
            TransferInstance.state == "waiting",
            TransferInstance.slot.is_not(None),
            TransferInstance.slot != slot,
        )
        .exists()
    )
    query = select(Transfer).where(Transfer.node_id == node_id, *_due(moment), ~others).order_by(Transfer.id)
    return list(session.scalars(query.with_for_update()))


def committing(session: Session) -> list[Transfer]:
    """Transfers that waited for nothing but storage commitment, and whose requests are all answered or failed. Those
    of a node that commits by night are passed over cheaply, however many they are."""
    is_open = select(Commitment.id).where(
        Commitment.transfer_id == Transfer.id, Commitment.state.in_(("queued", "waiting"))
    )
    query = select(Transfer).where(Transfer.state == "running", Transfer.committing.is_(True), ~is_open.exists())
    return list(session.scalars(query.order_by(Transfer.id)))


def sent_objects(session: Session, transfer_id: str) -> list[tuple[str, str]]:
    """(SOP class, SOP instance), as they left, of the objects that a transfer has delivered and no node has
    committed."""
    rows = session.execute(
        select(Instance.sop_class_uid, TransferInstance.sop_instance_uid, DerivedObject.sop_instance_uid)
        .join(Instance, Instance.sop_instance_uid == TransferInstance.sop_instance_uid)
        .outerjoin(DerivedObject, DerivedObject.id == TransferInstance.derived_id)
        .where(
            TransferInstance.transfer_id == transfer_id,
            TransferInstance.state.in_(("sent", "warned", "there")),
            TransferInstance.committed.is_(False),
        )
        .order_by(TransferInstance.id)
    )
    return [(row[0], row[2] or row[1]) for row in rows]


def sent_rows(session: Session, transfer_id: str, uids: Sequence[str]) -> dict[str, TransferInstance]:
    """The rows of a transfer by the SOP Instance UIDs that its objects left with."""
    rows = session.execute(
        select(TransferInstance, DerivedObject.sop_instance_uid)
        .outerjoin(DerivedObject, DerivedObject.id == TransferInstance.derived_id)
        .where(TransferInstance.transfer_id == transfer_id)
    )
    wanted, found = set(uids), {}
    for row, uid in rows:
        if (left := uid or row.sop_instance_uid) in wanted:
            found[left] = row
    return found


def open_transfer(session: Session, node_id: str, study_uid: str, source: str) -> Transfer | None:
    """The transfer that more objects of the study are added to: the newest of that node and source that was not
    stopped."""
    return session.scalar(
        select(Transfer)
        .where(
            Transfer.study_instance_uid == study_uid,
            Transfer.node_id == node_id,
            Transfer.source == source,
            Transfer.state != "cancelled",
        )
        .order_by(Transfer.id.desc())
        .limit(1)
        .with_for_update()
    )


def rows_of_objects(session: Session, transfer_id: str, uids: Sequence[str]) -> dict[str, TransferInstance]:
    found: dict[str, TransferInstance] = {}
    for at in range(0, len(uids), 500):
        rows = session.scalars(
            select(TransferInstance).where(
                TransferInstance.transfer_id == transfer_id,
                TransferInstance.sop_instance_uid.in_(uids[at : at + 500]),
            )
        )
        found |= {row.sop_instance_uid: row for row in rows}
    return found


def object_states(session: Session, transfer_ids: Sequence[str]) -> list[tuple[str, str, str, bool, str | None]]:
    """(transfer, object, state, committed, words) of all objects of these transfers."""
    rows = session.execute(
        select(
            TransferInstance.transfer_id,
            TransferInstance.sop_instance_uid,
            TransferInstance.state,
            TransferInstance.committed,
            TransferInstance.message,
        ).where(TransferInstance.transfer_id.in_(transfer_ids))
    )
    return [(row[0], row[1], row[2], row[3], row[4]) for row in rows]


def visible_transfers(
    session: Session,
    actor: Actor,
    *,
    ids: Sequence[str] | None,
    node_id: str | None,
    states: Sequence[str],
    after: datetime | None = None,
) -> list[Transfer]:
    """Transfers the actor may see in one of these states: those of `ids`, of a node, or all. after: only those that wait
    for a moment later than this."""
    query = select(Transfer).where(Transfer.state.in_(states)).order_by(Transfer.id).with_for_update()
    if not actor.sees_all:
        query = query.where(Transfer.facility_id == actor.facility_id)
    if ids is not None:
        query = query.where(Transfer.id.in_(ids))
    if node_id is not None:
        query = query.where(Transfer.node_id == node_id)
    if after is not None:
        query = query.where(Transfer.run_after > after)
    return list(session.scalars(query))
