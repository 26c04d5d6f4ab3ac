"""Which groups there are: those declared in the `settings.py` of any package, found by name (this layer imports none)."""

import importlib
import importlib.util
import pkgutil
from functools import lru_cache
from typing import Any

from pydantic import ValidationError
from sqlalchemy.orm import Session

import app
from app.kit import clock
from app.kit.errors import Invalid, NotFound
from app.kit.phrases import phrase
from app.kit.validation import message_of
from app.settings.store import Group, history, load, save


@lru_cache(maxsize=1)
def groups() -> dict[str, type[Group]]:
    """Group name -> its model, sorted by name."""
    found: dict[str, type[Group]] = {}
    for room in pkgutil.iter_modules(app.__path__):
        if not room.ispkg or room.name == "settings" or not importlib.util.find_spec(f"app.{room.name}.settings"):
            continue
        module = importlib.import_module(f"app.{room.name}.settings")
        for thing in vars(module).values():
            if isinstance(thing, type) and issubclass(thing, Group) and thing is not Group:
                found[thing.group] = thing
    return dict(sorted(found.items()))


def kind_of(name: str) -> type[Group]:
    kind = groups().get(name)
    if kind is None:
        raise NotFound("Unknown settings group.", hint="GET /api/v1/settings lists them.")
    return kind


def describe(session: Session, kind: type[Group]) -> dict[str, Any]:
    """A group as programs and forms see it: values, rules, and who changed it last."""
    last = history(session, kind, 1)
    return {
        "group": kind.group,
        "title": kind.title,
        "values": load(session, kind).model_dump(mode="json"),
        "schema": kind.model_json_schema(),
        "changed_by": last[0].changed_by if last else None,
        "changed_at": last[0].changed_at if last else None,
    }


def save_values(session: Session, name: str, values: dict[str, Any], actor_name: str) -> Group:
    """Checks and saves a whole group: values left out go back to their default, unknown ones are refused."""
    kind = kind_of(name)
    unknown = sorted(set(values) - set(kind.model_fields))
    if unknown:
        raise Invalid(phrase("Unknown settings: {names}.", names=", ".join(unknown)), field=unknown[0])
    try:
        group = kind.model_validate(values)
    except ValidationError as fault:
        errors = [{"field": ".".join(map(str, e["loc"])), "message": message_of(e)} for e in fault.errors()]
        first = errors[0]
        raise Invalid(
            phrase("{field}: {message}", field=first["field"], message=first["message"]),
            field=first["field"],
            errors=errors,
        ) from None
    save(session, group, actor_name)
    if name == "general":  # this process at once, others within seconds (app/settings/zone.py)
        clock.use_zone(getattr(group, "time_zone", ""))
    return group
