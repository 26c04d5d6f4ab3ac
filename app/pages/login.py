"""Signing in and out, the second factor, the lock without script, and the change of a temporary password."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from app import settings
from app.http import allow, checks_permission_itself, cookies, public, render, services
from app.http.csrf import check_origin
from app.http.deps import client_address, identify, identity_for
from app.http.i18n import COOKIE as LANGUAGE_COOKIE
from app.http.i18n import LANGUAGES
from app.http.i18n import gettext as _
from app.http.settings import GeneralSettings
from app.kit.errors import TooMany, Unauthorized
from app.pages.forms import Faults, attempt, attempt_alone, current_identity, faults_of, own_path, redirect
from app.pages.shell import fields
from app.security import Actor, Verb, queries, sessions, users
from app.security.errors import SecondFactorRequired
from app.security.models import User
from app.security.settings import SecuritySettings

router = APIRouter(include_in_schema=False)
Self = Annotated[Actor, Depends(allow(Verb.SELF))]


@dataclass(frozen=True, slots=True)
class LoginPage:
    """ticket: set in the second step, when only the code is still missing. empty: there is no user yet."""

    site_name: str
    user: str
    next: str
    ticket: str
    faults: Faults
    empty: bool


@dataclass(frozen=True, slots=True)
class PasswordPage:
    """forced: the password is temporary or too old, and nothing else opens before it is changed."""

    forced: bool
    length: int
    faults: Faults


def _login_page(
    request: Request, user: str, then: str, *, ticket: str = "", faults: Faults | None = None, status: int = 200
) -> Response:
    with services(request).database.read() as session:
        site = settings.load(session, GeneralSettings).site_name
        empty = not queries.has_users(session)
    page = LoginPage(site, user, then, ticket, faults or Faults(), empty)
    return render(request, "security/login.html", fields(page), status)


@router.get("/login")
@public
def login(request: Request, next: str = "/", lang: str = "") -> Response:  # noqa: A002 the parameter's name in links
    """The card. `lang` chooses its language, kept in a cookie."""
    if lang in LANGUAGES:
        answer: Response = redirect(f"/login?next={own_path(next)}")
        cookies.set_choice(request, answer, LANGUAGE_COOKIE, lang)
        return answer
    return _login_page(request, "", own_path(next))


@router.post("/login")
@public
def sign_in(
    request: Request,
    user: Annotated[str, Form(max_length=256)] = "",
    password: Annotated[str, Form(max_length=1024)] = "",
    code: Annotated[str, Form(max_length=64)] = "",
    ticket: Annotated[str, Form(max_length=2048)] = "",
    next: Annotated[str, Form()] = "/",  # noqa: A002 the field's name
) -> Response:
    """First name and password, then the code of those who have a second factor."""
    check_origin(request)
    then, gate = own_path(next), services(request).gate
    address, agent = client_address(request), request.headers.get("user-agent", "")
    try:
        if ticket:
            proven = gate.login.prove_by_ticket(ticket, code, address)
        else:
            proven = gate.login.verify(user, password, code, address)
    except SecondFactorRequired as fault:
        step = ticket or fault.ticket
        shown_faults = faults_of(fault) if ticket else Faults()
        return _login_page(request, user, then, ticket=step, faults=shown_faults, status=401)
    except (Unauthorized, TooMany) as fault:
        return _login_page(request, user, then, faults=faults_of(fault), status=fault.status)
    return _signed_in(request, proven, then, agent)


def _signed_in(request: Request, user: User, then: str, agent: str) -> Response:
    secret = services(request).gate.login.open_session_for(user, client_address(request), agent)
    answer = redirect(then)
    cookies.set_session(request, answer, secret)
    return answer


@router.post("/logout")
@checks_permission_itself(Verb.SELF)
async def sign_out(request: Request) -> Response:
    """Also from a locked screen. Without a session the card is shown."""
    answer = redirect("/login")
    if await identify(request) is not None:
        identity = await identity_for(request, Verb.SELF, locked_too=True)
        await run_in_threadpool(_close, request, identity.actor, identity.session_id)
    cookies.drop_session(request, answer)
    return answer


def _close(request: Request, actor: Actor, session_id: str) -> None:
    if session_id:
        attempt(request, lambda session: sessions.close(session, actor, session_id))


@router.post("/session/unlock")
def unlock(
    request: Request,
    actor: Annotated[Actor, Depends(allow(Verb.SELF, locked_too=True))],
    password: Annotated[str, Form(max_length=1024)] = "",
    code: Annotated[str, Form(max_length=64)] = "",
    next: Annotated[str, Form()] = "/",  # noqa: A002 the field's name
) -> Response:
    """The lock page of those without script; the shell's dialog uses the REST route."""
    identity = current_identity(request)
    try:
        services(request).gate.login.verify(actor.name, password, code, actor.address, how="unlock")
    except (Unauthorized, TooMany) as fault:
        context = {"next": own_path(next), "faults": faults_of(fault)}
        return render(request, "security/lock.html", context, fault.status)
    _, faults = attempt(request, lambda session: sessions.unlock(session, actor, identity.session_id))
    return redirect("/login" if faults.message else own_path(next))


def _password_page(request: Request, faults: Faults, status: int = 200) -> Response:
    with services(request).database.read() as session:
        length = settings.load(session, SecuritySettings).password_length
    page = PasswordPage(current_identity(request).must_change_password, length, faults)
    return render(request, "security/password.html", fields(page), status)


@router.get("/password")
def show_password(request: Request, actor: Self) -> Response:
    return _password_page(request, Faults())


@router.post("/password")
def change_password(
    request: Request,
    actor: Self,
    old: Annotated[str, Form(max_length=1024)] = "",
    new: Annotated[str, Form(max_length=1024)] = "",
    again: Annotated[str, Form(max_length=1024)] = "",
) -> Response:
    """One's own password; all other sessions end."""
    here, session_id = services(request), current_identity(request).session_id

    def change() -> None:
        proof = here.gate.login.confirm_password(actor, old, field="old")
        hashed = users.new_password(here.database, new, actor.name, proof.user_id)
        with here.database.change() as session:
            users.change_own_password(session, actor, proof, hashed, session_id)

    fault = mismatch_fault(new, again)
    if fault is None:
        _, fault = attempt_alone(change)
    return (
        _password_page(request, _rename_fields(fault), fault.status)
        if fault.message
        else redirect("/account?saved=password")
    )


def mismatch_fault(new: str, again: str) -> Faults | None:
    """The fault of two passwords that are not the same; None when they are."""
    if new == again:
        return None
    return Faults(_("The passwords do not match."), {"again": _("The passwords do not match.")})


def _rename_fields(faults: Faults) -> Faults:
    """The policy speaks of `password`; this form calls the field `new`."""
    errors = {("new" if name == "password" else name): text for name, text in faults.errors.items()}
    return Faults(faults.message, errors)
