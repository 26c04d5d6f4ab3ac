"""The forward queue for pages and REST: transfers in lists, counts and rates of nodes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.archive.models import Study
from app.forward.models import Transfer, TransferInstance, TransferSlot
from app.forward.queue_queries import ACTIVE
from app.nodes.models import Node
from app.security.actor import Actor

_NOW = 6  # seconds: an older rate is not current


def rates(session: Session, actor: Actor, moment: datetime) -> dict[str, int]:
    """Node -> bytes a second that leave for it now. Of a node that several facilities share, a user sees only whether
    studies of the own facility are on their way."""
    query = (
        select(TransferSlot.node_id, func.sum(TransferSlot.rate))
        .where(TransferSlot.heartbeat_at > moment - timedelta(seconds=_NOW))
        .group_by(TransferSlot.node_id)
    )
    if not actor.sees_all:
        others = select(Transfer.node_id).where(
            Transfer.state == "running", Transfer.facility_id.is_distinct_from(actor.facility_id)
        )
        query = query.where(TransferSlot.node_id.not_in(others))
    return {row[0]: int(row[1]) for row in session.execute(query)}


def states_of_nodes(session: Session, actor: Actor) -> dict[str, dict[str, int]]:
    """Node -> state -> (transfers); for the lines of the pages. Only what has not ended well."""
    query = (
        select(Transfer.node_id, Transfer.state, func.count())
        .where(Transfer.state.in_((*ACTIVE, "failed")))
        .group_by(Transfer.node_id, Transfer.state)
    )
    if not actor.sees_all:
        query = query.where(Transfer.facility_id == actor.facility_id)
    found: dict[str, dict[str, int]] = {}
    for node_id, state, number in session.execute(query):
        found.setdefault(node_id, {})[state] = number
    return found


def open_by_state(session: Session) -> dict[str, int]:
    """How many transfers wait, run or have failed (dead letters)."""
    rows = session.execute(
        select(Transfer.state, func.count()).where(Transfer.state.in_((*ACTIVE, "failed"))).group_by(Transfer.state)
    )
    return dict.fromkeys((*ACTIVE, "failed"), 0) | {row[0]: row[1] for row in rows}


@dataclass(frozen=True, slots=True)
class Listed:
    """A transfer as the list shows it. words: why the first of its failed objects was not taken."""

    transfer: Transfer
    node: Node
    study: Study | None
    words: str


def listed(
    session: Session,
    actor: Actor,
    *,
    states: Sequence[str],
    node_id: str | None = None,
    limit: int = 100,
    before: str | None = None,
) -> tuple[list[Listed], int]:
    """Newest first, and how many there are. before: the last id of the page before."""
    query = (
        select(Transfer, Node, Study)
        .join(Node, Node.id == Transfer.node_id)
        .outerjoin(Study, Study.study_instance_uid == Transfer.study_instance_uid)
        .where(Transfer.state.in_(states))
    )
    if not actor.sees_all:
        query = query.where(Transfer.facility_id == actor.facility_id)
    if node_id is not None:
        query = query.where(Transfer.node_id == node_id)
    total = session.scalar(select(func.count()).select_from(query.with_only_columns(Transfer.id).subquery())) or 0
    if before:
        query = query.where(Transfer.id < before)
    rows = session.execute(query.order_by(Transfer.id.desc()).limit(limit)).all()
    words = _first_words(session, [row[0].id for row in rows if row[0].failed])
    return [Listed(row[0], row[1], row[2], words.get(row[0].id, "")) for row in rows], total


def listed_transfer(session: Session, transfer: Transfer) -> Listed:
    """One transfer as the list shows it."""
    node = session.scalars(select(Node).where(Node.id == transfer.node_id)).one()
    study = session.scalar(select(Study).where(Study.study_instance_uid == transfer.study_instance_uid))
    return Listed(transfer, node, study, _first_words(session, [transfer.id]).get(transfer.id, ""))


def _first_words(session: Session, transfer_ids: Sequence[str]) -> dict[str, str]:
    first = (
        select(func.min(TransferInstance.id))
        .where(
            TransferInstance.transfer_id.in_(transfer_ids),
            TransferInstance.state == "failed",
            TransferInstance.message.is_not(None),
        )
        .group_by(TransferInstance.transfer_id)
    )
    rows = session.execute(
        select(TransferInstance.transfer_id, TransferInstance.message).where(TransferInstance.id.in_(first))
    )
    return {row[0]: row[1] or "" for row in rows}
