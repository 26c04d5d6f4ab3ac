"""Transfers: what is on its way to which node, and what did not arrive (dead letters), with one click to send it again."""

from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Form, Query, Request
from starlette.responses import RedirectResponse, Response

from app.archive.models import Study
from app.forward import claims, queue_list, queue_queries, transfers
from app.forward import queries as transfer_queries
from app.forward.models import Transfer, TransferInstance
from app.forward.queue_list import Listed
from app.http import ReadSession, WriteSession, allow, render
from app.http.i18n import gettext as _
from app.http.i18n import translate
from app.kit.clock import now
from app.kit.numbers import LARGEST
from app.nodes import options, service
from app.nodes import queries as node_queries
from app.nodes.models import Node
from app.pages import forms
from app.pages.rows import names_of
from app.pages.shell import fields
from app.security import Actor, Verb, may_see

router = APIRouter(include_in_schema=False)
Sender = Annotated[Actor, Depends(allow(Verb.STUDY_SEND))]
Editor = Annotated[Actor, Depends(allow(Verb.NODE_EDIT))]
SHOWN = 100
_STATES = {
    "": ("queued", "running", "failed"),
    "failed": ("failed",),
    "all": ("queued", "running", "failed", "done", "cancelled"),
}


@dataclass(frozen=True, slots=True)
class TransferRow:
    """kind: of the state's icon; words: why, in the peer's own words; key: id of the row on the page."""

    key: str
    transfer: Transfer
    node: str
    patient: str
    description: str
    modalities: list[str]
    kind: str
    state: str
    words: str
    retry: bool
    stop: bool


@dataclass(frozen=True, slots=True)
class TransferNodeState:
    """A node that something is for, or that is paused. indicator: "", warn, bad or off."""

    node: Node
    indicator: str
    state: str
    waiting: int
    failed: int
    paused: bool


@dataclass(frozen=True, slots=True)
class TransferRows:
    items: list[TransferRow]
    nodes: list[TransferNodeState]
    total: int
    failed: int


@dataclass(frozen=True, slots=True)
class TransfersPage(TransferRows):
    """show: "" what has not ended well, failed, or all; node: only this one's, by name; live_url: the rows again; older:
    where the next page is, if there is one."""

    older: str
    show: str
    node: str
    live_url: str
    faults: forms.Faults


@dataclass(frozen=True, slots=True)
class TransferPage:
    row: TransferRow
    objects: list[tuple[TransferInstance, str, str]]
    older: str


def _state(one: Transfer, node: Node) -> tuple[str, str]:
    if one.state == "done":
        return ("warn", _("Sent with warnings")) if one.warned else ("ok", _("Sent"))
    if one.state == "failed":
        return "bad", _("Failed")
    if one.state == "cancelled":
        return "paused", _("Stopped")
    if one.committing:
        return "wait", _("Waiting for storage commitment")
    if one.state == "running":
        return "running", _("Sending")
    if options.node_options(node).paused:
        return "paused", _("Node paused")
    if not node.enabled:
        return "paused", _("Node disabled")
    if not claims.may_send(node, now()):
        return "wait", _("Waiting for %(hours)s") % {"hours": options.node_options(node).window}
    if one.unreached:
        return "warn", _("Waiting for the node to respond")
    if one.faults:
        return "warn", _("Retrying")
    return "wait", _("Waiting")


def _row(one: Listed, actor: Actor) -> TransferRow:
    study: Study | None = one.study if one.study and may_see(actor, one.study.facility_id) else None
    kind, state = _state(one.transfer, one.node)
    words = " ".join(part for part in (translate(one.transfer.error), translate(one.words)) if part)
    return TransferRow(
        key=f"t-{one.transfer.id}",
        transfer=one.transfer,
        node=one.node.name,
        patient=names_of(study.patient_name)[0] if study else "",
        description=study.description if study else "",
        modalities=[m for m in study.modalities.split("\\") if m] if study else [],
        kind=kind,
        state=state,
        words=words if one.words != one.transfer.error else translate(one.words),
        retry=one.transfer.state in ("failed", "cancelled")
        or (one.transfer.state == "queued" and one.transfer.faults > 0),
        stop=one.transfer.state in queue_queries.ACTIVE,
    )


def _nodes(session: ReadSession, actor: Actor) -> list[TransferNodeState]:
    counts = queue_list.states_of_nodes(session, actor)
    found = []
    for node in node_queries.nodes(session, actor):
        of, paused = counts.get(node.id, {}), options.node_options(node).paused
        if not of and not paused:
            continue
        indicator, word = "", _("Active")
        if paused or not node.enabled:
            indicator, word = "off", _("Paused") if paused else _("Disabled")
        elif node.last_fault:
            indicator, word = "bad", translate(node.last_fault)
        elif not claims.may_send(node, now()):
            indicator, word = "warn", _("Waiting for %(hours)s") % {"hours": options.node_options(node).window}
        waiting = of.get("queued", 0) + of.get("running", 0)
        found.append(TransferNodeState(node, indicator, word, waiting, of.get("failed", 0), paused))
    return found


def _address(show: str, node: str, **more: str) -> str:
    query = urlencode({k: v for k, v in ({"show": show, "node": node} | more).items() if v})
    return f"?{query}" if query else ""


def _rows(session: ReadSession, actor: Actor, show: str, node: str, before: str | None) -> TransferRows:
    node_id = node_queries.node(session, actor, node).id if node else None
    found, total = queue_list.listed(session, actor, states=_STATES[show], node_id=node_id, limit=SHOWN, before=before)
    nodes = _nodes(session, actor)
    return TransferRows([_row(one, actor) for one in found], nodes, total, sum(n.failed for n in nodes))


def _show(wanted: str) -> str:
    return wanted if wanted in _STATES else ""


def _page(
    request: Request, session: ReadSession, actor: Actor, show: str, node: str, before: str | None, faults: forms.Faults
) -> Response:
    rows = _rows(session, actor, show, node, before)
    last = rows.items[-1].transfer.id if len(rows.items) == SHOWN else ""
    page = TransfersPage(
        **fields(rows),
        older=f"/transfers{_address(show, node, before=last)}" if last else "",
        show=show,
        node=node,
        live_url="" if before else f"/transfers/rows{_address(show, node)}",
        faults=faults,
    )
    return render(request, "transfers/page.html", fields(page), status=409 if faults.message else 200)


@router.get("/transfers")
def show_transfers(
    request: Request, actor: Sender, session: ReadSession, show: str = "", node: str = "", before: str | None = None
) -> Response:
    """Transfers that failed, newest first; a hundred a page, the first page live."""
    return _page(request, session, actor, _show(show), node, before, forms.NO_FAULTS)


@router.get("/transfers/rows")
def show_rows(request: Request, actor: Sender, session: ReadSession, show: str = "", node: str = "") -> Response:
    """The rows again, and the nodes' lines, for the live page."""
    return render(request, "transfers/_live.html", fields(_rows(session, actor, _show(show), node, None)))


@router.post("/transfers")
def act(
    request: Request,
    actor: Sender,
    session: ReadSession,
    do: Annotated[str, Form(max_length=80)],
    chosen: Annotated[list[str] | None, Form(alias="id")] = None,
    show: Annotated[str, Query()] = "",
    node: Annotated[str, Query()] = "",
) -> Response:
    """retry, cancel or drop the ticked ones, or one (`retry:ID`), or all failed ones of a node (`retry-node:NAME`)."""
    verb, _sep, one = do.partition(":")
    ids = [one] if one and verb != "retry-node" else list(chosen or ())[:1000]

    def work(writing: WriteSession) -> None:
        if verb == "retry-node":
            transfers.retry_many(writing, actor, node_name=one)
        elif verb == "retry" and one:
            transfers.retry_transfer(writing, actor, one)
        elif verb == "retry":
            transfers.retry_many(writing, actor, ids=ids)
        elif verb == "cancel":
            transfers.cancel_many(writing, actor, ids)
        elif verb == "drop":
            transfers.drop_many(writing, actor, ids=ids)

    _done, faults = forms.attempt(request, work)
    if faults.message:
        return _page(request, session, actor, _show(show), node, None, faults)
    return forms.redirect(f"/transfers{_address(_show(show), node)}")


@router.post("/transfers/nodes/{name}")
def pause(name: str, actor: Editor, session: WriteSession, paused: Annotated[bool, Form()]) -> RedirectResponse:
    """Pause or Resume of a node's line."""
    service.pause_node(session, actor, name, paused)
    return forms.redirect("/transfers")


@router.get("/transfers/{transfer_id}")
def show_transfer(
    request: Request,
    transfer_id: str,
    actor: Sender,
    session: ReadSession,
    after: Annotated[int, Query(ge=0, le=LARGEST)] = 0,
) -> Response:
    """One transfer with its objects, failed ones first."""
    found = transfer_queries.transfer(session, actor, transfer_id)
    row = _row(queue_list.listed_transfer(session, found), actor)
    rows = transfer_queries.instances(session, transfer_id, SHOWN, after)
    words = {
        "waiting": ("wait", _("Waiting")),
        "sent": ("ok", _("Sent")),
        "warned": ("warn", _("Sent with a warning")),
        "failed": ("bad", _("Failed")),
        "there": ("ok", _("Already at destination")),
    }
    objects = [(one, *words.get(one.state, ("wait", one.state))) for one in rows]
    older = f"/transfers/{transfer_id}?after={after + SHOWN}" if len(rows) == SHOWN else ""
    return render(request, "transfers/transfer.html", fields(TransferPage(row, objects, older)))
