"""Under the person menu, for everyone: preferences, password, second factor, tokens."""

from dataclasses import dataclass
from typing import Annotated, Any

import segno
from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import Response

from app.http import allow, cookies, render, services
from app.http.i18n import COOKIE as LANGUAGE_COOKIE
from app.http.templates import THEME_COOKIE
from app.pages.deeds import verb_words
from app.pages.forms import NO_FAULTS, Faults, attempt, attempt_alone, redirect
from app.pages.shell import fields
from app.security import Actor, Verb, second_factor, tokens, users
from app.security.models import ApiToken, User

router = APIRouter(include_in_schema=False)
Self = Annotated[Actor, Depends(allow(Verb.SELF))]


@dataclass(frozen=True, slots=True)
class AccountPage:
    """scopes: (code, words) of what a token may be given; scope_words: of those that the tokens have; saved: which part was just
    saved. secret, qr, codes, token: shown this once, then nowhere."""

    user: User
    tokens: list[ApiToken]
    scopes: list[tuple[str, str]]
    scope_words: dict[str, str]
    saved: str = ""
    part: str = ""
    faults: Faults = NO_FAULTS
    secret: str = ""
    qr: str = ""
    codes: tuple[str, ...] = ()
    token: str = ""


def _page(request: Request, actor: Actor, status: int = 200, **values: Any) -> Response:
    with services(request).database.read() as session:
        user = users.get(session, actor, actor.user_id or "")
        own_tokens = tokens.list_tokens(session, actor)
    by_words = {verb_words(one): one for one in sorted(tokens.scopes_of(actor), reverse=True)}  # metrics has two names
    known = sorted(((one, words) for words, one in by_words.items()), key=lambda one: one[1].casefold())
    words = {one: verb_words(one) for token in own_tokens for one in token.scopes}
    page = AccountPage(user, own_tokens, known, words, **values)
    return render(request, "security/account.html", fields(page), status)


def _answer(request: Request, actor: Actor, part: str, faults: Faults) -> Response:
    if faults.message:
        return _page(request, actor, faults.status, part=part, faults=faults)
    return redirect(f"/account?saved={part}")


@router.get("/account")
def show_account(request: Request, actor: Self, saved: str = "") -> Response:
    return _page(request, actor, saved=saved)


@router.post("/account")
def save_account(
    request: Request,
    actor: Self,
    display_name: Annotated[str, Form(max_length=128)] = "",
    language: Annotated[str, Form()] = "",
    theme: Annotated[str, Form()] = "",
    density: Annotated[str, Form(max_length=16)] = "",
) -> Response:
    """Name, language, theme and density of the tables."""
    values: dict[str, object] = {"display_name": display_name, "language": language, "theme": theme, "density": density}
    _, faults = attempt(request, lambda session: users.set_preferences(session, actor, values))
    answer = _answer(request, actor, "preferences", faults)
    if not faults.message:
        cookies.set_choice(request, answer, LANGUAGE_COOKIE, language)
        cookies.set_choice(request, answer, THEME_COOKIE, theme)
    return answer


@router.post("/account/second-factor")
def begin(request: Request, actor: Self, password: Annotated[str, Form(max_length=1024)] = "") -> Response:
    """Shows the QR code; nothing counts before a code has confirmed it."""
    here = services(request)

    def start() -> tuple[str, str]:
        proof = here.gate.login.confirm_password(actor, password)
        with here.database.change() as session:
            return second_factor.begin(session, actor, here.secrets, proof)

    begun, faults = attempt_alone(start)
    if begun is None:
        return _page(request, actor, faults.status, part="second-factor", faults=faults)
    secret, address = begun
    return _page(request, actor, part="second-factor", secret=secret, qr=_picture(address))


def _picture(address: str) -> str:
    """A QR code as the address of an image, black on white in every theme: cameras want it so."""
    return segno.make(address, micro=False).svg_data_uri(scale=4, dark="#000", light="#fff", border=3)


@router.post("/account/second-factor/confirm")
def confirm(
    request: Request,
    actor: Self,
    code: Annotated[str, Form(max_length=16)] = "",
    secret: Annotated[str, Form(max_length=64)] = "",
) -> Response:
    """Turns it on and shows the recovery codes, this once."""
    here = services(request)

    def turn_on() -> list[str]:
        here.gate.login.confirm_new_factor(actor, code)
        with here.database.change() as session:
            return second_factor.confirm(session, actor, here.secrets, code)

    codes, faults = attempt_alone(turn_on)
    if codes is None:
        return _page(request, actor, 422, part="second-factor", faults=faults, secret=secret)
    return _page(request, actor, part="second-factor", codes=tuple(codes))


@router.post("/account/second-factor/remove")
def remove(request: Request, actor: Self, password: Annotated[str, Form(max_length=1024)] = "") -> Response:
    here = services(request)

    def turn_off() -> None:
        proof = here.gate.login.confirm_password(actor, password)
        with here.database.change() as session:
            second_factor.remove(session, actor, proof)

    _, faults = attempt_alone(turn_off)
    return _answer(request, actor, "second-factor", faults)


@router.post("/account/tokens")
def make_token(
    request: Request,
    actor: Self,
    name: Annotated[str, Form(max_length=256)] = "",
    scopes: Annotated[list[str] | None, Form()] = None,
    days: Annotated[int, Form(ge=0, le=3650)] = 0,
) -> Response:
    """The token is shown on this page and never again."""
    made, faults = attempt(request, lambda session: tokens.create(session, actor, name, scopes or [], days or None)[1])
    if made is None:
        return _page(request, actor, 422, part="tokens", faults=faults)
    return _page(request, actor, part="tokens", token=made)


@router.post("/account/tokens/{token_id}/delete")
def delete_token(request: Request, token_id: str, actor: Self) -> Response:
    _, faults = attempt(request, lambda session: tokens.delete(session, actor, token_id))
    return _answer(request, actor, "tokens", faults)
