"""Settings, Nodes, Import: a file is looked at, what it would change is shown, then it is taken over."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import Response

from app.http import ReadSession, allow, render, services
from app.http.i18n import gettext as _
from app.http.i18n import translate
from app.kit.errors import Conflict, Invalid, NotFound
from app.nodes import exchange
from app.nodes.exchange import NodeFileFault, Report
from app.pages.forms import redirect
from app.pages.shell import fields
from app.security import Actor, Verb

router = APIRouter(include_in_schema=False)
Editor = Annotated[Actor, Depends(allow(Verb.NODE_EDIT))]
Text = Annotated[str, Form(max_length=exchange.LIMIT)]


@dataclass(frozen=True, slots=True)
class ChangeLine:
    """One node of the file. changes: field, before, after, as words; notes: what is not taken over."""

    name: str
    action: str
    line: int
    changes: list[tuple[str, str, str]]
    notes: list[str]


@dataclass(frozen=True, slots=True)
class ImportPage:
    """text: the file; lines: what it would do, None before it was looked at; faults: what is wrong with it."""

    section: str
    text: str
    lines: list[ChangeLine] | None
    faults: list[NodeFileFault]
    work: int


def _value_text(value: Any) -> str:
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "-"
    return "-" if value in (None, "") else str(value)


def _lines(report: Report) -> list[ChangeLine]:
    return [
        ChangeLine(
            one.name,
            one.action,
            one.line,
            [(key, _value_text(old), _value_text(new)) for key, (old, new) in one.changes.items()],
            [translate(note) for note in one.notes],
        )
        for one in report.changes
    ]


def _page(request: Request, text: str, report: Report | None, status: int = 200) -> Response:
    work = report.count("create") + report.count("change") if report else 0
    lines = _lines(report) if report else None
    page = ImportPage("nodes", text, lines, report.faults if report else [], work)
    return render(request, "settings/nodes_import.html", fields(page), status)


@router.get("/settings/nodes/import")
def show_import(request: Request, actor: Editor) -> Response:
    return _page(request, "", None)


@router.post("/settings/nodes/import")
def preview(request: Request, actor: Editor, session: ReadSession, text: Text = "") -> Response:
    """Changes of the file; nothing is changed yet."""
    report = exchange.check_nodes(session, actor, text, services(request).config)
    return _page(request, text, report, 422 if report.faults else 200)


@router.post("/settings/nodes/import/apply")
def apply(request: Request, actor: Editor, text: Text = "") -> Response:
    """Takes it over; when something came in between, shows what is wrong now."""
    here = services(request)
    try:
        exchange.import_file(here.database, actor, text, here.config)
    except (Invalid, Conflict, NotFound):
        report = exchange.import_file(here.database, actor, text, here.config, dry_run=True)
        return _page(request, text, report, 422 if report.faults else 409)
    return redirect("/settings/nodes")
