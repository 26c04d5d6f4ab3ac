"""Queries of the Incoming page: the newest arrivals, and how much came from whom, minute by minute. And what routing
asks: the objects of a study in the order they came."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import String, case, cast, func, select
from sqlalchemy.orm import Session

from app.archive.models import ArrivalSource, Instance, InstanceHeader, ObjectConflict, Series, Study
from app.archive.queries import visible_conflicts, visible_to
from app.security import Actor


@dataclass(frozen=True, slots=True)
class Minute:
    """Objects received from one source in one minute. minute: YYYY-MM-DDTHH:MM in UTC."""

    source: str
    minute: str
    instances: int
    bytes: int


def recent(session: Session, actor: Actor, *, state: str = "", limit: int = 60, offset: int = 0) -> list[Study]:
    """Studies by their last arrival, newest first. state: "receiving" or "settled"; empty asks for both."""
    query = select(Study).where(visible_to(actor))
    if state:
        query = query.where(Study.state == state)
    query = query.order_by(Study.last_received_at.desc(), Study.id.desc())
    return list(session.scalars(query.limit(limit).offset(offset)))


def count_since(session: Session, actor: Actor, since: datetime, *, state: str = "") -> int:
    """How many studies got something since then."""
    query = select(func.count()).select_from(Study).where(visible_to(actor), Study.last_received_at >= since)
    if state:
        query = query.where(Study.state == state)
    return session.scalar(query) or 0


def per_minute(session: Session, actor: Actor, since: datetime) -> list[Minute]:
    """Instances and bytes by sender and minute, for studies that got something since then."""
    if session.get_bind().dialect.name == "postgresql":
        minute = func.to_char(func.timezone("UTC", Instance.received_at), 'YYYY-MM-DD"T"HH24:MI')
    else:
        minute = func.strftime("%Y-%m-%dT%H:%M", Instance.received_at)
    bucket = cast(minute, String).label("minute")
    sender = case((ArrivalSource.calling_ae > "", ArrivalSource.calling_ae), else_=Study.source).label("sender")
    query = (
        select(sender, bucket, func.count(), func.sum(Instance.bytes))
        .join(Study, Study.id == Instance.study_pk)
        .outerjoin(ArrivalSource, ArrivalSource.id == Instance.source_pk)
        .where(visible_to(actor), Study.last_received_at >= since, Instance.received_at >= since)
        .group_by(sender, bucket)
        .order_by(sender, bucket)
    )
    return [Minute(row[0], row[1], row[2], int(row[3] or 0)) for row in session.execute(query)]


def open_conflicts_of(session: Session, actor: Actor, study_uids: Sequence[str]) -> dict[str, int]:
    """Study Instance UID -> open conflicts that this actor may see."""
    query = (
        select(ObjectConflict.study_instance_uid, func.count())
        .where(
            ObjectConflict.study_instance_uid.in_(study_uids), ObjectConflict.state == "open", visible_conflicts(actor)
        )
        .group_by(ObjectConflict.study_instance_uid)
    )
    return {row[0]: row[1] for row in session.execute(query)}


# -- for routing (FWD-2) ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StoredArrival:
    """A stored object with all that is known of it without opening its file."""

    instance: Instance
    series: Series
    study: Study
    source: ArrivalSource | None
    header: bytes  # as `dicom.kept` packs it


def stored(session: Session, study_instance_uid: str, between: tuple[int, int] | None = None) -> list[StoredArrival]:
    """The objects of a study in the order they came; between: only those with numbers from the first to the second."""
    query = (
        select(Instance, Series, Study, ArrivalSource, InstanceHeader.raw)
        .select_from(Study)
        .join(Series, Series.study_pk == Study.id)
        .join(Instance, Instance.series_pk == Series.id)
        .join(InstanceHeader, InstanceHeader.instance_pk == Instance.id)
        .outerjoin(ArrivalSource, ArrivalSource.id == Instance.source_pk)
        .where(Study.study_instance_uid == study_instance_uid)
        .order_by(Instance.id)
    )
    if between:
        query = query.where(Instance.id.between(*between))
    return [StoredArrival(*row) for row in session.execute(query)]
