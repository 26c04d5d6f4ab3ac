"""Incoming & print queue: arrivals by study as they come, where they go, and the transfers of the last hour."""

import ipaddress
import socket
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from app.archive import arrivals
from app.archive.models import SEVERAL
from app.forward import queries as peers
from app.forward import queue_list
from app.forward.models import Transfer
from app.http import ReadSession, allow, render, services
from app.http.i18n import format_size, translate
from app.http.i18n import gettext as _
from app.kit.clock import local, now
from app.nodes.queries import names_by_title
from app.pages import rows
from app.pages.health import role_states
from app.pages.rows import StudyRoute, StudyRow
from app.pages.shell import fields
from app.pages.storage import facility_names
from app.routing import queries as routing
from app.routing.models import RouteRun
from app.security import Actor, Verb

router = APIRouter(include_in_schema=False)
Searcher = Annotated[Actor, Depends(allow(Verb.STUDY_SEARCH))]
SHOWN = 60
MINUTES = 60
_SOON = timedelta(minutes=2)  # a route that is due by then is not shown
SPARK_HEIGHT = 20


@dataclass(frozen=True, slots=True)
class ArrivalRows:
    """rows: newest arrivals first; today: studies that got something since midnight; arriving: those still coming."""

    rows: list[StudyRow]
    today: int
    arriving: int


@dataclass(frozen=True, slots=True)
class IncomingNodeLine:
    """One node in the last hour. indicator: "", warn, bad or off; spark: the bars as an SVG path 60 wide, 20 high; rate: now,
    and whether there is one."""

    name: str
    way: str
    indicator: str
    spark: str
    images: int
    rate: str
    moving: bool


@dataclass(frozen=True, slots=True)
class TransfersPart:
    lines: list[IncomingNodeLine]


@dataclass(frozen=True, slots=True)
class IncomingPage(ArrivalRows):
    """show: "", "arriving" or "problems"; rows_url: where a live page gets the rows again; listening: the DICOM
    receiver answers; address: where to."""

    show: str
    rows_url: str
    lines: list[IncomingNodeLine]
    listening: bool
    address: str


def _route(transfer: Transfer, node: str) -> StudyRoute:
    left = transfer.total - transfer.sent - transfer.warned - transfer.there
    if transfer.state == "done":
        kind = "warn" if transfer.failed or transfer.warned else "ok"
        return StudyRoute(kind, node, _("Sent to %(node)s") % {"node": node})
    if transfer.state == "running":
        return StudyRoute("running", f"{node} {transfer.sent}", _("Sending to %(node)s") % {"node": node})
    if transfer.state == "failed":
        return StudyRoute("bad", node, translate(transfer.error) or _("Failed"))
    if transfer.state == "cancelled":
        return StudyRoute("paused", node, _("Stopped"))
    return StudyRoute("wait", f"{node} {left}", _("Waiting for %(node)s") % {"node": node})


def _run(run: RouteRun, name: str, receiving: bool) -> StudyRoute | None:
    """Pending or failed steps of a route. None while the study is still being received, and right before the route
    decides."""
    if run.state == "failed":
        return StudyRoute("bad", name, translate(run.reason) or _("Failed"))
    if run.state == "queued":
        return StudyRoute("running", name, _("Route running"))
    soon = receiving if run.due_at is None else run.due_at - now() < _SOON
    return None if soon else StudyRoute("wait", name, _("Waiting for the schedule of the route"))


def _arrivals(session: ReadSession, actor: Actor, show: str) -> list[StudyRow]:
    state = "receiving" if show == "arriving" else ""
    studies = arrivals.recent(session, actor, state=state, limit=SHOWN)
    uids = [study.study_instance_uid for study in studies]
    receiving = {study.study_instance_uid for study in studies if study.state == "receiving"}
    routes: dict[str, list[StudyRoute]] = defaultdict(list)
    for transfer, node in peers.latest_of_studies(session, actor, uids):
        routes[transfer.study_instance_uid].append(_route(transfer, node))
    for run, name in routing.latest_of_studies(session, actor, uids):
        if shown := _run(run, name, run.study_instance_uid in receiving):
            routes[run.study_instance_uid].append(shown)
    conflicts = arrivals.open_conflicts_of(session, actor, uids)
    names = facility_names(session, actor)
    senders = names_by_title(session, actor)
    made = [rows.study_row(study, names, conflicts, routes[study.study_instance_uid], senders) for study in studies]
    if show == "problems":
        return [row for row in made if row.conflicts or any(route.kind == "bad" for route in row.routes)]
    return made


def spark(counts: dict[int, int]) -> str:
    """Bars of the last sixty minutes, minute 0 at the left, as one SVG path in a box of 60 by 20."""
    top = max(counts.values(), default=0)
    if not top:
        return ""
    bars = []
    for minute, count in sorted(counts.items()):
        height = max(1.0, round(count / top * SPARK_HEIGHT, 1))
        bars.append(f"M{minute} {SPARK_HEIGHT}v-{height:g}h.8v{height:g}z")
    return "".join(bars)


def _lines(session: ReadSession, actor: Actor) -> list[IncomingNodeLine]:
    moment = now()
    since = moment - timedelta(minutes=MINUTES)
    counts: dict[str, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    images: dict[str, int] = defaultdict(int)
    rates: dict[str, float] = defaultdict(float)
    senders = names_by_title(session, actor)
    for one in arrivals.per_minute(session, actor, since):
        place = _minute(datetime.fromisoformat(f"{one.minute}+00:00"), since)
        sender = _("several") if one.source == SEVERAL else senders.get(one.source, one.source)
        counts[sender][place] += one.instances
        images[sender] += one.instances
        if place >= MINUTES - 2:
            rates[sender] += one.bytes / 120
    lines = [
        IncomingNodeLine(name or "–", _("in"), "", spark(counts[name]), images[name], *_rate(rates[name]))
        for name in sorted(images, key=lambda name: -images[name])
    ]
    return [*lines, *_outgoing(session, actor, since)]


def _minute(moment: datetime, since: datetime) -> int:
    return max(0, min(MINUTES - 1, int((moment - since).total_seconds() // 60)))


def _outgoing(session: ReadSession, actor: Actor, since: datetime) -> list[IncomingNodeLine]:
    counts: dict[str, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    images: dict[str, int] = defaultdict(int)
    last: dict[str, str] = {}
    rates = queue_list.rates(session, actor, now())
    ids: dict[str, str] = {}
    for transfer, node in peers.transfers_since(session, actor, since):
        images[node] += transfer.sent
        last[node], ids[node] = transfer.state, transfer.node_id
        if transfer.sent:
            counts[node][_minute(transfer.finished_at or now(), since)] += transfer.sent
    words = {"failed": (_("out, failed"), "bad"), "queued": (_("out, waiting"), "warn")}
    return [
        IncomingNodeLine(
            node,
            *words.get(last[node], (_("out"), "")),
            spark(counts[node]),
            images[node],
            *_rate(rates.get(ids[node], 0)),
        )
        for node in images
    ]


def _rate(bytes_per_second: float) -> tuple[str, bool]:
    moving = bytes_per_second >= 1
    return f"{format_size(int(bytes_per_second))}/s" if moving else "", moving


def own_address(request: Request) -> str:
    """host:port that other machines can send DICOM to, as far as this machine knows."""
    config = services(request).config
    host = config.dicom_host
    if host in ("0.0.0.0", "::", ""):  # noqa: S104 compared, not bound
        host = _own_address() or request.url.hostname or "127.0.0.1"
    return f"{host}:{config.dicom_port}"


def _own_address() -> str:
    """This machine's address on its network: what a UDP socket would use. Nothing is sent."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(("192.0.2.1", 9))  # RFC 5737: belongs to no facility
            found = str(probe.getsockname()[0])
    except OSError:
        return ""
    return "" if ipaddress.ip_address(found).is_unspecified else found


def _counts(session: ReadSession, actor: Actor) -> tuple[int, int]:
    """(studies of today, those still arriving)"""
    midnight = local(now()).replace(hour=0, minute=0, second=0, microsecond=0)
    today = arrivals.count_since(session, actor, midnight)
    return today, arrivals.count_since(session, actor, midnight, state="receiving")


def _show(wanted: str) -> str:
    return wanted if wanted in ("arriving", "problems") else ""


@router.get("/")
def incoming(request: Request, actor: Searcher, session: ReadSession, show: str = "") -> Response:
    """The start page."""
    show = _show(show)
    today, arriving = _counts(session, actor)
    context = IncomingPage(
        rows=_arrivals(session, actor, show),
        show=show,
        rows_url=f"/incoming/rows?show={show}",
        lines=_lines(session, actor),
        today=today,
        arriving=arriving,
        listening=role_states(services(request))["dicom"]["state"] == "ready",
        address=own_address(request),
    )
    return render(request, "incoming/page.html", fields(context))


@router.get("/incoming/rows")
def incoming_rows(request: Request, actor: Searcher, session: ReadSession, show: str = "") -> Response:
    """The arrivals again, for a live page."""
    context = ArrivalRows(_arrivals(session, actor, _show(show)), *_counts(session, actor))
    return render(request, "incoming/_live.html", fields(context))


@router.get("/incoming/transfers")
def incoming_transfers(request: Request, actor: Searcher, session: ReadSession) -> Response:
    """The transfers of the last hour again."""
    return render(request, "incoming/_transfers.html", fields(TransfersPart(_lines(session, actor))))
