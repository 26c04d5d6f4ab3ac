"""Orthanc's configuration file, read as nodes: `DicomModalities` (both forms) and `DicomWeb.Servers`. Pure.

Its flags define what the modality may request from Orthanc; what the modality itself can is not written there, so that
these nodes are set to store, find and move, as Orthanc takes every modality to be."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from app.kit.jsonlines import Path
from app.kit.phrases import phrase
from app.nodes.options import BY_SETTING

_LIST = ("AET", "Host", "Port", "Manufacturer")
_ASKS = ("AllowFind", "AllowMove", "AllowGet")
_KNOWN = {
    *_LIST,
    *_ASKS,
    "AllowEcho",
    "AllowStore",
    "AllowFindWorklist",
    "AllowStorageCommitment",
    "AllowNAction",
    "AllowNEventReport",
    "AllowEventReport",
    "AllowTranscoding",
    "UseDicomTls",
    "LocalAet",
    "Timeout",
    "RetrieveMethod",
}
_WEB = ("Url", "Username", "Password")


@dataclass(slots=True)
class OrthancNode:
    """One node of the file. keys: field -> its position; notes: what could not be taken over, in words."""

    path: Path
    values: dict[str, Any]
    keys: dict[str, Path] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    faults: dict[Path, str] = field(default_factory=dict)


def is_orthanc(value: Any) -> bool:
    """Whether it looks like Orthanc's configuration."""
    return isinstance(value, Mapping) and ("DicomModalities" in value or "DicomWeb" in value)


def read(value: Mapping[str, Any]) -> Iterator[OrthancNode]:
    """Every modality and every DICOMweb server of the file."""
    modalities = value.get("DicomModalities", {})
    if not isinstance(modalities, Mapping):
        yield OrthancNode(
            ("DicomModalities",), {}, faults={("DicomModalities",): "This is an object of modalities by name."}
        )
        modalities = {}
    for name, one in modalities.items():
        yield _modality(("DicomModalities", name), name, one)
    web = value.get("DicomWeb", {})
    servers = web.get("Servers", {}) if isinstance(web, Mapping) else {}
    for name, one in servers.items() if isinstance(servers, Mapping) else ():
        yield _server(("DicomWeb", "Servers", name), name, one)


def _modality(path: Path, name: str, one: Any) -> OrthancNode:
    found = OrthancNode(path, {"name": name, "protocol": "dicom", "capabilities": ["store", "find", "move"]})
    if isinstance(one, list):
        if not 3 <= len(one) <= 4:
            found.faults[path] = "A modality is [title, host, port] or [title, host, port, manufacturer]."
            return found
        entry = dict(zip(_LIST, one, strict=False))
        places: dict[str, Path] = {key: (*path, n) for n, key in enumerate(entry)}
    elif isinstance(one, Mapping):
        entry = dict(one)
        places = {key: (*path, key) for key in entry}
    else:
        found.faults[path] = "A modality is a list or an object."
        return found
    for key in entry:
        if key not in _KNOWN:
            found.notes.append(phrase("{key} is not known here and left out.", key=key))
    for key, ours in (("AET", "ae_title"), ("Host", "host"), ("LocalAet", "local_title"), ("Port", "port")):
        if key in entry:
            found.values[ours] = _port(entry[key]) if ours == "port" else entry[key]
            found.keys[ours] = places[key]
    _flags(found, entry, places)
    return found


def _flags(found: OrthancNode, said: Mapping[str, Any], places: Mapping[str, Path]) -> None:
    flags = {key: value for key, value in said.items() if key.startswith("Allow") or key == "UseDicomTls"}
    for key, value in flags.items():
        if not isinstance(value, bool):
            found.faults[places[key]] = "This is true or false."
    found.values["accept"] = said.get("AllowStore", True) is not False
    asks = {said.get(key, True) is not False for key in _ASKS}
    found.values["may_query"] = True in asks
    if len(asks) == 2:
        found.notes.append(phrase("Find, move and get are allowed or not together; here they are allowed."))
    if said.get("AllowEcho") is False:
        found.notes.append(phrase("An echo of a known node is always answered."))
    if said.get("AllowTranscoding") is False:
        found.notes.append(phrase("Objects go out as stored, uncompressed only where nothing else is taken."))
    if "UseDicomTls" in said:
        found.values["tls"], found.keys["tls"] = said["UseDicomTls"], places["UseDicomTls"]
    if "Timeout" in said:  # seconds; 0: never, which cannot be guaranteed
        seconds = said["Timeout"]
        found.values["network_timeout"] = (
            max(2, min(seconds, 3600)) if isinstance(seconds, int) and seconds > 0 else BY_SETTING
        )
        found.keys["network_timeout"] = places["Timeout"]
    if said.get("RetrieveMethod") == "C-GET":
        found.values["retrieve_by"] = "get"
        found.values["capabilities"] = ["store", "find", "move", "get"]
    maker = said.get("Manufacturer", "Generic")
    if maker not in ("", "Generic") and isinstance(maker, str):
        found.values["comment"] = phrase("Orthanc called its manufacturer {maker}.", maker=maker[:64])


def _port(value: Any) -> Any:
    """Orthanc takes a port as text too."""
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 6 else value


def _server(path: Path, name: str, one: Any) -> OrthancNode:
    found = OrthancNode(path, {"name": name, "protocol": "dicomweb", "capabilities": ["store", "find", "get"]})
    if isinstance(one, list) and one and all(isinstance(part, str) for part in one):
        entry: dict[str, Any] = dict(zip(_WEB, one, strict=False))
        places: dict[str, Path] = {key: (*path, n) for n, key in enumerate(entry)}
    elif isinstance(one, Mapping):
        entry = dict(one)
        places = {key: (*path, key) for key in entry}
    else:
        found.faults[path] = "A server is a list or an object."
        return found
    for key, ours in (("Url", "url"), ("Username", "username"), ("Password", "password")):
        if key in entry:
            found.values[ours], found.keys[ours] = entry[key], places[key]
    if isinstance(found.values.get("url"), str):
        found.values["url"] = found.values["url"].rstrip("/")
    return found
