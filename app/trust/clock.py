"""Periodic tasks of certificates."""

import logging

from app.jobs.clock import HOUR, Clock, ClockContext

log = logging.getLogger(__name__)


def warn_of_certificates(context: ClockContext) -> None:
    """Writes only when there is a warning."""
    from app.trust import certificates

    with context.database.read() as session:
        due = bool(certificates.expiring_certificates(session))
    if due:
        with context.database.write() as session:
            warnings = certificates.warn_expiring(session)
        for words in warnings:
            log.warning("%s", words)


VERBS: Clock = {warn_of_certificates: HOUR}
