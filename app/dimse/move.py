"""C-MOVE as SCP (PS3.4 C.4.2): the requested objects go to a known node, by C-STORE over a new association."""

import logging
import queue
import threading
import time
from collections.abc import Sequence

from app.archive.models import Instance
from app.dimse.exchange import Exchange, FinalResponse, OperationRefused, Request
from app.dimse.suboperations import CANNOT_CALCULATE, Progress, SuboperationTally, record_disclosure, select_objects
from app.forward import store_lane
from app.kit.errors import AppError, PeerFault, Unavailable
from app.kit.phrases import NOTHING, Phrase, phrase
from app.network import commands
from app.network.wire import PeerSilent
from app.nodes import disclosure, operation_log, options, service
from app.nodes.models import Node

log = logging.getLogger(__name__)
DESTINATION_UNKNOWN = 0xA801
_LOOK = 0.02  # seconds between looks at what has left, and for a C-CANCEL
_LOOK_AT_NODE = 1.0  # seconds between checks whether the destination has been paused
_LAST_OBJECT = 5.0  # seconds that the object in flight has after a C-CANCEL


def serve(exchange: Exchange, request: Request) -> FinalResponse:
    """Sends, and reports the progress to the caller. Raises Refused; Aborted or PeerGone when the caller goes: then the
    sending ends with the object in flight."""
    instances = select_objects(exchange, request, "move")
    node = _destination(exchange, request)
    tally = SuboperationTally(len(instances))
    if not instances:
        return tally.answer(request)
    if options.node_options(node).paused:
        for instance in instances:
            tally.add_outcome(instance, store_lane.DeliveryOutcome(store_lane.REFUSED, None, _paused(node)))
        return tally.answer(request)
    record_disclosure(exchange, instances, node.name, "C-MOVE")
    started = time.monotonic()
    delivery = _Delivery(exchange, request, node, instances)
    try:
        cancelled = _report_progress(exchange, request, delivery, tally)
    finally:
        delivery.stop()
    if not cancelled:
        _count_the_unsent(delivery, instances, tally)
    _record_outcome(exchange, node, tally, delivery.fault, time.monotonic() - started, cancelled)
    return tally.answer(request, cancelled=cancelled)


def _destination(exchange: Exchange, request: Request) -> Node:
    """The node of the Move Destination; of several with this title the one at the caller's own address."""
    title = commands.text(request.command, commands.MOVE_DESTINATION)
    try:
        with exchange.services.database.read() as session:
            nodes = disclosure.destinations(session, exchange.actor, title, exchange.agreed.address)
    except Unavailable as fault:
        raise OperationRefused(CANNOT_CALCULATE, fault.detail) from None
    if not nodes:
        raise OperationRefused(
            DESTINATION_UNKNOWN, phrase("Add a node with AE title {title} in Filmroom first", title=title)
        )
    usable = [node for node in nodes if node.enabled]
    if not usable:
        raise OperationRefused(DESTINATION_UNKNOWN, phrase("The node {title} is switched off in Filmroom", title=title))
    usable = [node for node in usable if "store" in options.node_options(node).capabilities]
    if not usable:
        raise OperationRefused(
            DESTINATION_UNKNOWN, phrase("The node {title} is not set to store in Filmroom", title=title)
        )
    return usable[0]


def _paused(node: Node) -> Phrase:
    return phrase("The node {title} is paused in Filmroom", title=node.ae_title)


def _report_progress(exchange: Exchange, request: Request, delivery: "_Delivery", tally: SuboperationTally) -> bool:
    """Counts the results of the delivery until it ends; whether the caller cancelled it."""
    progress = Progress(exchange, request, tally)
    while True:
        outcomes, over = delivery.poll(_LOOK)
        for instance, outcome in outcomes:
            tally.add_outcome(instance, outcome)
            progress.send_if_due()
        if over:
            return False
        progress.send_if_due()
        if exchange.services.stopping.is_set():
            raise PeerSilent
        if exchange.cancelled(request.message_id):
            delivery.stop()
            for instance, outcome in delivery.poll(_LAST_OBJECT)[0]:  # what is in flight may still be answered
                tally.add_outcome(instance, outcome)
            return True


def _count_the_unsent(delivery: "_Delivery", instances: Sequence[Instance], tally: SuboperationTally) -> None:
    """Objects without a result have not arrived: it broke off."""
    for instance in instances:
        if instance.id not in delivery.heard_of:
            tally.add_outcome(
                instance, store_lane.DeliveryOutcome(store_lane.REFUSED, None, delivery.fault or delivery.held)
            )


class _Delivery:
    """Sends in a thread of its own, so that a slow destination never keeps us from the caller."""

    def __init__(self, exchange: Exchange, request: Request, node: Node, instances: Sequence[Instance]) -> None:
        self._exchange, self._node, self._instances = exchange, node, instances
        self._originator = (exchange.agreed.calling, request.message_id)
        self._told: queue.SimpleQueue[tuple[Instance, store_lane.DeliveryOutcome]] = queue.SimpleQueue()
        self._over, self._stopped = threading.Event(), threading.Event()
        self._look_at = time.monotonic() + _LOOK_AT_NODE
        self.heard_of: set[int] = set()
        self.fault = self.held = NOTHING  # why it broke off: the destination failed; it was paused here
        threading.Thread(target=self._run, name="move", daemon=True).start()

    def poll(self, seconds: float) -> tuple[list[tuple[Instance, store_lane.DeliveryOutcome]], bool]:
        """Results of the objects since the last call, and whether those were the last. Waits so long for the end,
        not for each object: waking for each would cost the sending thread its turn."""
        over = self._over.wait(seconds)
        outcomes = [self._told.get_nowait() for _ in range(self._told.qsize())]
        self.heard_of.update(instance.id for instance, _ in outcomes)
        return outcomes, over

    def stop(self) -> None:
        """No more objects. The one in flight ends by itself, within the network timeout at the latest."""
        self._stopped.set()

    def _check(self) -> None:
        if self._stopped.is_set() or self._exchange.services.stopping.is_set():
            raise store_lane.Enough
        if time.monotonic() >= self._look_at:
            self._look_at = time.monotonic() + _LOOK_AT_NODE
            if disclosure.is_paused(self._exchange.services.database, self._node.id):
                self.held = _paused(self._node)
                raise store_lane.Enough

    def _run(self) -> None:
        services, node = self._exchange.services, self._node
        settings, set_to = self._exchange.settings, options.node_options(node)
        try:
            store_lane.deliver(
                services.archive,
                service.peer_of(node, services.own_title, settings),
                settings,
                self._instances,
                lambda instance, outcome: self._told.put((instance, outcome)),
                check=self._check,
                originator=self._originator,
                preferred=set_to.transfer_syntax,
                bandwidth_kib=set_to.bandwidth_kib,
            )
            if services.stopping.is_set():
                self.fault = phrase("Filmroom is shutting down")
        except PeerFault as fault:
            self.fault = fault.detail
        except Exception:
            log.exception("a C-MOVE broke off")
            self.fault = phrase("Internal fault")
        finally:
            self._over.set()


def _record_outcome(
    exchange: Exchange, node: Node, tally: SuboperationTally, fault: Phrase, seconds: float, cancelled: bool
) -> None:
    """The node's dot, the disclosure's end where not all arrived, and the transfer log's entry for the sent objects
    (NET-9)."""
    database, words = exchange.services.database, fault or tally.words or tally.conversions.summary
    try:
        disclosure.record_result(
            database, exchange.actor, node, "C-MOVE", tally.completed + tally.warned, tally.failed, fault
        )
    except AppError:
        log.warning("the end of a C-MOVE could not be written down; the database is away")
    failed, warned = bool(tally.failed), bool(tally.warned)
    result: operation_log.Result = (
        "cancelled" if cancelled else "failure" if failed else "warning" if warned else "success"
    )
    operation_log.log_operation(
        database,
        operation_log.Operation(
            "store",
            "scu",
            node.name,
            result,
            title=node.ae_title,
            address=f"{node.host}:{node.port}",
            node_id=node.id,
            facility_id=node.facility_id or exchange.actor.facility_id,
            objects=tally.completed + tally.warned,
            warned=tally.warned,
            failed=tally.failed,
            bytes=tally.bytes,
            seconds=seconds,
            words=words,
        ),
    )
