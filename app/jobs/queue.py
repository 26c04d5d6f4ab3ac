"""The verbs of the queue. Claims are compare-and-set on SQLite (one writer at a time by its lock) and
FOR UPDATE SKIP LOCKED on PostgreSQL; no row is ever taken twice (tests/jobs/test_queue.py)."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_, select, update
from sqlalchemy.orm import Session

from app.jobs.models import CANCELLED, DONE, FAILED, QUEUED, RUNNING, Job
from app.kit import queue_priority
from app.kit.clock import now
from app.kit.errors import Conflict, NotFound
from app.kit.ids import new_id
from app.kit.logging import correlation_id
from app.kit.phrases import Phrase, phrase

PAUSES = (5, 30, 300)  # seconds before try 2, 3, 4 and later


@dataclass(frozen=True, slots=True)
class Claimed:
    """A job that this worker now owns."""

    id: str
    kind: str
    payload: dict[str, Any]
    attempt: int
    last_attempt: bool
    correlation_id: str
    created_by: str
    owner_id: str | None


SILENT = 30.0  # seconds without a heartbeat after which a worker counts as dead
_LONGEST = timedelta(minutes=10)  # between two tries of a job
CLOCK_SLACK = timedelta(seconds=30)  # a clock that is corrected by less harms nothing


def enqueue(
    session: Session,
    kind: str,
    payload: dict[str, Any],
    *,
    actor_name: str = "system",
    owner_id: str | None = None,
    facility_id: str | None = None,
    priority: int = queue_priority.NORMAL,
    max_attempts: int = 3,
    run_after: datetime | None = None,
    total: int = 0,
) -> str:
    """Adds a job in the caller's transaction: it exists exactly if what it is about exists. owner_id: the user who may see
    it as their own; actor_name: only for display; priority: 0 to 9, a higher number is first."""
    job = Job(
        id=new_id(),
        kind=kind,
        payload=payload,
        created_by=actor_name,
        owner_id=owner_id,
        facility_id=facility_id,
        priority=priority,
        max_attempts=max_attempts,
        created_at=now(),
        run_after=run_after or now(),
        progress_total=total,
        correlation_id=correlation_id.get(),
    )
    session.add(job)
    return job.id


def has_due_job(session: Session, kinds: Sequence[str]) -> bool:
    """Whether a claim would find something: a look that takes no write lock, for idle workers."""
    due = select(Job.id).where(Job.state == QUEUED, Job.kind.in_(kinds), Job.run_after <= now()).limit(1)
    return session.scalar(due) is not None


def due_kinds(session: Session) -> set[str]:
    """The kinds of which a claim would find something, in one look for all lanes of a worker."""
    return set(session.scalars(select(Job.kind).where(Job.state == QUEUED, Job.run_after <= now()).distinct()))


def claim(session: Session, kinds: Sequence[str], worker: str) -> Claimed | None:
    """Takes the next due job of these kinds, or None. The highest priority first, then the oldest."""
    pick = (
        select(Job.id)
        .where(Job.state == QUEUED, Job.kind.in_(kinds), Job.run_after <= now())
        .order_by(Job.priority.desc(), Job.run_after, Job.id)
        .limit(1)
    )
    if session.get_bind().dialect.name == "postgresql":
        pick = pick.with_for_update(skip_locked=True)
    chosen = session.scalar(pick)
    if chosen is None:
        return None
    moment = now()
    row = session.execute(
        update(Job)
        .where(Job.id == chosen, Job.state == QUEUED)
        .values(
            state=RUNNING,
            claimed_by=worker,
            started_at=moment,
            heartbeat_at=moment,
            attempts=Job.attempts + 1,
            error=None,
        )
        .returning(
            Job.id,
            Job.kind,
            Job.payload,
            Job.attempts,
            Job.max_attempts,
            Job.correlation_id,
            Job.owner_id,
            Job.created_by,
        )
    ).first()
    if row is None:
        return None
    return Claimed(
        row.id,
        row.kind,
        row.payload,
        row.attempts,
        row.attempts >= row.max_attempts,
        row.correlation_id,
        row.created_by,
        row.owner_id,
    )


def _held_by(job_id: str, worker: str | None) -> Any:
    owned = [Job.id == job_id, Job.state == RUNNING]
    if worker is not None:
        owned.append(Job.claimed_by == worker)
    return owned


def heartbeat(session: Session, job_id: str, worker: str) -> bool:
    """Records that the job is alive; False when it was cancelled or taken away: then the worker stops it."""
    return (
        session.execute(
            update(Job).where(*_held_by(job_id, worker)).values(heartbeat_at=now()).returning(Job.id)
        ).first()
        is not None
    )


def progress(session: Session, job_id: str, done_count: int, total: int) -> bool:
    """Records the progress of a running job; False when it was cancelled."""
    values = {"progress_done": done_count, "progress_total": total, "heartbeat_at": now()}
    return (
        session.execute(update(Job).where(*_held_by(job_id, None)).values(**values).returning(Job.id)).first()
        is not None
    )


def done(session: Session, job_id: str, result: dict[str, Any] | None = None) -> bool:
    values = {"state": DONE, "finished_at": now(), "result": result or {}, "error": None}
    return (
        session.execute(update(Job).where(*_held_by(job_id, None)).values(**values).returning(Job.id)).first()
        is not None
    )


def fail(session: Session, claimed: Claimed, reason: Phrase, *, final: bool = False) -> bool:
    """One try failed. True when the job has left the queue (OPS-8), False when it is tried again after a pause."""
    over = final or claimed.last_attempt
    pause = PAUSES[min(claimed.attempt, len(PAUSES)) - 1]
    values: dict[str, Any] = {"state": FAILED if over else QUEUED, "error": reason, "claimed_by": None}
    values |= {"finished_at": now()} if over else {"run_after": now() + timedelta(seconds=pause)}
    session.execute(update(Job).where(*_held_by(claimed.id, None)).values(**values))
    return over


def release(session: Session, job_id: str, worker: str) -> None:
    """Gives a running job back untouched: its worker ends. The try does not count."""
    session.execute(
        update(Job)
        .where(*_held_by(job_id, worker))
        .values(state=QUEUED, claimed_by=None, run_after=now(), attempts=Job.attempts - 1)
    )


def cancel(session: Session, job_id: str) -> None:
    """Cancels what has not ended; a running job notices at its next heartbeat."""
    changed = session.execute(
        update(Job)
        .where(Job.id == job_id, Job.state.in_((QUEUED, RUNNING)))
        .values(state=CANCELLED, finished_at=now())
        .returning(Job.id)
    ).first()
    if changed is None:
        get(session, job_id)
        raise Conflict("This job has already ended.", hint="Nothing to cancel.")


def retry(session: Session, job_id: str) -> None:
    """Puts an ended job back into the queue with a full set of tries."""
    values = {
        "state": QUEUED,
        "attempts": 0,
        "run_after": now(),
        "error": None,
        "finished_at": None,
        "claimed_by": None,
    }
    changed = session.execute(
        update(Job).where(Job.id == job_id, Job.state.in_((FAILED, CANCELLED))).values(**values).returning(Job.id)
    ).first()
    if changed is None:
        get(session, job_id)
        raise Conflict("Only a failed or cancelled job can be tried again.", hint="Wait until it ends.")


def active_workers(session: Session) -> set[str]:
    """The workers that have jobs in their hands, by name."""
    return {name for name in session.scalars(select(Job.claimed_by).where(Job.state == RUNNING).distinct()) if name}


def release_abandoned(session: Session, silent_for: float | None = SILENT, gone: Collection[str] = ()) -> int:
    """Gives back the jobs of workers that died: to the queue, or failed when their tries are used up. silent_for:
    seconds without a heartbeat after which a worker counts as dead, None for no limit; gone: workers known to be
    dead."""
    lost_workers: list[ColumnElement[bool]] = [Job.claimed_by.in_(gone)]
    if silent_for is not None:
        lost_workers += [Job.heartbeat_at < now() - timedelta(seconds=silent_for), Job.heartbeat_at.is_(None)]
    dead = (Job.state == RUNNING, or_(*lost_workers))
    lost = session.execute(
        update(Job)
        .where(*dead, Job.attempts >= Job.max_attempts)
        .values(state=FAILED, finished_at=now(), error=phrase("The worker stopped while it ran this job."))
        .returning(Job.id)
    ).all()
    back = session.execute(update(Job).where(*dead).values(state=QUEUED, claimed_by=None).returning(Job.id)).all()
    return len(lost) + len(back)


def get(session: Session, job_id: str) -> Job:
    job = session.get(Job, job_id)
    if job is None:
        raise NotFound("Job not found.")
    return job


def list_jobs(
    session: Session,
    *,
    owner_id: str | None = None,
    kind: str | None = None,
    state: str | None = None,
    limit: int = 50,
    before: str | None = None,
) -> tuple[list[Job], int]:
    """Newest first, and how many there are. before: the last id of the page before."""
    query = select(Job)
    for column, value in ((Job.owner_id, owner_id), (Job.kind, kind), (Job.state, state)):
        if value is not None:
            query = query.where(column == value)
    total = session.scalar(select(func.count()).select_from(query.subquery())) or 0
    if before:
        query = query.where(Job.id < before)
    return list(session.scalars(query.order_by(Job.id.desc()).limit(limit))), total


def count_by_state(session: Session) -> dict[str, int]:
    """How many jobs are in each state, dead letters ("failed") included."""
    rows = session.execute(select(Job.state, func.count()).group_by(Job.state)).all()
    return {row[0]: row[1] for row in rows}


def heal_clock(session: Session, moment: datetime) -> int:
    """Corrects moments in the future, which remain after the wall clock was set back: postponed jobs are due, and
    heartbeats count from now on. Safe at any time. How many jobs that were."""
    ahead = moment + CLOCK_SLACK
    waiting = update(Job).where(Job.state == QUEUED, Job.run_after > moment)
    put_off = (
        and_(Job.attempts > 0, Job.run_after > moment + _LONGEST),
    )  # one that was tried waits for its next try only
    late = session.execute(
        waiting.where(or_(Job.created_at > ahead, Job.started_at > ahead, *put_off))
        .values(run_after=moment)
        .returning(Job.id)
    ).all()
    held = session.execute(
        update(Job).where(Job.state == RUNNING, Job.heartbeat_at > ahead).values(heartbeat_at=moment).returning(Job.id)
    ).all()
    return len(late) + len(held)
