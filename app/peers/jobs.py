"""Background entry points of the room: `transfer.send`."""

import logging
import time
from dataclasses import dataclass
from typing import Any

from sqlalchemy import update
from sqlalchemy.orm import Session

from app.archive.models import Instance
from app.jobs.context import Cancelled, JobContext, PermanentFault
from app.kit.clock import now
from app.kit.phrases import phrase
from app.peers import options, outgoing, queries, scu, service
from app.peers.errors import PeerFault
from app.peers.models import Node, Transfer, TransferInstance
from app.peers.settings import DicomSettings
from app.peers.transfers import DONE, FAILED, QUEUED, REFUSED, RUNNING, SENT, WAITING, WARNED, tell
from app.settings import load

log = logging.getLogger(__name__)
_KEEP = 0.3  # seconds answers wait before they are written down together; after a crash these objects go out again


@dataclass(slots=True)
class _Task:
    """One transfer as read at the start of a try."""

    transfer_id: str
    total: int
    finished: int
    node: Node
    settings: DicomSettings
    rows: list[tuple[int, Instance | None]]


def send(ctx: JobContext, payload: dict[str, Any]) -> dict[str, Any]:
    """Sends what still waits. An instance is marked only when the peer has answered for it, so a try that ends in
    the middle, in whatever way, is taken up where it was."""
    task = _begin(ctx, payload["transfer_id"])
    marks = _Marks(ctx, task)
    try:
        _send_all(ctx, task, marks)
    except PeerFault as fault:
        marks.write()
        _interrupted(ctx, task, f"{fault.detail} {fault.hint}".strip())
        raise
    except Cancelled:
        marks.write()
        _given_back(ctx, task.transfer_id)
        raise
    marks.write()
    return _finish(ctx, task)


def _begin(ctx: JobContext, transfer_id: str) -> _Task:
    with ctx.database.write() as session:
        transfer = session.get(Transfer, transfer_id)
        node = session.get(Node, transfer.node_id) if transfer is not None else None
        if transfer is None or node is None:
            raise PermanentFault("This transfer or its node has been removed.")
        transfer.state, transfer.attempts, transfer.error = RUNNING, transfer.attempts + 1, None
        tell(session, transfer)
        finished = transfer.sent + transfer.warned + transfer.failed
        rows = queries.waiting(session, transfer_id)
        return _Task(transfer_id, transfer.total, finished, node, load(session, DicomSettings), rows)


def _send_all(ctx: JobContext, task: _Task, marks: "_Marks") -> None:
    there: dict[str, tuple[int, Instance]] = {}
    for row_id, instance in task.rows:
        if instance is None:
            marks.add(row_id, REFUSED, None, "It is no longer in the archive.")
        else:
            there[instance.sop_instance_uid] = row_id, instance
    peer = service.peer_of(task.node, ctx.config.aet, task.settings)

    def answered(instance: Instance, outcome: outgoing.Outcome) -> None:
        if outcome.state == outgoing.BUSY:
            raise _out_of_resources(peer, outcome)
        words = outcome.comment or outgoing.converted(instance, outcome)
        marks.add(there[instance.sop_instance_uid][0], outcome.state, outcome.status, words or None)

    outgoing.deliver(
        ctx.archive,
        peer,
        task.settings,
        [instance for _, instance in there.values()],
        answered,
        check=ctx.check_cancelled,
        preferred=options.of(task.node).transfer_syntax,
    )


def _out_of_resources(peer: scu.Peer, outcome: outgoing.Outcome) -> PeerFault:
    return PeerFault(
        phrase(
            "{peer} is out of resources: status {status:04X}, {words}.",
            peer=peer,
            status=outcome.status,
            words=outcome.comment or "no words",
        )
    )


class _Marks:
    """Answers that wait to be written down, a few at a time."""

    def __init__(self, ctx: JobContext, task: _Task) -> None:
        self._ctx, self._task = ctx, task
        self._done = task.finished
        self._new: list[dict[str, Any]] = []
        self._due = time.monotonic() + _KEEP

    def add(self, row_id: int, state: str, status: int | None, message: str | None) -> None:
        self._new.append({"id": row_id, "state": state, "status": status, "message": message and message[:256]})
        if time.monotonic() > self._due:
            self.write()
            self._ctx.progress(self._done, self._task.total)

    def write(self) -> None:
        new, self._new = self._new, []
        if new:
            with self._ctx.database.write() as session:
                session.execute(update(TransferInstance), new)
                transfer = _count(session, self._task.transfer_id)
                tell(session, transfer)
            self._done += len(new)
        self._due = time.monotonic() + _KEEP


def _count(session: Session, transfer_id: str) -> Transfer:
    """The transfer with its counters as its rows are."""
    transfer = session.get(Transfer, transfer_id)
    if transfer is None:
        raise PermanentFault("This transfer has been removed.")
    states = queries.instance_states(session, transfer_id)
    transfer.sent, transfer.warned, transfer.failed = (states.get(s, 0) for s in (SENT, WARNED, REFUSED))
    return transfer


def _interrupted(ctx: JobContext, task: _Task, words: str) -> None:
    """A try failed as a whole: what waits is tried again after a pause, or failed when this was the last try."""
    with ctx.database.write() as session:
        if ctx.job.last_attempt:
            session.execute(
                update(TransferInstance)
                .where(TransferInstance.transfer_id == task.transfer_id, TransferInstance.state == WAITING)
                .values(state=REFUSED, message=words[:256])
            )
        transfer = _count(session, task.transfer_id)
        if transfer.state == RUNNING:
            transfer.state, transfer.error = FAILED if ctx.job.last_attempt else QUEUED, words
            transfer.finished_at = now() if ctx.job.last_attempt else None
        service.note_outcome(session, task.node.id, words)
        tell(session, transfer)
    log.warning("transfer %s, try %d: %s", task.transfer_id, ctx.job.attempt, words)


def _given_back(ctx: JobContext, transfer_id: str) -> None:
    """The role ends: the transfer waits again. One that a person cancelled stays cancelled."""
    with ctx.database.write() as session:
        transfer = session.get(Transfer, transfer_id)
        if transfer is not None and transfer.state == RUNNING:
            transfer.state = QUEUED
            tell(session, transfer)


def _finish(ctx: JobContext, task: _Task) -> dict[str, Any]:
    with ctx.database.write() as session:
        transfer = _count(session, task.transfer_id)
        failed = transfer.failed
        words = (
            phrase("{failed} of {total} objects were not taken.", failed=failed, total=transfer.total)
            if failed
            else None
        )
        transfer.state, transfer.error, transfer.finished_at = FAILED if failed else DONE, words, now()
        service.note_outcome(session, task.node.id, "")
        tell(session, transfer)
        counts = {"sent": transfer.sent, "warned": transfer.warned, "failed": failed}
    log.info("transfer %s: %s", task.transfer_id, counts)
    if words:
        raise PermanentFault(words)
    return counts
