"""Settings: the forms that are built from a group's model (general, security, and any other)."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request
from pydantic.fields import FieldInfo
from starlette.responses import Response

from app import settings
from app.http import WriteSession, allow, render, services
from app.http.i18n import translate
from app.http.texts import read_form
from app.kit.errors import Invalid, NotFound
from app.kit.phrases import phrase
from app.pages.forms import Faults, attempt, faults_of, redirect, require_unchanged, stamp
from app.pages.setup import checked_hosts, checked_station, keep_station
from app.pages.shell import fields
from app.security import Actor, Verb, can
from app.settings import Group

router = APIRouter(include_in_schema=False)
Reader = Annotated[Actor, Depends(allow(Verb.SETTINGS_READ))]
Editor = Annotated[Actor, Depends(allow(Verb.SETTINGS_EDIT))]
SECTIONS = {
    "general": ("general", "query", "printing"),
    "storage": ("pictures", "import"),
    "security": ("security", "web", "dicom", "cross-origin"),
}
# Values of settings as people read them.
_CHOICES = {"private": phrase("Private networks"), "all": phrase("All addresses"), "known": phrase("Known nodes only")}


@dataclass(frozen=True, slots=True)
class SettingField:
    """One setting as a field. kind: switch, number, choice, lines or text; text: its values."""

    name: str
    label: str
    help: str
    kind: str
    text: str
    on: bool = False
    options: tuple[str, ...] = ()
    low: int | None = None
    high: int | None = None

    @property
    def choices(self) -> list[tuple[str, str]]:
        return [(option, translate(_CHOICES.get(option, option))) for option in self.options]


@dataclass(frozen=True, slots=True)
class GroupForm:
    """One group of a section. changed: by whom and when, None when it never was."""

    group: str
    title: str
    entries: list[SettingField]
    changed_by: str | None
    changed_at: Any
    seen: str


@dataclass(frozen=True, slots=True)
class SettingsPage:
    """wrong: the group whose form was refused. station: title, port and addresses of the boot configuration (section general)."""

    section: str
    groups: list[GroupForm]
    may_edit: bool
    saved: str
    wrong: str
    faults: Faults
    station: tuple[str, str, str] | None
    restart: bool


def _bounds(info: FieldInfo) -> tuple[int | None, int | None]:
    low = next((m.ge for m in info.metadata if hasattr(m, "ge")), None)
    high = next((m.le for m in info.metadata if hasattr(m, "le")), None)
    return low, high


def _entry(name: str, info: FieldInfo, value: Any) -> SettingField:
    """The field that fits a setting's type."""
    label = info.title or name.replace("_", " ").capitalize()
    text, low, high = str(value), *_bounds(info)
    options = tuple(str(option) for option in getattr(info.annotation, "__args__", ()) if isinstance(option, str))
    if isinstance(value, bool):
        return SettingField(name, label, info.description or "", "switch", "", value)
    if isinstance(value, list):
        return SettingField(name, label, info.description or "", "lines", "\n".join(map(str, value)))
    kind = "choice" if options else "number" if isinstance(value, int) else "text"
    return SettingField(name, label, info.description or "", kind, text, False, options, low, high)


def _form(session: Any, kind: type[Group], typed: dict[str, Any] | None = None) -> GroupForm:
    description = settings.describe(session, kind)
    values = description["values"] | (typed or {})
    entries = [_entry(name, info, values[name]) for name, info in kind.model_fields.items()]
    return GroupForm(
        kind.group,
        kind.title,
        entries,
        description["changed_by"],
        description["changed_at"],
        stamp(description["values"]),
    )


def _page(request: Request, actor: Actor, section: str, **more: Any) -> Response:
    wrong, typed = more.get("wrong", ""), more.get("typed")
    known, config = settings.groups(), services(request).config
    with services(request).database.read() as session:
        forms = [
            _form(session, known[name], typed if name == wrong else None) for name in SECTIONS[section] if name in known
        ]
    page = SettingsPage(
        section=section,
        groups=forms,
        may_edit=can(actor, Verb.SETTINGS_EDIT),
        saved=more.get("saved", ""),
        wrong=wrong,
        faults=more.get("faults", Faults()),
        station=more.get("station", (config.aet, str(config.dicom_port), config.dicom_host))
        if section == "general"
        else None,
        restart=more.get("restart", False),
    )
    return render(request, "settings/groups.html", fields(page), 422 if page.faults.message else 200)


@router.get("/settings")
def show_first(request: Request, actor: Reader) -> Response:
    return redirect("/settings/general")


@router.get("/settings/general")
def show_general(request: Request, actor: Reader, saved: str = "", restart: bool = False) -> Response:
    return _page(request, actor, "general", saved=saved, restart=restart)


@router.get("/settings/storage")
def show_storage(request: Request, actor: Reader, saved: str = "") -> Response:
    return _page(request, actor, "storage", saved=saved)


@router.get("/settings/security")
def show_security(request: Request, actor: Reader, saved: str = "") -> Response:
    return _page(request, actor, "security", saved=saved)


@router.post("/settings/general/station")
def save_station(
    request: Request,
    actor: Editor,
    title: Annotated[str, Form(max_length=64)] = "",
    port: Annotated[str, Form(max_length=16)] = "",
    hosts: Annotated[str, Form(max_length=512)] = "",
) -> Response:
    """AE title, port and addresses of this station: boot configuration; they count at once where a supervisor runs."""
    try:
        number, listed = checked_station(title, port), checked_hosts(hosts) if hosts else ""
        restart = keep_station(request, actor, title.strip(), number, listed)
    except Invalid as fault:
        return _page(request, actor, "general", wrong="station", faults=faults_of(fault), station=(title, port, hosts))
    return redirect(f"/settings/general?saved=station{'&restart=1' if restart else ''}")


async def _typed(request: Request) -> dict[str, list[str]]:
    form = await read_form(request)
    return {name: [str(value) for value in form.getlist(name)] for name in form}


def read_values(kind: type[Group], typed: dict[str, list[str]]) -> dict[str, Any]:
    """A form's texts as the types of the group; an unticked switch sends nothing."""
    values: dict[str, Any] = {}
    for name, info in kind.model_fields.items():
        text = (typed.get(name) or [""])[0]
        default = info.get_default(call_default_factory=True)
        if isinstance(default, bool):
            values[name] = bool(text)
        elif isinstance(default, list):
            values[name] = [line.strip() for line in text.splitlines() if line.strip()]
        else:
            values[name] = text.strip()
    return values


@router.post("/settings/groups/{group}")
def save_group(
    request: Request, group: str, actor: Editor, typed: Annotated[dict[str, list[str]], Depends(_typed)]
) -> Response:
    """Saves one group; its section is shown again."""
    section = next((name for name, groups in SECTIONS.items() if group in groups), "")
    if not section:
        raise NotFound("Unknown settings group.")
    kind = settings.kind_of(group)
    values = read_values(kind, typed)

    def save(session: WriteSession) -> None:
        require_unchanged((typed.get("seen") or [""])[0], stamp(settings.describe(session, kind)["values"]))
        settings.save_values(session, group, values, actor.name)

    _, faults = attempt(request, save)
    if faults.message:
        return _page(request, actor, section, wrong=group, typed=values, faults=faults)
    return redirect(f"/settings/{section}?saved={group}")
