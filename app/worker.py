"""Composition root of the worker role: the one table job kind -> function, and what the clock runs of every package
(each package's module `clock`); here are only those that concern several packages."""

import contextlib
import importlib
import logging
import signal
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from app import events, jobs
from app.archive import Archive
from app.archive import clock as archive_clock
from app.archive import service as archive_service
from app.archive.store import translate_fault
from app.config import Config
from app.db import Database, open_database
from app.deid import clock as deid_clock
from app.forward import clock as forward_clock
from app.forward.forwarder import Forwarder
from app.jobs import clock as jobs_clock
from app.jobs.clock import HOUR
from app.jobs.context import Cancelled, JobContext, PermanentFault
from app.kit import memory, priority, rolestate, startup
from app.kit.clock import now
from app.kit.errors import AppError
from app.kit.logging import correlation_id
from app.kit.phrases import Phrase, of_fault, phrase
from app.nodes import clock as nodes_clock
from app.printing import clock as printing_clock
from app.retrieve import clock as retrieve_clock
from app.routing import clock as routing_clock
from app.routing import queries as routing_queries
from app.routing.watch import ArrivalWatch
from app.settings import zone
from app.trust import clock as trust_clock
from app.trust import runtime
from app.viewing import clock as viewing_clock

log = logging.getLogger(__name__)
Handler = Callable[[JobContext, dict[str, Any]], dict[str, Any]]


# lane -> (threads, job kind -> "module:function" below `app`). Work that waits for peers has more threads than work on the
# processor. Each kind's module is imported with its first job: together they hold most of what this role imports.
LANES: dict[str, tuple[int, dict[str, str]]] = {
    "commitment": (
        2,
        {
            "commitment.ask": "nodes.commitment_jobs:send_request",
            "commitment.report": "nodes.commitment_jobs:send_report",
            "node.echo": "selftest.job:echo_all",
        },
    ),
    # people wait for these: never behind transfers
    "query": (3, {"query.ask": "retrieve.query_jobs:run_query"}),
    "test": (6, {"node.test": "selftest.job:run"}),
    "retrieve": (3, {"retrieve.fetch": "retrieve.retrieve_jobs:retrieve_objects"}),
    "routing": (1, {"route.fire": "routing.jobs:execute_run"}),
    "print": (1, {"print.render": "printing.jobs:render"}),
    "deid": (1, {"anonymize.study": "deid.jobs:anonymize_study"}),
    "archive": (
        1,
        {
            "archive.prepare": "archive.jobs:prepare",
            "archive.remove_files": "archive.jobs:remove_files",
            "archive.carry_out": "archive.jobs:apply_decision",
        },
    ),
}


# lane -> threads that it may have beyond those while its jobs wait for peers that hang: a job without progress for
# STALLED seconds does not block the next one. Such a thread ends with its job.
MORE = {"commitment": 14, "query": 21, "test": 42, "retrieve": 13}
STALLED = 1.0


def handler_of(kind: str) -> Handler:
    """The function that does the work of a job kind; KeyError for one that is not in the table."""
    named = next((kinds[kind] for _, kinds in LANES.values() if kind in kinds), None)
    if named is None:
        raise KeyError(kind)
    module, _, function = named.partition(":")
    handler: Handler = getattr(importlib.import_module(f"app.{module}"), function)
    return handler


HEARTBEAT = 5.0  # seconds; a job silent for six of them is given to another worker
SOON = 5.0  # seconds after the start: the first turn of what runs each hour
IDLE = 0.25  # seconds between looks into an empty queue: one for all lanes, each look costs pages of the database


class Worker:
    """The threads of one worker process."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.database: Database = open_database(config)
        self.archive = Archive(config, self.database)
        self.name = rolestate.process_name()
        self.stopping = threading.Event()
        self.drift: float | None = None  # between wall clock and the one that only runs forward, when last looked at
        self._running: dict[str, JobContext] = {}
        self._lock = threading.Lock()
        self._more: dict[str, list[threading.Thread]] = {lane: [] for lane in MORE}
        self._bells = {lane: threading.Event() for lane in LANES}  # rung when something is due there
        self.forwarder = Forwarder(config, self.database, self.archive, self.name)

    def start(self) -> None:
        events.use_folder(self.config.run / "events")
        runtime.configure(self.config, self.database)
        with contextlib.suppress(AppError):  # the database is away: at the clock's first turn that reaches it
            follow_zone(self)
        for lane, (threads, kinds) in LANES.items():
            for number in range(threads):
                work = (list(kinds), self._bells[lane])
                threading.Thread(target=self._work, args=work, name=f"{lane}-{number}", daemon=True).start()
        threading.Thread(target=self._signal_lanes, name="queue", daemon=True).start()
        self.forwarder.start()
        ArrivalWatch(self.database, self.stopping).start()
        threading.Thread(target=self._beat, name="heartbeat", daemon=True).start()
        threading.Thread(target=self._run_clock, name="clock", daemon=True).start()

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

    def _signal_lanes(self) -> None:
        """Rings for the lanes that have something to do."""
        while not self.stopping.wait(IDLE):
            try:
                with self.database.read() as session:
                    due = jobs.due_kinds(session)
            except Exception:
                log.exception("the queue cannot be read; trying again in 2 s")
                self.stopping.wait(2)
                continue
            for lane, (_, kinds) in LANES.items():
                if due & kinds.keys():
                    self._bells[lane].set()
                    self._add_threads(lane)

    def _add_threads(self, lane: str) -> None:
        """Starts threads for what is due in a lane whose own are all busy, as many as wait for peers that hang."""
        threads, kinds = LANES[lane]
        more = self._more[lane] = [thread for thread in self._more.get(lane, []) if thread.is_alive()]
        with self._lock:
            running = [context for context in self._running.values() if context.job.kind in kinds]
        if len(running) < threads + len(more):
            return  # one of them is about to look
        stalled = sum(time.monotonic() - context.moved > STALLED for context in running)
        wanted = min(stalled, MORE.get(lane, 0)) - len(more)
        for number in range(len(more), len(more) + wanted):
            thread = threading.Thread(target=self._run_one, args=(list(kinds),), name=f"{lane}+{number}", daemon=True)
            more.append(thread)
            thread.start()

    def _run_one(self, kinds: list[str]) -> None:
        """One job of a lane, if one is still due."""
        try:
            claimed = self._claim(kinds)
            if claimed is not None:
                self._run(claimed, handler_of(claimed.kind))
        except Exception:
            log.exception("the queue cannot be read")

    def _work(self, kinds: list[str], bell: threading.Event) -> None:
        while not self.stopping.is_set():
            try:
                claimed = self._claim(kinds)
                if claimed is None:
                    bell.wait()
                    bell.clear()
                else:
                    self._run(claimed, handler_of(claimed.kind))
            except Exception:
                log.exception("the queue cannot be read; trying again in 2 s")
                self.stopping.wait(2)

    def _claim(self, kinds: list[str]) -> jobs.Claimed | None:
        with self.database.read() as session:
            if not jobs.has_due_job(session, kinds):
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
            self._release_job(claimed)
        except (AppError, PermanentFault) as fault:
            self._failed(claimed, of_fault(fault), final=isinstance(fault, PermanentFault) or fault.status < 500)
        except Exception as fault:
            known = translate_fault(fault) if isinstance(fault, OSError) else fault
            if isinstance(known, AppError):
                self._failed(claimed, of_fault(known))
                return
            log.exception("job %s %s failed", claimed.kind, claimed.id)
            self._failed(
                claimed,
                phrase("Internal fault ({kind}); quote {code}.", kind=type(fault).__name__, code=correlation_id.get()),
            )
        finally:
            with self._lock:
                self._running.pop(claimed.id, None)
            memory.release_free_memory()

    def _failed(self, claimed: jobs.Claimed, reason: Phrase, final: bool = False) -> None:
        with self.database.write() as session:
            over = jobs.fail(session, claimed, reason, final=final)
            if over:
                about = {"id": claimed.id, "kind": claimed.kind}
                events.append(session, "job.failed", about, user_id=claimed.owner_id or events.NOBODY)
        log.warning("job %s %s try %d failed: %s", claimed.kind, claimed.id, claimed.attempt, reason)

    def _release_job(self, claimed: jobs.Claimed) -> None:
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

    def _run_clock(self) -> None:
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


def follow_clock(worker: Worker) -> None:
    """Nothing may wait for moments that were written while the wall clock was ahead. It is looked for every few seconds,
    not only when the clock is seen to go back: it may have been ahead for a moment only, or a transaction that began
    then may end now."""
    drift = time.time() - time.monotonic()
    before, worker.drift = worker.drift, drift
    if before is not None and drift < before - jobs.CLOCK_SLACK.total_seconds():
        log.warning("the clock went back by %.0f s", before - drift)
    from app.forward import clock_back as peers_back
    from app.routing import clock_back as routing_back

    with worker.database.write() as session:
        moment = now()
        archive_service.heal_clock(session, moment)  # first: it may lock the index (app/db/locks.py)
        jobs.heal_clock(session, moment)
        peers_back.heal(session, moment)
        routing_back.heal(session, moment)


def follow_zone(worker: Worker) -> None:
    """Schedules and prints use the time zone of the site as it is set now."""
    with worker.database.read() as session:
        zone.follow(session)


def prune_events(worker: Worker) -> None:
    with worker.database.write() as session:
        events.prune(session, now() - timedelta(days=7), routing_queries.handled(session))


_CLOCKS = (
    jobs_clock,
    archive_clock,
    routing_clock,
    trust_clock,
    nodes_clock,
    retrieve_clock,
    forward_clock,
    viewing_clock,
    printing_clock,
    deid_clock,
)

# verb -> seconds between two turns, in this order where several are due
CLOCK: dict[Callable[[Worker], None], float] = {follow_zone: 5.0, follow_clock: 5.0, prune_events: HOUR}
CLOCK.update((verb, period) for module in _CLOCKS for verb, period in module.VERBS.items())


def run(config: Config) -> None:
    """Runs until SIGTERM or SIGINT."""
    state = rolestate.RoleState(config.run, "worker")
    state.start()
    worker = Worker(config)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    priority.lower_priority(priority.WORKER)
    worker.start()
    startup.resume_collection()
    state.set("ready")
    log.info("worker ready")
    ended.wait()
    state.set("stopping")
    worker.stop()
    worker.archive.close()
    worker.database.dispose()
    state.close()
    log.info("worker stopped")
