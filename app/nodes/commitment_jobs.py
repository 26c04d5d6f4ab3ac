"""Background entry points of storage commitment: `commitment.report` (as SCP) and `commitment.ask` (as SCU)."""

import logging
import time
from typing import Any

from app.jobs.context import JobContext
from app.kit.errors import AppError, NotFound, PeerFault
from app.kit.phrases import NOTHING, Phrase, phrase
from app.network import commands
from app.network.commitment_data import References
from app.network.commitment_scu import CommitmentAssociation
from app.network.scu import Peer, Response
from app.network.settings import DicomSettings
from app.nodes import commitment, operation_log, service
from app.nodes.models import Commitment, Node
from app.nodes.operation_log import Operation
from app.settings import load

log = logging.getLogger(__name__)
_STAY = 5.0  # seconds after a request in which the report may come over the same association
_TAKEN = (0x0000, 0x0001, 0x0107, 0x0116)  # success and the warnings of PS3.7 Annex C


def send_report(ctx: JobContext, payload: dict[str, Any]) -> dict[str, Any]:
    """Reports committed objects to a node, on a new association. Raises PeerFault: tried again after a pause."""
    commitment_id = payload["commitment_id"]
    with ctx.database.read() as session:
        if commitment.report_of(session, commitment_id) is None:
            return {}
    commitment.verify_objects(ctx.database, ctx.archive, commitment_id)
    with ctx.database.read() as session:
        due = commitment.report_of(session, commitment_id)
        node, peer, settings = _called(ctx, session.get(Commitment, commitment_id), session)
    if due is None:
        return {}
    started = time.monotonic()
    try:
        with CommitmentAssociation(peer, settings, reporting=True) as association:
            _check(peer, association.send_report(due))
    except PeerFault as fault:
        with ctx.database.write() as session:
            commitment.report_failed(session, commitment_id, fault.message, ctx.job.last_attempt)
        _log_operation(ctx, node, time.monotonic() - started, due, fault.message)
        raise
    with ctx.database.write() as session:
        commitment.mark_reported(session, commitment_id)
        service.record_outcome(session, node.id, NOTHING)
    _log_operation(ctx, node, time.monotonic() - started, due, NOTHING)
    return {"committed": len(due.objects), "failed": len(due.failed)}


def send_request(ctx: JobContext, payload: dict[str, Any]) -> dict[str, Any]:
    """Asks a node to commit, and stays a moment for its answer. Raises PeerFault: tried again after a pause."""
    commitment_id = payload["commitment_id"]
    with ctx.database.read() as session:
        row = session.get(Commitment, commitment_id)
        if row is None or row.state != commitment.QUEUED:
            return {}
        node, peer, settings = _called(ctx, row, session)
        asked = References(row.transaction_uid, commitment.waiting_of(session, commitment_id))
    started = time.monotonic()

    def on_report(answer: References) -> int:
        return take_report(ctx, node.id, answer)

    def has_arrived() -> bool:
        with ctx.database.read() as session:
            found = session.get(Commitment, commitment_id)
        return ctx.stopped.is_set() or found is None or found.state in (commitment.DONE, commitment.FAILED)

    try:
        with CommitmentAssociation(peer, settings, reporting=False, on_report=on_report) as association:
            _check(peer, association.request_commitment(asked))
            with ctx.database.write() as session:
                commitment.mark_requested(session, commitment_id)
                service.record_outcome(session, node.id, NOTHING)
            association.await_report(_STAY, has_arrived)
    except PeerFault as fault:
        with ctx.database.write() as session:
            commitment.ask_failed(session, commitment_id, fault.message, ctx.job.last_attempt)
        _log_operation(ctx, node, time.monotonic() - started, asked, fault.message)
        raise
    _log_operation(ctx, node, time.monotonic() - started, asked, NOTHING)
    return {"objects": len(asked.objects)}


def take_report(ctx: JobContext, node_id: str, answer: References) -> int:
    """Writes a node's report down; the status it is answered with."""
    try:
        commitment.take_report(ctx.database, node_id, answer)
    except NotFound:
        return commands.INVALID_ARGUMENT
    except AppError as fault:
        log.warning("a report of storage commitment could not be kept: %s", fault)
        return commands.PROCESSING_FAILURE
    return commands.SUCCESS


def _called(ctx: JobContext, row: Commitment | None, session: Any) -> tuple[Node, Peer, DicomSettings]:
    node = session.get(Node, row.node_id) if row is not None else None
    if node is None:
        raise NotFound("This request or its node has been removed.")
    settings = load(session, DicomSettings)
    return node, service.peer_of(node, ctx.config.aet, settings), settings


def _check(peer: Peer, answer: Response) -> None:
    if answer.status not in _TAKEN:
        raise PeerFault(
            phrase(
                "{peer} answered storage commitment with status {status:04X}, {words}.",
                peer=str(peer),
                status=answer.status,
                words=answer.comment or phrase("no words"),
            )
        )


def _log_operation(ctx: JobContext, node: Node, seconds: float, about: References, fault: Phrase) -> None:
    """The transfer log's line (NET-9)."""
    operation_log.log_operation(
        ctx.database,
        Operation(
            kind="commit",
            role="scu",
            peer=node.name,
            result="failure" if fault else "success",
            title=node.ae_title,
            address=f"{node.host}:{node.port}",
            node_id=node.id,
            facility_id=node.facility_id,
            objects=len(about.objects),
            failed=len(about.failed),
            seconds=seconds,
            words=fault,
        ),
    )
