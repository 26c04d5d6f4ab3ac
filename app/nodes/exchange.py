"""Nodes as a file: exported, looked at, taken over (NET-3). Format of Filmroom, or Orthanc's configuration.

Everything is looked at first; with one fault nothing is changed. Each fault has its line and key."""

from dataclasses import asdict, dataclass, field
from pathlib import Path as FilePath
from typing import Any

from cryptography.exceptions import InvalidTag
from sqlalchemy.orm import Session

from app import audit
from app.config import Config, ConfigError
from app.db import Database
from app.kit import jsonlines
from app.kit.errors import Invalid, NotFound
from app.kit.jsonlines import JsonDocument, JsonFault, Path
from app.kit.phrases import joined, phrase
from app.nodes import options, orthanc, service
from app.nodes import queries as node_queries
from app.nodes.file_schema import FORMAT, VERSION, value_types
from app.nodes.models import Node
from app.nodes.options import BY_SETTING, NULLABLE, SECRETS, NodeValues
from app.security import facilities
from app.security.actor import SYSTEM, Actor, may_see, require
from app.security.verbs import Verb

LIMIT = 4 << 20  # bytes of a file
MAX_NODES = 2000  # of one file: they are written in one transaction, for which every other writer waits


@dataclass(frozen=True, slots=True)
class NodeFileFault:
    """Error and its position. key: such as nodes[2].port."""

    line: int
    key: str
    message: str


@dataclass(frozen=True, slots=True)
class NodeChange:
    """Change of one node by the file. action: create, change or same; changes: field -> (before, after), secrets as
    "set" or ""; notes: what could not be taken over."""

    name: str
    action: str
    line: int
    changes: dict[str, tuple[Any, Any]]
    notes: list[str]
    values: NodeValues
    node: Node | None = None


@dataclass(slots=True)
class Report:
    changes: list[NodeChange] = field(default_factory=list)
    faults: list[NodeFileFault] = field(default_factory=list)

    def count(self, action: str) -> int:
        return sum(1 for one in self.changes if one.action == action)


class _Present:
    """The nodes and facilities of the installation, read once for a whole file."""

    def __init__(self, nodes: list[Node], facilities: dict[str, str]) -> None:
        self._nodes = {node.id: node for node in nodes}
        self._names = {node.name.lower(): node for node in nodes}
        self.facilities = facilities  # name in lower case -> id

    @classmethod
    def read(cls, session: Session, actor: Actor) -> "_Present":
        names = {one.name.casefold(): one.id for one in facilities.list_facilities(session, actor)}
        return cls(node_queries.all_nodes(session), names)

    def named(self, name: str) -> Node | None:
        return self._names.get(name.lower())

    def to_change(self, actor: Actor, node_id: str) -> Node:
        """Raises NotFound where it is gone, or belongs to another facility than the actor."""
        node = self._nodes.get(node_id)
        if node is None or not (node.facility_id is None or may_see(actor, node.facility_id)):
            raise NotFound("There is no such node.", hint="It was removed just now. Read the file again.")
        return node

    def add(self, node: Node) -> None:
        self._nodes[node.id] = self._names[node.name.lower()] = node


def export_nodes(session: Session, actor: Actor, sealed: bool = False) -> dict[str, Any]:
    """All nodes as a file that `import_file` takes. sealed: passwords too, as only this installation can open them."""
    require(actor, Verb.NODE_EDIT)
    names = {one.id: one.name for one in facilities.list_facilities(session, actor)}
    nodes = [_exported(node, names, sealed) for node in node_queries.nodes(session, actor)]
    audit.by(session, actor, "node.export", "node", detail={"nodes": len(nodes), "sealed": sealed})
    return {"format": FORMAT, "version": VERSION, "nodes": nodes}


def _exported(node: Node, facility_names: dict[str, str], sealed: bool) -> dict[str, Any]:
    set_to = options.node_options(node).model_dump()
    secret = {name: {"sealed": value} for name in SECRETS if (value := set_to.pop(name)) and sealed}
    place = {"ae_title": node.ae_title, "host": node.host, "port": node.port} if node.port else {}
    facility = facility_names.get(node.facility_id or "", "")
    return {"name": node.name, **place, "enabled": node.enabled, "facility": facility, **set_to, **secret}


def check_nodes(session: Session, actor: Actor, text: str, config: Config) -> Report:
    """Reports what a file would do, including errors; changes nothing. A session for reading is enough."""
    require(actor, Verb.NODE_EDIT)
    return _checked_nodes(session, actor, text, config)


def write_nodes(session: Session, actor: Actor, report: Report, config: Config) -> None:
    """Makes and changes the nodes of a report of `check_nodes`; nodes that it does not name stay. Each is checked again.

    Raises Invalid, with `errors` of line, field and message, when the report has faults, Conflict or NotFound when a node
    was made, renamed or removed since the report."""
    require(actor, Verb.NODE_EDIT)
    _refuse_faults(report)
    known = _Present.read(session, actor)
    for one in report.changes:
        if one.action == "create":
            known.add(service.create_node(session, actor, one.values, config, known.named))
        elif one.action == "change" and one.node is not None:
            node = known.to_change(actor, one.node.id)
            service.change_node(session, actor, node, one.values, config, known.named)


def import_file(database: Database, actor: Actor, text: str, config: Config, dry_run: bool = False) -> Report:
    """Checks a file in a transaction for reading, then, unless it is a dry run, writes its nodes in a short one of its own.
    Raises what `write_nodes` raises."""
    with database.read() as session:
        report = check_nodes(session, actor, text, config)
    if dry_run:
        return report
    _refuse_faults(report)
    with database.change() as session:
        write_nodes(session, actor, report, config)
    return report


def _refuse_faults(report: Report) -> None:
    if report.faults:
        first = report.faults[0]
        raise Invalid(
            phrase("Line {line}, {key}: {message}", line=first.line, key=first.key, message=first.message)
            if first.key
            else phrase("Line {line}: {message}", line=first.line, message=first.message),
            hint="Nothing was changed.",
            errors=[{"line": f.line, "field": f.key, "message": f.message} for f in report.faults],
        )


def _checked_nodes(session: Session, actor: Actor, text: str, config: Config) -> Report:
    report = Report()
    try:
        document = jsonlines.parse(text, comments=True)
    except JsonFault as fault:
        report.faults.append(NodeFileFault(fault.line, "", fault.words))
        return report
    seen: dict[str, int] = {}
    entries = _entries(document, report)
    if len(entries) > MAX_NODES:
        words = phrase("The file has {count} nodes; the maximum is {most}.", count=len(entries), most=MAX_NODES)
        _report_faults(report, document, {(): joined((words, "Divide it into several files."))})
        return report
    known = _Present.read(session, actor)
    for found in entries:
        faults_before = len(report.faults)
        _report_faults(report, document, found.faults)
        values = _typed(found, document, report, config, known)
        name = (values.name or "").lower()
        if name in seen:
            words = phrase("The node of line {line} has this name too.", line=seen[name])
            _report_faults(report, document, {found.keys.get("name", found.path): words})
        seen[name] = document.line(found.path)
        if len(report.faults) == faults_before:
            _plan(session, actor, found, values, document, report, config, known)
    return report


def _report_faults(report: Report, document: JsonDocument, faults: dict[Path, str]) -> None:
    for path, words in faults.items():
        report.faults.append(NodeFileFault(document.line(path), jsonlines.key_of(path), words))


def _entries(document: JsonDocument, report: Report) -> list[orthanc.OrthancNode]:
    """The nodes of the file, whichever kind it is."""
    whole = document.value
    if orthanc.is_orthanc(whole):
        return list(orthanc.read(whole))
    if not isinstance(whole, dict) or not isinstance(whole.get("nodes"), list):
        _report_faults(report, document, {(): "This is neither a file of nodes nor a configuration of Orthanc."})
        return []
    if whole.get("format") != FORMAT or whole.get("version") != VERSION:
        words = phrase('It needs "format": "{format}" and "version": {version}.', format=FORMAT, version=VERSION)
        _report_faults(report, document, {(): words})
        return []
    found = []
    for n, one in enumerate(whole["nodes"]):
        path: Path = ("nodes", n)
        if isinstance(one, dict):
            found.append(orthanc.OrthancNode(path, dict(one), {key: (*path, key) for key in one}))
        else:
            _report_faults(report, document, {path: "A node is an object."})
    unknown: list[Path] = [(key,) for key in whole if key not in ("format", "version", "nodes", "$schema")]
    _report_faults(report, document, dict.fromkeys(unknown, "This key is not known."))
    return found


def _typed(
    found: orthanc.OrthancNode, document: JsonDocument, report: Report, config: Config, present: _Present
) -> NodeValues:
    """The values by their types; what has the wrong one is a fault and left out."""
    known = value_types()
    given: dict[str, Any] = {}
    wrong: dict[Path, str] = {}
    for key, value in found.values.items():
        path = found.keys.get(key, found.path)
        kind = known.get(key)
        if kind is None:
            wrong[path] = "This key is not known."
        elif value is None and key in NULLABLE:
            given[key] = BY_SETTING
        elif key in SECRETS and isinstance(value, dict):
            given[key] = _opened(value, config)
            if given[key] is None:
                wrong[path] = "It was sealed by another installation; write it in clear or leave it out."
        elif not _has_type(value, kind):
            word = {str: "text", int: "number", bool: "true or false", list: "list"}[kind]
            wrong[path] = phrase("Here a {kind} is needed.", kind=word)
        elif kind is list and not all(isinstance(part, str) for part in value):
            wrong[path] = "Here a list of texts is needed."
        elif key == "facility":
            given["facility_id"] = present.facilities.get(value.casefold()) if value else ""
            if given["facility_id"] is None:
                wrong[path] = "There is no facility of this name."
        else:
            given[key] = value
    _report_faults(report, document, wrong)
    return NodeValues(**given)


def _has_type(value: Any, kind: type) -> bool:
    return isinstance(value, kind) and not (kind is int and isinstance(value, bool))


def _opened(value: dict[str, Any], config: Config) -> str | None:
    try:
        return options.decrypt_secret(config, value["sealed"])
    except (KeyError, TypeError, AttributeError, ValueError, InvalidTag):
        return None


def _plan(
    session: Session,
    actor: Actor,
    found: orthanc.OrthancNode,
    values: NodeValues,
    document: JsonDocument,
    report: Report,
    config: Config,
    known: _Present,
) -> None:
    node = known.named(values.name) if values.name else None
    wrong = service.faults_of(session, values, node, config, known.named)
    if node is not None and node.origin == service.FROM_FILE and actor.kind != "system":
        wrong["name"] = "This node comes from the file given at the start; change it there."
    if wrong:
        _report_faults(report, document, {found.keys.get(name, found.path): words for name, words in wrong.items()})
        return
    changes = _differences(node, values, config)
    action = "create" if node is None else "change" if changes else "same"
    line = document.line(found.path)
    report.changes.append(NodeChange(values.name or "", action, line, changes, found.notes, values, node))


def _differences(node: Node | None, values: NodeValues, config: Config) -> dict[str, tuple[Any, Any]]:
    """Values that differ from the present ones (or from the defaults)."""
    before = (options.node_options(node) if node else options.DEFAULTS).model_dump() | {
        "enabled": True,
        "facility_id": "",
    }
    for name in ("name", "ae_title", "host", "port", "enabled"):
        before[name] = getattr(node, name) if node else before.get(name, "")
    if node:
        before["facility_id"] = node.facility_id or ""
    found: dict[str, tuple[Any, Any]] = {}
    for name, after in values.given_values().items():
        old = options.decrypt_secret(config, before[name]) if name in SECRETS else before[name]
        old = list(old) if isinstance(old, tuple) else old
        new = None if name in NULLABLE and after == BY_SETTING else after
        if old != new:
            found[name] = ("set" if old else "", "set" if new else "") if name in SECRETS else (old, new)
    return found


def report_json(report: Report, dry_run: bool) -> dict[str, Any]:
    """A report as REST shows it."""
    return {
        "dry_run": dry_run,
        "created": report.count("create"),
        "changed": report.count("change"),
        "same": report.count("same"),
        "items": [
            {
                "name": one.name,
                "action": one.action,
                "line": one.line,
                "changes": {key: {"before": old, "after": new} for key, (old, new) in one.changes.items()},
                "notes": one.notes,
            }
            for one in report.changes
        ],
        "faults": [asdict(fault) for fault in report.faults],
    }


def apply_file(config: Config, database: Database) -> None:
    """At the start: the nodes of `--nodes FILE` are made or changed, and are read-only in forms from then on; those that
    the file names no longer become ordinary ones. Raises ConfigError with line and key."""
    listed: set[str] = set()
    with database.write() as session:
        if config.nodes:
            listed = _applied(session, config, FilePath(config.nodes))
        for node in node_queries.nodes(session, SYSTEM):
            origin = service.FROM_FILE if node.name.lower() in listed else ""
            if node.origin != origin:
                node.origin = origin


def _applied(session: Session, config: Config, path: FilePath) -> set[str]:
    try:
        if path.stat().st_size > LIMIT:
            raise ConfigError(f"nodes: {path} has more than {LIMIT >> 20} MB")
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as fault:
        raise ConfigError(f"nodes: {path} cannot be read: {fault}") from None
    report = check_nodes(session, SYSTEM, text, config)
    if report.faults:
        lines = [f"  line {f.line}{', ' if f.key else ''}{f.key}: {f.message}" for f in report.faults[:20]]
        raise ConfigError("\n".join([f"nodes: {path} is not right:", *lines]))
    write_nodes(session, SYSTEM, report, config)
    return {one.name.lower() for one in report.changes}
