"""Periodic tasks of this package."""

from app.jobs.clock import HOUR, Clock, ClockContext


def sweep_copies(context: ClockContext) -> None:
    from app.deid import jobs

    with context.database.read() as session:
        jobs.sweep(context.config, session)


VERBS: Clock = {sweep_copies: HOUR}
