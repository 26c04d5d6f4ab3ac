"""Periodic tasks of this package."""

import logging
import threading

from app.jobs.clock import HOUR, Clock, ClockContext
from app.kit.errors import AppError

log = logging.getLogger(__name__)


def sweep_store(context: ClockContext) -> None:
    context.archive.sweep()


def compare_store(context: ClockContext) -> None:
    """At the start and once a day, in a thread of its own: a large store takes minutes."""
    threading.Thread(target=_compare, args=(context,), name="comparison", daemon=True).start()


def _compare(context: ClockContext) -> None:
    from app.archive import comparison

    try:
        comparison.compare(context.archive.store, context.database, context.stopping)
    except comparison.Stopped:
        pass
    except (AppError, OSError) as fault:
        log.warning("the store could not be compared with the index: %s", fault)


VERBS: Clock = {sweep_store: 60.0, compare_store: 24 * HOUR}
