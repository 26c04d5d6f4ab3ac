"""Periodic tasks of nodes."""

from datetime import timedelta

from app import jobs
from app.jobs.clock import HOUR, Clock, ClockContext
from app.kit import queue_priority
from app.kit.clock import now


def ask_again(context: ClockContext) -> None:
    """Requests for storage commitment that no node has answered in time."""
    from app.nodes import commitment

    with context.database.read() as session:
        if not commitment.is_overdue(session):
            return
    with context.database.write() as session:
        commitment.retry_overdue(session)


def prune_commitments(context: ClockContext) -> None:
    from app.nodes import commitment

    with context.database.write() as session:
        commitment.prune(session)


def prune_transfer_log(context: ClockContext) -> None:
    from app.network.settings import DicomSettings
    from app.nodes import operation_queries
    from app.settings import load

    with context.database.write() as session:
        days = load(session, DicomSettings).log_days
        operation_queries.prune(session, now() - timedelta(days=days))


def echo_nodes(context: ClockContext) -> None:
    """Enqueues one job that echoes nodes without recent contact."""
    from app.network.settings import DicomSettings
    from app.nodes import activity_queries
    from app.settings import load

    with context.database.read() as session:
        minutes = load(session, DicomSettings).echo_minutes
        if not minutes or not activity_queries.nodes_to_echo(session, minutes):
            return
    with context.database.write() as session:
        if not activity_queries.is_queued(session, "node.echo"):
            jobs.enqueue(session, "node.echo", {}, priority=queue_priority.LOW, max_attempts=1)


VERBS: Clock = {
    prune_transfer_log: HOUR,
    ask_again: 20.0,
    prune_commitments: HOUR,
    echo_nodes: 30.0,
}
