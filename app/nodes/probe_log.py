"""Entries of tests and small requests in the transfer log (NET-9): echoes by button and by the clock, the steps of a
self-test, the question what a node has already."""

from app.db import Database
from app.kit.phrases import NOTHING, Phrase
from app.network.probe import Probe
from app.nodes import operation_log, options
from app.nodes.models import Node

_KINDS = {"dicom": "echo", "dicomweb": "find"}  # a folder is not a peer
_STEPS = {"find": "find", "find-back": "find", "store": "store", "move": "move", "get": "get"}


def log_probe(database: Database, node: Node, found: Probe) -> None:
    """A test of whether the node answers."""
    if kind := _KINDS.get(options.node_options(node).protocol):
        log_request(database, node, kind, found.ok, found.seconds, words=NOTHING if found.ok else found.message)


def log_step(database: Database, node: Node, name: str, ok: bool, seconds: float, words: Phrase) -> None:
    """A step of a self-test; commitment writes its own entries."""
    if (kind := _STEPS.get(name)) and options.node_options(node).protocol in _KINDS:
        objects = int(ok and kind != "find")
        log_request(database, node, kind, ok, seconds, objects, NOTHING if ok else words)


def log_request(
    database: Database, node: Node, kind: str, ok: bool, seconds: float, objects: int = 0, words: Phrase = NOTHING
) -> None:
    """One outgoing operation with a node. seconds: how long it took; objects: found, stored or brought."""
    set_to = options.node_options(node)
    operation_log.log_operation(
        database,
        operation_log.Operation(
            kind,
            "scu",
            node.name,
            "success" if ok else "failure",
            title=node.ae_title,
            address=set_to.url or f"{node.host}:{node.port}",
            node_id=node.id,
            facility_id=node.facility_id,
            objects=objects,
            seconds=seconds,
            words=words,
        ),
    )
