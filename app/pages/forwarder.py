"""Settings, Store and forward: the set-up wizard of a pure store-and-forward box (FWD-4)."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from app.http import ReadSession, allow, render, services
from app.http.i18n import gettext as _
from app.http.templates import is_htmx
from app.http.texts import read_form
from app.kit.classic import NAMES, Classic
from app.kit.errors import Invalid
from app.network.probe import Probe, ProbeStep
from app.pages.forms import Faults, attempt, faults_of, redirect
from app.pages.nodes import step_word
from app.pages.shell import fields
from app.routing import forwarder
from app.security import Actor, Verb, can

router = APIRouter(include_in_schema=False)
Reader = Annotated[Actor, Depends(allow(Verb.SETTINGS_READ))]
Editor = Annotated[Actor, Depends(allow(Verb.SETTINGS_EDIT))]
_HERE = "/settings/forwarder"
_SWITCHES = ("store_locally", "forward_immediately")
_NUMBERS = ("local_port", "pacs_port", "retry_attempts")


@dataclass(frozen=True, slots=True)
class TestPart:
    """Result of *Test connection*: steps in words; fault: why it could not be tried."""

    steps: list[tuple[str, ProbeStep]]
    ok: bool
    fault: str = ""


@dataclass(frozen=True, slots=True)
class ForwarderPage:
    """values: the values of the fields; set_up: a route exists; from_file: the start's file keeps it; waiting: studies
    that wait for Send; restart: something counts from the next start only."""

    section: str
    values: dict[str, Any]
    set_up: bool
    from_file: bool
    waiting: int
    may_edit: bool
    saved: str
    restart: bool
    faults: Faults
    test: TestPart | None


def _page(request: Request, actor: Actor, **more: Any) -> Response:
    config = services(request).config
    with services(request).database.read() as session:
        known = forwarder.current_setup(session, config)
        page = ForwarderPage(
            section="forwarder",
            values=_texts(known) | more.get("typed", {}),
            set_up=bool(known.pacs_host),
            from_file=forwarder.is_from_file(session),
            waiting=forwarder.count_waiting(session),
            may_edit=can(actor, Verb.SETTINGS_EDIT),
            saved=more.get("saved", ""),
            restart=more.get("restart", False),
            faults=more.get("faults", Faults()),
            test=more.get("test"),
        )
    return render(request, "settings/forwarder.html", fields(page), 422 if page.faults.message else 200)


def _texts(known: Classic) -> dict[str, Any]:
    """As fields hold them. A box that is not set up yet begins with what the classic forwarder does."""
    values = known.values() | {"pacs_port": known.pacs_port or 104}
    return {name: value if name in _SWITCHES else str(value) for name, value in values.items()}


async def _typed(request: Request) -> dict[str, Any]:
    """The form as texts; an unticked switch sends nothing."""
    form = await read_form(request)
    return {name: bool(form.get(name)) if name in _SWITCHES else str(form.get(name, "")).strip() for name in NAMES}


Typed = Annotated[dict[str, Any], Depends(_typed)]


def _wanted(typed: dict[str, Any]) -> Classic:
    values: dict[str, Any] = dict(typed)
    for name in _NUMBERS:
        if typed[name].isascii() and typed[name].isdigit() and len(typed[name]) < 8:
            values[name] = int(typed[name])
    return forwarder.validate_setup(values)


@router.get(_HERE)
def show(request: Request, actor: Reader, saved: str = "", restart: bool = False) -> Response:
    return _page(request, actor, saved=saved, restart=restart)


@router.get(_HERE + "/forwarder.json")
def download(request: Request, actor: Reader, session: ReadSession) -> Response:
    """The same as one file, for `filmroom serve --config`."""
    text = forwarder.current_setup(session, services(request).config).text()
    head = {"content-disposition": 'attachment; filename="forwarder.json"'}
    return Response(text, headers=head, media_type="application/json")


@router.post(_HERE)
def save(request: Request, actor: Editor, typed: Typed) -> Response:
    """Node and route at once; title, port and folders from the next start."""
    config = services(request).config
    restart, faults = attempt(request, lambda session: forwarder.save_setup(session, actor, _wanted(typed), config))
    if faults.message:
        return _page(request, actor, typed=typed, faults=faults)
    return redirect(f"{_HERE}?saved=1{'&restart=1' if restart else ''}")


@router.post(_HERE + "/test")
def run_test(request: Request, actor: Editor, typed: Typed) -> Response:
    """*Test connection* with what is typed; nothing is kept."""
    try:
        found = _test_part(forwarder.test_connection(services(request).database, actor, _wanted(typed)))
    except Invalid as fault:
        found = TestPart([], False, " ".join(dict.fromkeys(faults_of(fault).errors.values())))
    if is_htmx(request):
        return render(request, "settings/_forwarder_test.html", {"test": found})
    return _page(request, actor, typed=typed, test=found)


def _test_part(found: Probe) -> TestPart:
    steps = [(step_word(step.name), step) for step in found.steps if step.name != "offers"]
    refused = "store" in found.missing
    return TestPart(
        steps,
        found.ok and not refused,
        _("The PACS responds but does not accept CT images from this station.") if refused else "",
    )


@router.post(_HERE + "/send")
def send(request: Request, actor: Editor) -> Response:
    """Sends the waiting studies now."""
    faults = attempt(request, lambda session: forwarder.send_now(session, actor))[1]
    return _page(request, actor, faults=faults) if faults.message else redirect(f"{_HERE}?saved=sent")
