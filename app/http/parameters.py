"""Query parameters of lists: one that is not declared is refused, since a mistyped filter would give everything."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi.dependencies.utils import get_flat_params
from fastapi.params import ParamTypes
from pydantic import AfterValidator, AwareDatetime
from starlette.requests import HTTPConnection

from app.kit.errors import BadRequest
from app.kit.phrases import phrase

_BELOW = "/api/v1/"
_known: dict[Callable[..., Any], frozenset[str] | None] = {}  # of lists; None: no list


def _in_calendar(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError(phrase("A time must lie within the years 1 to 9999 in UTC.")) from None


Moment = Annotated[AwareDatetime, AfterValidator(_in_calendar)]  # with its zone; given as UTC


def refuse_unknown(connection: HTTPConnection) -> None:
    """Raises BadRequest where a list below /api/v1 is asked with a parameter that it does not declare. Lists are the routes
    with a `limit`, and those whose functions begin with list_ or count_."""
    if not connection.scope.get("query_string") or not connection.scope["path"].startswith(_BELOW):
        return
    route: Any = connection.scope.get("route")
    function = getattr(route, "endpoint", None)
    if function is None or connection.scope.get("method") != "GET":
        return
    if function not in _known:
        _known[function] = _of_list(route)
    known = _known[function]
    name = next((one for one in connection.query_params if known is not None and one not in known), None)
    if known is not None and name is not None:
        raise BadRequest(
            phrase("Unknown parameter {parameter}.", parameter=name[:64]),
            hint=phrase("Parameters of this list: {known}.", known=", ".join(sorted(known)) or "-"),
            parameter=name[:64],
        )


def _of_list(route: Any) -> frozenset[str] | None:
    names = declared(route)
    return names if "limit" in names or route.endpoint.__name__.startswith(("list_", "count_")) else None


def declared(route: Any) -> frozenset[str]:
    """The names of the query parameters that a FastAPI route declares, those of its dependencies and models too."""
    others = (ParamTypes.path, ParamTypes.header, ParamTypes.cookie)
    found = get_flat_params(route.dependant)  # fields of a model do not declare their location
    return frozenset(one.alias for one in found if getattr(one.field_info, "in_", None) not in others)
