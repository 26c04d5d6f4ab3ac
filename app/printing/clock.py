"""Periodic tasks of this package."""

from app.jobs.clock import HOUR, Clock, ClockContext


def sweep_prints(context: ClockContext) -> None:
    from app.printing import jobs

    with context.database.read() as session:
        jobs.sweep(context.config, session)


VERBS: Clock = {sweep_prints: HOUR}
