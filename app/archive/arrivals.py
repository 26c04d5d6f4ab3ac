"""What the Incoming page asks: the newest arrivals, and how much came from whom, minute by minute."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import String, cast, func, select
from sqlalchemy.orm import Session

from app.archive.models import Conflict, Instance, Study
from app.archive.queries import visible
from app.security import Actor


@dataclass(frozen=True, slots=True)
class Minute:
    """What one source sent in one minute. minute: YYYY-MM-DDTHH:MM in UTC."""

    source: str
    minute: str
    instances: int
    bytes: int


def recent(session: Session, actor: Actor, *, state: str = "", limit: int = 60, offset: int = 0) -> list[Study]:
    """Studies by their last arrival, newest first. state: "receiving" or "settled"; empty asks for both."""
    query = select(Study).where(visible(actor))
    if state:
        query = query.where(Study.state == state)
    query = query.order_by(Study.last_received_at.desc(), Study.id.desc())
    return list(session.scalars(query.limit(limit).offset(offset)))


def count_since(session: Session, actor: Actor, since: datetime, *, state: str = "") -> int:
    """How many studies got something since then."""
    query = select(func.count()).select_from(Study).where(visible(actor), Study.last_received_at >= since)
    if state:
        query = query.where(Study.state == state)
    return session.scalar(query) or 0


def per_minute(session: Session, actor: Actor, since: datetime) -> list[Minute]:
    """Instances and bytes by source and minute, for studies that got something since then."""
    if session.get_bind().dialect.name == "postgresql":
        minute = func.to_char(func.timezone("UTC", Instance.received_at), 'YYYY-MM-DD"T"HH24:MI')
    else:
        minute = func.strftime("%Y-%m-%dT%H:%M", Instance.received_at)
    bucket = cast(minute, String).label("minute")
    query = (
        select(Study.source, bucket, func.count(), func.sum(Instance.bytes))
        .join(Study, Study.id == Instance.study_pk)
        .where(visible(actor), Study.last_received_at >= since, Instance.received_at >= since)
        .group_by(Study.source, bucket)
        .order_by(Study.source, bucket)
    )
    return [Minute(row[0], row[1], row[2], int(row[3] or 0)) for row in session.execute(query)]


def open_conflicts_of(session: Session, study_uids: Sequence[str]) -> dict[str, int]:
    """Study Instance UID -> open conflicts."""
    query = (
        select(Conflict.study_instance_uid, func.count())
        .where(Conflict.study_instance_uid.in_(study_uids), Conflict.state == "open")
        .group_by(Conflict.study_instance_uid)
    )
    return {row[0]: row[1] for row in session.execute(query)}
