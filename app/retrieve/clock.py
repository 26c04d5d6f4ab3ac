"""Periodic tasks of queries to other archives."""

from app.jobs.clock import HOUR, Clock, ClockContext


def prune_queries(context: ClockContext) -> None:
    from app.retrieve import query_jobs

    with context.database.write() as session:
        query_jobs.prune(session)


VERBS: Clock = {prune_queries: HOUR}
