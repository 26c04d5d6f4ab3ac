"""The durable queue: jobs are rows. Any package enqueues; the worker role claims, runs, retries.

    jobs.enqueue(session, "print.render", {"print_id": id}, actor_name=..., facility_id=...)  -> job id

Kinds are declared with their handlers in app/worker.py: the one visible table kind -> function."""

from app.jobs.models import Job
from app.jobs.queue import (
    CLOCK_SLACK,
    Claimed,
    active_workers,
    cancel,
    claim,
    count_by_state,
    done,
    due_kinds,
    enqueue,
    fail,
    get,
    has_due_job,
    heal_clock,
    heartbeat,
    list_jobs,
    progress,
    release,
    release_abandoned,
    retry,
)

__all__ = [
    "CLOCK_SLACK",
    "Claimed",
    "Job",
    "active_workers",
    "cancel",
    "claim",
    "count_by_state",
    "done",
    "due_kinds",
    "enqueue",
    "fail",
    "get",
    "has_due_job",
    "heal_clock",
    "heartbeat",
    "list_jobs",
    "progress",
    "release",
    "release_abandoned",
    "retry",
]
