"""Settings, Facilities: the list at the left, one of them at the right."""

from dataclasses import dataclass, replace
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import Response

from app.http import allow, render, services
from app.kit.numbers import parse_integer
from app.nodes import callers, facility_titles
from app.nodes.models import Caller
from app.pages.forms import Faults, attempt, redirect, require_unchanged, stamp
from app.pages.shell import fields
from app.security import Actor, Verb, facilities
from app.security.models import Facility

router = APIRouter(include_in_schema=False)
Admin = Annotated[Actor, Depends(allow(Verb.FACILITY_ADMIN))]


@dataclass(frozen=True, slots=True)
class FacilityForm:
    """Values of the form. id empty: a new one."""

    id: str = ""
    name: str = ""
    ae_title: str = ""
    port: str = ""
    own_port: bool = True
    tls_port: str = ""
    own_tls: bool = False
    seen: str = ""


@dataclass(frozen=True, slots=True)
class FacilityList:
    """facilities: all that are known, by name; states: port -> "open" or why it is not; chosen: the id at the right."""

    facilities: list[Facility]
    states: dict[int, str]
    chosen: str


@dataclass(frozen=True, slots=True)
class FacilitiesPage:
    """calls: who called it and did not fit (title, port or node of another facility), newest first."""

    section: str
    known: FacilityList
    form: FacilityForm | None
    saved: bool
    faults: Faults
    calls: list[Caller]
    own_title: str


def _page(
    request: Request, actor: Actor, form: FacilityForm | None, saved: bool = False, faults: Faults | None = None
) -> Response:
    here = services(request)
    with here.database.read() as session:
        calls = [one for one in callers.list_callers(session, actor) if form and form.id and one.facility_id == form.id]
    shown = _list(request, actor, form.id if form else "")
    page = FacilitiesPage("facilities", shown, form, saved, faults or Faults(), calls, here.config.aet)
    return render(request, "settings/facilities.html", fields(page), 422 if page.faults.message else 200)


def _form(facility: Facility) -> FacilityForm:
    return FacilityForm(
        facility.id,
        facility.name,
        facility.ae_title or "",
        str(facility.port or ""),
        facility.port is not None,
        str(facility.tls_port or ""),
        facility.tls_port is not None,
        _stamp(facility),
    )


def _stamp(facility: Facility) -> str:
    return stamp(facility.name, facility.ae_title, facility.port, facility.tls_port)


@dataclass(frozen=True, slots=True)
class TypedFacility:
    """The submitted values. The switches decide whether it has its own port; one that is left empty is chosen."""

    name: Annotated[str, Form(max_length=256)] = ""
    ae_title: Annotated[str, Form(max_length=64)] = ""
    port: Annotated[str, Form(max_length=16)] = ""
    own_port: Annotated[str, Form(max_length=8)] = ""
    tls_port: Annotated[str, Form(max_length=16)] = ""
    own_tls: Annotated[str, Form(max_length=8)] = ""
    seen: Annotated[str, Form(max_length=64)] = ""

    def form(self, facility_id: str = "") -> FacilityForm:
        """As it stood in the form."""
        return FacilityForm(
            facility_id, self.name, self.ae_title, self.port, bool(self.own_port), self.tls_port, bool(self.own_tls)
        )

    def plain(self) -> int | None:
        return _number(self.port, self.own_port, None)

    def secure(self) -> int | None:
        return _number(self.tls_port, self.own_tls, facilities.NEXT_FREE)


def _number(port: str, own: str, empty: int | None) -> int | None:
    """A port as typed; 0 for none of its own; 65536 when it is not a number, which the verb refuses with the field's
    name."""
    if not own:
        return 0
    return (parse_integer(port.strip(), 0, 65535) or 65536) if port.strip() else empty


@router.get("/settings/facilities")
def show_all(request: Request, actor: Admin) -> Response:
    return _page(request, actor, None)


def _list(request: Request, actor: Actor, chosen: str) -> FacilityList:
    here = services(request)
    with here.database.read() as session:
        there = facilities.list_facilities(session, actor)
    return FacilityList(there, facility_titles.port_states(here.config), chosen)


@router.get("/settings/facilities/list")
def show_list(request: Request, actor: Admin, chosen: str = "") -> Response:
    """The list again, for the live page."""
    return render(request, "settings/_facilities_list.html", {"known": _list(request, actor, chosen)})


@router.get("/settings/facilities/{facility_id}/state")
def show_state(request: Request, facility_id: str, actor: Admin) -> Response:
    """Whether its port is open, again, for the live page."""
    return render(request, "settings/_facility_state.html", {"known": _list(request, actor, facility_id)})


@router.get("/settings/facilities/new")
def show_new(request: Request, actor: Admin) -> Response:
    return _page(request, actor, FacilityForm())


@router.post("/settings/facilities/new")
def create(
    request: Request,
    actor: Admin,
    typed: Annotated[TypedFacility, Depends()],
) -> Response:
    """Title and port are made when they are left empty."""
    config = services(request).config

    def make(session: Any) -> str:
        reserved = facility_titles.reserved(session, config)
        made = facilities.create(
            session,
            actor,
            typed.name,
            ae_title=typed.ae_title or None,
            port=typed.plain(),
            tls_port=typed.secure(),
            reserved=reserved,
        )
        return made.id

    made, faults = attempt(request, make)
    if made is None:
        return _page(request, actor, typed.form(), faults=faults)
    return redirect(f"/settings/facilities/{made}?saved=1")


@router.get("/settings/facilities/{facility_id}")
def edit(request: Request, facility_id: str, actor: Admin, saved: bool = False) -> Response:
    with services(request).database.read() as session:
        facility = facilities.get(session, actor, facility_id)
    return _page(request, actor, _form(facility), saved)


@router.post("/settings/facilities/{facility_id}")
def save(
    request: Request,
    facility_id: str,
    actor: Admin,
    typed: Annotated[TypedFacility, Depends()],
) -> Response:
    config = services(request).config

    def change(session: Any) -> None:
        reserved = facility_titles.reserved(session, config)
        title = typed.ae_title or None
        require_unchanged(typed.seen, _stamp(facilities.get(session, actor, facility_id)))
        facilities.change(session, actor, facility_id, typed.name, title, typed.plain(), reserved, typed.secure())

    _, faults = attempt(request, change)
    if faults.message:
        with services(request).database.read() as session:
            current = _stamp(facilities.get(session, actor, facility_id))
        return _page(request, actor, replace(typed.form(facility_id), seen=current), faults=faults)
    return redirect(f"/settings/facilities/{facility_id}?saved=1")


@router.post("/settings/facilities/{facility_id}/delete")
def delete(request: Request, facility_id: str, actor: Admin) -> Response:
    _, faults = attempt(request, lambda session: facilities.delete(session, actor, facility_id))
    if faults.message:
        with services(request).database.read() as session:
            facility = facilities.get(session, actor, facility_id)
        return _page(request, actor, _form(facility), faults=faults)
    return redirect("/settings/facilities")
