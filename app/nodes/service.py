"""Nodes: make, change, remove, echo."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app import audit, events
from app.config import Config
from app.db import Database
from app.kit.clock import now
from app.kit.errors import Conflict, Invalid
from app.kit.ids import new_id
from app.kit.phrases import NOTHING, Phrase, phrase
from app.network import scu
from app.network.probe import Probe, probe
from app.network.settings import DicomSettings
from app.nodes import activity_queries, liveness, options, probe_log
from app.nodes import queries as node_queries
from app.nodes.liveness import Proof
from app.nodes.models import Node
from app.nodes.options import CAPABILITIES, SYNTAXES, NodeOptions, NodeValues, faults
from app.nodes.probe_others import probe_folder, probe_web
from app.security.actor import Actor, require, require_facility
from app.security.models import Facility
from app.security.verbs import Verb
from app.settings import load

TAKEN = "A node of this name is there already."
Named = Callable[[str], Node | None]
FROM_FILE = "file"  # Node.origin: it comes from the file given at the start, and only that file changes it

__all__ = ["CAPABILITIES", "SYNTAXES", "NodeOptions", "NodeValues", "faults"]


def faults_of(
    session: Session, values: NodeValues, node: Node | None, config: Config | None, named: Named | None = None
) -> dict[str, str]:
    """Field -> what is wrong: a fault of its own, that the protocol needs it, or that the name is taken. node: the one
    to be changed; None: a new one. named: finds a node by its name; None: asks the database."""
    wrong = faults(values)
    protocol = values.protocol or (options.node_options(node).protocol if node else "dicom")
    for field in ("name", *options.needed(protocol)):
        typed = getattr(values, field)
        known = (getattr(node, field, None) or node.options.get(field)) if node else None
        if not typed and (typed is not None or not known):
            wrong[field] = "This is needed."
    if values.path and config is not None and "path" not in wrong and _overlaps(values.path, config.data):
        wrong["path"] = "This is a folder of Filmroom's own data. Choose another."
    if values.facility_id and session.get(Facility, values.facility_id) is None:
        wrong["facility_id"] = "There is no such facility."
    if values.name is not None and "name" not in wrong:
        taken = named(values.name) if named else node_queries.node_named(session, values.name)
        if taken is not None and (node is None or taken.id != node.id):
            wrong["name"] = TAKEN
    return wrong


def _checked(
    session: Session, values: NodeValues, node: Node | None, config: Config | None, named: Named | None = None
) -> None:
    wrong = faults_of(session, values, node, config, named)
    if wrong == {"name": TAKEN}:
        raise Conflict(TAKEN, hint="Choose another name.", field="name")
    if wrong:
        field, words = next(iter(wrong.items()))
        raise Invalid(words, field=field, errors=wrong)


def _overlaps(path: str, folder: Path) -> bool:
    """Whether one lies in the other: output must not be written into the store of this station."""
    found, kept = Path(path).resolve(), folder.resolve()
    return found.is_relative_to(kept) or kept.is_relative_to(found)


def create_node(
    session: Session, actor: Actor, values: NodeValues, config: Config | None = None, named: Named | None = None
) -> Node:
    """A new node; Invalid (with `errors` by field) or Conflict when it cannot be. config: needed to keep a secret; named:
    as for `faults_of`."""
    require(actor, Verb.NODE_EDIT)
    _checked(session, values, None, config, named)
    node = Node(id=new_id(), ae_title="", host="", port=0, options={}, enabled=True)
    _apply(node, actor, values, config)
    session.add(node)
    session.flush()
    activity_queries.forget_callers(session, node.ae_title, node.host)
    _notify(session, actor, node, "node.create")
    return node


def update_node(session: Session, actor: Actor, name: str, values: NodeValues, config: Config | None = None) -> Node:
    """Changes what is given and leaves the rest. config: needed to keep a secret."""
    require(actor, Verb.NODE_EDIT)
    node = node_queries.node(session, actor, name)
    return change_node(session, actor, node, values, config)


def change_node(
    session: Session,
    actor: Actor,
    node: Node,
    values: NodeValues,
    config: Config | None = None,
    named: Named | None = None,
) -> Node:
    """`update_node` of a node that was read in this transaction. named: as for `faults_of`."""
    require(actor, Verb.NODE_EDIT)
    _editable(node, actor)
    _checked(session, values, node, config, named)
    place = _address(node)
    _apply(node, actor, values, config)
    if _address(node) != place:
        node.last_fault = None  # it was about another address
        activity_queries.forget_callers(session, node.ae_title, node.host)
    session.flush()
    _notify(session, actor, node, "node.edit")
    return node


def pause_node(session: Session, actor: Actor, name: str, paused: bool) -> Node:
    """Stops or goes on with sending to a node; what waits for it waits. Also of a node from the start's file: it does
    not change the node itself."""
    require(actor, Verb.NODE_EDIT)
    node = node_queries.node(session, actor, name)
    node.options = dict(node.options) | {"paused": paused}
    node.changed_by, node.changed_at = actor.name, now()
    session.flush()
    _notify(session, actor, node, "node.pause" if paused else "node.resume")
    return node


def _editable(node: Node, actor: Actor) -> None:
    """Only the start itself changes what comes from its file."""
    if node.origin == FROM_FILE and actor.kind != "system":
        raise Conflict(
            phrase("The node {name} comes from the file given at the start.", name=node.name),
            hint="Change it there and start again.",
            field="name",
        )


def _address(node: Node) -> tuple[object, ...]:
    set_to = options.node_options(node)
    return node.ae_title, node.host, node.port, set_to.protocol, set_to.url, set_to.path, set_to.tls


def delete_node(session: Session, actor: Actor, name: str) -> None:
    """Removes a node that no transfer names; one that has sent history is switched off instead by the caller."""
    require(actor, Verb.NODE_EDIT)
    node = node_queries.node(session, actor, name)
    _editable(node, actor)
    try:
        with session.begin_nested():
            session.delete(node)
    except IntegrityError as fault:  # rows of other packages refer to it, such as transfers
        raise Conflict(
            "Transfers name this node, so it stays for the record.", hint="Switch it off instead of removing it."
        ) from fault
    _notify(session, actor, node, "node.delete")


def _apply(node: Node, actor: Actor, values: NodeValues, config: Config | None) -> None:
    for field in ("name", "ae_title", "host", "port", "enabled"):
        value = getattr(values, field)
        if value is not None:
            setattr(node, field, value)
    if values.facility_id is not None:
        require_facility(actor, values.facility_id or None, "facility") if values.facility_id else None
        node.facility_id = values.facility_id or None
    node.options = options.merged(node.options, values, config)
    node.changed_by, node.changed_at = actor.name, now()


def _notify(session: Session, actor: Actor, node: Node, verb: str) -> None:
    events.append(session, "node.changed", {"id": node.id, "name": node.name}, facility_id=node.facility_id)
    audit.by(session, actor, verb, "node", node.name, facility_id=node.facility_id, detail=_audit_values(node))


def _audit_values(node: Node) -> dict[str, Any]:
    """Audit values of a node: where it is and what differs from the defaults, never a secret."""
    found: dict[str, Any] = {"ae_title": node.ae_title, "host": node.host, "port": node.port, "enabled": node.enabled}
    usual = options.DEFAULTS.model_dump()
    for name, value in options.node_options(node).model_dump().items():
        if value != usual[name]:
            found[name] = "set" if name in options.SECRETS else value
    return found


def peer_of(node: Node, own_title: str, settings: DicomSettings) -> scu.Peer:
    """Where and as whom to call a node, with its own timeouts and PDU size where it has some."""
    set_to = options.node_options(node)
    return scu.Peer(
        node.ae_title,
        set_to.local_title or own_title,
        node.host,
        node.port,
        node.name,
        connect_timeout=set_to.connect_timeout or settings.connect_timeout,
        network_timeout=set_to.network_timeout or settings.network_timeout,
        max_pdu=set_to.max_pdu or 0,
        tls=set_to.tls,
        tls_profile=set_to.tls_profile,
        client_certificate=set_to.client_certificate,
        use_proxy=set_to.use_proxy,
        tls_check=set_to.tls_check,
        tls_fingerprint=set_to.tls_fingerprint,
    )


def probe_node(database: Database, actor: Actor, name: str, config: Config) -> Probe:
    """Tests a node in the way of its protocol: echo, a search of one answer, or a file written and removed. Opens its
    own short transactions: none is open while the network is waited for."""
    require(actor, Verb.NODE_ECHO)
    with database.read() as session:
        node = node_queries.node(session, actor, name)
        settings = load(session, DicomSettings)
    found = probed(node, settings, config)
    probe_log.log_probe(database, node, found)
    with database.write() as session:
        record_outcome(session, node.id, NOTHING if found.ok else found.message, "tested")
        audit.by(session, actor, Verb.NODE_ECHO, "node", node.name, outcome="success" if found.ok else "failure")
    return found


def probed(node: Node, settings: DicomSettings, config: Config, quick: bool = False) -> Probe:
    """Test for the node's protocol. quick: only whether it answers."""
    set_to = options.node_options(node)
    if set_to.protocol == "folder":
        return probe_folder(set_to.path)
    if set_to.protocol == "dicomweb":
        return probe_web(set_to, settings, config)
    return probe(peer_of(node, config.aet, settings), settings, () if quick else set_to.capabilities, quick)


def record_outcome(session: Session, node_id: str, fault: Phrase, proof: Proof = "answered") -> None:
    """Stores on the node whether it worked just now (its status in the list), and notifies the pages. proof: the kind
    of proof, without a fault."""
    node = session.get(Node, node_id)
    if node is None:
        return
    if fault:
        node.last_fault, node.last_fault_at = fault, now()
    else:
        node.last_fault, node.last_ok_at = None, now()
        liveness.record_proof(session, node, proof)
    events.append(session, "node.changed", {"id": node.id, "name": node.name}, facility_id=node.facility_id)


def node_json(node: Node) -> dict[str, Any]:
    """A node as REST shows it. Of secrets only whether they are set."""
    set_to = options.node_options(node).model_dump()
    for name in options.SECRETS:
        set_to[f"{name}_set"] = bool(set_to.pop(name))
    return {
        "id": node.id,
        "name": node.name,
        "ae_title": node.ae_title,
        "host": node.host,
        "port": node.port or None,
        "enabled": node.enabled,
        "facility_id": node.facility_id,
        **set_to,
        "from_file": node.origin == FROM_FILE,
        "last_ok_at": node.last_ok_at and node.last_ok_at.isoformat(),
        "last_fault_at": node.last_fault_at and node.last_fault_at.isoformat(),
        "last_fault": node.last_fault,
        "last_seen_at": node.last_seen_at and node.last_seen_at.isoformat(),
        "delayed_acknowledgement_ms": node.ack_gap_ms,
        "changed_by": node.changed_by,
        "changed_at": node.changed_at.isoformat(),
    }
