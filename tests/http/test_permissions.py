"""Every route says who may use it, and means it: walked and called, role by role (SEC-2, SEC-9)."""

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import RouteContext, iter_route_contexts

from app.http import allow, deps
from app.security.verbs import DEFAULT_ROLES, Verb
from tests.support.client import CAST, Web, all_routers

# Endpoints that stream or wait for long: called by the tests of their own packages.
NOT_CALLED = {"/api/v1/events"}
UNLOCK = "/api/v1/sessions/current/unlock"  # for those who are locked out: it looks at the password first


def dependencies(dependant: Dependant) -> Iterator[Any]:
    for child in dependant.dependencies:
        yield child.call
        yield from dependencies(child)


def routes() -> list[RouteContext]:
    return [route for router in all_routers() for route in iter_route_contexts(router.routes)]


def declared(route: RouteContext) -> set[Verb] | None:
    """The verbs a route asks for; an empty set when it is public; None when it says nothing."""
    endpoint: Any = route.endpoint
    if getattr(endpoint, "__filmroom_public__", False):
        return set()
    found = {endpoint.__filmroom_asks__} if hasattr(endpoint, "__filmroom_asks__") else set()
    dependant = getattr(route, "dependant", None)
    if dependant is not None:
        found |= {call.verb for call in dependencies(dependant) if isinstance(call, allow)}
    return found or None


def test_every_route_declares_a_permission() -> None:
    everything = routes()
    assert len(everything) > 30
    silent = [f"{sorted(route.methods or ())} {route.path}" for route in everything if declared(route) is None]
    assert silent == []


def test_a_route_asks_before_it_takes_the_write_lock() -> None:
    """A transaction opened before the permission is checked would let anybody hold the database's only write lock."""
    wrong = []
    for route in routes():
        dependant = getattr(route, "dependant", None)
        calls = [child.call for child in dependant.dependencies] if dependant is not None else []
        guards = [n for n, call in enumerate(calls) if isinstance(call, allow)]
        writes = [n for n, call in enumerate(calls) if call is deps._write]
        if guards and writes and min(writes) < min(guards):
            wrong.append(route.path)
    assert wrong == []


def _filled(path: str) -> str:
    """The route's path with made-up ids."""
    filled = path.replace(":path}", "}")
    while "{" in filled:
        head, _, tail = filled.partition("{")
        filled = head + "1" + tail.partition("}")[2]
    return filled


@pytest.mark.parametrize("name", ["nobody", *CAST])
def test_what_the_matrix_denies_is_denied_before_anything_is_read(web: Web, name: str) -> None:
    """Every route that changes something, with made-up ids and nothing in it: who lacks the verb is told so, and not what
    is wrong with the request. Only the denied ones are called: the others might act."""
    client = getattr(web, name)
    verbs = DEFAULT_ROLES[CAST[name][0]][0] if name in CAST else frozenset()
    called, wrong = 0, []
    for route in routes():
        wanted = declared(route)
        for method in sorted({"POST", "PUT", "PATCH", "DELETE"} & set(route.methods or ())):
            if not wanted or wanted <= verbs or route.path_format == UNLOCK:
                continue
            called += 1
            answer = client.request(method, _filled(route.path_format or ""))
            right = (403,) if name in CAST else (401, 403, 303)  # a page leads who is not signed in to the login
            if answer.status_code not in right:
                wrong.append(f"{method} {route.path_format}: {answer.status_code}")
    assert wrong == []
    assert called > 50 or name == "admin"


@pytest.mark.parametrize("name", CAST)
def test_a_role_opens_exactly_what_the_matrix_allows(web: Web, name: str) -> None:
    """Every GET route, with made-up ids: 403 exactly when the role lacks the verb."""
    client = getattr(web, name)
    verbs = DEFAULT_ROLES[CAST[name][0]][0]
    wrong = []
    for route in routes():
        wanted = declared(route)
        path = route.path_format or ""
        if "GET" not in (route.methods or ()) or not wanted or path in NOT_CALLED:
            continue
        filled = _filled(path)
        status = client.get(filled).status_code
        if (status == 403) != (not wanted <= verbs) or status in (401, 500):
            wrong.append(f"{path}: {status}")
    assert wrong == []


def test_the_radiologist_may_all_that_the_technician_may() -> None:
    assert DEFAULT_ROLES["technician"][0] <= DEFAULT_ROLES["radiologist"][0]
    assert DEFAULT_ROLES["facility"][0] <= DEFAULT_ROLES["technician"][0]


@pytest.mark.parametrize(
    ("verb", "roles"),
    [
        (Verb.STUDY_SEARCH, "administrator radiologist technician facility"),
        (Verb.STUDY_VIEW, "administrator radiologist technician facility"),
        (Verb.STUDY_IMPORT, "administrator radiologist technician facility"),
        (Verb.STUDY_EXPORT, "administrator radiologist technician"),
        (Verb.STUDY_PRINT, "administrator radiologist technician"),
        (Verb.STUDY_SEND, "administrator radiologist technician"),
        (Verb.STUDY_ANONYMIZE, "administrator radiologist technician"),
        (Verb.STUDY_ANNOTATE, "administrator radiologist technician"),
        (Verb.QUERY_RETRIEVE, "administrator radiologist technician"),
        (Verb.NODE_READ, "administrator radiologist technician"),
        (Verb.NODE_ECHO, "administrator radiologist technician"),
        (Verb.LAYOUT_EDIT, "administrator radiologist technician"),
        (Verb.JOB_OWN, "administrator radiologist technician facility"),
        (Verb.EVENT_FOLLOW, "administrator radiologist technician facility"),
        (Verb.SELF, "administrator radiologist technician facility"),
        (Verb.STUDY_DELETE, "administrator"),
        (Verb.TAG_EDIT, "administrator"),
        (Verb.NODE_EDIT, "administrator"),
        (Verb.ROUTE_EDIT, "administrator"),
        (Verb.JOB_ALL, "administrator"),
        (Verb.CONFLICT_DECIDE, "administrator"),
        (Verb.PROFILE_EDIT, "administrator"),
        (Verb.MASK_EDIT, "administrator"),
        (Verb.CROSSREF_READ, "administrator"),
        (Verb.SETTINGS_READ, "administrator"),
        (Verb.SETTINGS_EDIT, "administrator"),
        (Verb.USER_ADMIN, "administrator"),
        (Verb.FACILITY_ADMIN, "administrator"),
        (Verb.SESSION_ADMIN, "administrator"),
        (Verb.AUDIT_READ, "administrator"),
        (Verb.METRICS_READ, "administrator"),
        (Verb.HEALTH_READ, "administrator"),
    ],
)
def test_the_matrix_says_who_may_what(verb: Verb, roles: str) -> None:
    """SEC-9, one row per verb; a new verb must be added here."""
    assert {name for name, (verbs, _) in DEFAULT_ROLES.items() if verb in verbs} == set(roles.split())


def test_the_matrix_has_a_row_for_every_verb() -> None:
    marks = [mark for mark in test_the_matrix_says_who_may_what.pytestmark if mark.name == "parametrize"]  # type: ignore[attr-defined]
    assert {row[0] for row in marks[0].args[1]} == set(Verb)
