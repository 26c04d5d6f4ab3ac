"""Periodic tasks of the forward queue."""

from datetime import timedelta

from app.jobs.clock import HOUR, Clock, ClockContext, little_by_little
from app.kit.clock import now


def prune_transfers(context: ClockContext) -> None:
    """Ten transfers in a transaction."""
    from app.forward import upkeep
    from app.network.settings import DicomSettings
    from app.settings import load

    with context.database.read() as session:
        limit = now() - timedelta(days=load(session, DicomSettings).transfer_days)
    little_by_little(context, lambda session: upkeep.prune(session, limit), upkeep.AT_ONCE)


VERBS: Clock = {prune_transfers: HOUR}
