"""Settings, Facilities: the list at the left, one of them at the right."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import Response

from app.http import allow, render, services
from app.pages.forms import Faults, attempt, go
from app.pages.shell import fields
from app.security import Actor, Verb, facilities
from app.security.models import Facility

router = APIRouter(include_in_schema=False)
Admin = Annotated[Actor, Depends(allow(Verb.FACILITY_ADMIN))]


@dataclass(frozen=True, slots=True)
class FacilityForm:
    """What stands in the form. id empty: a new one."""

    id: str = ""
    name: str = ""
    ae_title: str = ""
    port: str = ""


@dataclass(frozen=True, slots=True)
class FacilitiesPage:
    section: str
    facilities: list[Facility]
    form: FacilityForm | None
    saved: bool
    faults: Faults


def _page(
    request: Request, actor: Actor, form: FacilityForm | None, saved: bool = False, faults: Faults | None = None
) -> Response:
    with services(request).database.read() as session:
        there = facilities.list_facilities(session, actor)
    page = FacilitiesPage("facilities", there, form, saved, faults or Faults())
    return render(request, "settings/facilities.html", fields(page), 422 if page.faults.message else 200)


def _form(facility: Facility) -> FacilityForm:
    return FacilityForm(facility.id, facility.name, facility.ae_title or "", str(facility.port or ""))


def _number(port: str) -> int | None:
    """A port as typed; -1 when it is no number, which the verb refuses by name."""
    return (int(port) if port.strip().isdigit() else -1) if port.strip() else None


@router.get("/settings/facilities")
def show_all(request: Request, actor: Admin) -> Response:
    return _page(request, actor, None)


@router.get("/settings/facilities/new")
def show_new(request: Request, actor: Admin) -> Response:
    return _page(request, actor, FacilityForm())


@router.post("/settings/facilities/new")
def create(
    request: Request,
    actor: Admin,
    name: Annotated[str, Form(max_length=256)] = "",
    ae_title: Annotated[str, Form(max_length=64)] = "",
    port: Annotated[str, Form(max_length=16)] = "",
) -> Response:
    """Title and port are made when they are left empty."""
    config = services(request).config
    made, faults = attempt(
        request,
        lambda session: (
            facilities.create(
                session,
                actor,
                name,
                ae_title=ae_title or None,
                port=_number(port),
                reserved_title=config.aet,
                reserved_port=config.dicom_port,
            ).id
        ),
    )
    if made is None:
        return _page(request, actor, FacilityForm("", name, ae_title, port), faults=faults)
    return go(f"/settings/facilities/{made}?saved=1")


@router.get("/settings/facilities/{facility_id}")
def show_one(request: Request, facility_id: str, actor: Admin, saved: bool = False) -> Response:
    with services(request).database.read() as session:
        facility = facilities.get(session, actor, facility_id)
    return _page(request, actor, _form(facility), saved)


@router.post("/settings/facilities/{facility_id}")
def save(
    request: Request,
    facility_id: str,
    actor: Admin,
    name: Annotated[str, Form(max_length=256)] = "",
    ae_title: Annotated[str, Form(max_length=64)] = "",
    port: Annotated[str, Form(max_length=16)] = "",
) -> Response:
    _, faults = attempt(
        request,
        lambda session: facilities.change(session, actor, facility_id, name, ae_title or None, _number(port)),
    )
    if faults.message:
        return _page(request, actor, FacilityForm(facility_id, name, ae_title, port), faults=faults)
    return go(f"/settings/facilities/{facility_id}?saved=1")


@router.post("/settings/facilities/{facility_id}/delete")
def delete(request: Request, facility_id: str, actor: Admin) -> Response:
    _, faults = attempt(request, lambda session: facilities.delete(session, actor, facility_id))
    if faults.message:
        with services(request).database.read() as session:
            facility = facilities.get(session, actor, facility_id)
        return _page(request, actor, _form(facility), faults=faults)
    return go("/settings/facilities")
