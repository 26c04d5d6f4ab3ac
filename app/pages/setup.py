"""The first run: three steps, administrator, title and port, first node."""

from dataclasses import dataclass, replace
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import Response

from app import audit, settings
from app import config as boot
from app.http import allow, cookies, public, render, services
from app.http.csrf import check_origin
from app.http.deps import client_address
from app.http.i18n import COOKIE as LANGUAGE_COOKIE
from app.http.i18n import LANGUAGES
from app.http.settings import GeneralSettings
from app.kit import renewal
from app.kit.errors import Invalid
from app.kit.numbers import parse_integer
from app.kit.phrases import phrase
from app.nodes import service as peers
from app.nodes.service import NodeValues
from app.pages.forms import Faults, attempt, attempt_alone, faults_of, redirect
from app.pages.login import mismatch_fault
from app.pages.shell import fields
from app.security import Actor, Verb, queries, setup, users
from app.security.models import User
from app.trust import names

router = APIRouter(include_in_schema=False)
Editor = Annotated[Actor, Depends(allow(Verb.SETTINGS_EDIT))]
NodeEditor = Annotated[Actor, Depends(allow(Verb.NODE_EDIT))]


@dataclass(frozen=True, slots=True)
class FirstPage:
    """Step 1. right: the code of the link is this installation's."""

    code: str
    right: bool
    name: str
    display_name: str
    faults: Faults


@dataclass(frozen=True, slots=True)
class StationPage:
    """Step 2: the values of the fields; dicom_host, host: where DICOM and the pages listen."""

    site_name: str
    title: str
    port: str
    dicom_host: str
    host: str
    faults: Faults


@dataclass(frozen=True, slots=True)
class NodePage:
    """Step 3. restart: title or port were changed and do not count before the next start."""

    name: str
    ae_title: str
    host: str
    port: str
    restart: bool
    faults: Faults


def _first(request: Request, page: FirstPage, status: int = 200) -> Response:
    return render(request, "security/setup_1.html", fields(page), status)


@router.get("/setup")
@public
def show_first(request: Request, code: str = "", lang: str = "") -> Response:
    """Only while there is no user, and only with the code of the console's link. `lang` chooses the language."""
    with services(request).database.read() as session:
        if queries.has_users(session):
            return redirect("/")
    if lang in LANGUAGES:
        answer = redirect(f"/setup?{urlencode({'code': code})}")
        cookies.set_choice(request, answer, LANGUAGE_COOKIE, lang)
        return answer
    right = setup.is_setup_code(services(request).secrets, code)
    return _first(request, FirstPage(code, right, setup.FIRST_NAME, "", Faults()), 200 if right else 403)


@router.post("/setup")
@public
def create_administrator(
    request: Request,
    code: Annotated[str, Form(max_length=64)] = "",
    name: Annotated[str, Form(max_length=128)] = "",
    display_name: Annotated[str, Form(max_length=128)] = "",
    password: Annotated[str, Form(max_length=1024)] = "",
    again: Annotated[str, Form(max_length=1024)] = "",
) -> Response:
    """Makes the administrator and signs in."""
    check_origin(request)
    here = services(request)
    if not setup.is_setup_code(here.secrets, code):
        here.gate.login.refuse_setup_code(client_address(request))
        return _first(request, FirstPage(code, False, name, display_name, Faults()), 403)

    def make() -> User:
        hashed = users.new_password(here.database, password, name)
        with here.database.change() as session:
            return users.create_first_administrator(session, name, hashed, display_name)

    made, fault = None, mismatch_fault(password, again)
    if fault is None:
        made, fault = attempt_alone(make)
    if made is None:
        return _first(request, FirstPage(code, True, name, display_name, fault), 422)
    agent = request.headers.get("user-agent", "")
    answer = redirect("/setup/station")
    cookies.set_session(request, answer, here.gate.login.open_first_session(made, client_address(request), agent))
    return answer


@router.get("/setup/station")
def show_station(request: Request, actor: Editor) -> Response:
    config = services(request).config
    with services(request).database.read() as session:
        site = settings.load(session, GeneralSettings).site_name
    page = StationPage(site, config.aet, str(config.dicom_port), config.dicom_host, config.host, Faults())
    return render(request, "security/setup_2.html", fields(page))


def checked_station(title: str, port: str) -> int:
    if not 0 < len(title.strip()) <= 16 or "\\" in title or not (title.isascii() and title.isprintable()):
        raise Invalid("An AE title has 1 to 16 ASCII characters without a backslash.", field="title")
    number = parse_integer(port.strip(), 1, 65535)
    if number is None:
        raise Invalid("Enter a port from 1 to 65535. Standard DICOM ports: 104, 11112.", field="port")
    return number


def checked_hosts(hosts: str) -> str:
    """Addresses to listen on, apart by commas."""
    listed = [host.strip() for host in hosts.split(",") if host.strip()]
    if not listed or any(names.address(host) is None and host != "localhost" for host in listed):
        raise Invalid(
            "Enter the listening addresses of this computer, comma-separated; 0.0.0.0 = all interfaces.", field="hosts"
        )
    return ", ".join(listed)


def keep_station(request: Request, actor: Actor, title: str, port: int, hosts: str = "") -> bool:
    """Writes title, port and addresses to config.toml when they are new and has them count at once; True when the next
    start is needed for that. Invalid when a facility has the title or the port."""
    config = services(request).config
    before: dict[str, str | int] = {"aet": config.aet, "dicom_port": config.dicom_port, "dicom_host": config.dicom_host}
    after: dict[str, str | int] = {"aet": title, "dicom_port": port, "dicom_host": hosts or config.dicom_host}
    if before == after:
        return False
    with services(request).database.change() as session:
        for facility in queries.facilities(session):
            if title == facility.ae_title:
                raise Invalid(phrase("This AE title is already used by {name}.", name=facility.name), field="title")
            if port == facility.port:
                raise Invalid(phrase("This port is already used by {name}.", name=facility.name), field="port")
        detail = {key: [before[key], after[key]] for key in after if before[key] != after[key]}
        audit.by(session, actor, "settings.edit", "settings", "station", detail=detail)
    if not hosts:
        del after["dicom_host"]
    boot.write(config.data, after)
    now = renewal.request_reload(config.run)
    if now is None:
        return True
    services(request).config = replace(config, **now)  # for this process's pages; the others have begun again
    return any(now[key] != value for key, value in after.items())  # the command line or the environment overrides it


@router.post("/setup/station")
def save_station(
    request: Request,
    actor: Editor,
    site_name: Annotated[str, Form(max_length=128)] = "",
    title: Annotated[str, Form(max_length=64)] = "",
    port: Annotated[str, Form(max_length=16)] = "",
) -> Response:
    """Name of the installation and its AE title."""
    try:
        restart = keep_station(request, actor, title.strip(), checked_station(title, port))
    except Invalid as fault:
        config = services(request).config
        page = StationPage(site_name, title, port, config.dicom_host, config.host, faults_of(fault))
        return render(request, "security/setup_2.html", fields(page), 422)
    attempt(request, lambda s: settings.change(s, GeneralSettings, actor.name, site_name=site_name.strip()))
    return redirect("/setup/node?restart=1" if restart else "/setup/node")


@router.get("/setup/node")
def show_node(request: Request, actor: NodeEditor, restart: bool = False) -> Response:
    return render(request, "security/setup_3.html", fields(NodePage("", "", "", "104", restart, Faults())))


@router.post("/setup/node")
def save_node(
    request: Request,
    actor: NodeEditor,
    name: Annotated[str, Form(max_length=128)] = "",
    ae_title: Annotated[str, Form(max_length=64)] = "",
    host: Annotated[str, Form(max_length=256)] = "",
    port: Annotated[str, Form(max_length=16)] = "",
) -> Response:
    """The first node, then its page, where it can be tested."""
    number = parse_integer(port.strip(), 1, 65535) or 0
    values = NodeValues(name=name.strip(), ae_title=ae_title, host=host.strip(), port=number)
    made, fault = attempt(request, lambda session: peers.create_node(session, actor, values).id)
    if made is None:
        page = NodePage(name, ae_title, host, port, False, fault)
        return render(request, "security/setup_3.html", fields(page), 422)
    return redirect(f"/settings/nodes/{made}")
