"""Background work of retrievals: `retrieve.fetch`. A try asks the node what there is, fetches what is not here, and
believes the archive alone about what has arrived; what is here is never fetched again by the next try."""

import logging
import time
from dataclasses import dataclass
from typing import Any

from app.archive import Source
from app.jobs.context import Cancelled, JobContext, PermanentFault
from app.kit.clock import now
from app.kit.errors import AppError, PeerFault
from app.kit.phrases import NOTHING, joined, phrase, phrases
from app.network import statuses
from app.network.retrieve_scu import Counts, Getter, Mover, RetrieveOutcome, RetrieveWatch
from app.network.settings import DicomSettings
from app.nodes import dicomweb, operation_log, service
from app.nodes import queries as node_queries
from app.nodes.models import Node
from app.retrieve import plan, sources
from app.retrieve import queries as retrieve_queries
from app.retrieve.inventory import Look
from app.retrieve.models import Retrieval
from app.retrieve.plan import Ask, Scope, There
from app.retrieve.retrievals import CANCELLED, DONE, FAILED, QUEUED, RUNNING, notify, scope_of
from app.retrieve.settings import QuerySettings
from app.security import facilities
from app.settings import load

log = logging.getLogger(__name__)
_LOOK = 0.5  # seconds between checks of arrived objects and of cancellation
_SETTLE = 5.0  # seconds that objects may still be on their way into the index after the peer's last word


@dataclass(slots=True)
class _Task:
    """One retrieval as read at the start of a try. title: the Move Destination; facility_id: whose what comes by C-GET
    or WADO-RS will be."""

    id: str
    node: Node
    scope: Scope
    method: str
    title: str
    port: int
    elsewhere: bool
    facility_id: str | None
    created_by: str
    patient_id: str
    settings: DicomSettings
    own: QuerySettings


def retrieve_objects(ctx: JobContext, payload: dict[str, Any]) -> dict[str, Any]:
    """One try. Ends well only when everything that the node has of it is here."""
    task = _begin(ctx, payload["retrieval_id"])
    work = _Try(ctx, task)
    started = time.monotonic()
    fault: AppError | None = None
    try:
        work.run()
    except Cancelled:
        _released(ctx, task)
        work.log_try(started, None, True)
        raise
    except AppError as raised:
        fault = raised
    work.log_try(started, fault, False)
    return _finish(ctx, task, work, fault)


def _begin(ctx: JobContext, retrieval_id: str) -> _Task:
    with ctx.database.write() as session:
        row = session.get(Retrieval, retrieval_id)
        node = session.get(Node, row.node_id) if row is not None else None
        if row is None or node is None:
            raise PermanentFault("This retrieval or its node has been removed.")
        row.state, row.attempts, row.error, row.hint = RUNNING, row.attempts + 1, None, None
        row.started_at, row.done = (
            now(),
            retrieve_queries.count_local(session, scope_of(row)) if not row.destination else 0,
        )
        row.done_before = row.done
        notify(session, row)
        title, port = ctx.config.aet, ctx.config.dicom_port
        home = facilities.home_id(session)
        if row.destination:
            other = node_queries.node_named(session, row.destination)
            if other is None:
                raise PermanentFault("The node to send to has been removed.")
            title, port = other.ae_title, other.port
        elif row.facility_id and row.facility_id != home:
            # A facility's own title makes what comes the facility's (NET-8); the node must know it.
            own_title, own_port = node_queries.facility_station(session, row.facility_id)
            title, port = own_title or title, own_port or port
        return _Task(
            row.id,
            node,
            scope_of(row),
            row.method,
            title,
            port,
            bool(row.destination),
            row.facility_id or node.facility_id or home,
            row.created_by,
            str(row.about.get("PatientID", "")),
            load(session, DicomSettings),
            load(session, QuerySettings),
        )


class _Try:
    """The work of one try; `counts` and `used` are for the log."""

    def __init__(self, ctx: JobContext, task: _Task) -> None:
        self._ctx, self._task = ctx, task
        self._look = Look(ctx, task.node, task.scope, task.method, task.patient_id, task.settings, task.own)
        self._due = 0.0
        self._seen = -1
        self._grown = False
        self._address = ""
        self._total: int | None = None
        self.counts = Counts()
        self.before = Counts()  # of the requests that ended earlier in this try
        self.used = ""
        self.status: int | None = None

    def run(self) -> None:
        task = self._task
        if task.elsewhere:
            self._send_requests("move", plan.full_requests(task.scope), There())
            return
        there = self._look.list_remote()
        self._total = len(task.scope.instances) or there.total
        asks = plan.plan(task.scope, there, self._look.list_local(there))
        self._refresh(force=True)
        if not asks:
            return
        self._retrieve_by_method(asks, there)
        self._verify(there)

    def _retrieve_by_method(self, asks: list[Ask], there: There) -> None:
        """The wished way; with auto the next one where a peer refuses the first for good (an unknown destination)."""
        ways = sources.retrieval_methods(self._task.node) if self._task.method == "auto" else [self._task.method]
        if not ways:
            raise PermanentFault("This node is no longer set to give objects.")
        for way in ways:
            try:
                self._send_requests(way, asks, there)
                return
            except statuses.PeerRefused as fault:
                if not fault.final:
                    raise
                if len(asks) > 1 or asks[0].level != "STUDY":  # it may give whole studies only
                    parts = plan.full_requests(Scope(self._task.scope.study))
                    if fault.dimse_status & 0xFF00 == 0xA900 and not self._task.scope.instances:
                        self._send_requests(way, parts, there)
                        return
                if way == ways[-1]:
                    raise
                log.info("retrieval %s: %s refused (%04X), the next way", self._task.id, way, fault.dimse_status)

    def _send_requests(self, way: str, asks: list[Ask], there: There) -> None:
        self.used = way
        if way == "web":
            self._by_web(asks)
        elif way == "get":
            self._by_get(asks, there)
        else:
            self._by_move(asks)

    def _by_move(self, asks: list[Ask]) -> None:
        task = self._task
        peer = service.peer_of(task.node, self._ctx.config.aet, task.settings)
        with Mover(peer, task.settings, task.title, self._watch()) as mover:
            self._address = f"{mover.local_host}:{task.port}"
            for ask in asks:
                self._check_outcome(mover.retrieve(ask.level, ask.keys), own_title=task.title)

    def _by_get(self, asks: list[Ask], there: There) -> None:
        task, config = self._task, self._ctx.config
        peer = service.peer_of(task.node, config.aet, task.settings)
        getter = Getter(
            peer, task.settings, self._ctx.archive, self._source(), sorted(there.sop_classes), self._watch()
        )
        with getter:
            for ask in asks:
                self._check_outcome(getter.retrieve(ask.level, ask.keys))

    def _by_web(self, asks: list[Ask]) -> None:
        task = self._task
        limit = task.settings.max_object_gib << 30

        def record_progress(fetched: dicomweb.Fetched) -> None:
            self.counts = Counts(None, fetched.stored, fetched.failed, 0, fetched.stored)
            self._refresh()

        with dicomweb.client(task.node, task.settings, self._ctx.config) as http:
            for path in (path for ask in asks for path in ask.paths()):
                done = dicomweb.retrieve(
                    http,
                    task.node.name,
                    self._ctx.archive,
                    self._source(),
                    path,
                    limit=limit,
                    tell=record_progress,
                    stop=self._stop,
                )
                self._ctx.check_cancelled()
                self._add_counts()
                if done.failed:
                    raise PeerFault(
                        phrases(
                            "{count} object could not be taken: {why}",
                            "{count:n} objects could not be taken: {why}",
                            count=done.failed,
                            why=done.faults[0],
                        )
                    )

    def _source(self) -> Source:
        node = self._task.node
        return Source(
            kind="retrieve",
            calling_ae=node.ae_title or node.name,
            called_ae=self._ctx.config.aet,
            address=node.host,
            actor_name=self._task.created_by,
            facility_id=self._task.facility_id,
        )

    def _check_outcome(self, outcome: RetrieveOutcome, own_title: str = "") -> None:
        """Raises what a final answer means; the counts of a success stay."""
        self.counts, self.status = outcome.counts, outcome.status
        self._ctx.check_cancelled()
        self._add_counts()
        if outcome.success and not outcome.counts.failed:
            return
        # objects it could not send are reported after verification
        if outcome.success or outcome.status & 0xF000 == 0xB000:
            return
        found = statuses.describe_status(
            outcome.status, outcome.comment, self._task.node.name, own_title=own_title, own_address=self._address
        )
        raise statuses.PeerRefused(found, outcome.status)

    def _add_counts(self) -> None:
        """One request has ended: its counts go to those of the try."""
        for name in ("completed", "failed", "warning", "stored"):
            setattr(self.before, name, getattr(self.before, name) + getattr(self.counts, name))
        self.counts = Counts()
        self._refresh(force=True)

    def _verify(self, there: There) -> None:
        """Waits a little for objects in flight, then raises for missing ones."""
        until = time.monotonic() + _SETTLE
        while True:
            left = plan.missing_count(self._task.scope, there, self._look.list_local(there))
            if not left or time.monotonic() > until:
                break
            self._ctx.check_cancelled()
            time.sleep(0.1)
        self._refresh(force=True)
        sent, failed = self.before.completed + self.before.warning, self.before.failed
        if left is None:  # their number is unknown: the peer's own failures are all there is to judge by
            if failed:
                raise PeerFault(phrase("{peer} could not send {n} objects.", peer=self._task.node.name, n=failed))
            return
        if left:
            total = self._total or 0
            words = phrase(
                "{peer} says it sent {sent} and failed {failed}; {left} of {total} objects are not here.",
                peer=self._task.node.name,
                sent=sent,
                failed=failed,
                left=left,
                total=total,
            )
            raise PeerFault(words, hint=phrase("They are asked for again."))

    def _watch(self) -> RetrieveWatch:
        return RetrieveWatch(tell=self._record_progress, stop=self._stop, alive=self._alive)

    def _record_progress(self, counts: Counts) -> None:
        self.counts = counts
        self._refresh()

    def _stop(self) -> bool:
        self._refresh()
        return self._ctx.stopped.is_set()

    def _alive(self) -> bool:
        grown, self._grown = self._grown, False
        return grown

    def _refresh(self, force: bool = False) -> None:
        """Counts the stored objects and reports the progress; sees whether the retrieval is still wanted."""
        if time.monotonic() < self._due and not force:
            return
        self._due = time.monotonic() + _LOOK
        task, database = self._task, self._ctx.database
        with database.read() as session:
            if not retrieve_queries.job_wanted(session, self._ctx.job.id):
                self._ctx.stopped.set()
                return
            arrived = 0 if task.elsewhere else retrieve_queries.count_local(session, task.scope)
        peer = self.before.completed + self.counts.completed + self.before.warning + self.counts.warning
        done = peer if task.elsewhere else arrived
        state = (done, self.counts.remaining, self.counts.failed, self._total)
        if state == self._seen_state and not force:
            return
        self._grown |= done > self._seen
        self._seen, self._seen_state = done, state
        self._write(done)

    _seen_state: tuple[Any, ...] = ()

    def _write(self, done: int) -> None:
        counts, before = self.counts, self.before
        with self._ctx.database.write() as session:
            row = session.get(Retrieval, self._task.id)
            if row is None or row.state == CANCELLED:
                self._ctx.stopped.set()
                return
            row.used, row.done = self.used, done
            row.completed, row.failed = before.completed + counts.completed, before.failed + counts.failed
            row.warned, row.remaining = before.warning + counts.warning, counts.remaining
            if self._total is not None:
                row.total = self._total
            elif counts.remaining is not None:
                row.total = max(row.total, done + counts.remaining)
            row.total = max(row.total, row.done)
            total = row.total
            notify(session, row)
        self._ctx.progress(done, total)

    def log_try(self, started: float, fault: AppError | None, cancelled: bool) -> None:
        """The transfer log's line of one try: the one place where it is written."""
        node, counts = self._task.node, self.before
        result: operation_log.Result = "cancelled" if cancelled else "failure" if fault else "success"
        operation_log.log_operation(
            self._ctx.database,
            operation_log.Operation(
                self.used if self.used in ("move", "get") else "get",
                "scu",
                node.name,
                result,
                title=self._ctx.config.aet,
                called=node.ae_title,
                address=f"{node.host}:{node.port}" if node.host else "",
                node_id=node.id,
                facility_id=node.facility_id,
                status=self.status,
                objects=counts.stored or counts.completed + counts.warning,
                warned=counts.warning,
                failed=counts.failed,
                seconds=time.monotonic() - started,
                words=fault.detail if fault else NOTHING,
            ),
        )


def _released(ctx: JobContext, task: _Task) -> None:
    """The role ends: the retrieval waits again. One that a person cancelled stays cancelled."""
    with ctx.database.write() as session:
        row = session.get(Retrieval, task.id)
        if row is not None and row.state == RUNNING:
            row.state = QUEUED
            notify(session, row)


def _finish(ctx: JobContext, task: _Task, work: _Try, fault: AppError | None) -> dict[str, Any]:
    final = isinstance(fault, statuses.PeerRefused) and fault.final
    with ctx.database.write() as session:
        row = session.get(Retrieval, task.id)
        if row is None:
            raise PermanentFault("This retrieval has been removed.")
        over = fault is None or final or ctx.job.last_attempt
        if row.state == RUNNING:
            row.state = DONE if fault is None else FAILED if over else QUEUED
        row.used = work.used
        if fault is not None:
            row.error, row.hint = fault.detail, fault.hint or None
        row.finished_at = now() if over else None
        if not task.elsewhere:
            row.done = retrieve_queries.count_local(session, task.scope)
            row.total = max(row.total, row.done)
        service.record_outcome(session, task.node.id, fault.detail if fault is not None else NOTHING)
        notify(session, row)
        done = {"done": row.done, "total": row.total, "used": row.used}
    if fault is None:
        return done
    log.warning("retrieval %s, try %d: %s", task.id, ctx.job.attempt, fault.detail)
    if final:
        raise PermanentFault(joined((fault.detail, fault.hint))) from None
    raise fault
