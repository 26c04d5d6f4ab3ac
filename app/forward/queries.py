"""The select statements about transfers, for pages and the REST interface."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from app import audit
from app.archive.models import Instance
from app.forward.models import Transfer, TransferInstance
from app.kit.errors import NotFound
from app.nodes.models import Node
from app.security.actor import Actor, may_see


def transfer(session: Session, actor: Actor, transfer_id: str) -> Transfer:
    found = session.get(Transfer, transfer_id)
    if found is None or not may_see(actor, found.facility_id):
        raise NotFound("There is no such transfer.")
    audit.record_study(found.study_instance_uid, found.facility_id)
    return found


def transfers(
    session: Session,
    actor: Actor,
    *,
    study: str | None = None,
    state: str | None = None,
    node_id: str | None = None,
    limit: int = 50,
    before: str | None = None,
) -> tuple[list[tuple[Transfer, str]], int]:
    """Newest first with the node's name, and how many there are. before: the last id of the page before."""
    query = select(Transfer, Node.name).join(Node, Node.id == Transfer.node_id)
    if not actor.sees_all:
        query = query.where(Transfer.facility_id == actor.facility_id)
    for column, value in (
        (Transfer.study_instance_uid, study),
        (Transfer.state, state),
        (Transfer.node_id, node_id),
    ):
        if value is not None:
            query = query.where(column == value)
    total = session.scalar(select(func.count()).select_from(query.with_only_columns(Transfer.id).subquery())) or 0
    if before:
        query = query.where(Transfer.id < before)
    rows = session.execute(query.order_by(Transfer.id.desc()).limit(limit)).all()
    return [(row[0], row[1]) for row in rows], total


def latest_of_studies(session: Session, actor: Actor, study_uids: Sequence[str]) -> list[tuple[Transfer, str]]:
    """For each of these studies and each node the newest transfer, with the node's name."""
    newest = (
        select(func.max(Transfer.id))
        .where(Transfer.study_instance_uid.in_(study_uids))
        .group_by(Transfer.study_instance_uid, Transfer.node_id)
    )
    query = select(Transfer, Node.name).join(Node, Node.id == Transfer.node_id).where(Transfer.id.in_(newest))
    if not actor.sees_all:
        query = query.where(Transfer.facility_id == actor.facility_id)
    return [(row[0], row[1]) for row in session.execute(query.order_by(func.lower(Node.name)))]


def transfers_since(session: Session, actor: Actor, since: datetime) -> list[tuple[Transfer, str]]:
    """Transfers made or ended since then, or under way, with the node's name; oldest first."""
    query = (
        select(Transfer, Node.name)
        .join(Node, Node.id == Transfer.node_id)
        .where((Transfer.created_at >= since) | (Transfer.finished_at >= since) | (Transfer.state == "running"))
        .order_by(Transfer.id)
    )
    if not actor.sees_all:
        query = query.where(Transfer.facility_id == actor.facility_id)
    return [(row[0], row[1]) for row in session.execute(query)]


def waiting(session: Session, transfer_id: str) -> list[tuple[int, Instance | None]]:
    """The transfer's instances that are still to be sent: (row id, archive row or None when it is gone)."""
    rows = session.execute(
        select(TransferInstance.id, Instance)
        .outerjoin(Instance, Instance.sop_instance_uid == TransferInstance.sop_instance_uid)
        .where(TransferInstance.transfer_id == transfer_id, TransferInstance.state == "waiting")
        .order_by(TransferInstance.id)
    ).all()
    return [(row[0], row[1]) for row in rows]


def instances(session: Session, transfer_id: str, limit: int, after: int = 0) -> list[TransferInstance]:
    """Those that failed first, then those with warnings, then the rest in sending order."""
    order = case({"failed": 0, "warned": 1}, value=TransferInstance.state, else_=2)
    return list(
        session.scalars(
            select(TransferInstance)
            .where(TransferInstance.transfer_id == transfer_id)
            .order_by(order, TransferInstance.id)
            .offset(after)
            .limit(limit)
        )
    )
