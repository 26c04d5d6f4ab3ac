"""The audit trail, one row for each action: append-only, and its rows are chained by a keyed digest (SEC-6).

audit.by(session, actor, "study.print", "study", uid, facility_id=..., detail={...})
"""

from app.audit.models import AuditEvent
from app.audit.seen import RequestReads, begin_request, mark_recorded, record_study
from app.audit.trail import Named, by, list_events
from app.audit.verification import Verification, begin, verify

__all__ = [
    "AuditEvent",
    "Named",
    "RequestReads",
    "Verification",
    "begin",
    "begin_request",
    "by",
    "list_events",
    "mark_recorded",
    "record_study",
    "verify",
]
