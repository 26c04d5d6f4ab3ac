"""Periodic tasks of this package."""

from datetime import timedelta

from app.jobs.clock import HOUR, Clock, ClockContext, little_by_little
from app.kit.clock import now


def follow_runs(context: ClockContext) -> None:
    from app.routing import following

    following.finish_runs(context.database, context.archive)


def sweep_derived(context: ClockContext) -> None:
    from app.routing import following

    following.sweep(context.database, context.archive)


def prune_runs(context: ClockContext) -> None:
    """As long as the transfers of the runs are kept (app.forward.clock)."""
    from app.network.settings import DicomSettings
    from app.routing import following
    from app.settings import load

    with context.database.read() as session:
        limit = now() - timedelta(days=load(session, DicomSettings).transfer_days)
    little_by_little(context, lambda session: following.prune(session, limit), following.FORGOTTEN)


VERBS: Clock = {follow_runs: 2.0, sweep_derived: HOUR, prune_runs: HOUR}
