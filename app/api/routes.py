"""Routes: what leaves for where when studies come in. Administrators only."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from app.http import ReadSession, WriteSession, allow
from app.routing import queries, service
from app.routing.models import Route
from app.routing.rule import Action, Conditions, Rule, When
from app.security import Actor, Verb

router = APIRouter(tags=["routes"])
Editor = Annotated[Actor, Depends(allow(Verb.ROUTE_EDIT))]


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
        """The rule that the body says, over what there was; None when it says nothing of it."""
        given = {key: getattr(self, key) for key in Rule.model_fields if getattr(self, key) is not None}
        return {**(base or {}), **given} if given else None


class Order(BaseModel):
    model_config = ConfigDict(extra="forbid")

    order: list[str] = Field(max_length=1000, description="The ids of all routes")


@router.get("/routes")
def list_routes(actor: Editor, session: ReadSession) -> dict[str, Any]:
    """All routes in their order, with how many runs are in which state."""
    counts, names = queries.counts(session, actor), queries.names(session).nodes
    items = [service.route_json(one, names, counts.get(one.id, {})) for one in queries.routes(session, actor)]
    return {"items": items, "total": len(items), "next": None}


@router.post("/routes", status_code=201)
def create_route(body: RouteBody, response: Response, actor: Editor, session: WriteSession) -> dict[str, Any]:
    """A new route, last in the order; off unless `enabled`, and then `untested` must be said."""
    made = service.create_route(session, actor, body.name or "", body.rule() or {}, facility_id=body.facility_id)
    if body.enabled:
        service.switch_route(session, actor, made.id, True, untested=body.untested)
    response.headers["Location"] = f"/api/v1/routes/{made.id}"
    return _shown(session, actor, made)


@router.put("/routes/order")
def order_routes(body: Order, actor: Editor, session: WriteSession) -> dict[str, Any]:
    """Puts the routes in this order."""
    service.order_routes(session, actor, body.order)
    return list_routes(actor, session)


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
    """What routes did or have yet to do, newest first: one run for each route and the objects of a study that came
    together."""
    route_id = queries.route(session, actor, route).id if route else None
    found, total = queries.runs(
        session, actor, route_id=route_id, study=study_instance_uid, state=state, limit=limit, before=cursor
    )
    items = [service.run_json(run, name) for run, name in found]
    return {"items": items, "total": total, "next": found[-1][0].id if len(found) == limit else None}


@router.get("/routes/runs/{run_id}")
def get_run(run_id: str, actor: Editor, session: ReadSession) -> dict[str, Any]:
    """One run with its transfers."""
    return _run(session, actor, run_id)


@router.post("/routes/runs/{run_id}/retry")
def retry_run(run_id: str, actor: Editor, session: WriteSession) -> dict[str, Any]:
    """Carries a failed or dropped run out again."""
    service.retry_run(session, actor, run_id)
    return _run(session, actor, run_id)


@router.post("/routes/runs/{run_id}/drop")
def drop_run(run_id: str, actor: Editor, session: WriteSession) -> dict[str, Any]:
    """Gives a run up that waits or failed; its objects stay."""
    service.drop_run(session, actor, run_id)
    return _run(session, actor, run_id)


@router.get("/routes/{name}")
def get_route(name: str, actor: Editor, session: ReadSession) -> dict[str, Any]:
    """By name or id."""
    return _shown(session, actor, queries.route(session, actor, name))


@router.put("/routes/{name}")
@router.patch("/routes/{name}")
def update_route(name: str, body: RouteBody, actor: Editor, session: WriteSession) -> dict[str, Any]:
    """Changes what is given and leaves the rest. Another rule must be tested before the route is turned on again."""
    route = queries.route(session, actor, name)
    data = body.rule(route.rule)
    route = service.update_route(session, actor, route.id, new_name=body.name, data=data, facility_id=body.facility_id)
    if body.enabled is not None:
        service.switch_route(session, actor, route.id, body.enabled, untested=body.untested)
    return _shown(session, actor, route)


@router.delete("/routes/{name}", status_code=204)
def delete_route(name: str, actor: Editor, session: WriteSession) -> None:
    """Removes a route and the record of its runs; transfers it has made go on."""
    service.delete_route(session, actor, name)


@router.post("/routes/{name}/fire")
def fire_route(name: str, actor: Editor, session: WriteSession) -> dict[str, Any]:
    """What waits on this route for its time, or for this word, goes now."""
    return {"runs": service.fire_now(session, actor, name)}


def _shown(session: ReadSession, actor: Actor, route: Route) -> dict[str, Any]:
    session.flush()
    counts = queries.counts(session, actor).get(route.id, {})
    return service.route_json(route, queries.names(session).nodes, counts)


def _run(session: ReadSession, actor: Actor, run_id: str) -> dict[str, Any]:
    run = queries.run(session, actor, run_id)
    made = [transfer.id for transfer, _ in queries.transfers_of(session, run.id)]
    return service.run_json(run, queries.route(session, actor, run.route_id).name, made)
