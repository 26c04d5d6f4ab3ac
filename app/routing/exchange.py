"""Routes as a file: what `export_routes` writes, `import_routes` reads; nodes and facilities in it by name."""

from typing import Any

from sqlalchemy.orm import Session

from app.kit.errors import AppError, Invalid
from app.kit.phrases import phrase
from app.routing import queries, service
from app.routing.models import Route
from app.routing.rule import Rule
from app.security import Actor, Verb, require

FORMAT, VERSION = "filmroom-routes", 1
_MOST = 200
_KEYS = ("name", "facility", "enabled", *Rule.model_fields)


def schema() -> dict[str, Any]:
    """The JSON schema (2020-12) of the file."""
    rule = Rule.model_json_schema(ref_template="#/$defs/{model}")
    properties = {
        "name": {"type": "string", "minLength": 1, "maxLength": 64},
        "facility": {"type": ["string", "null"], "description": "Name of a facility; null: all"},
        "enabled": {"type": "boolean", "description": "As it was; an imported route is off until it is tested"},
        **rule["properties"],
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Routes of Filmroom",
        "type": "object",
        "required": ["format", "version", "routes"],
        "additionalProperties": False,
        "properties": {
            "format": {"const": FORMAT},
            "version": {"const": VERSION},
            "routes": {
                "type": "array",
                "maxItems": _MOST,
                "items": {
                    "type": "object",
                    "required": ["name", "actions"],
                    "additionalProperties": False,
                    "properties": properties,
                },
            },
        },
        "$defs": rule["$defs"],
    }


def export_routes(session: Session, actor: Actor) -> dict[str, Any]:
    """All routes the actor sees, in their order."""
    require(actor, Verb.ROUTE_EDIT)
    names = queries.names(session)
    routes = [
        {
            "name": route.name,
            "facility": names.facilities.get(route.facility_id or ""),
            "enabled": route.enabled,
            **service.with_node_names(route.rule, names.nodes),
        }
        for route in queries.routes(session, actor)
    ]
    return {"format": FORMAT, "version": VERSION, "routes": routes}


def import_routes(session: Session, actor: Actor, data: dict[str, Any]) -> list[dict[str, Any]]:
    """Makes the routes of a file, and changes those of the same name; all or none. New and changed ones are imported
    disabled (FWD-1). What became of each. Raises Invalid with `errors`: place in the file -> words."""
    require(actor, Verb.ROUTE_EDIT)
    routes = data.get("routes")
    if data.get("format") != FORMAT or data.get("version") != VERSION or not isinstance(routes, list):
        raise Invalid("The file is not a routes file.", hint="Use what the export has written.", field="format")
    if len(routes) > _MOST:
        raise Invalid(phrase("There may be {most} routes.", most=_MOST), field="routes")
    facilities = {name: key for key, name in queries.names(session).facilities.items()}
    report: list[dict[str, Any]] = []
    wrong: dict[str, str] = {}
    for number, one in enumerate(routes):
        try:
            with session.begin_nested():
                report.append(_import(session, actor, one, facilities))
        except AppError as fault:
            errors = fault.extra.get("errors") or {str(fault.extra.get("field", "name")): fault.detail}
            wrong |= {f"routes.{number}.{place}": words for place, words in errors.items()}
    if wrong:
        place, words = next(iter(wrong.items()))
        raise Invalid(phrase("{field}: {words}", field=place, words=words), field=place, errors=wrong)
    return report


def _import(session: Session, actor: Actor, one: Any, facilities: dict[str, str]) -> dict[str, Any]:
    if not isinstance(one, dict):
        raise Invalid("A route is an object.", field="name")
    if unknown := sorted(set(one) - set(_KEYS)):
        raise Invalid(phrase("Unknown: {names}.", names=", ".join(unknown)[:200]), field=unknown[0][:64])
    facility = one.get("facility") or ""
    if facility and facility not in facilities:
        raise Invalid("There is no such facility.", field="facility")
    facility_id = facilities.get(facility, "")
    data = {key: one[key] for key in Rule.model_fields if key in one}
    name = str(one.get("name") or "")
    there = queries.route_named(session, name.strip())
    if there is None:
        service.create_route(session, actor, name, data, facility_id=facility_id or None)
        return {"name": name, "result": "created"}
    before = (dict(there.rule), there.facility_id, there.name)
    service.update_route(session, actor, there.id, new_name=name, data=data, facility_id=facility_id)
    return {"name": name, "result": "same" if _same(there, before) else _switch_off(session, actor, there)}


def _same(route: Route, before: tuple[Any, ...]) -> bool:
    return (route.rule, route.facility_id, route.name) == before


def _switch_off(session: Session, actor: Actor, route: Route) -> str:
    service.switch_route(session, actor, route.id, False)
    return "changed"
