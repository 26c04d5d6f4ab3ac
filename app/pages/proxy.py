"""Settings, Proxy: where calls to the outside go through, and a test of it."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import Response

from app import settings
from app.http import allow, render, services
from app.http.templates import is_htmx
from app.kit.errors import Invalid
from app.kit.numbers import parse_integer
from app.network.settings import connect_timeout
from app.pages.forms import Faults, attempt, faults_of, redirect
from app.pages.shell import fields
from app.security import Actor, Verb, can
from app.trust import proxy_service
from app.trust.proxy_service import Tried
from app.trust.settings import ProxySettings

router = APIRouter(include_in_schema=False)
Reader = Annotated[Actor, Depends(allow(Verb.SETTINGS_READ))]
Editor = Annotated[Actor, Depends(allow(Verb.SETTINGS_EDIT))]


@dataclass(frozen=True, slots=True)
class ProxyPage:
    """kept: a password is set. tried: what a test found; target: host and port it led to."""

    section: str
    url: str
    username: str
    exceptions: str
    kept: bool
    may_edit: bool
    saved: str
    faults: Faults
    tried: Tried | None
    target: tuple[str, str]


def _page(request: Request, actor: Actor, **more: Any) -> Response:
    with services(request).database.read() as session:
        known = settings.load(session, ProxySettings)
        typed = more.get("typed", {})
        page = ProxyPage(
            section="proxy",
            url=typed.get("url", known.url),
            username=typed.get("username", known.username),
            exceptions="\n".join(typed.get("exceptions", known.exceptions)),
            kept=proxy_service.has_password(session),
            may_edit=can(actor, Verb.SETTINGS_EDIT),
            saved=more.get("saved", ""),
            faults=more.get("faults", Faults()),
            tried=more.get("tried"),
            target=more.get("target", ("", "104")),
        )
    return render(request, "settings/proxy.html", fields(page), 422 if page.faults.message else 200)


@router.get("/settings/proxy")
def show(request: Request, actor: Reader, saved: str = "") -> Response:
    return _page(request, actor, saved=saved)


@router.post("/settings/proxy")
def save(
    request: Request,
    actor: Editor,
    url: Annotated[str, Form(max_length=512)] = "",
    username: Annotated[str, Form(max_length=512)] = "",
    password: Annotated[str, Form(max_length=512)] = "",
    password_clear: Annotated[str, Form(max_length=8)] = "",
    exceptions: Annotated[str, Form(max_length=16384)] = "",
) -> Response:
    """A password left empty stays as it is, unless it is to be forgotten."""
    direct = [line.strip() for line in exceptions.splitlines() if line.strip()]
    values = {"url": url.strip(), "username": username.strip(), "exceptions": direct}
    new, secrets = ("" if password_clear else password or None), services(request).secrets
    faults = attempt(request, lambda session: proxy_service.save(session, actor, secrets, values, new))[1]
    return (
        _page(request, actor, typed=values, faults=faults)
        if faults.message
        else redirect("/settings/proxy?saved=proxy")
    )


@router.post("/settings/proxy/test")
def run_test(
    request: Request,
    actor: Editor,
    host: Annotated[str, Form(max_length=256)] = "",
    port: Annotated[str, Form(max_length=8)] = "",
) -> Response:
    """Tests the proxy as it is saved; the result alone for htmx, else the whole page with it."""
    number = parse_integer(port) or 0
    try:
        tried = proxy_service.test_proxy(actor, host.strip(), number, connect_timeout(services(request).database))
    except Invalid as fault:
        tried = Tried(False, faults_of(fault).message, "", 0.0)
    if is_htmx(request):
        return render(request, "settings/_proxy_test.html", {"tried": tried})
    return _page(request, actor, tried=tried, target=(host, port))
