"""The transfer log for programs (NET-9): entries, sums by peer and hour, CSV."""

import csv
import io
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from app.http import ReadSession, allow, services
from app.http.parameters import Moment
from app.kit.numbers import LARGEST
from app.nodes import operation_queries as queries
from app.nodes.models import NetworkOperation
from app.security import Actor, Verb

router = APIRouter(tags=["operations"])
Reader = Annotated[Actor, Depends(allow(Verb.NODE_READ))]
_COLUMNS = tuple(column.name for column in NetworkOperation.__table__.columns if column.name != "facility_id")
_BATCH = 500


class OperationQuery(BaseModel):
    peer: str = Field("", max_length=128, description="part of a node's name, AE title or address")
    kind: str = Field("", max_length=16, description="echo, store, find, move, get, send, ...")
    role: str = Field("", pattern="^(scp|scu)?$", description="scp: the peer asked us; scu: we asked it")
    result: str = Field("", pattern="^(success|warning|failure|refused|cancelled|problem)?$")
    since: Moment | None = None
    until: Moment | None = None

    def filter(self) -> queries.OperationFilter:
        return queries.OperationFilter(self.peer, self.kind, self.role, self.result, self.since, self.until)


class WantedEntries(OperationQuery):
    cursor: int | None = Field(None, ge=1, le=LARGEST)
    limit: int = Field(50, ge=1, le=_BATCH)
    format: str = Field("json", pattern="^(json|csv)$")


def as_json(entry: NetworkOperation) -> dict[str, Any]:
    found = {name: getattr(entry, name) for name in _COLUMNS}
    return found | {"status": None if entry.status is None else f"{entry.status:04X}"}


@router.get("/operations", response_model=None)
def list_operations(
    request: Request, actor: Reader, session: ReadSession, wanted: Annotated[WantedEntries, Query()]
) -> dict[str, Any] | StreamingResponse:
    """Lists the operations with other systems, newest first. `format=csv` (or Accept: text/csv) returns all that match."""
    if wanted.format == "csv" or "text/csv" in request.headers.get("accept", ""):
        headers = {"Content-Disposition": 'attachment; filename="transfers.csv"'}
        return StreamingResponse(_csv(request, actor, wanted), media_type="text/csv; charset=utf-8", headers=headers)
    items, total = queries.entries(session, actor, wanted.filter(), wanted.limit, wanted.cursor)
    following = items[-1].id if len(items) == wanted.limit else None
    return {"items": [as_json(entry) for entry in items], "total": total, "next": following}


@router.get("/operations/statistics")
def count_operations(actor: Reader, session: ReadSession, wanted: Annotated[OperationQuery, Query()]) -> dict[str, Any]:
    """Returns sums by peer, role and hour (UTC), oldest hour first."""
    found = [asdict(hour) for hour in queries.by_peer_and_hour(session, actor, wanted.filter())]
    return {"items": found, "total": len(found), "next": None}


def _plain(value: Any) -> str:
    """A cell no spreadsheet takes for a formula."""
    text = "" if value is None else value.isoformat() if isinstance(value, datetime) else str(value)
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def _csv(request: Request, actor: Actor, wanted: WantedEntries) -> Iterator[str]:
    """In batches, each with a transaction of its own: a long download must not keep one open."""
    yield ",".join(_COLUMNS) + "\r\n"
    before = wanted.cursor
    while True:
        with services(request).database.read() as session:
            items = queries.next_entries(session, actor, wanted.filter(), _BATCH, before)
        buffer = io.StringIO()
        writer = csv.writer(buffer)
        for entry in items:
            writer.writerow([_plain(value) for value in as_json(entry).values()])
        yield buffer.getvalue()
        if len(items) < _BATCH:
            return
        before = items[-1].id
