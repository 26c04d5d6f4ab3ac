"""Search over all settings: sections and fields by the words people see, each with its address."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from jinja2 import nodes
from jinja2.meta import find_referenced_templates
from starlette.responses import Response

from app import settings
from app.dicom.names import fold
from app.http import allow, render
from app.http.i18n import gettext as _
from app.http.templates import environment, is_htmx
from app.nodes import options as node_options
from app.pages.settings import SECTIONS
from app.pages.shell import fields
from app.security import Actor, Verb

router = APIRouter(include_in_schema=False)
Reader = Annotated[Actor, Depends(allow(Verb.SETTINGS_READ))]
MOST = 20
# The page of each section, whose field labels are read from its template so that none is forgotten, and who may see it.
_PAGES = {
    "general": ("settings/groups.html", Verb.SETTINGS_READ),
    "storage": ("", Verb.SETTINGS_READ),
    "users": ("settings/users.html", Verb.USER_ADMIN),
    "facilities": ("settings/facilities.html", Verb.FACILITY_ADMIN),
    "nodes": ("settings/nodes.html", Verb.NODE_READ),
    "routes": ("settings/routes.html", Verb.ROUTE_EDIT),
    "transfer-log": ("settings/transfer_log.html", Verb.NODE_READ),
    "forwarder": ("settings/forwarder.html", Verb.SETTINGS_READ),
    "certificates": ("settings/certificates.html", Verb.SETTINGS_READ),
    "proxy": ("settings/proxy.html", Verb.SETTINGS_READ),
    "security": ("", Verb.SETTINGS_READ),
    "audit": ("settings/audit.html", Verb.AUDIT_READ),
}
# Macros of components/ui.html whose first argument is a field's name and the second its label.
_FIELDS = {"field", "select", "textarea", "check", "switch", "segments", "text", "number"}
_SHELL = "settings/layout.html"
_NODE_FIELDS = "settings/_node_fields.html"  # made from the description of the options


@dataclass(frozen=True, slots=True)
class Hit:
    """One section or setting. where: the section's name, empty when the hit is the section itself."""

    label: str
    where: str
    href: str


@dataclass(frozen=True, slots=True)
class FoundPart:
    """hits: None without a search, then the list of sections is shown. section: the one that is open."""

    section: str
    asked: str
    hits: list[Hit]


def section_words() -> dict[str, str]:
    """Names of the sections."""
    return {
        "general": _("General"),
        "storage": _("Storage"),
        "users": _("Users"),
        "facilities": _("Facilities"),
        "nodes": _("Nodes"),
        "routes": _("Routes"),
        "transfer-log": _("Transfer log"),
        "forwarder": _("Store and forward"),
        "certificates": _("Certificates"),
        "proxy": _("Proxy"),
        "security": _("Security"),
        "audit": _("Audit"),
    }


@lru_cache(maxsize=64)
def labels(template: str) -> tuple[tuple[str, str], ...]:
    """(field's name, English label) of every field of a template and of what it includes."""
    env = environment()
    assert env.loader is not None
    tree = env.parse(env.loader.get_source(env, template)[0])
    found = [pair for call in tree.find_all(nodes.Call) if (pair := _label(call))]
    if template == _NODE_FIELDS:
        found += [(name, str(one.option.label)) for name, one in node_options.FIELDS.items()]
    for other in find_referenced_templates(tree):
        if other and other.startswith("settings/") and other != _SHELL:
            found += labels(other)
    return tuple(dict.fromkeys(found))


def _label(call: nodes.Call) -> tuple[str, str] | None:
    callee = call.node
    name = callee.attr if isinstance(callee, nodes.Getattr) else callee.name if isinstance(callee, nodes.Name) else ""
    if name not in _FIELDS or len(call.args) < 2:
        return None
    field, label = call.args[0], call.args[1]
    if not (isinstance(field, nodes.Const) and isinstance(label, nodes.Call)):
        return None
    word = label.args[0] if label.args else None
    return (str(field.value), str(word.value)) if isinstance(word, nodes.Const) else None


def _hits(actor: Actor) -> Iterator[tuple[str, Hit]]:
    """(the words it is found by, the hit), sections first in each section."""
    words, known = section_words(), settings.groups()
    for section, (template, verb) in _PAGES.items():
        if verb not in actor.verbs:
            continue
        where, href = words[section], f"/settings/{section}"
        yield where, Hit(where, "", href)
        for group in SECTIONS.get(section, ()):
            for name, info in known[group].model_fields.items() if group in known else ():
                label, helped = _(info.title or name), _(info.description) if info.description else ""
                title = _(known[group].title)
                yield f"{label} {helped} {name} {title} {where}", Hit(label, where, f"{href}#f-{group}-{name}")
        for name, english in labels(template) if template else ():
            yield f"{_(english)} {name} {where}", Hit(_(english), where, f"{href}#f-{name}")


def find(actor: Actor, text: str) -> list[Hit]:
    """At most 20 that hold every word of the text, those whose label holds them first."""
    wanted = fold(text).split()
    found = [
        (not all(word in fold(hit.label) for word in wanted), hit)
        for words, hit in _hits(actor)
        if wanted and all(word in fold(words) for word in wanted)
    ]
    return [hit for _later, hit in sorted(found, key=lambda one: (one[0], one[1].where != ""))][:MOST]


@router.get("/settings/search")
def search(
    request: Request,
    actor: Reader,
    q: Annotated[str, Query(max_length=128)] = "",
    section: Annotated[str, Query(max_length=32)] = "",
) -> Response:
    """The sections, or what is found: at the left for htmx, else a page of its own."""
    part = FoundPart(section, q.strip(), find(actor, q))
    return render(request, "settings/_sections.html" if is_htmx(request) else "settings/search.html", fields(part))
