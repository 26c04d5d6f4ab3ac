"""Query/Retrieve: asks other archives, shows what they have and what of it is here, fetches it (NET-4)."""

from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Form, Query, Request
from starlette.responses import Response

from app.http import ReadSession, allow, render, services
from app.http.i18n import translate
from app.http.templates import is_htmx
from app.kit.errors import NotFound
from app.kit.numbers import LARGEST
from app.kit.phrases import Phrase
from app.nodes import options
from app.nodes import queries as node_queries
from app.pages import listing, query_rows
from app.pages.forms import Faults, attempt, redirect
from app.pages.query_rows import Chip, ImageRow, MatchRow, RetrievalQueueRow, SeriesRow, TypedQuery
from app.pages.shell import fields
from app.retrieve import queries as retrieve_queries
from app.retrieve import query_jobs, query_states, remote_queries, retrievals
from app.retrieve.models import RemoteQuery
from app.retrieve.query_states import QueryNodeState
from app.retrieve.remote_queries import Wish
from app.security import Actor, Verb

router = APIRouter(include_in_schema=False)
Asker = Annotated[Actor, Depends(allow(Verb.QUERY_RETRIEVE))]
PAGE = 100


@dataclass(frozen=True, slots=True)
class Trouble:
    """Errors of a node, in its words."""

    node: str
    words: str
    hint: str


@dataclass(frozen=True, slots=True)
class Status:
    """The line above the answers. total: studies; nodes: how many answered; here: of which all is here; asking: names of
    those still at it; partial: of those that answered in part only; limited, broken: names of nodes with more answers, or
    with some that could not be read."""

    id: str
    state: str
    total: int
    nodes: int
    here: int
    asking: list[str]
    troubles: list[Trouble]
    partial: list[str]
    limited: list[str]
    broken: list[str]


@dataclass(frozen=True, slots=True)
class QueryRows:
    """matches: those shown; more: the address of the next, or None; query: the id of what was asked."""

    query: str
    matches: list[MatchRow]
    more: str | None


@dataclass(frozen=True, slots=True)
class LiveQueryRows(QueryRows):
    """Parts that a live page reloads: rows, the status line, the text where there are no rows, the chips' notes."""

    status: Status
    chips: list[Chip]
    here: str


@dataclass(frozen=True, slots=True)
class RetrievalQueuePart:
    """The retrieval queue. counts: in words."""

    queue: list[RetrievalQueueRow]
    counts: str


@dataclass(frozen=True, slots=True)
class QueryPage(QueryRows):
    """chips: the nodes that can be asked; typed, faults: the filter row; date_word: its dates in words; live_url: where
    a live page gets the rows again; destinations: nodes that things can be sent to instead."""

    chips: list[Chip]
    status: Status | None
    typed: TypedQuery
    faults: Faults
    date_word: str
    presets: list[tuple[str, str]]
    modalities: tuple[str, ...]
    sort: str
    here: str
    live_url: str
    urls: dict[str, str]
    queue: list[RetrievalQueueRow]
    counts: str
    destinations: list[str]


@dataclass(frozen=True, slots=True)
class QuerySeriesPart:
    """The unfolded study: its series, and what nodes did not answer."""

    query: str
    study: str
    label: str
    series: list[SeriesRow]
    troubles: list[Trouble]


@dataclass(frozen=True, slots=True)
class ImagesPart:
    """The unfolded series: its images."""

    study: str
    series: str
    images: list[ImageRow]
    troubles: list[Trouble]


def _status(query: RemoteQuery, states: list[QueryNodeState], found: list[remote_queries.Match]) -> Status:
    return Status(
        id=query.id,
        state=query_states.query_state(states),
        total=len(found),
        nodes=sum(one.answered for one in states),
        here=sum(match.here.state == "all" for match in found),
        asking=[one.node.node_name for one in states if one.state in query_states.OPEN],
        troubles=[
            Trouble(one.node.node_name, translate(one.error), translate(one.hint)) for one in states if one.error
        ],
        partial=[one.node.node_name for one in states if one.incomplete and not one.answered and one.node.answers],
        limited=[one.node.node_name for one in states if one.node.limited],
        broken=[one.node.node_name for one in states if one.node.broken],
    )


def _states(session: ReadSession, query: RemoteQuery | None) -> list[QueryNodeState]:
    return query_states.node_states(session, query, retrieve_queries.nodes_of(session, query.id)) if query else []


def _chips(session: ReadSession, actor: Actor, asked: list[QueryNodeState] | None) -> list[Chip]:
    """Without a query all are chosen, so that a first search finds what there is."""
    by_id = {one.node.node_id: one for one in asked or ()}
    known = query_rows.queryable_nodes(node_queries.nodes(session, actor))
    return [query_rows.node_chip(node, by_id.get(node.id), asked is None or node.id in by_id) for node in known]


def _url(path: str, **wanted: str) -> str:
    kept = {name: value for name, value in wanted.items() if value}
    return f"{path}?{urlencode(kept)}" if kept else path


def _rows(
    query: RemoteQuery, found: list[remote_queries.Match], sort: str, here: str, first: int, last: int
) -> QueryRows:
    more = None
    if last < len(found):
        more = _url("/query", id=query.id, sort=sort, here=here, cursor=str(last))
    return QueryRows(query.id, [query_rows.match_row(match) for match in found[first:last]], more)


def _queue(session: ReadSession, actor: Actor) -> RetrievalQueuePart:
    shown = []
    for row, node in retrieve_queries.queue(session, actor):
        state, error = retrievals.state_of(session, row)
        shown.append(query_rows.queue_row(row, node, state, translate(error), {"hint": translate(row.hint)}))
    counted = retrieve_queries.counts(session, actor)
    return RetrievalQueuePart(shown, query_rows.counts_word(counted))


@router.get("/query")
def query_page(
    request: Request,
    actor: Asker,
    session: ReadSession,
    id: str = "",  # noqa: A002 the address reads so
    sort: str = "-date",
    here: str = "",
    cursor: Annotated[int, Query(ge=0, le=LARGEST)] = 0,
) -> Response:
    """The page; `id` is a query whose answers are shown. With `cursor` and htmx only the next rows."""
    sort = sort if sort.removeprefix("-") in remote_queries.SORTS else "-date"
    here = here if here in ("all", "part", "none") else ""
    try:
        query = retrieve_queries.query(session, actor, id) if id else None
    except NotFound:
        query = None  # a day has passed: the page opens empty
    if query is not None and cursor and is_htmx(request):
        found = remote_queries.sort_matches(remote_queries.matches(session, actor, query), sort, here)
        part = _rows(query, found, sort, here, max(0, cursor), max(0, cursor) + PAGE)
        return render(request, "query/_more.html", fields(part))
    return _page(request, actor, session, query, sort, here)


def _page(
    request: Request,
    actor: Actor,
    session: ReadSession,
    query: RemoteQuery | None,
    sort: str = "-date",
    here: str = "",
    typed: TypedQuery | None = None,
    faults: Faults | None = None,
) -> Response:
    states = _states(session, query)
    found = remote_queries.matches(session, actor, query) if query else []
    shown = (
        _rows(query, remote_queries.sort_matches(found, sort, here), sort, here, 0, PAGE)
        if query
        else QueryRows("", [], None)
    )
    typed = typed or (TypedQuery.of(query) if query else TypedQuery())
    key = query.id if query else ""
    sorts = ("name", "patient_id", "date", "images", "where")
    urls = {name: _url("/query", id=key, here=here, sort=_toggled_sort(name, sort)) for name in sorts}
    urls["here"] = _url("/query", id=key, sort=sort)
    queue = _queue(session, actor)
    context = QueryPage(
        query=shown.query,
        matches=shown.matches,
        more=shown.more,
        chips=_chips(session, actor, states if query else None),
        status=_status(query, states, found) if query else None,
        typed=typed,
        faults=faults or Faults(),
        date_word=query_rows.date_word(typed),
        presets=query_rows.presets(),
        modalities=listing.MODALITIES + listing.MORE_MODALITIES,
        sort=sort,
        here=here,
        live_url=_url("/query/rows", id=key, sort=sort, here=here),
        urls=urls,
        queue=queue.queue,
        counts=queue.counts,
        destinations=[
            node.name
            for node in node_queries.nodes(session, actor)
            if node.enabled and node.ae_title and options.node_options(node).protocol == "dicom"
        ],
    )
    return render(request, "query/page.html", fields(context), 422 if faults else 200)


def _toggled_sort(name: str, sort: str) -> str:
    """The sort order after a click on the column's head: dates and counts begin with the largest."""
    first = f"-{name}" if name in ("date", "images") else name
    other = name if first.startswith("-") else f"-{name}"
    return other if sort == first else first


@router.post("/query")
def ask(
    request: Request,
    actor: Asker,
    session: ReadSession,
    node: Annotated[list[str] | None, Form()] = None,
    mod: Annotated[list[str] | None, Form()] = None,
    name: Annotated[str, Form()] = "",
    id: Annotated[str, Form()] = "",  # noqa: A002
    born: Annotated[str, Form()] = "",
    date: Annotated[str, Form()] = "",
    desc: Annotated[str, Form()] = "",
    acc: Annotated[str, Form()] = "",
    before: Annotated[str, Form()] = "",
) -> Response:
    """Asks the chosen nodes; before: the query on the page, which is stopped."""
    typed = TypedQuery(
        name.strip(), id.strip(), born.strip(), date.strip(), tuple(mod or ()), desc.strip(), acc.strip()
    )
    if typed.wrong:
        return _page(
            request, actor, session, None, typed=typed, faults=Faults(next(iter(typed.wrong.values())), typed.wrong)
        )
    wish = Wish(tuple(node or ()), "STUDY", typed.keys(), typed.mod)

    def store(writing: Any) -> str:
        if before:
            stop_quietly(writing, actor, before)
        return remote_queries.create_query(writing, actor, wish).id

    made, faults = attempt(request, store)
    if made is None:
        return _page(request, actor, session, None, typed=typed, faults=faults)
    return redirect(_url("/query", id=made))


def stop_quietly(session: Any, actor: Actor, query_id: str) -> None:
    """A new question ends the one before; one that has ended already is left alone."""
    try:
        query = retrieve_queries.query(session, actor, query_id)
    except NotFound:
        return
    if query_states.query_state(_states(session, query)) in ("queued", "running"):
        remote_queries.cancel_query(session, actor, query_id)


@router.post("/query/{query_id}/again")
def ask_again(request: Request, query_id: str, actor: Asker) -> Response:
    """The same question to the same nodes once more."""

    def store(writing: Any) -> str:
        query = retrieve_queries.query(writing, actor, query_id)
        nodes = tuple(node.node_id for node in retrieve_queries.nodes_of(writing, query.id))
        stop_quietly(writing, actor, query_id)
        return remote_queries.create_query(
            writing, actor, Wish(nodes, query.level, query.keys, tuple(query.modalities))
        ).id

    made, _faults = attempt(request, store)
    return redirect(_url("/query", id=made or query_id))


@router.get("/query/rows")
def query_rows_part(
    request: Request,
    actor: Asker,
    session: ReadSession,
    id: str = "",  # noqa: A002
    sort: str = "-date",
    here: str = "",
    last: str = "",
) -> Response:
    """The rows again, for a live page. last: the row its first part ends with, so that nothing is pushed out."""
    query = retrieve_queries.query(session, actor, id)
    states = _states(session, query)
    found = remote_queries.matches(session, actor, query)
    kept = remote_queries.sort_matches(found, sort, here)
    keys = [f"q{match.key}" for match in kept]
    count = max(PAGE, keys.index(last) + 1 if last in keys else 0)
    part = _rows(query, kept, sort, here, 0, count)
    status, chips = _status(query, states, found), _chips(session, actor, states)
    context = LiveQueryRows(part.query, part.matches, part.more, status, chips, here)
    return render(request, "query/_live.html", fields(context))


@router.get("/query/here/{study_uid}")
def local_part(
    study_uid: str, actor: Asker, session: ReadSession, series: Annotated[list[str] | None, Query()] = None
) -> dict[str, Any]:
    """Local objects of an expanded study: objects by series, and which objects of these series. Asks no node."""
    counted = retrieve_queries.local_series(session, actor, study_uid)
    return {"series": counted, "images": retrieve_queries.local_images(session, actor, series or [])[:20_000]}


@router.get("/query/queue")
def queue_part(request: Request, actor: Asker, session: ReadSession) -> Response:
    """The retrieval queue again."""
    return render(request, "query/_queue_live.html", fields(_queue(session, actor)))


@router.get("/query/{query_id}/studies/{study_uid}/series")
def series_part(request: Request, query_id: str, study_uid: str, actor: Asker) -> Response:
    """Rows below a study: its series, asked now."""
    here = services(request)
    keys = {"StudyInstanceUID": study_uid}
    found, faults = query_jobs.query_children(here.database, here.config, actor, query_id, "SERIES", keys)
    with here.database.read() as session:
        answers = retrieve_queries.answers_of(session, query_id, study_uid)
        label = query_rows.plain_name(answers[0][1].values if answers else {})
    shown = [query_rows.series_row(match) for match in found]
    context = QuerySeriesPart(query_id, study_uid, label, shown, _fault_texts(faults))
    return render(request, "query/_series.html", fields(context))


@router.get("/query/{query_id}/studies/{study_uid}/series/{series_uid}/instances")
def images_part(request: Request, query_id: str, study_uid: str, series_uid: str, actor: Asker) -> Response:
    """Rows below a series: its images, asked now."""
    here = services(request)
    keys = {"StudyInstanceUID": study_uid, "SeriesInstanceUID": series_uid}
    found, faults = query_jobs.query_children(here.database, here.config, actor, query_id, "IMAGE", keys)
    shown = [query_rows.image_row(match) for match in found]
    context = ImagesPart(study_uid, series_uid, shown, _fault_texts(faults))
    return render(request, "query/_images.html", fields(context))


def _fault_texts(faults: list[tuple[str, Phrase]]) -> list[Trouble]:
    return [Trouble(node, translate(words), "") for node, words in faults]
