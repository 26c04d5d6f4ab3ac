"""A pure store-and-forward box (FWD-4): one node, one route, made from the classic forwarder's eleven values, by the file
given at the start or by the wizard. Applying the same again changes nothing.

The truth is the node and the route themselves; `current_setup` reads the eleven values back from them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from app import audit
from app import config as boot
from app.config import Config, ConfigError
from app.db import Database
from app.kit import classic
from app.kit.classic import Classic
from app.kit.errors import AppError, Conflict, Invalid
from app.kit.phrases import NOTHING, phrase
from app.network.probe import Probe, probe
from app.network.scu import Peer
from app.network.settings import DicomSettings
from app.nodes import operation_log, options, service
from app.nodes import queries as peers
from app.nodes.models import Node
from app.nodes.options import NodeValues
from app.nodes.service import FROM_FILE
from app.routing import queries
from app.routing import service as routes
from app.routing.models import Route
from app.routing.rule import Rule, Send
from app.security.actor import SYSTEM, Actor, require
from app.security.verbs import Verb
from app.settings import load
from app.trust import names

ROUTE = "Store and forward"
_BOOT = {
    "local_ae_title": "aet",
    "local_port": "dicom_port",
    "local_host": "dicom_host",
    "storage_dir": "store_dir",
    "log_dir": "log_dir",
}
_FIELDS = {"ae_title": "pacs_ae_title", "host": "pacs_host", "port": "pacs_port", "retries": "retry_attempts"}


def current_setup(session: Session, config: Config) -> Classic:
    """Present setup, in the format of the file; without a PACS where none is set up. Title, port and folders are
    those of the next start, where it will have others."""
    kept = boot.kept(config.data)
    own = Classic(**{theirs: kept.get(ours, getattr(config, ours)) for theirs, ours in _BOOT.items()})
    route, node = _found(session)
    if route is None or node is None:
        return own
    rule, retries = Rule.model_validate(route.rule), options.node_options(node).retries
    return replace(
        own,
        pacs_host=node.host,
        pacs_port=node.port,
        pacs_ae_title=node.ae_title,
        store_locally=not rule.drops,
        forward_immediately=rule.when.kind == "object",
        retry_attempts=own.retry_attempts if retries is None else retries,
    )


def is_from_file(session: Session) -> bool:
    """Whether the start's own file keeps the node, so that only it can be changed there."""
    node = _found(session)[1]
    return node is not None and node.origin == FROM_FILE


def _found(session: Session) -> tuple[Route | None, Node | None]:
    """The route of this setup, and the first node it sends to."""
    route = queries.route_named(session, ROUTE)
    if route is None:
        return None, None
    ids = [one for action in Rule.model_validate(route.rule).action(Send) for one in action.nodes]
    return route, session.get(Node, ids[0]) if ids else None


def apply_setup(session: Session, actor: Actor, wanted: Classic, config: Config | None = None) -> list[str]:
    """Brings node and route to what is wanted; what was changed: "node", "route". Invalid with `errors` by the names of
    the file, or Conflict."""
    require(actor, Verb.SETTINGS_EDIT)
    route, node = _found(session)
    try:
        node, node_changed = _node(session, actor, wanted, node, config)
    except (Invalid, Conflict) as raised:
        errors = {_FIELDS.get(str(k), str(k)): v for k, v in dict(raised.extra.get("errors", {})).items()}
        place = _FIELDS.get(str(raised.extra.get("field", "")), "pacs_host")
        raise type(raised)(
            raised.detail, hint=raised.hint, field=place, errors=errors or {place: raised.detail}
        ) from None
    route_changed = _route(session, actor, wanted, route, node)
    return [word for word, changed in (("node", node_changed), ("route", route_changed)) if changed]


def _node(
    session: Session, actor: Actor, wanted: Classic, node: Node | None, config: Config | None
) -> tuple[Node, bool]:
    place = {"ae_title": wanted.pacs_ae_title, "host": wanted.pacs_host, "port": wanted.pacs_port}
    if node is None:
        titled = peers.nodes_titled(session, wanted.pacs_ae_title)
        node = next((one for one in titled if (one.host, one.port) == (wanted.pacs_host, wanted.pacs_port)), None)
    if node is None:
        values = NodeValues(name=_free_name(session, wanted.pacs_ae_title), retries=wanted.retry_attempts, **place)  # type: ignore[arg-type]
        return service.create_node(session, actor, values, config), True
    changes: dict[str, Any] = {name: value for name, value in place.items() if getattr(node, name) != value}
    set_to = options.node_options(node)
    if set_to.retries != wanted.retry_attempts:
        changes["retries"] = wanted.retry_attempts
    if not node.enabled:
        changes["enabled"] = True
    if "store" not in set_to.capabilities:
        changes["capabilities"] = [*set_to.capabilities, "store"]
    if changes:
        node = service.update_node(session, actor, node.id, NodeValues(**changes), config)
    return node, bool(changes)


def _free_name(session: Session, title: str) -> str:
    plain = title.replace("/", "-")
    name, number = plain, 2
    while peers.node_named(session, name) is not None:
        name, number = f"{plain} {number}", number + 1
    return name


def _route(session: Session, actor: Actor, wanted: Classic, route: Route | None, node: Node) -> bool:
    """Objects wait for Send, or for the schedule that a person has given the route meanwhile."""
    before = Rule.model_validate(route.rule) if route else None
    if wanted.forward_immediately:
        when: dict[str, Any] = {"kind": "object"}
    elif before is not None and before.when.kind in ("hand", "schedule"):
        when = before.when.model_dump(mode="json")
    else:
        when = {"kind": "hand"}
    actions: list[dict[str, Any]] = [{"do": "send", "nodes": [node.id]}]
    if not wanted.store_locally:
        actions.append({"do": "drop"})
    data = {"when": when, "actions": actions}
    changed = False
    if route is None:
        route, changed = routes.create_route(session, actor, ROUTE, data), True
    elif before != Rule.model_validate(data):
        route, changed = routes.update_route(session, actor, route.id, data=data), True
    if not route.enabled:
        routes.switch_route(session, actor, route.id, True, untested=True)
        changed = True
    return changed


def save_setup(session: Session, actor: Actor, wanted: Classic, config: Config) -> bool:
    """As the wizard does: node and route at once, the station's own title, port and folders into config.toml. True when
    these are new, so that they count from the next start."""
    apply_setup(session, actor, wanted, config)
    before = boot.kept(config.data)
    new: dict[str, str | int | bool] = {}
    for theirs, ours in _BOOT.items():
        value = getattr(wanted, theirs)
        if before.get(ours, getattr(config, ours)) != value:
            new[ours] = value
    if new:
        boot.write(config.data, new)
        detail = {name: [before.get(name, getattr(config, name)), value] for name, value in new.items()}
        audit.by(session, actor, "settings.edit", "settings", "station", detail=detail)
    return bool(new)


def validate_setup(values: dict[str, Any]) -> Classic:
    """Validates the values of a form or REST request. Raises Invalid with `errors` by the names of the file."""
    wrong = classic.faults(values)
    if wrong:
        place, words = next(iter(wrong.items()))
        raise Invalid(phrase("{field}: {words}", field=place, words=words), field=place, errors=wrong)
    return Classic(**values)


def test_connection(database: Database, actor: Actor, wanted: Classic) -> Probe:
    """*Test connection*: reaches the PACS, associates, echoes, with what is typed; nothing is kept. No transaction is open
    while the network is waited for."""
    require(actor, Verb.NODE_ECHO)
    if fault := names.host_fault(wanted.pacs_host):
        raise Invalid(fault, field="pacs_host")
    with database.read() as session:
        settings = load(session, DicomSettings)
    peer = Peer(wanted.pacs_ae_title, wanted.local_ae_title, wanted.pacs_host, wanted.pacs_port)
    found = probe(peer, settings, ("store",))
    words = NOTHING if found.ok else found.message
    where = f"{peer.host}:{peer.port}"
    operation_log.log_operation(
        database,
        operation_log.Operation(
            "echo",
            "scu",
            peer.called,
            "success" if found.ok else "failure",
            title=peer.called,
            address=where,
            seconds=found.seconds,
            words=words,
        ),
    )
    return found


def count_waiting(session: Session) -> int:
    """How many studies wait on the route for Send or its time."""
    route = queries.route_named(session, ROUTE)
    return len(queries.waiting_of(session, route.id)) if route else 0


def send_now(session: Session, actor: Actor) -> int:
    """*Send*: what waits is due now; how many studies that are."""
    return routes.fire_now(session, actor, ROUTE)


def apply_file(config: Config, database: Database) -> None:
    """At the start: values of `--config FILE`. Its node is read-only in forms; without a file it becomes an ordinary
    one. Raises ConfigError with line and key."""
    file = Path(config.forwarder) if config.forwarder else None
    wanted = boot.read_forwarder(file) if file else None
    with database.write() as session:
        if wanted is not None:
            try:
                apply_setup(session, SYSTEM, wanted, config)
            except AppError as fault:
                places: dict[str, str] = dict(fault.extra.get("errors", {})) or {"": fault.detail}
                lines = [
                    f"  line {wanted.lines.get(k, 1)}{', ' if k else ''}{k}: {words}" for k, words in places.items()
                ]
                raise ConfigError("\n".join([f"--config: {file} is not right:", *lines])) from None
        node = _found(session)[1]
        if node is not None and not (wanted is None and config.nodes):
            origin = FROM_FILE if wanted is not None else ""
            if node.origin != origin:
                node.origin = origin
