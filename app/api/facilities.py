"""Facilities."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field

from app.http import ReadSession, WriteSession, allow, services
from app.nodes import facility_titles
from app.security import Actor, Verb, facilities
from app.security.models import Facility

router = APIRouter(tags=["facilities"])
Everyone = Annotated[Actor, Depends(allow(Verb.STUDY_SEARCH))]
Admin = Annotated[Actor, Depends(allow(Verb.FACILITY_ADMIN))]


class FacilityValues(BaseModel):
    """A facility."""

    name: str = Field(max_length=128)
    ae_title: str | None = Field(None, max_length=16, description="Made from the name when left out")
    port: int | None = Field(
        None, description="The next free one from 11113 when left out; 0 for none of its own (null when changing one)"
    )
    tls_port: Annotated[int, Field(ge=0)] | Literal["next"] | None = Field(
        None,
        description="Where its callers talk TLS, with the installation's certificate; next: the next free one;"
        " 0 for none of its own; left out: none, or as it is when changing one",
    )

    def secure(self) -> int | None:
        """As the verbs take it."""
        return facilities.NEXT_FREE if isinstance(self.tls_port, str) else self.tls_port


def as_json(facility: Facility, states: dict[int, str]) -> dict[str, Any]:
    """listening, tls_listening: "open", why the port is not open, or null (none of its own, or no receiver here)."""
    return {
        "id": facility.id,
        "name": facility.name,
        "ae_title": facility.ae_title,
        "port": facility.port,
        "listening": states.get(facility.port or 0),
        "tls_port": facility.tls_port,
        "tls_listening": states.get(facility.tls_port or 0),
        "created_at": facility.created_at,
    }


@router.get("/facilities")
def list_facilities(request: Request, actor: Everyone, session: ReadSession) -> dict[str, Any]:
    """Lists all facilities, or the caller's own when the role is limited to it."""
    states = facility_titles.port_states(services(request).config)
    items = [as_json(facility, states) for facility in facilities.list_facilities(session, actor)]
    return {"items": items, "total": len(items), "next": None}


@router.post("/facilities", status_code=201)
def create_facility(request: Request, body: FacilityValues, actor: Admin, session: WriteSession) -> dict[str, Any]:
    """Creates a facility. Title and port are made from its name when they are not given."""
    config = services(request).config
    reserved = facility_titles.reserved(session, config)
    made = facilities.create(
        session,
        actor,
        body.name,
        ae_title=body.ae_title,
        port=body.port,
        tls_port=body.secure(),
        reserved=reserved,
    )
    return as_json(made, facility_titles.port_states(config))


@router.get("/facilities/{facility_id}")
def show_facility(facility_id: str, request: Request, actor: Everyone, session: ReadSession) -> dict[str, Any]:
    """Returns a facility."""
    return as_json(facilities.get(session, actor, facility_id), facility_titles.port_states(services(request).config))


@router.put("/facilities/{facility_id}")
def change_facility(
    facility_id: str, request: Request, body: FacilityValues, actor: Admin, session: WriteSession
) -> dict[str, Any]:
    """Changes a facility. Title and ports are kept unless others are given. Ports open and close within seconds, without a restart."""
    config = services(request).config
    port = 0 if "port" in body.model_fields_set and body.port is None else body.port
    reserved = facility_titles.reserved(session, config)
    changed = facilities.change(session, actor, facility_id, body.name, body.ae_title, port, reserved, body.secure())
    return as_json(changed, facility_titles.port_states(config))


@router.delete("/facilities/{facility_id}", status_code=204)
def delete_facility(facility_id: str, actor: Admin, session: WriteSession) -> None:
    """Deletes a facility without users, studies and nodes."""
    facilities.delete(session, actor, facility_id)
