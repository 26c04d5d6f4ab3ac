"""The audit trail, for those who may read it."""

import csv
import io
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from app import audit
from app.archive import queries
from app.audit import AuditEvent
from app.http import ReadSession, allow, services
from app.http.i18n import translate
from app.http.parameters import Moment
from app.kit.numbers import LARGEST
from app.security import Actor, Verb

router = APIRouter(tags=["audit"])
Reader = Annotated[Actor, Depends(allow(Verb.AUDIT_READ))]
_COLUMNS = (
    "id",
    "at",
    "actor_name",
    "actor_kind",
    "verb",
    "outcome",
    "thing",
    "thing_id",
    "facility_id",
    "address",
    "correlation_id",
)
_BATCH = 500


class AuditQuery(BaseModel):
    verb: str | None = None
    user: str | None = None
    outcome: str | None = Field(None, description="success, denied or failed")
    thing_id: str | None = None
    patient: str | None = Field(
        None, max_length=128, description="what was done to the studies of a patient: name or ID"
    )
    since: Moment | None = None
    until: Moment | None = None
    cursor: int | None = Field(None, ge=1, le=LARGEST)
    limit: int = Field(50, ge=1, le=_BATCH)
    format: str = Field("json", pattern="^(json|csv)$")

    def arguments(self, session: ReadSession, actor: Actor) -> dict[str, Any]:
        """Arguments of `audit.list_events`."""
        return {
            "verb": self.verb,
            "actor_name": self.user,
            "outcome": self.outcome,
            "thing_id": self.thing_id,
            "thing_ids": queries.studies_of_person(session, actor, self.patient) if self.patient else None,
            "since": self.since,
            "until": self.until,
            "facility_id": None if actor.sees_all else actor.facility_id or "",
        }


def as_json(event: AuditEvent) -> dict[str, Any]:
    return {name: getattr(event, name) for name in _COLUMNS} | {"detail": event.detail}


@router.get("/audit", response_model=None)
def list_audit(
    request: Request, actor: Reader, session: ReadSession, wanted: Annotated[AuditQuery, Query()]
) -> dict[str, Any] | StreamingResponse:
    """Lists audit entries, newest first. `format=csv` (or Accept: text/csv) returns all that match."""
    if wanted.format == "csv" or "text/csv" in request.headers.get("accept", ""):
        headers = {"Content-Disposition": 'attachment; filename="audit.csv"'}
        return StreamingResponse(_csv(request, actor, wanted), media_type="text/csv; charset=utf-8", headers=headers)
    items, total = audit.list_events(
        session, before=wanted.cursor, limit=wanted.limit, **wanted.arguments(session, actor)
    )
    following = items[-1].id if len(items) == wanted.limit else None
    return {"items": [as_json(event) for event in items], "total": total, "next": following}


@router.get("/audit/verification")
def verify_audit(request: Request, actor: Reader, session: ReadSession) -> dict[str, Any]:
    """Verifies the chain of digests. `first_broken` is the id of the first entry that was changed or follows a gap,
    null also where only the end is missing; `reason` describes the error, and is empty without one. `rows` and
    `first_broken` are null for users of one facility: they count the entries of all."""
    found = audit.verify(session, services(request).config.keys)
    return {
        "whole": found.intact,
        "rows": found.rows if actor.sees_all else None,
        "first_broken": found.first_broken if actor.sees_all else None,
        "reason": translate(found.reason),
    }


def _plain(value: Any) -> str:
    """A cell no spreadsheet takes for a formula."""
    text = "" if value is None else value.isoformat() if isinstance(value, datetime) else str(value)
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def _csv(request: Request, actor: Actor, wanted: AuditQuery) -> Iterator[str]:
    """In batches, each with a transaction of its own: a long download must not keep one open."""
    yield ",".join((*_COLUMNS, "detail")) + "\r\n"
    before = wanted.cursor
    while True:
        with services(request).database.read() as session:
            items, _ = audit.list_events(session, before=before, limit=_BATCH, **wanted.arguments(session, actor))
        buffer = io.StringIO()
        writer = csv.writer(buffer)
        for event in items:
            writer.writerow([*(_plain(getattr(event, name)) for name in _COLUMNS), _plain(event.detail)])
        yield buffer.getvalue()
        if len(items) < _BATCH:
            return
        before = items[-1].id
