"""Composition root of the worker role: the one table job kind -> function, and the verbs that run by the clock."""

import logging
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

from app import events, jobs
from app.archive import Archive
from app.archive import service as archive_service
from app.config import Config
from app.db import Database, open_database
from app.jobs.context import Cancelled, JobContext, PermanentFault
from app.kit import priority, rolestate, startup
from app.kit.clock import now
from app.kit.errors import AppError
from app.kit.logging import correlation_id
from app.kit.phrases import phrase
from app.peers import ways
from app.peers.forwarder import Forwarder

log = logging.getLogger(__name__)
Handler = Callable[[JobContext, dict[str, Any]], dict[str, Any]]


# Each kind's own module is imported with its first job: together they hold most of what this role imports.


def _ask_commitment(context: JobContext, payload: dict[str, Any]) -> dict[str, Any]:
    from app.peers import commitment_jobs

    return commitment_jobs.ask(context, payload)


def _report_commitment(context: JobContext, payload: dict[str, Any]) -> dict[str, Any]:
    from app.peers import commitment_jobs

    return commitment_jobs.report(context, payload)


def _ask(context: JobContext, payload: dict[str, Any]) -> dict[str, Any]:
    from app.peers.ask_jobs import ask

    return ask(context, payload)


def _test_node(context: JobContext, payload: dict[str, Any]) -> dict[str, Any]:
    from app.peers import selftest_job

    return selftest_job.run(context, payload)


def _echo_nodes(context: JobContext, payload: dict[str, Any]) -> dict[str, Any]:
    from app.peers import selftest_job

    return selftest_job.echo_all(context, payload)


def _fetch(context: JobContext, payload: dict[str, Any]) -> dict[str, Any]:
    from app.peers.retrieve_jobs import fetch

    return fetch(context, payload)


def _render(context: JobContext, payload: dict[str, Any]) -> dict[str, Any]:
    from app.printing import jobs as printing_jobs

    return printing_jobs.render(context, payload)


def _anonymize(context: JobContext, payload: dict[str, Any]) -> dict[str, Any]:
    from app.deid import jobs as deid_jobs

    return deid_jobs.anonymize_study(context, payload)


def _prepare(context: JobContext, payload: dict[str, Any]) -> dict[str, Any]:
    from app.archive import jobs as archive_jobs

    return archive_jobs.prepare(context, payload)


def _remove_files(context: JobContext, payload: dict[str, Any]) -> dict[str, Any]:
    from app.archive import jobs as archive_jobs

    return archive_jobs.remove_files(context, payload)


def _carry_out(context: JobContext, payload: dict[str, Any]) -> dict[str, Any]:
    from app.archive import jobs as archive_jobs

    return archive_jobs.carry_out(context, payload)


def _fire(context: JobContext, payload: dict[str, Any]) -> dict[str, Any]:
    from app.routing import jobs as routing_jobs

    return routing_jobs.fire(context, payload)


# lane -> (threads, job kind -> function). Outside work waits on peers, so it has more threads than work on the processor.
LANES: dict[str, tuple[int, dict[str, Handler]]] = {
    "commitment": (
        2,
        {"commitment.ask": _ask_commitment, "commitment.report": _report_commitment, "node.echo": _echo_nodes},
    ),
    "query": (3, {"query.ask": _ask, "node.test": _test_node}),  # people wait for it: never behind transfers
    "retrieve": (3, {"retrieve.fetch": _fetch}),
    "routing": (1, {"route.fire": _fire}),
    "print": (1, {"print.render": _render}),
    "deid": (1, {"anonymize.study": _anonymize}),
    "archive": (
        1,
        {
            "archive.prepare": _prepare,
            "archive.remove_files": _remove_files,
            "archive.carry_out": _carry_out,
        },
    ),
}

HEARTBEAT = 5.0  # seconds; a job silent for six of them is given to another worker
SOON = 5.0  # seconds after the start: the first turn of what runs each hour
IDLE = 0.25  # seconds between looks into an empty queue: one for all lanes, each look costs pages of the database


class Worker:
    """The threads of one worker process."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.database: Database = open_database(config)
        self.archive = Archive(config, self.database)
        self.name = rolestate.own_name()
        self.stopping = threading.Event()
        self.drift: float | None = None  # between wall clock and the one that only runs forward, when last looked at
        self._running: dict[str, JobContext] = {}
        self._lock = threading.Lock()
        self._bells = {lane: threading.Event() for lane in LANES}  # rung when something is due there
        self.forwarder = Forwarder(config, self.database, self.archive, self.name)

    def start(self) -> None:
        events.use_folder(self.config.run / "events")
        ways.use(self.config, self.database)
        for lane, (threads, handlers) in LANES.items():
            for number in range(threads):
                work = (handlers, self._bells[lane])
                threading.Thread(target=self._work, args=work, name=f"{lane}-{number}", daemon=True).start()
        threading.Thread(target=self._look, name="queue", daemon=True).start()
        self.forwarder.start()
        threading.Thread(target=self._beat, name="heartbeat", daemon=True).start()
        threading.Thread(target=self._keep_time, name="clock", daemon=True).start()

    def stop(self, seconds: float = 4.0) -> None:
        """Lets running jobs notice; what does not end in time comes back through its missing heartbeat."""
        self.stopping.set()
        for bell in self._bells.values():
            bell.set()
        with self._lock:
            for context in self._running.values():
                context.stopped.set()
        deadline = time.monotonic() + seconds
        self.forwarder.stop(seconds)
        while self._running and time.monotonic() < deadline:
            time.sleep(0.02)

    def _look(self) -> None:
        """Rings for the lanes that have something to do."""
        while not self.stopping.wait(IDLE):
            try:
                with self.database.read() as session:
                    due = jobs.due_kinds(session)
            except Exception:
                log.exception("the queue cannot be read; trying again in 2 s")
                self.stopping.wait(2)
                continue
            for lane, (_, handlers) in LANES.items():
                if due & handlers.keys():
                    self._bells[lane].set()

    def _work(self, handlers: dict[str, Handler], bell: threading.Event) -> None:
        kinds = list(handlers)
        while not self.stopping.is_set():
            try:
                claimed = self._claim(kinds)
                if claimed is None:
                    bell.wait()
                    bell.clear()
                else:
                    self._run(claimed, handlers[claimed.kind])
            except Exception:
                log.exception("the queue cannot be read; trying again in 2 s")
                self.stopping.wait(2)

    def _claim(self, kinds: list[str]) -> jobs.Claimed | None:
        with self.database.read() as session:
            if not jobs.ready(session, kinds):
                return None
        with self.database.write() as session:
            return jobs.claim(session, kinds, self.name)

    def _run(self, claimed: jobs.Claimed, handler: Handler) -> None:
        correlation_id.set(claimed.correlation_id or claimed.id[-12:])
        context = JobContext(self.config, self.database, self.archive, claimed)
        with self._lock:
            self._running[claimed.id] = context
        started = time.monotonic()
        try:
            result = handler(context, claimed.payload)
            with self.database.write() as session:
                jobs.done(session, claimed.id, result)
            log.info("job %s %s done in %.2f s", claimed.kind, claimed.id, time.monotonic() - started)
        except Cancelled:
            self._give_back(claimed)
        except (AppError, PermanentFault) as fault:
            self._failed(claimed, str(fault), final=isinstance(fault, PermanentFault) or fault.status < 500)
        except Exception as fault:
            log.exception("job %s %s failed", claimed.kind, claimed.id)
            self._failed(
                claimed,
                phrase("Internal fault ({kind}); quote {code}.", kind=type(fault).__name__, code=correlation_id.get()),
            )
        finally:
            with self._lock:
                self._running.pop(claimed.id, None)

    def _failed(self, claimed: jobs.Claimed, reason: str, final: bool = False) -> None:
        with self.database.write() as session:
            over = jobs.fail(session, claimed, reason, final=final)
            if over:
                events.append(
                    session, "job.failed", {"id": claimed.id, "kind": claimed.kind}, user_name=claimed.created_by
                )
        log.warning("job %s %s try %d failed: %s", claimed.kind, claimed.id, claimed.attempt, reason)

    def _give_back(self, claimed: jobs.Claimed) -> None:
        """Cancelled by a person: it stays cancelled. Stopped because the role ends: back into the queue at once."""
        if self.stopping.is_set():
            with self.database.write() as session:
                jobs.release(session, claimed.id, self.name)

    def _beat(self) -> None:
        while not self.stopping.wait(HEARTBEAT):
            with self._lock:
                running = list(self._running.values())
            for context in running:
                try:
                    with self.database.write() as session:
                        alive = jobs.heartbeat(session, context.job.id, self.name)
                    if not alive:
                        context.stopped.set()
                except AppError:
                    log.warning("heartbeat of job %s not written; the database is away", context.job.id)

    def _keep_time(self) -> None:
        """Runs what the clock runs. Each verb is safe to run in several workers at once."""
        later = time.monotonic() + SOON  # what has an hour's time does not crowd the start
        due = {verb: later if period > 600 else 0.0 for verb, period in CLOCK.items()}
        while not self.stopping.wait(0.5):
            for verb, period in CLOCK.items():
                if time.monotonic() < due[verb]:
                    continue
                due[verb] = time.monotonic() + period
                try:
                    verb(self)
                except Exception:
                    log.exception("%s failed; next try in %g s", verb.__name__, period)


def release_abandoned(worker: Worker) -> None:
    with worker.database.read() as session:
        gone = [name for name in jobs.claimants(session) if rolestate.is_gone(name)]
    with worker.database.write() as session:
        count = jobs.release_abandoned(session, gone=gone)
    if count:
        log.warning("%d jobs of stopped workers given back", count)


def follow_clock(worker: Worker) -> None:
    """Nothing may wait for moments that were written while the wall clock was ahead. It is looked for every few seconds,
    not only when the clock is seen to go back: it may have been ahead for a moment only, or a transaction that began
    then may end now."""
    drift = time.time() - time.monotonic()
    before, worker.drift = worker.drift, drift
    if before is not None and drift < before - jobs.CLOCK_SLACK.total_seconds():
        log.warning("the clock went back by %.0f s", before - drift)
    from app.peers import clock_back as peers_clock
    from app.routing import clock_back as routing_clock

    with worker.database.write() as session:
        moment = now()
        jobs.heal_clock(session, moment)
        archive_service.heal_clock(session, moment)
        peers_clock.heal(session, moment)
        routing_clock.heal(session, moment)


def prune_events(worker: Worker) -> None:
    from datetime import timedelta

    with worker.database.write() as session:
        events.prune(session, now() - timedelta(days=7))


def settle_studies(worker: Worker) -> None:
    with worker.database.read() as session:
        if not archive_service.may_settle(session):
            return
    with worker.database.write() as session:
        archive_service.settle(session)


def ask_again(worker: Worker) -> None:
    """Requests for storage commitment that no node has answered in time."""
    from app.peers import commitment

    with worker.database.read() as session:
        if not commitment.is_overdue(session):
            return
    with worker.database.write() as session:
        commitment.overdue(session)


def give_to_routes(worker: Worker) -> None:
    from app.routing import arrivals

    arrivals.turn(worker.database)


def follow_runs(worker: Worker) -> None:
    from app.routing import following

    following.follow(worker.database, worker.archive)


def sweep_derived(worker: Worker) -> None:
    from app.routing import following

    following.sweep(worker.database, worker.archive)


def prune_commitments(worker: Worker) -> None:
    from app.peers import commitment

    with worker.database.write() as session:
        commitment.prune(session)


def sweep_store(worker: Worker) -> None:
    worker.archive.sweep()


def trim_pictures(worker: Worker) -> None:
    from app.settings import load
    from app.viewing import pictures
    from app.viewing.settings import PictureSettings

    with worker.database.read() as session:
        most = load(session, PictureSettings).cache_gib << 30
    if gone := pictures.trim(worker.config.cache, most):
        log.info("%d pictures of the cache were let go", gone)


def sweep_prints(worker: Worker) -> None:
    from app.printing import jobs as printing_jobs

    with worker.database.read() as session:
        printing_jobs.sweep(worker.config, session)


def sweep_copies(worker: Worker) -> None:
    from app.deid import jobs as deid_jobs

    with worker.database.read() as session:
        deid_jobs.sweep(worker.config, session)


def prune_transfer_log(worker: Worker) -> None:
    from datetime import timedelta

    from app.peers import oplog_queries
    from app.peers.settings import DicomSettings
    from app.settings import load

    with worker.database.write() as session:
        days = load(session, DicomSettings).log_days
        oplog_queries.prune(session, now() - timedelta(days=days))


def prune_transfers(worker: Worker) -> None:
    """Little by little: a transaction deletes ten transfers and lets others write."""
    from datetime import timedelta

    from app.peers import upkeep
    from app.peers.settings import DicomSettings
    from app.routing import following
    from app.settings import load

    with worker.database.read() as session:
        limit = now() - timedelta(days=load(session, DicomSettings).transfer_days)
    for prune, most in ((upkeep.prune, upkeep.AT_ONCE), (following.prune, following.FORGOTTEN)):
        gone = most
        while gone == most and not worker.stopping.is_set():
            with worker.database.write() as session:
                gone = prune(session, limit)


def warn_of_certificates(worker: Worker) -> None:
    """A write only when there is something to say."""
    from app.peers import certificates

    with worker.database.read() as session:
        due = bool(certificates.expiring(session))
    if due:
        with worker.database.write() as session:
            said = certificates.warn(session)
        for words in said:
            log.warning("%s", words)


def prune_queries(worker: Worker) -> None:
    from app.peers import ask_jobs

    with worker.database.write() as session:
        ask_jobs.prune(session)


def echo_nodes(worker: Worker) -> None:
    """Has nodes that were not heard of for long asked whether they are there, by one job at a time."""
    from app.peers import node_queries
    from app.peers.settings import DicomSettings
    from app.settings import load

    with worker.database.read() as session:
        minutes = load(session, DicomSettings).echo_minutes
        if not minutes or not node_queries.nodes_to_echo(session, minutes):
            return
    with worker.database.write() as session:
        if not node_queries.is_queued(session, "node.echo"):
            jobs.enqueue(session, "node.echo", {}, priority=8, max_attempts=1)


CLOCK: dict[Callable[[Worker], None], float] = {
    release_abandoned: 10.0,
    follow_clock: 5.0,
    prune_events: 3600.0,
    prune_transfer_log: 3600.0,
    prune_transfers: 3600.0,
    settle_studies: 1.0,
    give_to_routes: 0.5,
    follow_runs: 2.0,
    sweep_derived: 3600.0,
    ask_again: 20.0,
    prune_commitments: 3600.0,
    sweep_store: 60.0,
    trim_pictures: 3600.0,
    sweep_prints: 3600.0,
    sweep_copies: 3600.0,
    warn_of_certificates: 3600.0,
    prune_queries: 3600.0,
    echo_nodes: 30.0,
}


def run(config: Config) -> None:
    """Runs until SIGTERM or SIGINT."""
    state = rolestate.RoleState(config.run, "worker")
    state.start()
    worker = Worker(config)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    priority.stand_back(priority.WORKER)
    worker.start()
    startup.over()
    state.set("ready")
    log.info("worker ready")
    ended.wait()
    state.set("stopping")
    worker.stop()
    worker.archive.close()
    worker.database.dispose()
    state.close()
    log.info("worker stopped")
