"""The verbs of the trail."""

import hashlib
import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.audit import head
from app.audit.models import AuditEvent
from app.db.locks import Lock, at_commit
from app.kit.clock import now
from app.kit.logging import correlation_id


def _fields(event: AuditEvent) -> bytes:
    fields = (
        event.at.isoformat(timespec="microseconds"),
        event.actor_name,
        event.actor_kind,
        event.verb,
        event.outcome,
        event.thing,
        event.thing_id,
        event.facility_id,
        event.address,
        event.correlation_id,
        json.dumps(event.detail, sort_keys=True),
        event.previous,
    )
    return json.dumps(fields).encode()


def digest_of(event: AuditEvent, key: bytes | None) -> str:
    """The digest that links a row to the previous one. Without the key it cannot be recomputed; None: as versions
    before schema 0016 did it."""
    if key is None:
        return hashlib.sha256(_fields(event)).hexdigest()
    return hmac.new(key, _fields(event), hashlib.sha256).hexdigest()


class Doer(Protocol):
    """The acting user or program: an Actor of app/security, or `Named`."""

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def address(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Named:
    """An actor known by name only. kind: user, token, node or system; address: where the call came from."""

    name: str
    kind: str = "user"
    address: str = ""


def by(
    session: Session,
    actor: Doer,
    verb: str,
    thing: str = "",
    thing_id: str = "",
    *,
    outcome: str = "success",
    facility_id: str | None = None,
    detail: dict[str, Any] | None = None,
) -> None:
    """Adds what this actor did at the end of the caller's transaction (app/db/locks.py): both are stored, or none."""
    event = AuditEvent(
        at=now(),
        actor_name=actor.name,
        actor_kind=actor.kind,
        verb=verb,
        outcome=outcome,
        thing=thing,
        thing_id=thing_id,
        facility_id=facility_id,
        address=actor.address,
        correlation_id=correlation_id.get(),
        detail=detail or {},
    )
    at_commit(session, Lock.AUDIT, lambda session: _chain(session, event))


def _chain(session: Session, event: AuditEvent) -> None:
    end = head.current(session)
    event.previous = end.digest
    event.digest = digest_of(event, head.key_of(session))
    session.add(event)
    head.advance(session, end, event.digest)
    session.flush()


# Operations with peers say failure, sign-ins failed; the chain of digests forbids writing old rows anew.
_SAME = {"failed": ("failed", "failure"), "failure": ("failed", "failure")}


def list_events(
    session: Session,
    *,
    verb: str | None = None,
    actor_name: str | None = None,
    thing_id: str | None = None,
    thing_ids: Sequence[str] | None = None,
    outcome: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    facility_id: str | None = None,
    before: int | None = None,
    limit: int = 50,
) -> tuple[list[AuditEvent], int]:
    """Newest first, and how many match. thing_ids: any of these; facility_id: those of this facility only; before: the last id
    of the page before."""
    query = select(AuditEvent)
    for column, value in (
        (AuditEvent.verb, verb),
        (AuditEvent.actor_name, actor_name),
        (AuditEvent.thing_id, thing_id),
        (AuditEvent.facility_id, facility_id),
    ):
        if value is not None:
            query = query.where(column == value)
    if thing_ids is not None:
        query = query.where(AuditEvent.thing_id.in_(thing_ids))
    if outcome is not None:
        query = query.where(AuditEvent.outcome.in_(_SAME.get(outcome, (outcome,))))
    if since is not None:
        query = query.where(AuditEvent.at >= since)
    if until is not None:
        query = query.where(AuditEvent.at < until)
    total = session.scalar(select(func.count()).select_from(query.subquery())) or 0
    if before is not None:
        query = query.where(AuditEvent.id < before)
    return list(session.scalars(query.order_by(AuditEvent.id.desc()).limit(limit))), total
