"""What a node can be told beside its name and address: typed reading, and what is wrong with what was typed. Pure.

The row keeps them as JSON (`Node.options`), so that an option more needs no change of the schema; whoever uses one reads
it here: `of(node).parallel`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any
from urllib.parse import urlsplit

from app.config import Config
from app.kit import folders
from app.kit.phrases import phrase
from app.nodes.models import Node
from app.security.secrets import Secrets
from app.trust import names, pem

CAPABILITIES = ("store", "find", "move", "get", "worklist", "commitment", "print")
PROTOCOLS = ("dicom", "dicomweb", "folder")
SYNTAXES = ("stored", "uncompressed", "jpeg-ls", "jpeg2000", "htj2k", "rle")
TLS_PROFILES = ("", "bcp195", "non-downgrading", "modified")
TLS_CHECKS = ("name", "ca", "fingerprint")
TLS_CALLERS = ("", "trusted", "fingerprint", "authority")
RETRIEVALS = ("move", "get")
# Defined terms of Specific Character Set (PS3.3 C.12.1.1.2) we can write queries in; empty: UTF-8 where needed.
CHARACTER_SETS = (
    "",
    "ISO_IR 192",
    "ISO_IR 100",
    "ISO_IR 101",
    "ISO_IR 109",
    "ISO_IR 110",
    "ISO_IR 126",
    "ISO_IR 127",
    "ISO_IR 138",
    "ISO_IR 144",
    "ISO_IR 148",
    "ISO_IR 203",
    "ISO_IR 13",
    "ISO_IR 166",
    "ISO 2022 IR 87",
    "ISO 2022 IR 149",
    "GB18030",
    "GBK",
)
RESERVED = ("export", "import", "schema", "callers")  # what follows /nodes/ in REST
BY_SETTING = -1  # in NodeValues: back to what the settings say (null in JSON)
SECRETS = ("password", "token")

_WINDOW = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9]")
BOUNDS = {
    "max_pdu": (4096, 1 << 20),
    "connect_timeout": (1, 300),
    "network_timeout": (2, 3600),
    "retries": (0, 100),
    "parallel": (1, 16),
    "bandwidth_kib": (0, 10_000_000),
    "priority": (0, 9),
}
NULLABLE = ("max_pdu", "connect_timeout", "network_timeout", "retries")


@dataclass(frozen=True, slots=True)
class NodeOptions:
    """The options of one node. None: as the settings of the network say.

    capabilities: what it is set to do; accept: whether it may send to us; may_query: whether it may search here and
    fetch; local_title: what we call ourselves towards it, empty for our own title; transfer_syntax: how objects go out, preferred;
    protocol: dicom, dicomweb or folder; url, username, password, token: of dicomweb (the last two sealed: `reveal`);
    path: of folder; tls, tls_profile: DICOM TLS; client_certificate: what we show where it asks, by the name of a certificate of
    ours, empty for the one in use (to DICOMweb none);
    tls_check: what of its certificate must be right when we call it (its chain and host name, its chain, or its
    fingerprint alone); tls_fingerprint: of its certificate (SHA-256); tls_caller: what it must show when it calls us
    (nothing, a trusted certificate, that of the fingerprint, or one signed by tls_authority, a trusted one's fingerprint);
    max_pdu: bytes; connect_timeout, network_timeout: seconds; character_set: a defined term that queries to it are
    written in, empty for UTF-8; retrieve_by: move or get; parallel: associations at a time; bandwidth_kib: KiB a second,
    0 for no limit; priority: 0 to 9, 9 first; window: "22:00-06:00" of local time, empty for always; paused: nothing goes
    out; lacks_only: only what it lacks; commitment: delivered only when it committed; retries: how often a failed
    delivery is tried again; retry_forever: then on and on, slowly; comment: what people want to remember."""

    capabilities: tuple[str, ...] = ("store",)
    accept: bool = True
    may_query: bool = True
    transfer_syntax: str = "stored"
    protocol: str = "dicom"
    url: str = ""
    username: str = ""
    password: str = ""
    token: str = ""
    path: str = ""
    tls: bool = False
    tls_profile: str = ""
    client_certificate: str = ""
    tls_check: str = "name"
    tls_fingerprint: str = ""
    tls_caller: str = ""
    tls_authority: str = ""
    max_pdu: int | None = None
    connect_timeout: int | None = None
    network_timeout: int | None = None
    character_set: str = ""
    use_proxy: bool = True
    retrieve_by: str = "move"
    parallel: int = 1
    bandwidth_kib: int = 0
    priority: int = 5
    window: str = ""
    paused: bool = False
    lacks_only: bool = False
    commitment: bool = False
    retries: int | None = None
    retry_forever: bool = False
    local_title: str = ""
    comment: str = ""


DEFAULTS = NodeOptions()
NAMES = tuple(f.name for f in fields(NodeOptions))


def read(kept: Mapping[str, Any]) -> NodeOptions:
    """The options as a row keeps them; what is missing has its default, what is unknown is left out."""
    known = {name: kept[name] for name in NAMES if name in kept}
    if "capabilities" in known:
        known["capabilities"] = tuple(known["capabilities"])
    return NodeOptions(**known)


def of(node: Node) -> NodeOptions:
    """The options of a node."""
    return read(node.options)


@lru_cache(maxsize=4)
def _secrets(config: Config) -> Secrets:
    return Secrets(config)


def seal(config: Config, text: str) -> str:
    """A password as it may stand in the row."""
    return _secrets(config).seal(text)


def reveal(config: Config, sealed: str) -> str:
    """The password or token in clear, for the moment it is sent; empty when none is set."""
    return _secrets(config).unseal(sealed) if sealed else ""


@dataclass(frozen=True, slots=True)
class NodeValues:
    """What a form or a program says about a node; None: as it is (or the default for a new one). password, token: in
    clear, empty to forget it; BY_SETTING where NodeOptions knows None. The rest as in NodeOptions."""

    name: str | None = None
    ae_title: str | None = None
    host: str | None = None
    port: int | None = None
    enabled: bool | None = None
    facility_id: str | None = None
    capabilities: list[str] | None = None
    accept: bool | None = None
    may_query: bool | None = None
    transfer_syntax: str | None = None
    protocol: str | None = None
    url: str | None = None
    username: str | None = None
    password: str | None = None
    token: str | None = None
    path: str | None = None
    tls: bool | None = None
    tls_profile: str | None = None
    client_certificate: str | None = None
    tls_check: str | None = None
    tls_fingerprint: str | None = None
    tls_caller: str | None = None
    tls_authority: str | None = None
    max_pdu: int | None = None
    connect_timeout: int | None = None
    network_timeout: int | None = None
    character_set: str | None = None
    use_proxy: bool | None = None
    retrieve_by: str | None = None
    parallel: int | None = None
    bandwidth_kib: int | None = None
    priority: int | None = None
    window: str | None = None
    paused: bool | None = None
    lacks_only: bool | None = None
    commitment: bool | None = None
    retries: int | None = None
    retry_forever: bool | None = None
    local_title: str | None = None
    comment: str | None = None


def merged(kept: Mapping[str, Any], values: NodeValues, config: Config | None) -> dict[str, Any]:
    """The options after a change, as the row keeps them. Raises ValueError when a secret is to be kept without the keys."""
    found = dict(kept)
    for name in NAMES:
        value = getattr(values, name)
        if value is None:
            continue
        if name in SECRETS and value:
            if config is None:
                raise ValueError("a password can only be kept with the installation's keys")
            value = seal(config, value)
        if name in ("tls_fingerprint", "tls_authority"):
            value = pem.clean_fingerprint(value)
        found[name] = None if name in NULLABLE and value == BY_SETTING else value
    return found


def _url_fault(url: str) -> str:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return "An address is https://server/path, or http://."
    if parts.scheme not in ("https", "http") or not host or len(url) > 1024 or not url.isprintable() or " " in url:
        return "An address is https://server/path, or http://."
    if parts.username or parts.password:
        return "User and password have fields of their own."
    if parts.query or parts.fragment:
        return "The address ends with the path of the service, without ? and #."
    return names.host_fault(host)


def _path_fault(path: str) -> str:
    absolute = PurePosixPath(path).is_absolute() or PureWindowsPath(path).is_absolute()
    if not absolute or not path.isprintable() or len(path) > 1024 or ".." in re.split(r"[\\/]", path):
        return "A folder is a whole path on the server, such as /srv/dicom/out."
    if folders.is_system(Path(path)):
        return "This is a folder of the operating system. Choose one for this purpose."
    if folders.is_own(Path(path)):
        return "Filmroom keeps its own data there. Choose another folder."
    return ""


def _one_of(value: str | None, known: tuple[str, ...]) -> str:
    if value is None or value in known:
        return ""
    return phrase("Write one of {known}.", known=", ".join(one for one in known if one))


def faults(values: NodeValues) -> dict[str, str]:
    """Field -> what is wrong with it, for all fields that are given."""
    found: dict[str, str] = {}
    if values.name is not None and (
        not 1 <= len(values.name) <= 64
        or values.name != values.name.strip()
        or not values.name.isprintable()
        or "/" in values.name
        or values.name in RESERVED
    ):
        found["name"] = "A name has 1 to 64 characters, no slash, and no spaces at its ends."
    for name, check in (
        ("ae_title", names.title_fault),
        ("local_title", names.title_fault),
        ("host", names.host_fault),
        ("url", _url_fault),
        ("path", _path_fault),
    ):
        if text := getattr(values, name):
            found[name] = check(text)
    if values.port:
        found["port"] = names.port_fault(values.port)
    if values.capabilities is not None and not set(values.capabilities) <= set(CAPABILITIES):
        found["capabilities"] = phrase("A node can {known}.", known=", ".join(CAPABILITIES))
    for name, known in (
        ("transfer_syntax", SYNTAXES),
        ("protocol", PROTOCOLS),
        ("tls_profile", TLS_PROFILES),
        ("tls_check", TLS_CHECKS),
        ("tls_caller", TLS_CALLERS),
        ("character_set", CHARACTER_SETS),
        ("retrieve_by", RETRIEVALS),
    ):
        found[name] = _one_of(getattr(values, name), known)
    for name, (low, high) in BOUNDS.items():
        number = getattr(values, name)
        if number is not None and not low <= number <= high and not (name in NULLABLE and number == BY_SETTING):
            found[name] = phrase("Write a number from {low} to {high}.", low=low, high=high)
    if values.window and not _WINDOW.fullmatch(values.window):
        found["window"] = "Write the hours as 22:00-06:00, or leave it empty."
    found |= _security_faults(values)
    return {field: fault for field, fault in found.items() if fault}


def _security_faults(values: NodeValues) -> dict[str, str]:
    """Of user names, secrets, certificates and their fingerprints."""
    found: dict[str, str] = {}
    for name in ("username", "client_certificate", "comment", *SECRETS):
        text = getattr(values, name)
        if text and (len(text) > 1024 or not text.isprintable() or (name == "username" and ":" in text)):
            found[name] = "At most 1024 printable characters; a user name has no colon."
    for name in ("tls_fingerprint", "tls_authority"):
        text = getattr(values, name)
        if text and not pem.clean_fingerprint(text):
            found[name] = "A fingerprint is SHA-256: 64 hex digits, with or without colons."
    if values.tls_fingerprint == "" and "fingerprint" in (values.tls_check, values.tls_caller):
        found["tls_fingerprint"] = "This is needed."
    if values.tls_authority == "" and values.tls_caller == "authority":
        found["tls_authority"] = "This is needed."
    return found


def needed(protocol: str) -> tuple[str, ...]:
    """The fields a node of this protocol cannot be without, beside its name."""
    return {"dicomweb": ("url",), "folder": ("path",)}.get(protocol, ("ae_title", "host", "port"))
