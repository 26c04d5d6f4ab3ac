"""Users, and oneself under /users/me."""

from typing import Annotated, Any

import segno
from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field

from app.api.tokens import as_json as token_json
from app.http import ReadSession, WriteSession, allow, services
from app.security import Actor, Verb, second_factor, tokens, users
from app.security.models import User

router = APIRouter(tags=["users"])
Self = Annotated[Actor, Depends(allow(Verb.SELF))]
Admin = Annotated[Actor, Depends(allow(Verb.USER_ADMIN))]


class NewUser(BaseModel):
    name: str = Field(max_length=64)
    password: str = Field(max_length=256)
    role: str
    facility_id: str | None = None
    display_name: str = Field("", max_length=128)
    email: str = Field("", max_length=256)
    temporary: bool = Field(False, description="The password must be changed at the first sign-in")


class UserChange(BaseModel):
    model_config = ConfigDict(extra="forbid")
    role: str | None = None
    facility_id: str | None = None
    display_name: str | None = Field(None, max_length=128)
    email: str | None = Field(None, max_length=256)
    disabled: bool | None = None


class NewPasswordBody(BaseModel):
    password: str = Field(max_length=256)


class OwnPassword(BaseModel):
    old: str = Field(max_length=256)
    new: str = Field(max_length=256)


class Code(BaseModel):
    code: str = Field(max_length=16)


def as_json(user: User) -> dict[str, Any]:
    return {
        "id": user.id,
        "name": user.name,
        "display_name": user.display_name,
        "email": user.email,
        "role": user.role,
        "facility_id": user.facility_id,
        "disabled": user.disabled,
        "second_factor": bool(user.totp_secret),
        "must_change_password": user.must_change_password,
        "locked_until": user.locked_until,
        "last_login_at": user.last_login_at,
        "created_at": user.created_at,
    }


@router.get("/users/me")
def show_me(request: Request, actor: Self, session: ReadSession) -> dict[str, Any]:
    """Returns the caller with its permissions."""
    user = users.get(session, actor, actor.user_id or "")
    account = {"verbs": sorted(map(str, actor.verbs)), "sees_all": actor.sees_all, "how": request.state.identity.how}
    choices = {"language": user.language, "theme": user.theme, "preferences": user.preferences}
    return as_json(user) | account | choices


@router.put("/users/me/password", status_code=204)
def change_my_password(request: Request, body: OwnPassword, actor: Self) -> None:
    """Changes the caller's password; all other sessions end."""
    here, session_id = services(request), request.state.identity.session_id
    proof = here.gate.login.confirm_password(actor, body.old, field="old")
    new = users.new_password(here.database, body.new, actor.name, proof.user_id)
    with here.database.change() as session:
        users.change_own_password(session, actor, proof, new, session_id)


@router.patch("/users/me/preferences")
def set_my_preferences(body: dict[str, Any], actor: Self, session: WriteSession) -> dict[str, Any]:
    """Changes the caller's preferences: language, theme, display_name, and others by name."""
    user = users.set_preferences(session, actor, body)
    return {"language": user.language, "theme": user.theme, "preferences": user.preferences}


@router.put("/preferences", include_in_schema=False)
def set_preferences(body: dict[str, Any], actor: Self, session: WriteSession) -> dict[str, Any]:
    """The same under the name the shell uses."""
    return set_my_preferences(body, actor, session)


@router.post("/users/me/second-factor")
def begin_second_factor(request: Request, body: NewPasswordBody, actor: Self) -> dict[str, str]:
    """Creates a secret for an authenticator; it is used after PUT has confirmed it with a code."""
    here = services(request)
    proof = here.gate.login.confirm_password(actor, body.password)
    with here.database.change() as session:
        secret, address = second_factor.begin(session, actor, here.secrets, proof)
    return {"secret": secret, "address": address, "qr": segno.make(address, micro=False).svg_data_uri(scale=4)}


@router.put("/users/me/second-factor")
def confirm_second_factor(request: Request, body: Code, actor: Self) -> dict[str, list[str]]:
    """Enables the second factor; only this response contains the recovery codes."""
    here = services(request)
    here.gate.login.confirm_new_factor(actor, body.code)
    with here.database.change() as session:
        return {"recovery_codes": second_factor.confirm(session, actor, here.secrets, body.code)}


@router.delete("/users/me/second-factor", status_code=204)
def remove_second_factor(request: Request, body: NewPasswordBody, actor: Self) -> None:
    """Removes the caller's second factor; needs the password."""
    here = services(request)
    proof = here.gate.login.confirm_password(actor, body.password)
    with here.database.change() as session:
        second_factor.remove(session, actor, proof)


@router.get("/users")
def list_users(actor: Admin, session: ReadSession) -> dict[str, Any]:
    """Lists the accounts."""
    items = [as_json(user) for user in users.list_users(session, actor)]
    return {"items": items, "total": len(items), "next": None}


@router.post("/users", status_code=201)
def create_user(request: Request, body: NewUser, actor: Admin) -> dict[str, Any]:
    """Creates an account."""
    database = services(request).database
    password = users.new_password(database, body.password, body.name)
    with database.change() as session:
        return as_json(users.create(session, actor, password=password, **body.model_dump(exclude={"password"})))


@router.get("/users/{user_id}")
def show_user(user_id: str, actor: Admin, session: ReadSession) -> dict[str, Any]:
    """Returns an account by id or name."""
    return as_json(users.get(session, actor, user_id))


@router.patch("/users/{user_id}")
def change_user(user_id: str, body: UserChange, actor: Admin, session: WriteSession) -> dict[str, Any]:
    """Changes the given values of an account; disabling it ends its sessions and tokens at once."""
    return as_json(users.change(session, actor, user_id, body.model_dump(exclude_unset=True)))


@router.put("/users/{user_id}/password", status_code=204)
def reset_password(request: Request, user_id: str, body: NewPasswordBody, actor: Admin) -> None:
    """Sets a temporary password, to be changed at the next sign-in. Sessions and tokens of the user end."""
    database = services(request).database
    with database.read() as session:
        user = users.get(session, actor, user_id)
    password = users.new_password(database, body.password, user.name, user.id)
    with database.change() as session:
        users.reset_password(session, actor, user.id, password)


@router.get("/users/{user_id}/tokens")
def list_tokens_of_user(user_id: str, actor: Admin, session: ReadSession) -> dict[str, Any]:
    """Lists the tokens of a user, without their secrets."""
    user = users.get(session, actor, user_id)
    items = [token_json(row, owner) for row, owner in tokens.list_all(session, actor, user.id)]
    return {"items": items, "total": len(items), "next": None}


@router.delete("/users/{user_id}/tokens/{token_id}", status_code=204)
def delete_token_of_user(user_id: str, token_id: str, actor: Admin, session: WriteSession) -> None:
    """Deletes a token of a user; it is refused at once."""
    tokens.delete(session, actor, token_id, users.get(session, actor, user_id).id)


@router.delete("/users/{user_id}/second-factor", status_code=204)
def reset_second_factor(user_id: str, actor: Admin, session: WriteSession) -> None:
    """Removes the second factor of a user, for example after the loss of a telephone."""
    second_factor.reset(session, actor, users.get(session, actor, user_id).id)


@router.delete("/users/{user_id}", status_code=204)
def delete_user(user_id: str, actor: Admin, session: WriteSession) -> None:
    """Deletes an account; its name is kept in the audit trail."""
    users.delete(session, actor, user_id)
