"""Background work of queries: `query.ask` asks every node of a query in a thread of its own, so that an
unreachable one does not delay the others; and the same for levels that a page unfolds."""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

from sqlalchemy.orm import Session

from app import audit
from app.config import Config
from app.db import Database
from app.jobs.context import Cancelled, JobContext, PermanentFault
from app.kit.clock import now
from app.kit.errors import AppError, PeerFault
from app.kit.phrases import NOTHING, Phrase, phrase, phrases
from app.network.settings import DicomSettings
from app.nodes import operation_log, service
from app.nodes.models import Node
from app.retrieve import queries as retrieve_queries
from app.retrieve import remote_queries, sources
from app.retrieve.models import RemoteQuery, RemoteQueryNode
from app.retrieve.query_states import ASKING, DONE, FAILED, GRACE, OPEN, query_deadline
from app.retrieve.remote_queries import Match
from app.retrieve.settings import QuerySettings
from app.retrieve.sources import Question, SourceProgress
from app.security.actor import Actor, require
from app.security.verbs import Verb
from app.settings import load

log = logging.getLogger(__name__)
_REMOVED = phrase("This node has been removed.")
_KEEP = 0.4  # seconds answers gather before they are written down together
_LOOK = 0.5  # seconds between checks for cancellation


def run_query(ctx: JobContext, payload: dict[str, Any]) -> dict[str, Any]:
    """Asks the nodes that have not ended yet; a second try after a crash asks those again that were under way."""
    with ctx.database.write() as session:
        query = session.get(RemoteQuery, payload["query_id"])
        if query is None:
            raise PermanentFault("This query has been removed.")
        question = Question(query.level, query.keys, tuple(query.modalities), query.limit)
        limits, own = load(session, DicomSettings), load(session, QuerySettings)
        rows = [row for row in retrieve_queries.nodes_of(session, query.id) if row.state in OPEN]
        nodes = retrieve_queries.nodes_by_id(session, [row.node_id for row in rows])
        for row in rows:
            retrieve_queries.delete_answers(session, row.id)
            row.state, row.answers = ASKING, 0
        remote_queries.notify(session, query)
    asking_now = [_One(ctx, query.id, row.id, nodes.get(row.node_id), limits, own, question) for row in rows]
    for one in asking_now:
        one.start()
    _wait(ctx, [one.thread for one in asking_now], query_deadline(own))
    for one in asking_now:
        if one.thread.is_alive():
            one.cancel_open(
                phrase("It did not end its answers within {seconds} s.", seconds=round(query_deadline(own)))
            )
    return {"nodes": len(rows)}


def _wait(ctx: JobContext, threads: list[threading.Thread], seconds: float) -> None:
    """Until all have ended, but no longer than that. Raises Cancelled."""
    leave, look, ends = float("inf"), time.monotonic() + _LOOK, time.monotonic() + seconds
    while any(thread.is_alive() for thread in threads) and time.monotonic() < ends:
        if ctx.stopped.wait(0.02) and leave == float("inf"):
            leave = time.monotonic() + GRACE
        if time.monotonic() > leave:
            break
        if time.monotonic() > look:
            look = time.monotonic() + _LOOK
            with ctx.database.read() as session:
                if not retrieve_queries.job_wanted(session, ctx.job.id):
                    ctx.stopped.set()
    if ctx.stopped.is_set():
        raise Cancelled


class _One:
    """One node of a query, in its thread."""

    def __init__(
        self,
        ctx: JobContext,
        query_id: str,
        row_id: int,
        node: Node | None,
        limits: DicomSettings,
        own: QuerySettings,
        question: Question,
    ) -> None:
        self._ctx, self._query_id, self._row_id, self._node = ctx, query_id, row_id, node
        self._limits, self._own, self._question = limits, own, question
        self._new: list[dict[str, str]] = []
        self._asked = SourceProgress()
        self.thread = threading.Thread(target=self.run, name=f"ask-{row_id}", daemon=True)

    def start(self) -> None:
        self.thread.start()

    def cancel_open(self, words: Phrase) -> None:
        """Ends the row of a node whose thread goes on: what it brings later is not kept."""
        with self._ctx.database.write() as session:
            row, query = session.get(RemoteQueryNode, self._row_id), session.get(RemoteQuery, self._query_id)
            if row is not None and query is not None and row.state == ASKING:
                row.state, row.error = FAILED, words
                remote_queries.notify(session, query)

    def run(self) -> None:
        fault: AppError | None = None
        try:
            if self._node is None:
                raise PeerFault(_REMOVED)
            sources.may_ask(self._node)
            self._query(self._node)
        except AppError as raised:
            fault = raised
        except Exception:
            log.exception("fault while a node was asked")
            fault = PeerFault("Internal fault while asking; the log has more.")
        with contextlib.suppress(AppError):  # the database is away: the job's next try asks again
            try:
                self._end(fault)
            except AppError:
                raise
            except Exception:
                log.exception("fault while the answers of a node were written")
                self._end(PeerFault("Internal fault while asking; the log has more."))

    def _query(self, node: Node) -> None:
        due = time.monotonic() + _KEEP
        stop = self._ctx.stopped.is_set
        found = sources.query_node(node, self._ctx.config, self._limits, self._own, self._question, self._asked, stop)
        for answer in found:
            self._new.append(answer)
            if time.monotonic() > due:
                self._store_answers()
                due = time.monotonic() + _KEEP

    def _store_answers(self, end: Callable[[RemoteQueryNode], None] | None = None) -> int:
        """Writes down what came; how many answers the node gave altogether."""
        new, self._new = self._new, []
        with self._ctx.database.write() as session:
            row = session.get(RemoteQueryNode, self._row_id)
            query = session.get(RemoteQuery, self._query_id)
            if row is None or query is None:
                return 0
            if row.state == FAILED:  # cancelled already
                return row.answers
            remote_queries.add_answers(session, row, self._question.level, new)
            if end is not None:
                end(row)
            remote_queries.notify(session, query)
            return row.answers

    def _end(self, fault: AppError | None) -> None:
        asked, node = self._asked, self._node

        def end(row: RemoteQueryNode) -> None:
            row.broken, row.limited, row.seconds = asked.broken, asked.limited, asked.seconds
            if fault is not None:
                row.error, row.hint = fault.detail, fault.hint or None
            if row.state == ASKING:
                row.state = FAILED if fault is not None else DONE

        count = self._store_answers(end)
        if node is not None:
            if not self._ctx.stopped.is_set():
                with self._ctx.database.write() as session:
                    service.record_outcome(session, node.id, fault.detail if fault else NOTHING)
            log_query(self._ctx.database, self._ctx.config, node, count, asked, fault, self._ctx.stopped.is_set())


def log_query(
    database: Database,
    config: Config,
    node: Node,
    count: int,
    asked: SourceProgress,
    fault: AppError | None,
    stopped: bool,
) -> None:
    """The transfer log's line of one query of one node: the one place where it is written."""
    result: operation_log.Result = (
        "failure" if fault else "cancelled" if stopped else "warning" if asked.broken else "success"
    )
    words = (
        fault.detail
        if fault
        else phrases("{count} answer could not be read", "{count:n} answers could not be read", count=asked.broken)
        if asked.broken
        else NOTHING
    )
    operation_log.log_operation(
        database,
        operation_log.Operation(
            "find",
            "scu",
            node.name,
            result,
            title=config.aet,
            called=node.ae_title,
            address=f"{node.host}:{node.port}" if node.host else "",
            node_id=node.id,
            facility_id=node.facility_id,
            status=getattr(fault, "dimse_status", None),
            objects=count,
            seconds=asked.seconds,
            words=words,
        ),
    )


def prune(session: Session) -> None:
    """Queries of yesterday and retrievals of last month go. Safe in several workers at once."""
    own = load(session, QuerySettings)
    retrieve_queries.prune(session, now() - timedelta(hours=own.keep_hours), now() - timedelta(days=own.keep_days))


# -- levels that are unfolded ------------------------------------------------------------------------------------------


def query_children(
    database: Database, config: Config, actor: Actor, query_id: str, level: str, keys: Mapping[str, str]
) -> tuple[list[Match], list[tuple[str, Phrase]]]:
    """The series of a study of a query's answers, or the images of a series, asked now from every node that has the
    study: (matches with what is here, (node, words) of those that failed). No transaction is open meanwhile."""
    require(actor, Verb.QUERY_RETRIEVE)
    study = keys["StudyInstanceUID"]
    with database.read() as session:
        query = retrieve_queries.query(session, actor, query_id)
        earlier = retrieve_queries.answers_of(session, query.id, study)
        audit.record_study(study, actor.facility_id)
        patient = next((a.values["PatientID"] for _, a in earlier if a.values.get("PatientID")), "")
        known = retrieve_queries.nodes_by_id(session, [row.node_id for row, _ in earlier])
        nodes = [known[row.node_id] for row, _ in earlier if row.node_id in known]
        removed = [row.node_name for row, _ in earlier if row.node_id not in known]
        limits, own = load(session, DicomSettings), load(session, QuerySettings)
    question = Question(level, {**keys, **({"PatientID": patient} if patient else {})}, (), own.answers)
    gathered: dict[str, list[dict[str, str]]] = {node.name: [] for node in nodes}
    faults: list[tuple[str, Phrase]] = [(name, _REMOVED) for name in removed]

    def query_one(node: Node) -> None:
        asked = SourceProgress()
        count, fault = 0, None
        try:
            for answer in sources.query_node(node, config, limits, own, question, asked):
                gathered[node.name].append(answer)
                count += 1
        except AppError as raised:
            fault = raised
            faults.append((node.name, raised.detail))
        log_query(database, config, node, count, asked, fault, False)

    with ThreadPoolExecutor(max(1, len(nodes)), thread_name_prefix="unfold") as pool:
        list(pool.map(query_one, nodes))
    found = remote_queries.merge_answers(
        level, ((name, answer) for name, answers in gathered.items() for answer in answers)
    )
    with database.read() as session:
        if level == "SERIES":
            counted = retrieve_queries.local_series(session, actor, study)
            for match in found:
                match.here = remote_queries.local_counts(counted.get(match.key, 0), match.images)
        else:
            there = retrieve_queries.local_instances(session, actor, [match.key for match in found])
            for match in found:
                match.here = remote_queries.local_counts(int(match.key in there), 1)
    return remote_queries.sort_matches(found, "number"), faults
