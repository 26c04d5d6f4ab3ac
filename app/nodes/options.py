"""The options of a node beside its name and address: read from the row, changed, checked. Pure.

The row keeps them as JSON (`Node.options`), so that a new option needs no change of the database. The fields are
described in `option_model`; they are read here: `node_options(node).parallel`."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from app.config import Config
from app.kit.phrases import phrase
from app.nodes.models import Node
from app.nodes.option_kit import Described
from app.nodes.option_model import PROTOCOLS, NodeOptions, fields_of, options_of
from app.security.secrets import Secrets
from app.trust import names, pem

__all__ = ["PROTOCOLS", "NodeOptions", "NodeValues", "faults"]


class _BySetting:
    """Type of BY_SETTING; no number, so that a number out of its range is never taken for it."""

    def __repr__(self) -> str:
        return "BY_SETTING"


BY_SETTING: Any = _BySetting()  # in NodeValues: back to the value of the settings (null in JSON)
FIELDS = fields_of()
OPTIONS = options_of()
NAMES = tuple(OPTIONS)
SECRETS = tuple(name for name, one in OPTIONS.items() if one.secret)
NULLABLE = tuple(name for name, one in OPTIONS.items() if one.nullable)
CAPABILITIES: tuple[str, ...] = OPTIONS["capabilities"].values
SYNTAXES: tuple[str, ...] = OPTIONS["transfer_syntax"].values
DEFAULTS = NodeOptions()
_FINGERPRINTS = ("tls_fingerprint", "tls_authority")


def read(kept: Mapping[str, Any]) -> NodeOptions:
    """The options as a row keeps them; what is missing has its default, what is unknown is left out. They were checked
    when they were saved."""
    known = {name: kept[name] for name in NAMES if name in kept}
    if "capabilities" in known:
        known["capabilities"] = tuple(known["capabilities"])
    return NodeOptions.model_construct(**known)


def node_options(node: Node) -> NodeOptions:
    """The options of a node."""
    return read(node.options)


@lru_cache(maxsize=4)
def _secrets(config: Config) -> Secrets:
    return Secrets(config)


def seal(config: Config, text: str) -> str:
    """A password encrypted for the row."""
    return _secrets(config).seal(text)


def decrypt_secret(config: Config, sealed: str) -> str:
    """The password or token in clear, for the moment it is sent; empty when none is set."""
    return _secrets(config).unseal(sealed) if sealed else ""


class NodeValues:
    """Values for a node from a form or a program; None: unchanged (or the default for a new node). password, token: in
    clear, empty to remove it; BY_SETTING where NodeOptions has None. Lists lose their repeats. Any field of `option_model` is an attribute.

    Raises TypeError for an unknown field."""

    __slots__ = ("_values",)

    def __init__(
        self,
        name: str | None = None,
        ae_title: str | None = None,
        host: str | None = None,
        port: int | None = None,
        **values: Any,
    ) -> None:
        if unknown := values.keys() - FIELDS.keys():
            raise TypeError(f"unknown fields of a node: {', '.join(sorted(unknown))}")
        listed = {key: list(dict.fromkeys(value)) for key, value in values.items() if isinstance(value, list)}
        self._values = {"name": name, "ae_title": ae_title, "host": host, "port": port} | values | listed

    def __getattr__(self, name: str) -> Any:
        if name not in FIELDS:
            raise AttributeError(name)
        return self._values.get(name)

    def given_values(self) -> dict[str, Any]:
        """The values that are given, by name."""
        return {name: value for name, value in self._values.items() if value is not None}


def merged(kept: Mapping[str, Any], values: NodeValues, config: Config | None) -> dict[str, Any]:
    """The options after a change, as the row keeps them. Raises ValueError when a secret is to be kept without the keys."""
    found = dict(kept)
    for name, value in values.given_values().items():
        if name not in OPTIONS:
            continue
        if name in SECRETS and value:
            if config is None:
                raise ValueError("a password can only be kept with the installation's keys")
            value = seal(config, value)
        if name in _FINGERPRINTS:
            value = pem.clean_fingerprint(value)
        found[name] = None if name in NULLABLE and value == BY_SETTING else value
    return found


def _fault(one: Described, value: Any) -> str:
    """Error message for one value; empty: nothing."""
    if one.name == "name":
        return one.option.check(value) if one.option.check else ""
    if one.nullable and value == BY_SETTING:
        return ""
    if one.type is list:
        allowed = set(value) <= set(one.values)
        return "" if allowed else phrase("A node can {known}.", known=", ".join(one.values))
    if one.values and value not in one.values:
        return phrase("Write one of {known}.", known=", ".join(known for known in one.values if known))
    if one.name == "port":
        return names.port_fault(value) if value else ""
    if one.option.bounds:
        low, high = one.option.bounds
        return "" if low <= value <= high else phrase("Write a number from {low} to {high}.", low=low, high=high)
    return one.option.check(value) if value and one.option.check else ""


def faults(values: NodeValues) -> dict[str, str]:
    """Field -> what is wrong with it, for all fields that are given."""
    found = {name: _fault(FIELDS[name], value) for name, value in values.given_values().items()}
    if values.tls_fingerprint == "" and "fingerprint" in (values.tls_check, values.tls_caller):
        found["tls_fingerprint"] = "This is needed."
    if values.tls_authority == "" and values.tls_caller == "authority":
        found["tls_authority"] = "This is needed."
    return {field: fault for field, fault in found.items() if fault}


def needed(protocol: str) -> tuple[str, ...]:
    """The fields that a node of this protocol must have beside its name."""
    return {"dicomweb": ("url",), "folder": ("path",)}.get(protocol, ("ae_title", "host", "port"))
