"""State of a query at each node: the state of the node's row, corrected by the state of the job.

A worker that dies, or a job that is never claimed, leaves rows in the state "asking". They are shown as unanswered,
with the reason, never as an empty answer and never as still being asked."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy.orm import Session

from app.jobs.models import Job
from app.kit.clock import now
from app.kit.phrases import NOTHING, Phrase, phrase
from app.retrieve.models import RemoteQuery, RemoteQueryNode
from app.retrieve.settings import QuerySettings
from app.settings import load

WAITING, ASKING, DONE, FAILED, CANCELLED = "waiting", "asking", "done", "failed", "cancelled"
OPEN = (WAITING, ASKING)
GRACE = 3.0  # seconds nodes have to heed a cancellation before the job leaves them behind
_UNTAKEN = 60.0  # seconds a query may wait for a worker
_TRIES, _LOST = 2, 60.0  # tries of the job, and the seconds until a dead worker's job is given back


@dataclass(frozen=True, slots=True)
class QueryNodeState:
    """state: waiting, asking, done, failed or cancelled; error, hint: why it did not answer, in words."""

    node: RemoteQueryNode
    state: str
    error: Phrase = NOTHING
    hint: Phrase = NOTHING

    @property
    def answered(self) -> bool:
        return self.state == DONE

    @property
    def incomplete(self) -> bool:
        """It has ended, and what it answered is or may be only a part of what it has."""
        return self.state in (FAILED, CANCELLED) or (self.answered and (self.node.limited or self.node.broken > 0))


def query_deadline(own: QuerySettings) -> float:
    """Seconds after which the query of a node is ended, whatever it does: to connect, to accept, to answer."""
    return own.seconds + 2.0 * own.silence + GRACE


def node_states(session: Session, query: RemoteQuery, nodes: Iterable[RemoteQueryNode]) -> list[QueryNodeState]:
    """The state of each node of the query, in the given order."""
    job = session.get(Job, query.job_id)
    state, attempts = (job.state, job.attempts) if job else ("", 0)
    reason = interruption_reason(
        state, attempts, now() - query.created_at, query_deadline(load(session, QuerySettings))
    )
    return [state_of(node, state, reason) for node in nodes]


def state_of(node: RemoteQueryNode, job_state: str, reason: tuple[Phrase, Phrase] | None) -> QueryNodeState:
    """reason: why a row that is still open will not be answered any more, from `interruption_reason`. Pure."""
    if node.state == CANCELLED or (node.state in OPEN and job_state == CANCELLED):
        return QueryNodeState(
            node, CANCELLED, node.error or phrase("The search was stopped before this archive answered.")
        )
    if node.state in OPEN and reason is not None:
        return QueryNodeState(node, FAILED, *reason)
    return QueryNodeState(node, node.state, node.error or NOTHING, node.hint or NOTHING)


def interruption_reason(job_state: str, attempts: int, age: timedelta, each: float) -> tuple[Phrase, Phrase] | None:
    """Why the nodes that are still open will not be answered any more: (words, hint); None while they may be. Pure.

    job_state: "" of a job that is gone; age: of the query; each: seconds of one node at most, from `query_deadline`."""
    if job_state == "queued" and attempts == 0:
        if age > timedelta(seconds=_UNTAKEN):
            return phrase("The search has not started: no worker is free."), phrase(
                "Check the worker under Health, then search again."
            )
        return None
    if job_state in ("queued", "running") and age <= timedelta(seconds=_UNTAKEN + _TRIES * (each + _LOST)):
        return None
    return phrase("The search was interrupted before this archive answered."), phrase("Search again.")


def query_state(states: list[QueryNodeState]) -> str:
    """Of the whole query: running, done, failed (no node answered) or cancelled."""
    found = {one.state for one in states}
    if ASKING in found:
        return "running"
    if WAITING in found:
        return "queued" if found == {WAITING} else "running"
    if CANCELLED in found:
        return CANCELLED
    return DONE if DONE in found else FAILED
