"""The events of transfers: what moves the bars on the pages."""

from typing import Any

from sqlalchemy.orm import Session

from app import events
from app.forward.models import Transfer
from app.nodes.models import Node


def publish_change(session: Session, one: Transfer) -> None:
    """transfer.changed, with the counts; of a failed transfer also the name of the node."""
    payload: dict[str, Any] = {
        "id": one.id,
        "state": one.state,
        "study_instance_uid": one.study_instance_uid,
        "sent": one.sent + one.warned + one.there,
        "failed": one.failed,
        "total": one.total,
    }
    if one.state == "failed" and (node := session.get(Node, one.node_id)) is not None:
        payload["node"] = node.name
    events.append(session, "transfer.changed", payload, facility_id=one.facility_id)
