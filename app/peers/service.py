"""Nodes: make, change, remove, echo."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from app import audit, events
from app.db import Database
from app.kit.clock import now
from app.kit.errors import Conflict, Invalid
from app.kit.ids import new_id
from app.kit.phrases import phrase
from app.peers import names, queries, scu
from app.peers.models import Node
from app.peers.probe import Probe, probe
from app.peers.settings import DicomSettings
from app.security.actor import Actor, require, require_facility
from app.security.verbs import Verb
from app.settings import load

CAPABILITIES = ("store", "find", "move", "get", "worklist", "commitment", "print")
SYNTAXES = ("stored", "uncompressed")  # as stored, else uncompressed; or always uncompressed
_OPTIONS: dict[str, Any] = {"capabilities": ["store"], "accept": True, "transfer_syntax": "stored"}


@dataclass(frozen=True, slots=True)
class NodeValues:
    """What a form or a program says about a node; None: as it is (or the default for a new one)."""

    name: str | None = None
    ae_title: str | None = None
    host: str | None = None
    port: int | None = None
    enabled: bool | None = None
    facility_id: str | None = None
    capabilities: list[str] | None = None
    accept: bool | None = None
    transfer_syntax: str | None = None


def faults(values: NodeValues) -> dict[str, str]:
    """Field -> what is wrong with it, for all fields that are given. Pure."""
    found: dict[str, str] = {}
    if values.name is not None and (
        not 1 <= len(values.name) <= 64
        or values.name != values.name.strip()
        or not values.name.isprintable()
        or "/" in values.name
    ):
        found["name"] = "A name has 1 to 64 characters, no slash, and no spaces at its ends."
    if values.ae_title is not None:
        found["ae_title"] = names.title_fault(values.ae_title)
    if values.host is not None:
        found["host"] = names.host_fault(values.host)
    if values.port is not None:
        found["port"] = names.port_fault(values.port)
    if values.capabilities is not None and not set(values.capabilities) <= set(CAPABILITIES):
        found["capabilities"] = phrase("A node can {known}.", known=", ".join(CAPABILITIES))
    if values.transfer_syntax is not None and values.transfer_syntax not in SYNTAXES:
        found["transfer_syntax"] = phrase("Write one of {known}.", known=", ".join(SYNTAXES))
    return {field: fault for field, fault in found.items() if fault}


def _checked(session: Session, values: NodeValues, own_id: str | None) -> None:
    wrong = faults(values)
    if values.name is not None and "name" not in wrong:
        taken = queries.node_named(session, values.name)
        if taken is not None and taken.id != own_id:
            raise Conflict("A node of this name is there already.", hint="Choose another name.", field="name")
    if wrong:
        field, words = next(iter(wrong.items()))
        raise Invalid(words, field=field, errors=wrong)


def create_node(session: Session, actor: Actor, values: NodeValues) -> Node:
    """A new node; Invalid (with `errors` by field) or Conflict when it cannot be."""
    require(actor, Verb.NODE_EDIT)
    missing = [f for f in ("name", "ae_title", "host", "port") if getattr(values, f) in (None, "")]
    if missing:
        wrong = dict.fromkeys(missing, "This is needed.") | faults(values)
        raise Invalid(phrase("A node needs {missing}.", missing=", ".join(missing)), field=missing[0], errors=wrong)
    _checked(session, values, None)
    node = Node(id=new_id(), options=dict(_OPTIONS), enabled=True)
    _apply(node, actor, values)
    session.add(node)
    session.flush()
    _tell(session, actor, node, "node.create")
    return node


def update_node(session: Session, actor: Actor, name: str, values: NodeValues) -> Node:
    """Changes what is given and leaves the rest."""
    require(actor, Verb.NODE_EDIT)
    node = queries.node(session, actor, name)
    _checked(session, values, node.id)
    moved = (values.ae_title, values.host, values.port) != (None, None, None)
    _apply(node, actor, values)
    if moved:
        node.last_fault = None  # it was about another address
    session.flush()
    _tell(session, actor, node, "node.edit")
    return node


def delete_node(session: Session, actor: Actor, name: str) -> None:
    """Removes a node that no transfer names; one that has sent history is switched off instead by the caller."""
    require(actor, Verb.NODE_EDIT)
    node = queries.node(session, actor, name)
    if queries.transfers_of_node(session, node.id):
        raise Conflict(
            "Transfers name this node, so it stays for the record.", hint="Switch it off instead of removing it."
        )
    session.delete(node)
    session.flush()
    _tell(session, actor, node, "node.delete")


def _apply(node: Node, actor: Actor, values: NodeValues) -> None:
    for field in ("name", "ae_title", "host", "port", "enabled"):
        value = getattr(values, field)
        if value is not None:
            setattr(node, field, value)
    if values.facility_id is not None:
        require_facility(actor, values.facility_id or None, "facility") if values.facility_id else None
        node.facility_id = values.facility_id or None
    options = dict(node.options)
    for field in ("capabilities", "accept", "transfer_syntax"):
        value = getattr(values, field)
        if value is not None:
            options[field] = value
    node.options = options
    node.changed_by, node.changed_at = actor.name, now()


def _tell(session: Session, actor: Actor, node: Node, verb: str) -> None:
    events.append(session, "node.changed", {"id": node.id, "name": node.name}, facility_id=node.facility_id)
    audit.record(
        session,
        actor_name=actor.name,
        actor_kind=actor.kind,
        verb=verb,
        thing="node",
        thing_id=node.name,
        address=actor.address,
        facility_id=node.facility_id,
        detail={"ae_title": node.ae_title, "host": node.host, "port": node.port, "enabled": node.enabled},
    )


def peer_of(node: Node, own_title: str) -> scu.Peer:
    return scu.Peer(node.ae_title, own_title, node.host, node.port, node.name)


def probe_node(database: Database, actor: Actor, name: str, own_title: str) -> Probe:
    """Reaches the node, associates, echoes. Opens its own short transactions: none is open while the network is
    waited for."""
    require(actor, Verb.NODE_ECHO)
    with database.read() as session:
        node = queries.node(session, actor, name)
        settings = load(session, DicomSettings)
    found = probe(peer_of(node, own_title), settings, node.options.get("capabilities", ()))
    with database.write() as session:
        note_outcome(session, node.id, "" if found.ok else found.message)
        audit.record(
            session,
            actor_name=actor.name,
            actor_kind=actor.kind,
            verb=Verb.NODE_ECHO,
            outcome="success" if found.ok else "failure",
            thing="node",
            thing_id=node.name,
            address=actor.address,
        )
    return found


def note_outcome(session: Session, node_id: str, fault: str) -> None:
    """Remembers on the node whether it worked just now (its dot in the list), and tells the pages."""
    node = session.get(Node, node_id)
    if node is None:
        return
    if fault:
        node.last_fault, node.last_fault_at = fault, now()
    else:
        node.last_fault, node.last_ok_at = None, now()
    events.append(session, "node.changed", {"id": node.id, "name": node.name}, facility_id=node.facility_id)


def node_json(node: Node) -> dict[str, Any]:
    """A node as REST shows it."""
    return {
        "id": node.id,
        "name": node.name,
        "ae_title": node.ae_title,
        "host": node.host,
        "port": node.port,
        "enabled": node.enabled,
        "facility_id": node.facility_id,
        **{key: node.options.get(key, default) for key, default in _OPTIONS.items()},
        "last_ok_at": node.last_ok_at and node.last_ok_at.isoformat(),
        "last_fault_at": node.last_fault_at and node.last_fault_at.isoformat(),
        "last_fault": node.last_fault,
        "last_seen_at": node.last_seen_at and node.last_seen_at.isoformat(),
        "changed_by": node.changed_by,
        "changed_at": node.changed_at.isoformat(),
    }
