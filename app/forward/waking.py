"""A node that proves that it answers ends the pauses that its being unreachable had caused.

Limited: a proof sends out a few transfers first, and only what is delivered brings the others; a try that was early and
failed costs nothing, and its transfer goes on waiting for the moment it waited for before. What was put off since the
node refused an object, was out of resources or broke off at an object keeps its pause: that it answers is not relevant
to those.

Proofs are event rows (app/nodes/liveness.py); each worker's forwarder follows them."""

import threading
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app import events
from app.db import Database
from app.forward import transfer_events
from app.forward.models import Transfer
from app.kit.clock import now
from app.nodes import options
from app.nodes.liveness import TOPIC
from app.nodes.models import Node

_BACK = timedelta(minutes=10)  # proofs so old count after a start: a worker that was killed may not have followed them

_ROWS = 100_000  # and at most this many events back, since the table has no index by time


@dataclass(frozen=True, slots=True)
class Alive:
    """Proofs that a node works. most: transfers that go at once; since: not sooner than this after the node's last
    fault, so that a node that calls us but takes nothing is not tried with each of its calls."""

    most: int
    since: timedelta = timedelta()


TESTED = Alive(20)
ANSWERED = Alive(20, timedelta(seconds=5))
CALLED = Alive(20, timedelta(seconds=30))
DELIVERED = Alive(10_000)
_BY_PROOF = {"tested": TESTED, "answered": ANSWERED, "called": CALLED, "delivered": DELIVERED}


class Position:
    """Up to which event one worker has followed the proofs; several threads may call `process_proofs`."""

    def __init__(self) -> None:
        self.last: int | None = None
        self.lock = threading.Lock()


def process_proofs(database: Database, position: Position) -> int:
    """Acts on the proofs since the last call; how many transfers became due."""
    woken = 0
    with position.lock:
        with database.read() as session:
            newest = events.newest(session)
            if position.last == newest:
                return 0
            if position.last is None:
                proofs = events.of_topic(session, TOPIC, newest - _ROWS, newest, since=now() - _BACK)
            else:
                proofs = events.of_topic(session, TOPIC, position.last, newest)
        for proof in _latest(proofs):
            with database.write() as session:
                node = session.get(Node, proof.payload["id"])
                alive = _BY_PROOF.get(proof.payload.get("proof", ""))
                if node is not None and alive is not None:
                    woken += wake_transfers(session, node, alive, proof.at)
        position.last = newest
    return woken


def _latest(proofs: list[events.Event]) -> list[events.Event]:
    """One of each node and kind: the newest."""
    return list({(one.payload["id"], one.payload.get("proof")): one for one in proofs}.values())


def wake_transfers(session: Session, node: Node, how: Alive, at: datetime | None = None) -> int:
    """The node answered at that moment (None: now): transfers that wait only since it could not be reached are due now;
    how many. None of a node that is switched off or paused; dead letters stay what they are."""
    moment = now()
    answered = at or moment
    if not node.enabled or options.node_options(node).paused:
        return 0
    if node.last_fault_at is not None and timedelta() <= answered - node.last_fault_at < how.since:
        return 0
    waiting = (
        select(Transfer.id)
        .where(
            Transfer.node_id == node.id,
            Transfer.state == "queued",
            Transfer.unreached.is_(True),
            Transfer.run_after > moment,
        )
        .order_by(Transfer.priority.desc(), Transfer.id)
        .limit(how.most)
        .with_for_update(skip_locked=True)
    )
    ids = list(session.scalars(waiting))
    for first in range(0, len(ids), 500):
        session.execute(
            update(Transfer)
            .where(Transfer.id.in_(ids[first : first + 500]))
            .values(woken_from=Transfer.run_after, run_after=moment)
        )
    for one in session.scalars(select(Transfer).where(Transfer.id.in_(ids[: TESTED.most]))):
        transfer_events.publish_change(session, one)  # the pages read all rows again at the first
    return len(ids)
