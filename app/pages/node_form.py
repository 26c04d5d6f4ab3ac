"""The form of a node: its layout and values, made from the description of the options, and the typed values."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache
from typing import Any

from pydantic import BaseModel, create_model

from app.http.i18n import gettext as _
from app.http.i18n import translate
from app.kit.errors import Conflict, Invalid
from app.kit.numbers import parse_integer
from app.nodes import options
from app.nodes.models import Caller, Node
from app.nodes.option_identity import NodeIdentity
from app.nodes.option_kit import Described
from app.nodes.option_model import PROTOCOLS, NodeOptions, fields_of
from app.nodes.option_rows import ROWS, SECTIONS
from app.nodes.options import BY_SETTING, NodeValues
from app.nodes.service import FROM_FILE
from app.pages.forms import stamp

_CLASSES = {PROTOCOLS: "", ("dicom", "dicomweb"): "not-folder"}


def _css(protocols: tuple[str, ...]) -> str:
    """The class by which the style sheet hides what the chosen protocol does not have (pages.css)."""
    return _CLASSES.get(protocols, f"for-{protocols[0]}")


def _together(fields: list[Described]) -> tuple[str, ...]:
    return tuple(one for one in PROTOCOLS if any(one in each.protocols for each in fields))


@dataclass(frozen=True, slots=True)
class FormRow:
    """A row of the form: lines of fields, with one help text. css: empty, or the class of its protocols."""

    help: str
    css: str
    lines: list[list[Described]]

    def css_of(self, one: Described) -> str:
        """The class of a field, where it differs from that of its row."""
        own = _css(one.protocols)
        return "" if own == self.css else own


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the form. key: empty for the one that is always open."""

    key: str
    title: str
    css: str
    rows: list[FormRow]
    names: frozenset[str]


@cache
def layout(model: type[NodeOptions] = NodeOptions) -> list[Section]:
    """The sections of the form in their order."""
    grouped: dict[str, list[Described]] = {key: [] for key in ROWS}
    places = dict(ROWS)
    for name, one in fields_of(model).items():
        key = one.option.row or name
        places.setdefault(key, (one.option.section, one.option.help))
        grouped.setdefault(key, []).append(one)
    found = []
    for section, title in SECTIONS.items():
        members = [(places[key][1], fields) for key, fields in grouped.items() if fields and places[key][0] == section]
        everything = [one for _help, fields in members for one in fields]
        rows = [FormRow(text, _css(_together(fields)), _lines(fields)) for text, fields in members]
        found.append(
            Section(section, title, _css(_together(everything)), rows, frozenset(one.name for one in everything))
        )
    return found


def _lines(fields: list[Described]) -> list[list[Described]]:
    """Fields that are beside each other, then the switches in a line of their own."""
    lines: list[list[Described]] = []
    for one in fields:
        if one.widget == "switch":
            continue
        if one.option.beside and lines:
            lines[-1].append(one)
        else:
            lines.append([one])
    switches = [one for one in fields if one.widget == "switch"]
    return [*lines, switches] if switches else lines


@dataclass(frozen=True, slots=True)
class NodeForm:
    """The saved node, or the typed values with their errors by field. id empty: a new node. values: every field by its
    name, numbers as typed, without secrets; kept: the secrets that are set."""

    id: str
    values: dict[str, Any]
    kept: frozenset[str] = frozenset()
    from_file: bool = False
    changed_by: str = ""
    changed_at: datetime | None = None
    errors: dict[str, str] = field(default_factory=dict)
    seen: str = ""

    @property
    def name(self) -> str:
        return str(self.values["name"])

    def unfolded(self, section: Section) -> bool:
        """Whether a section of the form is open: a field has an error or differs from its default."""
        usual = blank().values
        return any(
            name in self.errors or (name in usual and self.values.get(name) != usual[name]) for name in section.names
        )


def _texts(values: Mapping[str, Any], model: type[NodeOptions] = NodeOptions) -> dict[str, Any]:
    """Values as fields hold them: numbers as text, empty where the settings apply; secrets never."""
    found = {}
    for name, one in fields_of(model).items():
        if not one.secret:
            value = values[name]
            value = list(value) if one.type is list else value
            found[name] = "" if value is None else str(value) if one.type is int else value
    return found


def saved(node: Node) -> NodeForm:
    """A node of the database."""
    set_to = options.node_options(node).model_dump()
    identity = {name: getattr(node, name) for name in NodeIdentity.model_fields}
    values = _texts(identity | set_to) | {"port": str(node.port or ""), "facility_id": node.facility_id or ""}
    return NodeForm(
        id=node.id,
        values=values,
        kept=frozenset(name for name in options.SECRETS if set_to[name]),
        from_file=node.origin == FROM_FILE,
        changed_by=node.changed_by,
        changed_at=node.changed_at,
        seen=stamp(*values.items()),
    )


def blank(model: type[NodeOptions] = NodeOptions) -> NodeForm:
    """A new node."""
    values = NodeIdentity().model_dump() | model().model_dump() | {"port": "104"}
    return NodeForm("", _texts(values, model))


def of_caller(caller: Caller) -> NodeForm:
    """A new node with the title and address of a caller; its port is not known."""
    form = blank()
    known = {"name": caller.title, "ae_title": caller.title, "host": caller.address}
    return replace(form, values=form.values | known | {"facility_id": caller.facility_id or ""})


def typed_model(model: type[NodeOptions] = NodeOptions) -> type[BaseModel]:
    """The form as the browser sends it: every field a text; a switch that is off sends nothing."""
    found: dict[str, Any] = {"seen": (str, "")}
    for name, one in fields_of(model).items():
        if one.type is list:
            found[name] = (list[str], [])
        elif one.type is bool:
            found[name] = (str, "")
        else:
            found[name] = (str, "" if one.default is None or name == "port" else str(one.default))
        if one.secret:
            found[f"{name}_clear"] = (str, "")
    return create_model("TypedFields", **found)


_Typed = typed_model()


class TypedNode(_Typed):  # type: ignore[valid-type, misc]  # made from the description of the options
    """The typed values."""

    def values(self) -> NodeValues:
        """As the service takes them. Secrets left empty stay as they are, unless they are to be removed."""
        given: dict[str, Any] = {}
        for name, one in options.FIELDS.items():
            typed = getattr(self, name)
            if one.secret:
                given[name] = "" if getattr(self, f"{name}_clear") else typed or None
            elif one.type is int:
                given[name] = _number(typed, one)
            elif one.type is bool:
                given[name] = bool(typed)
            else:
                given[name] = typed.strip() if isinstance(typed, str) else typed
        return NodeValues(**given)

    def form_again(self, node_id: str, fault: Invalid | Conflict, kept: frozenset[str] = frozenset()) -> NodeForm:
        """The form as typed, with the errors by field."""
        errors = {name: translate(words) for name, words in fault.extra.get("errors", {}).items()}
        if not errors:
            errors[str(fault.extra.get("field", "name"))] = translate(fault.detail)
        typed = {name: getattr(self, name) for name, one in options.FIELDS.items() if not one.secret}
        values = {name: bool(value) if options.FIELDS[name].type is bool else value for name, value in typed.items()}
        return NodeForm(node_id, values, kept=kept, errors={key: _(text) for key, text in errors.items()})


def _number(typed: str, one: Described) -> int:
    """The typed number; empty: the value of the settings (or 0). A text that is not a number becomes one that no field
    allows."""
    text = typed.strip()
    if not text:
        return BY_SETTING if one.nullable else 0
    number = parse_integer(text, high=10**9)
    return 10**9 if number is None else number
