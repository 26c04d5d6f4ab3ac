"""Settings, Users: the list at the left, one user at the right, with sessions and temporary passwords."""

from dataclasses import dataclass, replace
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import Response

from app.http import WriteSession, allow, i18n, render, services
from app.pages.forms import Faults, attempt, attempt_alone, redirect, require_unchanged, stamp
from app.pages.shell import fields
from app.security import Actor, Verb, facilities, passwords, queries, roles, second_factor, sessions, tokens, users
from app.security.models import ApiToken, User, WebSession

router = APIRouter(include_in_schema=False)
Admin = Annotated[Actor, Depends(allow(Verb.USER_ADMIN))]


@dataclass(frozen=True, slots=True)
class UserForm:
    """Values of the form: a saved user, or what was typed. id empty: a new one."""

    id: str = ""
    name: str = ""
    display_name: str = ""
    email: str = ""
    role: str = "technician"
    facility_id: str = ""
    disabled: bool = False
    second_factor: bool = False
    seen: str = ""


@dataclass(frozen=True, slots=True)
class UsersPage:
    """form: None when no user is chosen. password: a temporary one that was just made, shown this once."""

    section: str
    users: list[User]
    form: UserForm | None
    roles: list[tuple[str, str]]
    facilities: list[tuple[str, str]]
    places: dict[str, str]
    sessions: list[WebSession]
    tokens: list[ApiToken]
    saved: str
    password: str
    faults: Faults


def _form(user: User) -> UserForm:
    return UserForm(
        user.id,
        user.name,
        user.display_name,
        user.email,
        user.role,
        user.facility_id or "",
        user.disabled,
        bool(user.totp_secret),
        _stamp(user),
    )


def _stamp(user: User) -> str:
    return stamp(user.display_name, user.email, user.role, user.facility_id, user.disabled)


def _page(
    request: Request,
    actor: Actor,
    form: UserForm | None,
    *,
    saved: str = "",
    password: str = "",
    faults: Faults | None = None,
) -> Response:
    with services(request).database.read() as session:
        places = {place.id: place.name for place in facilities.list_facilities(session, actor)}
        page = UsersPage(
            section="users",
            users=list(users.list_users(session, actor)),
            form=form,
            roles=[(role.name, i18n.translate(role.name)) for role in roles.list_roles(session, actor)],
            facilities=[("", "—"), *places.items()],
            places=places,
            sessions=[row for row, _ in queries.sessions(session, form.id)] if form and form.id else [],
            tokens=queries.tokens(session, form.id) if form and form.id else [],
            saved=saved,
            password=password,
            faults=faults or Faults(),
        )
    return render(request, "settings/users.html", fields(page), 422 if page.faults.message else 200)


@router.get("/settings/users")
def show_users(request: Request, actor: Admin) -> Response:
    return _page(request, actor, None)


@router.get("/settings/users/new")
def show_new(request: Request, actor: Admin) -> Response:
    return _page(request, actor, UserForm())


@router.post("/settings/users/new")
def create(
    request: Request,
    actor: Admin,
    name: Annotated[str, Form(max_length=128)] = "",
    display_name: Annotated[str, Form(max_length=128)] = "",
    email: Annotated[str, Form(max_length=256)] = "",
    role: Annotated[str, Form(max_length=64)] = "",
    facility_id: Annotated[str, Form(max_length=26)] = "",
) -> Response:
    """Made with a temporary password, which is shown this once."""
    database, password = services(request).database, passwords.generate()
    values: dict[str, Any] = {"display_name": display_name, "email": email, "role": role}

    def make() -> User:
        hashed = users.new_password(database, password, name)
        with database.change() as session:
            return users.create(session, actor, name=name, password=hashed, facility_id=facility_id or None, **values)

    made, faults = attempt_alone(make)
    if made is None:
        form = UserForm("", name, display_name, email, role, facility_id)
        return _page(request, actor, form, faults=faults)
    return _page(request, actor, _form(made), saved="new", password=password)


def _chosen(request: Request, actor: Actor, user_id: str) -> User:
    with services(request).database.read() as session:
        return users.get(session, actor, user_id)


@router.get("/settings/users/{user_id}")
def show_user(request: Request, user_id: str, actor: Admin, saved: str = "") -> Response:
    return _page(request, actor, _form(_chosen(request, actor, user_id)), saved=saved)


@router.post("/settings/users/{user_id}")
def save_user(
    request: Request,
    user_id: str,
    actor: Admin,
    display_name: Annotated[str, Form(max_length=128)] = "",
    email: Annotated[str, Form(max_length=256)] = "",
    role: Annotated[str, Form(max_length=64)] = "",
    facility_id: Annotated[str, Form(max_length=26)] = "",
    disabled: Annotated[bool, Form()] = False,
    seen: Annotated[str, Form(max_length=64)] = "",
) -> Response:
    values: dict[str, object] = {
        "display_name": display_name,
        "email": email,
        "role": role,
        "facility_id": facility_id or None,
        "disabled": disabled,
    }
    user = _chosen(request, actor, user_id)

    def change(session: WriteSession) -> None:
        require_unchanged(seen, _stamp(users.get(session, actor, user.id)))
        users.change(session, actor, user.id, values)

    _, faults = attempt(request, change)
    if faults.message:
        form = replace(
            _form(_chosen(request, actor, user_id)),
            display_name=display_name,
            email=email,
            role=role,
            facility_id=facility_id,
            disabled=disabled,
        )
        return _page(request, actor, form, faults=faults)
    return redirect(f"/settings/users/{user.id}?saved=user")


def _did(request: Request, actor: Actor, user_id: str, faults: Faults) -> Response:
    if faults.message:
        return _page(request, actor, _form(_chosen(request, actor, user_id)), faults=faults)
    return redirect(f"/settings/users/{user_id}?saved=user")


@router.post("/settings/users/{user_id}/password")
def give_temporary_password(request: Request, user_id: str, actor: Admin) -> Response:
    """A temporary password, shown this once; the user's sessions and tokens end."""
    database, password = services(request).database, passwords.generate()
    user = _chosen(request, actor, user_id)

    def reset() -> None:
        hashed = users.new_password(database, password, user.name, user.id)
        with database.change() as session:
            users.reset_password(session, actor, user.id, hashed)

    _, faults = attempt_alone(reset)
    form = _form(_chosen(request, actor, user_id))
    return _page(request, actor, form, password="" if faults.message else password, faults=faults)


@router.post("/settings/users/{user_id}/second-factor")
def drop_second_factor(request: Request, user_id: str, actor: Admin) -> Response:
    _, faults = attempt(request, lambda session: second_factor.reset(session, actor, user_id))
    return _did(request, actor, user_id, faults)


@router.post("/settings/users/{user_id}/sessions/{session_id}/end")
def end_session(request: Request, user_id: str, session_id: str, actor: Admin) -> Response:
    _, faults = attempt(request, lambda session: sessions.close(session, actor, session_id))
    return _did(request, actor, user_id, faults)


@router.post("/settings/users/{user_id}/tokens/{token_id}/end")
def end_token(request: Request, user_id: str, token_id: str, actor: Admin) -> Response:
    _, faults = attempt(request, lambda session: tokens.delete(session, actor, token_id, user_id))
    return _did(request, actor, user_id, faults)


@router.post("/settings/users/{user_id}/delete")
def delete(request: Request, user_id: str, actor: Admin) -> Response:
    _, faults = attempt(request, lambda session: users.delete(session, actor, user_id))
    return _did(request, actor, user_id, faults) if faults.message else redirect("/settings/users")
