"""Settings, Nodes: the list at the left, one node's form at the right, its test below."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import RedirectResponse, Response

from app.http import ReadSession, WriteSession, allow, render, services
from app.http.i18n import format_moment, format_time
from app.http.i18n import gettext as _
from app.http.templates import is_htmx
from app.kit.clock import local, now
from app.kit.errors import Conflict, Invalid
from app.network.probe import Probe, ProbeStep
from app.nodes import callers, options, selftest, service
from app.nodes import queries as node_queries
from app.nodes.models import Caller, Node
from app.nodes.option_kit import Described
from app.nodes.option_rows import SERVICES
from app.nodes.options import CAPABILITIES
from app.pages import node_form
from app.pages.forms import require_unchanged
from app.pages.node_choices import node_choices
from app.pages.node_form import NodeForm, TypedNode
from app.pages.shell import fields
from app.security import Actor, Verb, facilities

router = APIRouter(include_in_schema=False)
Reader = Annotated[Actor, Depends(allow(Verb.NODE_READ))]
Editor = Annotated[Actor, Depends(allow(Verb.NODE_EDIT))]
Tester = Annotated[Actor, Depends(allow(Verb.NODE_ECHO))]


@dataclass(frozen=True, slots=True)
class NodeLine:
    """One entry of the list. indicator: "", bad or off; abilities: words, comma separated; last: what happened last;
    seen: when it called us last."""

    id: str
    name: str
    address: str
    abilities: str
    indicator: str
    indicator_word: str
    last: str
    from_file: bool
    seen: datetime | None = None


@dataclass(frozen=True, slots=True)
class CallerLine:
    """A caller that is not a node. asked: services in words; last: when, and how often."""

    id: str
    title: str
    called: str
    address: str
    asked: str
    last: datetime
    count: int
    refused: bool
    words: str
    gap_ms: int | None


@dataclass(frozen=True, slots=True)
class NodeList:
    """lines: all nodes by name; chosen: the id shown at the right; callers: those that are not nodes, newest first."""

    lines: list[NodeLine]
    chosen: str
    callers: list[CallerLine]
    may_edit: bool


@dataclass(frozen=True, slots=True)
class SelfTestPart:
    """The last self-test of a node. steps: word and step; running: it has not ended; node_id, protocol: whose."""

    node_id: str
    protocol: str
    may_test: bool
    may_store: bool
    state: str
    running: bool
    steps: list[tuple[str, dict[str, Any]]]
    who: str
    at: datetime | None
    seconds: float


@dataclass(frozen=True, slots=True)
class CallerFacts:
    """Calls of a node. gap_ms: it waits so long for delayed acknowledgements; slower: seconds that
    a study of 500 objects takes longer for it; calls: those that did not fit, newest first."""

    at: datetime | None
    gap_ms: int | None
    slower: float
    calls: list[Caller]


@dataclass(frozen=True, slots=True)
class ResultPart:
    """Steps of a test, in order. offered and missing: capabilities in words."""

    steps: list[tuple[str, ProbeStep]]
    who: str
    at: datetime
    seconds: float
    ok: bool
    offered: str
    missing: str


@dataclass(frozen=True, slots=True)
class NodesPage:
    """section: which part of Settings; caller: the id of the unknown caller that a new node is made of; form: None when
    no node exists and none is being added."""

    section: str
    nodes: NodeList
    form: NodeForm | None
    test: ResultPart | None
    selftest: SelfTestPart | None
    seen: CallerFacts | None
    caller: str
    sections: list[node_form.Section]
    node_choices: Callable[[Described, Any], list[tuple[Any, str]]]
    may_edit: bool
    may_test: bool


def _words() -> dict[str, str]:
    """Capabilities as people read them."""
    return {key: _(word) for key, word in SERVICES}


def step_word(name: str) -> str:
    return {
        "reach": _("Network connection"),
        "association": _("Association"),
        "echo": _("Echo"),
        "find": _("Query"),
        "store": _("Store"),
        "find-back": _("Find test object"),
        "move": _("Retrieve by C-MOVE"),
        "get": _("Retrieve by C-GET"),
        "remove": _("Delete test object"),
        "commitment": _("Commitment"),
        "stays": _("Test object remaining"),
        "search": _("Search"),
        "folder": _("Folder"),
        "write": _("Write and read back"),
        "space": _("Free space"),
        "offers": _("Not offered"),
    }[name]


def _line(node: Node) -> NodeLine:
    words = _words()
    indicator, word = ("off", _("not tested"))
    last = ""
    if not node.enabled:
        word = last = _("disabled")
    elif node.last_fault:
        indicator, word = "bad", _("no response")
        since = format_time(node.last_fault_at) if _today(node.last_fault_at) else format_moment(node.last_fault_at)
        last = _("no response since %(time)s") % {"time": since}
    elif node.last_ok_at:
        indicator, word = "", _("responds")
        moment = format_time(node.last_ok_at) if _today(node.last_ok_at) else format_moment(node.last_ok_at)
        last = _("responded %(time)s") % {"time": moment}
    set_to = options.node_options(node)
    abilities = ", ".join(words[c] for c in CAPABILITIES if c in set_to.capabilities)
    from_file = node.origin == service.FROM_FILE
    return NodeLine(node.id, node.name, _address(node), abilities, indicator, word, last, from_file, node.last_seen_at)


def _address(node: Node) -> str:
    set_to = options.node_options(node)
    if set_to.protocol == "dicom":
        return f"{node.ae_title} {node.host}:{node.port}{' TLS' if set_to.tls else ''}"
    return set_to.url or set_to.path


def _today(moment: datetime | None) -> bool:
    return moment is not None and local(moment).date() == local(now()).date()


def _service_words() -> dict[str, str]:
    return _words() | {"echo": _("Echo"), "mpps": _("MPPS"), "other": _("other")}


def _list(session: ReadSession, actor: Actor, chosen: str) -> NodeList:
    words = _service_words()
    strangers = [
        CallerLine(
            one.id,
            one.title,
            one.called,
            one.address,
            ", ".join(words.get(word, word) for word in one.asked.split(",") if word),
            one.last_at,
            one.count,
            one.refused,
            one.words,
            one.ack_gap_ms,
        )
        for one in callers.list_callers(session, actor, kind=callers.UNKNOWN)
    ]
    lines = [_line(node) for node in node_queries.nodes(session, actor)]
    return NodeList(lines, chosen, strangers, Verb.NODE_EDIT in actor.verbs)


def _last_contact(session: ReadSession, actor: Actor, node_id: str) -> CallerFacts:
    node = node_queries.node(session, actor, node_id)
    odd = callers.list_callers(session, actor, kind=callers.CLASH)
    calls = [one for one in odd if one.title == node.ae_title][:5]
    return CallerFacts(node.last_seen_at, node.ack_gap_ms, round((node.ack_gap_ms or 0) * 0.5), calls)


def _selftest(session: ReadSession, actor: Actor, node_id: str) -> SelfTestPart:
    last = selftest.newest(session, actor, node_id)
    protocol = options.node_options(node_queries.node(session, actor, node_id)).protocol
    may = Verb.NODE_ECHO in actor.verbs
    store = may and Verb.STUDY_SEND in actor.verbs
    if last is None:
        return SelfTestPart(node_id, protocol, may, store, "", False, [], "", None, 0.0)
    state = selftest.state_of(session, last)
    running = state in (selftest.QUEUED, selftest.RUNNING)
    steps = [(step_word(step["step"]), step) for step in last.steps]
    took = sum(step["seconds"] for step in last.steps)
    return SelfTestPart(
        node_id, protocol, may, store, state, running, steps, last.created_by, last.created_at, round(took, 2)
    )


def _page(
    request: Request,
    session: ReadSession,
    actor: Actor,
    form: NodeForm | None,
    test: ResultPart | None = None,
    status: int = 200,
    caller: str = "",
) -> Response:
    known = [(one.id, one.name) for one in facilities.list_facilities(session, actor)]
    page = NodesPage(
        section="nodes",
        nodes=_list(session, actor, form.id if form else ""),
        form=form,
        test=test,
        selftest=_selftest(session, actor, form.id) if form and form.id else None,
        seen=_last_contact(session, actor, form.id) if form and form.id else None,
        caller=caller,
        sections=node_form.layout(),
        node_choices=node_choices(session, known),
        may_edit=Verb.NODE_EDIT in actor.verbs,
        may_test=Verb.NODE_ECHO in actor.verbs,
    )
    return render(request, "settings/nodes.html", fields(page), status)


@router.get("/settings/nodes")
def show_nodes(request: Request, actor: Reader, session: ReadSession) -> Response:
    """The first node, or how to make one."""
    known = node_queries.nodes(session, actor)
    return _page(request, session, actor, node_form.saved(known[0]) if known else None)


@router.get("/settings/nodes/list")
def show_list(request: Request, actor: Reader, session: ReadSession, chosen: str = "") -> Response:
    """The list again, and the indicator of the chosen one, for the live page."""
    return render(request, "settings/_nodes_live.html", {"nodes": _list(session, actor, chosen)})


@router.get("/settings/nodes/new")
def show_new(request: Request, actor: Editor, session: ReadSession, caller: str = "") -> Response:
    """An empty form, or one with what is known of an unknown caller."""
    form = node_form.blank()
    if caller:
        form = node_form.of_caller(callers.get_caller(session, actor, caller))
    return _page(request, session, actor, form, caller=caller)


@router.post("/settings/nodes/callers/{caller_id}/ignore")
def ignore_caller(caller_id: str, actor: Editor, session: WriteSession) -> Response:
    callers.ignore_caller(session, actor, caller_id)
    return RedirectResponse("/settings/nodes", 303)


@router.get("/settings/nodes/{node_id}/selftest")
def show_selftest(node_id: str, request: Request, actor: Reader, session: ReadSession) -> Response:
    """The self-test again, for the live page."""
    return render(request, "settings/_nodes_selftest.html", {"selftest": _selftest(session, actor, node_id)})


@router.post("/settings/nodes/{node_id}/selftest")
def start_selftest(
    node_id: str,
    request: Request,
    actor: Tester,
    session: WriteSession,
    with_object: Annotated[str, Form(max_length=8)] = "",
) -> Response:
    """Starts it; its steps come live."""
    with contextlib.suppress(Conflict), session.begin_nested():  # one runs already: that one is shown
        selftest.start_test(session, actor, node_id, bool(with_object))
    if is_htmx(request):
        return render(request, "settings/_nodes_selftest.html", {"selftest": _selftest(session, actor, node_id)})
    return RedirectResponse(f"/settings/nodes/{node_id}", 303)


@router.get("/settings/nodes/{node_id}")
def show_node(node_id: str, request: Request, actor: Reader, session: ReadSession) -> Response:
    return _page(request, session, actor, node_form.saved(node_queries.node(session, actor, node_id)))


@router.post("/settings/nodes/new")
def create_node(
    request: Request, actor: Editor, session: WriteSession, typed: Annotated[TypedNode, Form()]
) -> Response:
    """Makes it and shows it, or shows the form again with what is wrong. Such a caller is not unknown any more."""
    try:
        with session.begin_nested():
            node = service.create_node(session, actor, typed.values(), services(request).config)
    except (Invalid, Conflict) as fault:
        return _page(request, session, actor, typed.form_again("", fault), status=422)
    return RedirectResponse(f"/settings/nodes/{node.id}", 303)


@router.post("/settings/nodes/{node_id}")
def save_node(
    node_id: str, request: Request, actor: Editor, session: WriteSession, typed: Annotated[TypedNode, Form()]
) -> Response:
    try:
        with session.begin_nested():
            require_unchanged(typed.seen, node_form.saved(node_queries.node(session, actor, node_id)).seen)
            service.update_node(session, actor, node_id, typed.values(), services(request).config)
    except (Invalid, Conflict) as fault:
        current = node_form.saved(node_queries.node(session, actor, node_id))
        shown = replace(typed.form_again(node_id, fault, current.kept), seen=current.seen)
        return _page(request, session, actor, shown, status=422)
    return RedirectResponse(f"/settings/nodes/{node_id}", 303)


@router.post("/settings/nodes/{node_id}/remove")
def remove_node(node_id: str, actor: Editor, session: WriteSession) -> Response:
    service.delete_node(session, actor, node_id)
    return RedirectResponse("/settings/nodes", 303)


@router.post("/settings/nodes/{node_id}/test")
def run_test(node_id: str, request: Request, actor: Tester) -> Response:
    """Tests the node as it is saved; the result alone for htmx, else the whole page with it."""
    here = services(request)
    found = _result_part(service.probe_node(here.database, actor, node_id, here.config), actor)
    if is_htmx(request):
        return render(request, "settings/_nodes_test.html", {"test": found})
    with here.database.read() as session:
        return _page(request, session, actor, node_form.saved(node_queries.node(session, actor, node_id)), found)


def _result_part(found: Probe, actor: Actor) -> ResultPart:
    words = _words()
    steps = [(step_word(step.name), step) for step in found.steps]
    offered = ", ".join(words[name] for name in found.offers)
    missing = ", ".join(words[name] for name in found.missing)
    return ResultPart(steps, actor.name, now(), found.seconds, found.ok, offered, missing)
