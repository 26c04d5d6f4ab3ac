"""The events of transfers: what moves the bars on the pages."""

from sqlalchemy.orm import Session

from app import events
from app.forward.models import Transfer


def publish_change(session: Session, one: Transfer) -> None:
    """transfer.changed, with the counts."""
    payload = {
        "id": one.id,
        "state": one.state,
        "study_instance_uid": one.study_instance_uid,
        "sent": one.sent + one.warned + one.there,
        "failed": one.failed,
        "total": one.total,
    }
    events.append(session, "transfer.changed", payload, facility_id=one.facility_id)
