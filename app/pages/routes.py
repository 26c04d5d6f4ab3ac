"""Settings, Routes: the list in its order at the left; a route's form, its bench and what it did at the right."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.responses import Response

from app.http import ReadSession, WriteSession, allow, render, services
from app.http.i18n import gettext as _
from app.http.templates import is_htmx
from app.http.texts import read_form
from app.kit.errors import AppError, Conflict, Invalid, TooLarge
from app.nodes import queries as peers
from app.pages import route_form, route_words
from app.pages.forms import Faults, attempt, faults_of, redirect, require_unchanged, stamp
from app.pages.route_form import Typed
from app.pages.route_words import RouteLine, RunLine
from app.pages.shell import fields
from app.routing import bench, queries, service, tags
from app.routing.models import Route
from app.security import Actor, Verb, facilities

router = APIRouter(include_in_schema=False)
Editor = Annotated[Actor, Depends(allow(Verb.ROUTE_EDIT))]
_MOST_FILE = 64 << 20
_MOST_FIELDS = 4000
NEW = "new"  # placeholder for the id of a route that is not saved yet


@dataclass(frozen=True, slots=True)
class RouteList:
    """lines: all routes in their order; chosen: the id shown at the right."""

    lines: list[RouteLine]
    chosen: str


@dataclass(frozen=True, slots=True)
class RouteForm:
    """Values of the form; errors by place. id empty: a new route."""

    id: str
    title: str
    values: Typed
    enabled: bool = False
    tested: bool = False
    changed_by: str = ""
    changed_at: datetime | None = None
    errors: dict[str, str] = field(default_factory=dict)
    message: str = ""
    seen: str = ""

    def wrong(self, place: str) -> str:
        """Error at a position of the form or below it."""
        return next((words for at, words in self.errors.items() if at == place or at.startswith(f"{place}.")), "")


@dataclass(frozen=True, slots=True)
class Choices:
    """Choices, as (value, word)."""

    facilities: list[tuple[str, str]]
    nodes: list[tuple[str, str]]
    whens: list[tuple[str, str]]
    weekdays: list[tuple[str, str]]
    fields: list[tuple[str, str]]
    operators: list[tuple[str, str]]
    changes: list[tuple[str, str]]
    profiles: list[tuple[str, str]]
    studies: list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class RoutesPage:
    """section: which part of Settings; form: None while no route exists and none is being added; found: results of the
    test bench; runs: what the route did last."""

    section: str
    routes: RouteList
    form: RouteForm | None
    choices: Choices
    found: list[dict[str, Any]] | None
    bench_fault: str
    runs: list[RunLine]


def _list(session: ReadSession, actor: Actor, chosen: str) -> RouteList:
    counts, names = queries.counts(session, actor), queries.names(session)
    lines = [route_words.line(r, counts.get(r.id, {}), names.nodes) for r in queries.routes(session, actor)]
    return RouteList(lines, chosen)


def _choices(session: ReadSession, actor: Actor) -> Choices:
    known = [(one.id, one.name) for one in facilities.list_facilities(session, actor)]
    return Choices(
        facilities=[("", _("All")), *known],
        nodes=[(node.id, node.name) for node in peers.nodes(session, actor)],
        whens=route_words.whens(),
        weekdays=route_words.weekdays(),
        fields=route_words.conditions(),
        operators=route_words.operators(),
        changes=route_words.changes(),
        profiles=route_words.profiles(),
        studies=route_words.studies(session, actor, ""),
    )


def _saved(route: Route) -> RouteForm:
    values = route_form.form_of(route.name, route.facility_id or "", route.rule)
    tested = route.tested_at is not None
    return RouteForm(
        route.id, route.name, values, route.enabled, tested, route.changed_by, route.changed_at, seen=_stamp(route)
    )


def _stamp(route: Route) -> str:
    return stamp(route.name, route.facility_id, route.rule)


def _typed_form(session: ReadSession, actor: Actor, route_id: str, values: Typed, faults: Faults) -> RouteForm:
    """The form as it was typed, with what is wrong beside each field."""
    errors = dict(faults.errors)
    if not route_id:
        return RouteForm("", _("New route"), values, errors=errors, message=faults.general)
    route = queries.route(session, actor, route_id)
    return RouteForm(
        route.id,
        route.name,
        values,
        route.enabled,
        route.tested_at is not None,
        route.changed_by,
        route.changed_at,
        errors,
        faults.general,
        _stamp(route),
    )


def _page(
    request: Request,
    session: ReadSession,
    actor: Actor,
    form: RouteForm | None,
    *,
    found: list[dict[str, Any]] | None = None,
    bench_fault: str = "",
) -> Response:
    runs: list[RunLine] = []
    if form and form.id:
        rows, _total = queries.runs(session, actor, route_id=form.id, limit=10)
        runs = [route_words.run_line(run) for run, _name in rows]
    page = RoutesPage(
        section="routes",
        routes=_list(session, actor, form.id if form else ""),
        form=form,
        choices=_choices(session, actor),
        found=found,
        bench_fault=bench_fault,
        runs=runs,
    )
    return render(request, "settings/routes.html", fields(page), 422 if form and (form.errors or form.message) else 200)


@router.get("/settings/routes")
def show_routes(request: Request, actor: Editor, session: ReadSession) -> Response:
    """The first route, or how to make one."""
    known = queries.routes(session, actor)
    return _page(request, session, actor, _saved(known[0]) if known else None)


@router.get("/settings/routes/list")
def show_list(request: Request, actor: Editor, session: ReadSession, chosen: str = "") -> Response:
    """The list again, for the live page."""
    return render(request, "settings/_routes_list.html", {"routes": _list(session, actor, chosen)})


@router.get("/settings/routes/new")
def show_new(request: Request, actor: Editor, session: ReadSession) -> Response:
    return _page(request, session, actor, RouteForm("", _("New route"), route_form.blank()))


@router.get("/settings/routes/tags")
def find_tags(request: Request, actor: Editor, q: str = "") -> Response:
    """Attributes by a part of their keyword, name or number, for the fields that take any."""
    return render(request, "settings/_tags.html", {"tags": tags.find(q)})


@router.get("/settings/routes/studies")
def find_studies(request: Request, actor: Editor, session: ReadSession, q: str = "") -> Response:
    """Studies for the bench."""
    return render(request, "settings/_route_studies.html", {"studies": route_words.studies(session, actor, q)})


@router.get("/settings/routes/{route_id}")
def show_route(route_id: str, request: Request, actor: Editor, session: ReadSession) -> Response:
    return _page(request, session, actor, _saved(queries.route(session, actor, route_id)))


async def _form(request: Request) -> FormData:
    return await read_form(request, max_files=1, max_fields=_MOST_FIELDS)


Filled = Annotated[FormData, Depends(_form)]


def _pairs(form: FormData) -> list[tuple[str, str]]:
    known = ("name", "facility_id", "take", "when", "conditions", "actions")
    return [(k, v) for k, v in form.multi_items() if isinstance(v, str) and k.split(".")[0] in known]


@router.post("/settings/routes/{route_id}")
def save_route(request: Request, actor: Editor, form: Filled, route_id: str) -> Response:
    """Saves ("new": makes it), or changes the rows of the form where a button of theirs was pressed."""
    route_id = route_id.removeprefix(NEW)
    values, command = route_form.typed(_pairs(form)), str(form.get("do") or "")
    if command:
        route_form.command(values, command)
        with services(request).database.read() as session:
            shown = _typed_form(session, actor, route_id, values, Faults())
            if is_htmx(request):
                context = {"form": shown, "choices": _choices(session, actor)}
                return render(request, "settings/_route_fields.html", context)
            return _page(request, session, actor, shown)

    def work(session: WriteSession) -> str:
        data, facility = route_form.rule_of(values), values["facility_id"]
        if not route_id:
            return service.create_route(session, actor, values["name"], data, facility_id=facility or None).id
        require_unchanged(str(form.get("seen") or ""), _stamp(queries.route(session, actor, route_id)))
        route = service.update_route(session, actor, route_id, new_name=values["name"], data=data, facility_id=facility)
        return route.id

    made, faults = attempt(request, work)
    if made is not None:
        return redirect(f"/settings/routes/{made}")
    with services(request).database.read() as session:
        return _page(request, session, actor, _typed_form(session, actor, route_id, values, faults))


@router.post("/settings/routes/{route_id}/bench")
async def run_bench(request: Request, actor: Editor, form: Filled, route_id: str) -> Response:
    """Tries the rule in the form, saved or not, on a stored study or a dropped file."""
    route_id = route_id.removeprefix(NEW)
    dropped, data = form.get("file"), b""
    if isinstance(dropped, UploadFile) and dropped.filename:
        data = await dropped.read(_MOST_FILE + 1)
    return await run_in_threadpool(_bench, request, actor, form, route_id, data)


def _bench(request: Request, actor: Actor, form: FormData, route_id: str, data: bytes) -> Response:
    here, values = services(request), route_form.typed(_pairs(form))
    found, fault, faults = None, "", Faults()
    with here.database.read() as session:
        try:
            tried = service.trial_routes(
                session,
                actor,
                [route_id] if route_id else [],
                route_form.rule_of(values),
                values["facility_id"] or None,
            )
            found = bench.test_routes(session, here.config, _subject(request, session, actor, form, data), tried)
        except (Invalid, Conflict) as raised:
            faults = faults_of(raised)
            fault = faults.message
        except AppError as raised:
            fault = faults_of(raised).message
        same = bool(route_id) and found is not None and _is_saved(session, actor, route_id, tried)
    if same:
        with here.database.change() as session:
            service.mark_tested(session, actor, [route_id])
    if is_htmx(request):
        with here.database.read() as session:
            saved = _saved(queries.route(session, actor, route_id)) if same else None
        context = {"found": found, "bench_fault": fault, "form": saved}
        return render(request, "settings/_route_answer.html", context)
    with here.database.read() as session:
        shown = _typed_form(session, actor, route_id, values, faults)
        return _page(request, session, actor, shown, found=found, bench_fault=fault)


def _subject(request: Request, session: ReadSession, actor: Actor, form: FormData, data: bytes) -> bench.Subject:
    if data:
        if len(data) > _MOST_FILE:
            raise TooLarge("The test file may have at most 64 MiB.")
        return bench.of_file(actor, "", data, str(form.get("facility_id") or "") or None)
    study = str(form.get("study") or "")
    if not study:
        raise Invalid("Choose a study, or a file.", field="study")
    return bench.of_study(session, actor, services(request).archive, study)


def _is_saved(session: ReadSession, actor: Actor, route_id: str, tried: list[Any]) -> bool:
    """Whether what was tried is the route as it is saved: only then it counts as tested."""
    route = queries.route(session, actor, route_id)
    return bool(tried) and tried[0].rule.model_dump(mode="json") == route.rule


# -- one click ---------------------------------------------------------------------------------------------------


@router.post("/settings/routes/{route_id}/switch")
def switch(
    route_id: str,
    request: Request,
    actor: Editor,
    on: Annotated[str, Form()] = "",
    untested: Annotated[str, Form()] = "",
) -> Response:
    """Turns it on or off."""
    made, faults = attempt(
        request, lambda s: service.switch_route(s, actor, route_id, bool(on), untested=bool(untested))
    )
    if made is not None:
        return redirect(f"/settings/routes/{route_id}")
    with services(request).database.read() as session:
        values = _saved(queries.route(session, actor, route_id)).values
        return _page(request, session, actor, _typed_form(session, actor, route_id, values, Faults(faults.message)))


@router.post("/settings/routes/{route_id}/move")
def move(route_id: str, actor: Editor, session: WriteSession, by: Annotated[int, Form()] = 0) -> Response:
    """One place up or down in the order."""
    ids = [route.id for route in queries.routes(session, actor)]
    place = ids.index(queries.route(session, actor, route_id).id)
    ids.insert(max(0, place + (1 if by > 0 else -1)), ids.pop(place))
    service.order_routes(session, actor, ids)
    return redirect(f"/settings/routes/{route_id}")


@router.post("/settings/routes/{route_id}/remove")
def remove_route(route_id: str, actor: Editor, session: WriteSession) -> Response:
    service.delete_route(session, actor, route_id)
    return redirect("/settings/routes")


@router.post("/settings/routes/{route_id}/fire")
def fire_route(route_id: str, actor: Editor, session: WriteSession) -> Response:
    """Sends the waiting studies now."""
    service.fire_now(session, actor, route_id)
    return redirect(f"/settings/routes/{route_id}")


@router.post("/settings/routes/{route_id}/runs/{run_id}/{act}")
def act_on_run(route_id: str, run_id: str, act: str, actor: Editor, session: WriteSession) -> Response:
    """Retries or drops a run."""
    if act == "retry":
        service.retry_run(session, actor, run_id)
    else:
        service.drop_run(session, actor, run_id)
    return redirect(f"/settings/routes/{route_id}")
