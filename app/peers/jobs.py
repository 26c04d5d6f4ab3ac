"""Background entry points of the room: `transfer.send`."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import update
from sqlalchemy.orm import Session

from app.archive import content
from app.archive.models import Instance
from app.jobs.context import Cancelled, JobContext, PermanentFault
from app.kit.clock import now
from app.kit.errors import NotFound
from app.kit.phrases import phrase
from app.peers import options, queries, service
from app.peers.contexts import Proposal, choose, propose
from app.peers.errors import CannotConvert, PeerFault
from app.peers.models import Node, Transfer, TransferInstance
from app.peers.scu import Association, Response
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
    there: list[tuple[int, Instance]] = []
    for row_id, instance in task.rows:
        if instance is None:
            marks.add(row_id, REFUSED, None, "It is no longer in the archive.")
        else:
            there.append((row_id, instance))
    uncompressed = options.of(task.node).transfer_syntax == "uncompressed"
    pairs = {(i.sop_class_uid, i.transfer_syntax_uid) for _, i in there}
    peer = service.peer_of(task.node, ctx.config.aet, task.settings)
    for proposal in propose(pairs, uncompressed) if there else []:
        ctx.check_cancelled()
        with Association(peer, proposal.contexts, task.settings) as association:
            for row_id, instance in there:
                if proposal.covers(instance.sop_class_uid):
                    ctx.check_cancelled()
                    _send_one(ctx, association, proposal, row_id, instance, marks)


def _send_one(
    ctx: JobContext,
    association: Association,
    proposal: Proposal,
    row_id: int,
    instance: Instance,
    marks: "_Marks",
) -> None:
    stored = instance.transfer_syntax_uid
    way = choose(proposal, association.accepted, association.refused, instance.sop_class_uid, stored)
    if way.fault:
        marks.add(row_id, REFUSED, None, way.fault)
        return
    try:
        with _encoded(ctx, instance, way.transfer_syntax) as (data, length, plain):
            answer = association.store(
                way.context_id, instance.sop_class_uid, instance.sop_instance_uid, data, length, plain
            )
    except CannotConvert as fault:
        marks.add(row_id, REFUSED, None, str(fault))
        return
    except NotFound:
        marks.add(row_id, REFUSED, None, "Its file is missing from the store.")
        return
    state = judge(answer)
    if state == WAITING:
        words = answer.comment or "no words"
        raise PeerFault(
            phrase(
                "{peer} is out of resources: status {status:04X}, {words}.",
                peer=association.peer,
                status=answer.status,
                words=words,
            )
        )
    marks.add(row_id, state, answer.status, answer.comment or None)


@contextmanager
def _encoded(ctx: JobContext, instance: Instance, syntax: str) -> Iterator[tuple[Any, int, bool]]:
    """The object's data set in this transfer syntax: file, length, and whether the kernel may send it from the file."""
    with content.open_object(ctx.archive, instance) as file:
        if syntax == instance.transfer_syntax_uid:
            file.seek(instance.data_set_offset)
            plain = type(file).__module__ == "_io"
            yield file, instance.bytes - instance.data_set_offset, plain
        else:
            from app.peers import transcode  # here: numpy and the codecs are loaded when something must be converted

            with transcode.data_set(file, syntax) as (converted, length):
                yield converted, length, False


def judge(answer: Response) -> str:
    """What a C-STORE status means for the instance (PS3.4 Table B.2-1, PS3.7 Annex C)."""
    if answer.status == 0x0000:
        return SENT
    if answer.status & 0xF000 == 0xB000 or answer.status in (0x0001, 0x0107, 0x0116):
        return WARNED
    return WAITING if answer.status & 0xFF00 == 0xA700 else REFUSED


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
