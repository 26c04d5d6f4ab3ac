"""Routes: what leaves for where when studies come in. Administrators only."""

import json
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Depends, Form, Query, Request, Response, UploadFile
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from app.http import ReadSession, WriteSession, allow, services
from app.http.texts import UNSTORABLE
from app.kit.errors import Invalid, TooLarge
from app.kit.texts import unstorable_place
from app.routing import bench, exchange, queries, service
from app.routing.decide import Candidate
from app.routing.models import Route
from app.routing.rule import Action, Conditions, Rule, When
from app.security import Actor, Verb

router = APIRouter(tags=["routes"])
Editor = Annotated[Actor, Depends(allow(Verb.ROUTE_EDIT))]
Revealer = Annotated[Actor, Depends(allow(Verb.CROSSREF_READ))]
_MOST_FILE = 64 << 20


class RouteBody(BaseModel):
    """A route. Changing one leaves what is not given; when, take, conditions and actions change together with their
    defaults for those left out once one of them is given."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = Field(None, max_length=64)
    enabled: bool | None = None
    untested: bool = Field(False, description="Turn it on although it was not tested as it is")
    facility_id: str | None = Field(None, max_length=26, description="Studies of this facility only; empty: of all")
    when: dict[str, Any] | None = Field(None, json_schema_extra=When.model_json_schema())
    take: Literal["matching", "study"] | None = None
    conditions: dict[str, Any] | None = Field(None, json_schema_extra={"description": Conditions.__doc__ or ""})
    actions: list[dict[str, Any]] | None = Field(None, json_schema_extra={"description": Action.__doc__ or ""})

    def rule(self, base: dict[str, Any] | None = None) -> dict[str, Any] | None:
        """The rule in the body, merged into the stored one; None when the body has no field of a rule."""
        given = {key: getattr(self, key) for key in Rule.model_fields if getattr(self, key) is not None}
        return {**(base or {}), **given} if given else None


class RouteOrder(BaseModel):
    model_config = ConfigDict(extra="forbid")

    order: list[str] = Field(max_length=1000, description="The ids of all routes")


@router.get("/routes")
def list_routes(actor: Editor, session: ReadSession) -> dict[str, Any]:
    """Lists the routes in their order, with the number of runs in each state."""
    counts, names = queries.counts(session, actor), queries.names(session).nodes
    items = [service.route_json(one, names, counts.get(one.id, {})) for one in queries.routes(session, actor)]
    return {"items": items, "total": len(items), "next": None}


@router.post("/routes", status_code=201)
def create_route(body: RouteBody, response: Response, actor: Editor, session: WriteSession) -> dict[str, Any]:
    """Creates a route at the end of the order. `enabled` needs `untested`, because a route is tested first."""
    made = service.create_route(session, actor, body.name or "", body.rule() or {}, facility_id=body.facility_id)
    if body.enabled:
        service.switch_route(session, actor, made.id, True, untested=body.untested)
    response.headers["Location"] = f"/api/v1/routes/{made.id}"
    return _route_json(session, actor, made)


@router.put("/routes/order")
def order_routes(body: RouteOrder, actor: Editor, session: WriteSession) -> dict[str, Any]:
    """Sets the order of the routes."""
    service.order_routes(session, actor, body.order)
    return list_routes(actor, session)


@router.get("/routes/schema")
def show_schema(actor: Editor) -> dict[str, Any]:
    """Returns the JSON schema (2020-12) of the route file."""
    return exchange.schema()


@router.get("/routes/export")
def export_routes(actor: Editor, session: ReadSession) -> dict[str, Any]:
    """Returns all routes as a JSON file, with nodes and facilities by name."""
    return exchange.export_routes(session, actor)


@router.post("/routes/import")
def import_routes(
    body: Annotated[dict[str, Any], Body()], actor: Editor, session: WriteSession, dry_run: bool = False
) -> dict[str, Any]:
    """Creates and changes routes from a file of `/routes/export`, all or none. New and changed routes are disabled.
    dry_run: returns what would be done and changes nothing."""
    report = exchange.import_routes(session, actor, body)
    if dry_run:
        session.rollback()
    return {"items": report, "total": len(report), "next": None, "dry_run": dry_run}


class RouteTestBody(BaseModel):
    """A stored study, and what is tried on it: routes by name or id (none: all), or a rule that is not saved."""

    model_config = ConfigDict(extra="forbid")

    study_instance_uid: str = Field(max_length=64)
    routes: list[str] = Field([], max_length=200)
    rule: dict[str, Any] | None = None
    facility_id: str | None = Field(None, max_length=26, description="Of the rule that is not saved")


@router.post("/routes/test")
def test_routes(body: RouteTestBody, request: Request, actor: Editor) -> dict[str, Any]:
    """Tests routes with a stored study: which match, which conditions failed and on which values, and what would
    leave. Nothing is sent. A saved route that was tried may be turned on. The answer holds patient data."""
    here = services(request)
    with here.database.read() as session:
        subject = bench.of_study(session, actor, here.archive, body.study_instance_uid)
        tried = service.trial_routes(session, actor, body.routes, body.rule, body.facility_id)
        found = bench.test_routes(session, here.config, subject, tried)
    _mark_tested(request, actor, [] if body.rule else tried)
    return {"items": found, "total": len(found), "next": None}


@router.post("/routes/test/file")
async def test_file(
    request: Request,
    actor: Editor,
    file: UploadFile,
    routes: Annotated[str, Form(description="Names or ids, one a line; none: all")] = "",
    rule: Annotated[str, Form(description="A rule that is not saved, as JSON")] = "",
    facility_id: Annotated[str, Form(max_length=26, description="Whose study it would be")] = "",
) -> dict[str, Any]:
    """Tests routes with a DICOM file of up to 64 MiB, as if it had been uploaded. It is not stored."""
    data = await file.read(_MOST_FILE + 1)
    if len(data) > _MOST_FILE:
        raise TooLarge("The test file may have at most 64 MiB.")
    return await run_in_threadpool(_test_file, request, actor, file.filename or "", data, (routes, rule, facility_id))


def _test_file(request: Request, actor: Actor, name: str, data: bytes, asked: tuple[str, str, str]) -> dict[str, Any]:
    here, (routes, rule, facility_id) = services(request), asked
    subject = bench.of_file(actor, name, data, facility_id or None)
    with here.database.read() as session:
        wanted = [line.strip() for line in routes.splitlines() if line.strip()]
        tried = service.trial_routes(session, actor, wanted, _json(rule), facility_id or None)
        found = bench.test_routes(session, here.config, subject, tried)
    _mark_tested(request, actor, [] if rule else tried)
    return {"items": found, "total": len(found), "next": None}


def _json(text: str) -> dict[str, Any] | None:
    if not text.strip():
        return None
    try:
        read = json.loads(text)
    except (ValueError, RecursionError):
        raise Invalid("The rule is not valid JSON.", field="rule") from None
    if not isinstance(read, dict):
        raise Invalid("The rule is not a JSON object.", field="rule")
    if unstorable_place(read) is not None:
        raise Invalid(UNSTORABLE, field="rule")
    return read


def _mark_tested(request: Request, actor: Actor, tried: list[Candidate]) -> None:
    if tried:
        with services(request).database.change() as session:
            service.mark_tested(session, actor, [one.id for one in tried])


@router.get("/routes/runs")
def list_runs(
    actor: Editor,
    session: ReadSession,
    route: str | None = None,
    study_instance_uid: str | None = None,
    state: str | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    cursor: str | None = None,
) -> dict[str, Any]:
    """Lists the runs of routes, newest first: one run for each route and the objects of a study that arrived
    together."""
    route_id = queries.route(session, actor, route).id if route else None
    found, total = queries.runs(
        session, actor, route_id=route_id, study=study_instance_uid, state=state, limit=limit, before=cursor
    )
    items = [service.run_json(run, name) for run, name in found]
    return {"items": items, "total": total, "next": found[-1][0].id if len(found) == limit else None}


@router.get("/routes/runs/{run_id}")
def get_run(run_id: str, actor: Editor, session: ReadSession) -> dict[str, Any]:
    """Returns a run with its transfers."""
    return _run(session, actor, run_id)


@router.get("/routes/runs/{run_id}/cross-reference")
def run_cross_reference(run_id: str, request: Request, actor: Revealer, session: WriteSession) -> dict[str, Any]:
    """Lists the old and new UIDs of objects that a run sent anonymized. Each reading is audited (ANON-3)."""
    pairs = service.cross_reference(session, actor, services(request).config, run_id)
    return {"items": [{"old": old, "new": new} for old, new in pairs], "total": len(pairs), "next": None}


@router.post("/routes/runs/{run_id}/retry")
def retry_run(run_id: str, actor: Editor, session: WriteSession) -> dict[str, Any]:
    """Repeats a failed or dropped run."""
    service.retry_run(session, actor, run_id)
    return _run(session, actor, run_id)


@router.post("/routes/runs/{run_id}/drop")
def drop_run(run_id: str, actor: Editor, session: WriteSession) -> dict[str, Any]:
    """Drops a run that waits or has failed; its objects are kept."""
    service.drop_run(session, actor, run_id)
    return _run(session, actor, run_id)


@router.get("/routes/{name}")
def get_route(name: str, actor: Editor, session: ReadSession) -> dict[str, Any]:
    """Returns a route by name or id."""
    return _route_json(session, actor, queries.route(session, actor, name))


@router.put("/routes/{name}")
@router.patch("/routes/{name}")
def update_route(name: str, body: RouteBody, actor: Editor, session: WriteSession) -> dict[str, Any]:
    """Changes the given values of a route. A changed rule must be tested before the route is enabled again."""
    route = queries.route(session, actor, name)
    data = body.rule(route.rule)
    route = service.update_route(session, actor, route.id, new_name=body.name, data=data, facility_id=body.facility_id)
    if body.enabled is not None:
        service.switch_route(session, actor, route.id, body.enabled, untested=body.untested)
    return _route_json(session, actor, route)


@router.delete("/routes/{name}", status_code=204)
def delete_route(name: str, actor: Editor, session: WriteSession) -> None:
    """Deletes a route with its runs; its transfers continue."""
    service.delete_route(session, actor, name)


@router.post("/routes/{name}/fire")
def fire_route(name: str, actor: Editor, session: WriteSession) -> dict[str, Any]:
    """Runs a route now for the studies that wait for its schedule or for this request."""
    return {"runs": service.fire_now(session, actor, name)}


def _route_json(session: ReadSession, actor: Actor, route: Route) -> dict[str, Any]:
    session.flush()
    counts = queries.counts(session, actor).get(route.id, {})
    return service.route_json(route, queries.names(session).nodes, counts)


def _run(session: ReadSession, actor: Actor, run_id: str) -> dict[str, Any]:
    run = queries.run(session, actor, run_id)
    made = [transfer.id for transfer, _ in queries.transfers_of(session, run.id)]
    return service.run_json(run, queries.route(session, actor, run.route_id).name, made)
