"""C-GET as SCP (PS3.4 C.4.3): what the caller means comes to it by C-STORE over its own association, in the contexts
for which it took the SCP role (PS3.7 D.3.3.4)."""

import logging

from app.archive.models import Instance
from app.dicom.registry import name
from app.dicom.uids import EXPLICIT_BE, EXPLICIT_LE, IMPLICIT_LE
from app.dimse.exchange import Exchange, FinalResponse, Request
from app.dimse.suboperations import Progress, SuboperationTally, record_disclosure, select_objects
from app.forward import store_lane
from app.forward.store_lane import REFUSED, DeliveryOutcome
from app.kit.errors import CannotConvert, NotFound
from app.kit.phrases import NOTHING, of_fault, phrase, verbatim
from app.network import commands
from app.network.contexts import COMPRESSED
from app.network.payload import Payload
from app.network.scu import Response
from app.network.wire import PeerSilent

log = logging.getLogger(__name__)


def serve(exchange: Exchange, request: Request) -> FinalResponse:
    """Sends one object after the other; a C-CANCEL is heeded between two. Raises Refused, Aborted, PeerGone."""
    instances = select_objects(exchange, request, "get")
    tally = SuboperationTally(len(instances))
    if not instances:
        return tally.answer(request)
    record_disclosure(exchange, instances, exchange.agreed.calling, "C-GET")
    lane = _Lane(exchange, request)
    progress = Progress(exchange, request, tally)
    for instance in instances:
        if exchange.services.stopping.is_set():
            raise PeerSilent
        if exchange.cancelled(request.message_id):
            return tally.answer(request, cancelled=True)
        tally.add_outcome(instance, lane.send(instance))
        progress.send_if_due()
    return tally.answer(request)


class _Lane:
    """The way back over the caller's association."""

    def __init__(self, exchange: Exchange, request: Request) -> None:
        self._exchange = exchange
        self._archive = exchange.services.archive
        self._payload = Payload(exchange.wire, exchange.agreed.peer_limit, exchange.settings.network_timeout)
        self._contexts: dict[str, list[tuple[int, str]]] = {}  # SOP class -> context and transfer syntax
        for context_id, (abstract, syntax) in exchange.agreed.encoding_contexts().items():
            self._contexts.setdefault(abstract, []).append((context_id, syntax))

    def send(self, instance: Instance) -> DeliveryOutcome:
        """One C-STORE sub-operation: as stored where a context has its syntax, else converted."""
        fault = NOTHING
        for context_id, syntax in self._context_order(instance):
            try:
                return self._store(context_id, syntax, instance)
            except CannotConvert as words:
                fault = of_fault(words)
            except NotFound as gone:
                return DeliveryOutcome(REFUSED, None, gone.detail)
        sop_class = name(instance.sop_class_uid)
        return DeliveryOutcome(
            REFUSED, None, fault or phrase("The caller proposed no usable context for {sop_class}", sop_class=sop_class)
        )

    def _context_order(self, instance: Instance) -> list[tuple[int, str]]:
        order = [instance.transfer_syntax_uid, EXPLICIT_LE, IMPLICIT_LE, EXPLICIT_BE]
        if instance.pixel_offset is not None:
            order += COMPRESSED  # without loss; nothing is ever sent in a lossy syntax that was not stored so
        ways = self._contexts.get(instance.sop_class_uid, [])
        return sorted((way for way in ways if way[1] in order), key=lambda way: order.index(way[1]))

    def _store(self, context_id: int, syntax: str, instance: Instance) -> DeliveryOutcome:
        exchange = self._exchange
        with store_lane.open_encoded(self._archive, instance, syntax) as (data, length, plain):
            message_id = exchange.request(
                context_id,
                {
                    commands.SOP_CLASS: instance.sop_class_uid,
                    commands.COMMAND_FIELD: commands.C_STORE_RQ,
                    commands.PRIORITY: commands.MEDIUM,
                    commands.SOP_INSTANCE: instance.sop_instance_uid,
                },
                data_follows=True,
            )
            self._payload.send(context_id, data, length, plain)
        command = exchange.response_to(message_id)
        status = commands.number(command, commands.STATUS, commands.PROCESSING_FAILURE)
        answer = Response(status, commands.text(command, commands.ERROR_COMMENT)[:64])
        return DeliveryOutcome(store_lane.interpret_status(answer), status, verbatim(answer.comment), syntax)
