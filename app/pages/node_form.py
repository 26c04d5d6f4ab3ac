"""The form of a node: what stands in it, and what was typed as the verbs take it."""

from dataclasses import asdict, dataclass, field, fields, replace
from datetime import datetime
from typing import Any

from pydantic import BaseModel

from app.http.i18n import gettext as _
from app.http.i18n import say
from app.kit.errors import Conflict, Invalid
from app.kit.numbers import whole
from app.nodes import options
from app.nodes.models import Caller, Node
from app.nodes.options import BY_SETTING, NodeValues
from app.nodes.service import FROM_FILE
from app.pages.forms import stamp

_NUMBERS = ("port", "max_pdu", "connect_timeout", "network_timeout", "retries", "parallel", "bandwidth_kib", "priority")
_CONNECTION = (
    "tls",
    "tls_profile",
    "client_certificate",
    "tls_check",
    "tls_fingerprint",
    "tls_caller",
    "tls_authority",
    "use_proxy",
    "connect_timeout",
    "network_timeout",
)
_SENDING = (
    "transfer_syntax",
    "parallel",
    "bandwidth_kib",
    "priority",
    "window",
    "paused",
    "lacks_only",
    "commitment",
    "retries",
    "retry_forever",
)
_ADVANCED = ("max_pdu", "character_set", "retrieve_by", "local_title", "comment")


@dataclass(frozen=True, slots=True)
class NodeForm:
    """What stands in the form: the saved node, or what was typed with its errors by field. id empty: a new node.
    values: every option by its name, numbers as typed; kept: which secrets are set already."""

    id: str
    name: str
    ae_title: str
    host: str
    port: str
    enabled: bool
    facility_id: str
    values: dict[str, Any]
    kept: frozenset[str] = frozenset()
    from_file: bool = False
    changed_by: str = ""
    changed_at: datetime | None = None
    errors: dict[str, str] = field(default_factory=dict)
    seen: str = ""

    def unfolded(self, part: str) -> bool:
        """Whether a part of the form is open: something in it is wrong or not as usual."""
        names = {"sending": _SENDING, "connection": _CONNECTION, "advanced": _ADVANCED}[part]
        usual = _texts(asdict(options.DEFAULTS))
        return any(name in self.errors or self.values.get(name) != usual[name] for name in names)


def _texts(values: dict[str, Any]) -> dict[str, Any]:
    """Options as fields hold them: numbers as text, empty where the settings say; secrets never."""
    found = {name: ("" if value is None else value) for name, value in values.items() if name not in options.SECRETS}
    return found | {name: str(found[name]) for name in _NUMBERS if name in found}


def saved(node: Node) -> NodeForm:
    """A node of the database."""
    set_to = asdict(options.of(node))
    return NodeForm(
        id=node.id,
        name=node.name,
        ae_title=node.ae_title,
        host=node.host,
        port=str(node.port or ""),
        enabled=node.enabled,
        facility_id=node.facility_id or "",
        values=_texts(set_to),
        kept=frozenset(name for name in options.SECRETS if set_to[name]),
        from_file=node.origin == FROM_FILE,
        changed_by=node.changed_by,
        changed_at=node.changed_at,
        seen=stamp(node.name, node.ae_title, node.host, node.port, node.enabled, node.facility_id, _texts(set_to)),
    )


def blank() -> NodeForm:
    """A new one."""
    return NodeForm("", "", "", "", "104", True, "", _texts(asdict(options.DEFAULTS)))


def of_caller(caller: Caller) -> NodeForm:
    """A new one, with what is known of somebody who called: its title and address. Its port is for a person to know."""
    return replace(
        blank(), name=caller.title, ae_title=caller.title, host=caller.address, facility_id=caller.facility_id or ""
    )


class Typed(BaseModel):
    """The form as it came: every field a text, a switch that is off sends nothing."""

    name: str = ""
    ae_title: str = ""
    host: str = ""
    port: str = ""
    enabled: str = ""
    facility_id: str = ""
    capabilities: list[str] = []
    accept: str = ""
    may_query: str = ""
    transfer_syntax: str = "stored"
    protocol: str = "dicom"
    url: str = ""
    username: str = ""
    password: str = ""
    password_clear: str = ""
    token: str = ""
    token_clear: str = ""
    path: str = ""
    tls: str = ""
    tls_profile: str = ""
    client_certificate: str = ""
    tls_check: str = "name"
    tls_fingerprint: str = ""
    tls_caller: str = ""
    tls_authority: str = ""
    use_proxy: str = ""
    retrieve_by: str = "move"
    max_pdu: str = ""
    connect_timeout: str = ""
    network_timeout: str = ""
    character_set: str = ""
    parallel: str = "1"
    bandwidth_kib: str = "0"
    priority: str = "5"
    window: str = ""
    paused: str = ""
    seen: str = ""
    lacks_only: str = ""
    commitment: str = ""
    retries: str = ""
    retry_forever: str = ""
    local_title: str = ""
    comment: str = ""

    def values(self) -> NodeValues:
        """As the verbs take it. Secrets left empty stay as they are, unless they are to be forgotten."""
        given: dict[str, Any] = {}
        for one in fields(NodeValues):
            typed = getattr(self, one.name)
            if one.name in options.SECRETS:
                given[one.name] = "" if getattr(self, f"{one.name}_clear") else typed or None
            elif one.name in _NUMBERS:
                given[one.name] = _number(typed, one.name)
            elif "bool" in str(one.type):
                given[one.name] = bool(typed)
            else:
                given[one.name] = typed.strip() if isinstance(typed, str) else typed
        return NodeValues(**given)

    def again(self, node_id: str, fault: Invalid | Conflict, kept: frozenset[str] = frozenset()) -> NodeForm:
        """The form as typed, with what is wrong beside each field."""
        errors = {name: say(words) for name, words in fault.extra.get("errors", {}).items()}
        if not errors:
            errors[str(fault.extra.get("field", "name"))] = say(fault.detail)
        usual = asdict(options.DEFAULTS)
        typed = {name: getattr(self, name) for name in options.NAMES if name not in options.SECRETS}
        return NodeForm(
            id=node_id,
            name=self.name,
            ae_title=self.ae_title,
            host=self.host,
            port=self.port,
            enabled=bool(self.enabled),
            facility_id=self.facility_id,
            values={name: bool(value) if isinstance(usual[name], bool) else value for name, value in typed.items()},
            kept=kept,
            errors={key: _(text) for key, text in errors.items()},
        )


def _number(typed: str, name: str) -> int:
    """The number typed; empty is what the settings say (or 0), and what is no number is one that no field allows."""
    text = typed.strip()
    if not text:
        return BY_SETTING if name in ("max_pdu", "connect_timeout", "network_timeout", "retries") else 0
    number = whole(text, high=10**9)
    return 10**9 if number is None else number
