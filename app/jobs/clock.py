"""Periodic tasks: each package lists its tasks with their periods in its module `clock`, and the worker runs them all.

A verb opens its own transactions, is safe to run in several workers at once, and imports what it needs when it first
runs: the worker imports every `clock` at its start."""

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from sqlalchemy.orm import Session

from app.config import Config
from app.db import Database
from app.jobs import queue
from app.kit import rolestate

log = logging.getLogger(__name__)


class ClockContext(Protocol):
    """Context of a task. `archive` is an app.archive.Archive: this layer cannot name it. stopping: the role ends."""

    config: Config
    database: Database
    archive: Any
    stopping: threading.Event


Clock = Mapping[Callable[[ClockContext], None], float]
HOUR = 3600.0  # seconds


def little_by_little(context: ClockContext, prune: Callable[[Session], int], most: int) -> None:
    """Prunes in transactions of their own, so that others write in between, until one takes less than `most` rows."""
    deleted = most
    while deleted == most and not context.stopping.is_set():
        with context.database.write() as session:
            deleted = prune(session)


def release_abandoned(context: ClockContext) -> None:
    """Jobs whose worker has ended or has sent no heartbeat for too long."""
    with context.database.read() as session:
        dead = [name for name in queue.active_workers(session) if rolestate.is_dead(name)]
    judged = context.database.answering_for >= queue.SILENT  # right after an outage no process could write a heartbeat
    with context.database.write() as session:
        count = queue.release_abandoned(session, queue.SILENT if judged else None, dead)
    if count:
        log.warning("%d jobs of stopped workers given back", count)


VERBS: Clock = {release_abandoned: 10.0}
