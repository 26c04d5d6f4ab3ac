"""Objects that have verifiably arrived: the proof without which nothing is dropped here (FWD-3)."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy.orm import Session

from app.forward import queue_queries
from app.forward.claims import SENT, WARNED
from app.kit.phrases import phrase
from app.nodes import options
from app.nodes.models import Node


@dataclass(frozen=True, slots=True)
class Proof:
    """State of objects at their destinations. safe: objects that every transfer asked about has delivered:
    the peer answered success (or a warning), and committed where its node is set so; missing: the others -> why."""

    safe: frozenset[str] = frozenset()
    missing: dict[str, str] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Nothing is missing, and there is something."""
        return bool(self.safe) and not self.missing


def delivered(session: Session, transfer_ids: Sequence[str]) -> Proof:
    """The proof that nothing local is dropped without (FWD-3). That a node already has an object (`there`) is only its
    answer to a query, not a delivery: it counts only where the node committed it."""
    of_node = queue_queries.nodes_of(session, transfer_ids)
    wants = {one: _wants_commitment(session, node_id) for one, node_id in of_node.items()}
    if len(wants) != len(set(transfer_ids)):
        return Proof(missing={"": phrase("A transfer is no longer there.")})
    safe: dict[str, int] = {}
    missing: dict[str, str] = {}
    for transfer_id, uid, state, committed, words in queue_queries.object_states(session, transfer_ids):
        if committed or (state in (SENT, WARNED) and not wants[transfer_id]):
            safe[uid] = safe.get(uid, 0) + 1
        else:
            missing[uid] = words or state
    for uid, number in safe.items():
        if number < len(wants) and uid not in missing:
            missing[uid] = phrase("It was not sent to every destination.")
    return Proof(frozenset(safe.keys() - missing.keys()), missing)


def _wants_commitment(session: Session, node_id: str) -> bool:
    node = session.get(Node, node_id)
    return node is None or (options.node_options(node).commitment and options.node_options(node).protocol == "dicom")
