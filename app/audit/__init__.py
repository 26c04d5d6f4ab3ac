"""Who did what, when, to what: an append-only trail whose rows are chained by hash (SEC-6).

audit.record(session, actor_name="bob", verb="study.print", outcome="success", thing="study", thing_id=uid, detail={...})
"""

from app.audit.models import AuditEvent
from app.audit.trail import list_events, record, verify

__all__ = ["AuditEvent", "list_events", "record", "verify"]
