"""Storage Commitment at the interface (PS3.4 Annex J): N-ACTION of nodes that ask us to commit, N-EVENT-REPORT of nodes that
answer us. The rows and what they mean are `nodes.commitment`'s."""

import logging
from functools import partial

from app.dimse.exchange import Exchange, FinalResponse, OperationRefused, Request
from app.kit.errors import AppError, Conflict, NotFound, Unavailable
from app.kit.phrases import of_fault
from app.network import commands
from app.network.commitment_data import (
    LIMIT,
    PUSH_MODEL,
    PUSH_MODEL_INSTANCE,
    REQUEST_COMMITMENT,
    BadReferences,
    References,
    decode,
    encode,
)
from app.network.commitment_scu import event_command
from app.nodes import commitment

log = logging.getLogger(__name__)
_NO_SUCH_INSTANCE, _RESOURCES = 0x0112, 0x0213
_SILENCE = 0.3  # seconds after which a caller that has not released gets the report on its own association
_AT_ONCE = 2000  # objects; of more the files are looked at by the job, or the association would be blocked


def handle_request(exchange: Exchange, request: Request) -> FinalResponse:
    """Takes a request for commitment. Success says only that it will be answered."""
    asked = _references(exchange, request, commands.REQUESTED_CLASS, commands.REQUESTED_INSTANCE)
    if commands.number(request.command, commands.ACTION_TYPE) != REQUEST_COMMITMENT:
        raise OperationRefused(commands.NO_SUCH_ACTION, "Only action 1, request storage commitment, is known here")
    if not asked.objects:
        raise OperationRefused(commands.INVALID_ARGUMENT, "The Referenced SOP Sequence is empty")
    node_id = exchange.agreed.admission.node_id
    if node_id is None:
        raise OperationRefused(commands.NOT_AUTHORIZED, "Only known nodes: ask for a node of your AE title")
    try:
        with exchange.services.database.write() as session:
            own_only = exchange.agreed.source.elsewhere
            made = commitment.store_request(session, exchange.actor, node_id, asked, own_only=own_only)
    except Conflict as fault:
        raise OperationRefused(commands.PROCESSING_FAILURE, fault.detail) from None
    except Unavailable as fault:
        raise OperationRefused(_RESOURCES, fault.detail) from None
    if len(asked.objects) <= _AT_ONCE:
        exchange.put_off(_SILENCE, partial(_report, exchange, request, made))
    return FinalResponse(
        commands.SUCCESS, elements={commands.ACTION_TYPE: REQUEST_COMMITMENT}, objects=len(asked.objects)
    )


def handle_report(exchange: Exchange, request: Request) -> FinalResponse:
    """Handles a node's report about a request of this station."""
    answer = _references(exchange, request, commands.SOP_CLASS, commands.SOP_INSTANCE)
    kind = commands.number(request.command, commands.EVENT_TYPE)
    if kind not in (1, 2):
        raise OperationRefused(commands.NO_SUCH_EVENT, "Only events 1 and 2 are known here")
    node_id = exchange.agreed.admission.node_id
    if node_id is None:
        raise OperationRefused(commands.NOT_AUTHORIZED, "Only known nodes: ask for a node of your AE title")
    try:
        commitment.take_report(exchange.services.database, node_id, answer)
    except NotFound as fault:
        raise OperationRefused(commands.INVALID_ARGUMENT, fault.detail) from None
    except Unavailable as fault:
        raise OperationRefused(_RESOURCES, fault.detail) from None
    return FinalResponse(
        commands.SUCCESS,
        elements={commands.EVENT_TYPE: kind},
        objects=len(answer.objects),
        failed=len(answer.failed),
    )


def _references(exchange: Exchange, request: Request, sop_class: int, sop_instance: int) -> References:
    if request.abstract != PUSH_MODEL or commands.text(request.command, sop_class) != PUSH_MODEL:
        raise OperationRefused(commands.SOP_CLASS_NOT_SUPPORTED, "Only the Storage Commitment Push Model is known here")
    if commands.text(request.command, sop_instance) != PUSH_MODEL_INSTANCE:
        raise OperationRefused(_NO_SUCH_INSTANCE, "There is one instance, 1.2.840.10008.1.20.1.1")
    if not request.has_data:
        raise OperationRefused(commands.INVALID_ARGUMENT, "A data set is needed")
    try:
        return decode(exchange.identifier(request.context_id, LIMIT), request.syntax)
    except BadReferences as fault:
        raise OperationRefused(commands.INVALID_ARGUMENT, of_fault(fault)) from None


def _report(exchange: Exchange, request: Request, made: str) -> None:
    """Checks the files and reports to the caller, unless it has begun to send something: then a little later. What goes
    wrong here is the job's to do again."""
    services = exchange.services
    try:
        commitment.verify_objects(services.database, services.archive, made)
        if exchange.reader.wait_for_pdv():
            exchange.put_off(_SILENCE, partial(_report, exchange, request, made))
            return
        with services.database.read() as session:
            due = commitment.report_of(session, made)
    except AppError as fault:
        log.warning("a report of storage commitment waits for the job: %s", fault)
        return
    if due is not None:
        message_id = exchange.request(request.context_id, event_command(due), encode(due, request.syntax))
        exchange.on_response(message_id, partial(_handle_response, exchange, made))


def _handle_response(exchange: Exchange, made: str, command: dict[int, bytes]) -> None:
    """The caller's response to the report. Whatever else than success is left to the job, on an association of its
    own."""
    status = commands.number(command, commands.STATUS, commands.PROCESSING_FAILURE)
    if status != commands.SUCCESS:
        log.warning("a report of storage commitment was answered with status %04X", status)
        return
    try:
        with exchange.services.database.write() as session:
            commitment.mark_reported(session, made)
    except AppError as fault:
        log.warning("a report of storage commitment goes out again: %s", fault)
