"""How a node proves that it answers again: an event row, which the forward queue follows."""

from typing import Literal

from sqlalchemy.orm import Session

from app import events
from app.nodes.models import Node

Proof = Literal["tested", "answered", "called", "delivered"]
TOPIC = "node.answers"


def record_proof(session: Session, node: Node, proof: Proof) -> None:
    """Adds the event. proof: "tested" by a person or the schedule; "answered": an outgoing association for another
    purpose succeeded; "called": the node called us; "delivered": it accepted an object."""
    events.append(session, TOPIC, {"id": node.id, "name": node.name, "proof": proof}, facility_id=node.facility_id)
