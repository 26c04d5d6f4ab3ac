"""Roles: what the users of one may do."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import BaseModel

from app.http import ReadSession, WriteSession, allow
from app.security import Actor, Verb, roles
from app.security.models import Role

router = APIRouter(tags=["roles"])
Admin = Annotated[Actor, Depends(allow(Verb.USER_ADMIN))]


class RoleValues(BaseModel):
    verbs: list[str]
    sees_all: bool = False


class NewRole(RoleValues):
    name: str


def as_json(role: Role) -> dict[str, Any]:
    return {"name": role.name, "verbs": role.verbs, "sees_all": role.sees_all, "built_in": role.built_in}


@router.get("/roles")
def list_roles(actor: Admin, session: ReadSession) -> dict[str, Any]:
    """Lists the roles with their permissions."""
    items = [as_json(role) for role in roles.list_roles(session, actor)]
    return {"items": items, "total": len(items), "next": None, "verbs": [str(verb) for verb in Verb]}


@router.get("/roles/{name}")
def show_role(name: str, actor: Admin, session: ReadSession) -> dict[str, Any]:
    """Returns a role."""
    return as_json(roles.get(session, actor, name))


@router.post("/roles", status_code=201)
def create_role(body: NewRole, actor: Admin, session: WriteSession) -> dict[str, Any]:
    """Creates a role from existing permissions."""
    return as_json(roles.save(session, actor, body.name, body.verbs, body.sees_all, new=True))


@router.put("/roles/{name}")
def change_role(name: str, body: RoleValues, actor: Admin, session: WriteSession) -> dict[str, Any]:
    """Changes the permissions of a role."""
    return as_json(roles.save(session, actor, name, body.verbs, body.sees_all, new=False))


@router.delete("/roles/{name}", status_code=204)
def delete_role(name: str, actor: Admin, session: WriteSession) -> None:
    """Deletes a role without users; built-in roles cannot be deleted."""
    roles.delete(session, actor, name)
