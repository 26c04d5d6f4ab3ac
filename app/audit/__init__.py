"""Who did what, when, to what: an append-only trail whose rows are chained by a keyed digest (SEC-6).

audit.record(session, actor_name="bob", verb="study.print", outcome="success", thing="study", thing_id=uid, detail={...})
"""

from app.audit.models import AuditEvent
from app.audit.seen import Seen, begin_request, mark_recorded, record_study
from app.audit.trail import list_events, record
from app.audit.verification import Verification, begin, verify

__all__ = [
    "AuditEvent",
    "Seen",
    "Verification",
    "begin",
    "begin_request",
    "list_events",
    "mark_recorded",
    "record",
    "record_study",
    "verify",
]
