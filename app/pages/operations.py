"""Settings, Transfer log: every operation with a peer, live; and each peer's last day as a small chart (NET-9)."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from app.http import ReadSession, allow, render
from app.http.i18n import format_size
from app.http.i18n import gettext as _
from app.kit.clock import now
from app.kit.numbers import LARGEST
from app.nodes import operation_queries as queries
from app.nodes.models import NetworkOperation
from app.nodes.operation_queries import OperationFilter
from app.pages.shell import fields
from app.security import Actor, Verb

router = APIRouter(include_in_schema=False)
Reader = Annotated[Actor, Depends(allow(Verb.NODE_READ))]
_PAGE = 50
HOURS, HEIGHT = 24, 20
_PERIODS = {"1": timedelta(hours=1), "24": timedelta(hours=24), "168": timedelta(days=7), "": None}


class OperationFilterForm(BaseModel):
    """The filter as in the address. period: hours back, empty for all."""

    peer: str = Field("", max_length=128)
    kind: str = Field("", max_length=16)
    role: str = Field("", max_length=3)
    result: str = Field("", max_length=10)
    period: str = Field("", max_length=3)

    def filter(self) -> OperationFilter:
        back = _PERIODS.get(self.period)
        return OperationFilter(self.peer.strip(), self.kind, self.role, self.result, now() - back if back else None)

    def query(self, **more: object) -> str:
        return urlencode({k: v for k, v in (self.model_dump() | more).items() if v})


@dataclass(frozen=True, slots=True)
class PeerLine:
    """One peer's last day in one direction. good and bad: objects and faulty operations by hour, as SVG paths in a box
    of 24 by 20."""

    peer: str
    way: str
    good: str
    bad: str
    operations: int
    faults: int
    objects: int
    size: str
    rate: str


@dataclass(frozen=True, slots=True)
class LogRows:
    entries: list[NetworkOperation]
    lines: list[PeerLine]
    total: int
    next_url: str


@dataclass(frozen=True, slots=True)
class LogPage(LogRows):
    section: str
    wanted: OperationFilterForm
    kinds: list[tuple[str, str]]
    live_url: str
    csv_url: str


def kind_word(kind: str) -> str:
    """A kind of operation as people read it; a kind that is not known here stays as it is."""
    return {
        "echo": _("Echo"),
        "store": _("Store"),
        "send": _("Send"),
        "find": _("Find"),
        "move": _("Move"),
        "get": _("Get"),
        "commit": _("Commitment"),
        "query": _("Query"),
        "retrieve": _("Retrieve"),
        "association": _("Association"),
    }.get(kind, kind)


def bars(counts: dict[int, int], top: int) -> str:
    """Bars by hour, hour 0 at the left, as one SVG path; top: the count that fills the height."""
    found = []
    for hour, count in sorted(counts.items()):
        if count:
            tall = max(1.0, round(count / max(top, 1) * HEIGHT, 1))
            found.append(f"M{hour} {HEIGHT}v-{tall:g}h.8v{tall:g}z")
    return "".join(found)


def _lines(session: ReadSession, actor: Actor) -> list[PeerLine]:
    """The busiest first."""
    first = now().replace(minute=0, second=0, microsecond=0) - timedelta(hours=HOURS - 1)
    hours: dict[tuple[str, str], list[queries.PeerHour]] = defaultdict(list)
    for one in queries.by_peer_and_hour(session, actor, OperationFilter(since=first)):
        hours[one.peer, one.role].append(one)
    lines = []
    for (peer, role), counts in hours.items():
        places = {one: int((_moment(one.hour) - first).total_seconds() // 3600) for one in counts}
        objects = {place: one.objects or one.operations - one.bad for one, place in places.items()}
        faults = {place: one.bad for one, place in places.items()}
        size, seconds = sum(one.bytes for one in counts), sum(one.seconds for one in counts)
        lines.append(
            PeerLine(
                peer=peer,
                way=_("Incoming") if role == "scp" else _("Outgoing"),
                good=bars(objects, max(objects.values(), default=0)),
                bad=bars(faults, max(*objects.values(), *faults.values(), 0)),
                operations=sum(one.operations for one in counts),
                faults=sum(one.bad for one in counts),
                objects=sum(one.objects for one in counts),
                size=format_size(size),
                rate=f"{format_size(int(size / seconds))}/s" if size and seconds else "",
            )
        )
    return sorted(lines, key=lambda line: (-line.objects, -line.operations, line.peer))


def _moment(hour: str) -> datetime:
    return datetime.strptime(hour, "%Y-%m-%d %H").replace(tzinfo=UTC)


def _rows(session: ReadSession, actor: Actor, wanted: OperationFilterForm, cursor: int | None) -> LogRows:
    entries, total = queries.entries(session, actor, wanted.filter(), _PAGE, cursor)
    older = wanted.query(cursor=entries[-1].id) if len(entries) == _PAGE else ""
    return LogRows(entries, _lines(session, actor), total, f"/settings/transfer-log?{older}" if older else "")


@router.get("/settings/transfer-log")
def show_log(
    request: Request,
    actor: Reader,
    session: ReadSession,
    wanted: Annotated[OperationFilterForm, Query()],
    cursor: Annotated[int | None, Query(ge=1, le=LARGEST)] = None,
) -> Response:
    """Newest first, fifty a page; the first page follows what happens."""
    rows = _rows(session, actor, wanted, cursor)
    page = LogPage(
        **fields(rows),
        section="transfer-log",
        wanted=wanted,
        kinds=[("", _("Any")), *((kind, kind_word(kind)) for kind in queries.kinds(session, actor))],
        live_url="" if cursor else f"/settings/transfer-log/rows?{wanted.query()}",
        csv_url=f"/api/v1/operations?{_for_api(wanted)}",
    )
    return render(request, "settings/transfer_log.html", fields(page) | {"kind_word": kind_word})


def _for_api(wanted: OperationFilterForm) -> str:
    since = wanted.filter().since
    return urlencode(
        {k: v for k, v in wanted.model_dump(exclude={"period"}).items() if v}
        | ({"since": since.isoformat()} if since else {})
        | {"format": "csv"}
    )


@router.get("/settings/transfer-log/rows")
def show_rows(
    request: Request, actor: Reader, session: ReadSession, wanted: Annotated[OperationFilterForm, Query()]
) -> Response:
    """Chart and entries again, for the live page."""
    rows = _rows(session, actor, wanted, None)
    return render(request, "settings/_transfer_log.html", fields(rows) | {"kind_word": kind_word})
