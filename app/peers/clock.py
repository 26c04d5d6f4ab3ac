"""What the clock runs in this room."""

import logging
from datetime import timedelta

from app import jobs
from app.jobs.clock import HOUR, Clock, ClockContext, little_by_little
from app.kit.clock import now

log = logging.getLogger(__name__)


def ask_again(context: ClockContext) -> None:
    """Requests for storage commitment that no node has answered in time."""
    from app.peers import commitment

    with context.database.read() as session:
        if not commitment.is_overdue(session):
            return
    with context.database.write() as session:
        commitment.overdue(session)


def prune_commitments(context: ClockContext) -> None:
    from app.peers import commitment

    with context.database.write() as session:
        commitment.prune(session)


def prune_transfer_log(context: ClockContext) -> None:
    from app.peers import oplog_queries
    from app.peers.settings import DicomSettings
    from app.settings import load

    with context.database.write() as session:
        days = load(session, DicomSettings).log_days
        oplog_queries.prune(session, now() - timedelta(days=days))


def prune_transfers(context: ClockContext) -> None:
    """Ten transfers in a transaction."""
    from app.peers import upkeep
    from app.peers.settings import DicomSettings
    from app.settings import load

    with context.database.read() as session:
        limit = now() - timedelta(days=load(session, DicomSettings).transfer_days)
    little_by_little(context, lambda session: upkeep.prune(session, limit), upkeep.AT_ONCE)


def warn_of_certificates(context: ClockContext) -> None:
    """A write only when there is something to say."""
    from app.peers import certificates

    with context.database.read() as session:
        due = bool(certificates.expiring(session))
    if due:
        with context.database.write() as session:
            said = certificates.warn(session)
        for words in said:
            log.warning("%s", words)


def prune_queries(context: ClockContext) -> None:
    from app.peers import ask_jobs

    with context.database.write() as session:
        ask_jobs.prune(session)


def echo_nodes(context: ClockContext) -> None:
    """Has nodes that were not heard of for long asked whether they are there, by one job at a time."""
    from app.peers import node_queries
    from app.peers.settings import DicomSettings
    from app.settings import load

    with context.database.read() as session:
        minutes = load(session, DicomSettings).echo_minutes
        if not minutes or not node_queries.nodes_to_echo(session, minutes):
            return
    with context.database.write() as session:
        if not node_queries.is_queued(session, "node.echo"):
            jobs.enqueue(session, "node.echo", {}, priority=8, max_attempts=1)


VERBS: Clock = {
    prune_transfer_log: HOUR,
    prune_transfers: HOUR,
    ask_again: 20.0,
    prune_commitments: HOUR,
    warn_of_certificates: HOUR,
    prune_queries: HOUR,
    echo_nodes: 30.0,
}
