"""A node that proves alive ends the pauses that its being out of reach had caused.

Bounded: a proof sends out a few transfers first, and only what is delivered brings the others; a try that was early and
failed costs nothing, and its transfer goes on waiting for the moment it waited for before. What was put off since the node
refused an object, was out of resources or broke off at an object keeps its pause: that it answers says nothing about those."""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.forward import transfer_events
from app.forward.models import Transfer
from app.kit.clock import now
from app.nodes import options
from app.nodes.models import Node


@dataclass(frozen=True, slots=True)
class Alive:
    """How a node proved alive. most: transfers that go at once; since: not sooner than this after its last fault, so that
    a node that calls us but takes nothing is not tried with each of its calls."""

    most: int
    since: timedelta = timedelta()


TESTED = Alive(20)  # somebody, or the clock, tried it out
ANSWERED = Alive(20, timedelta(seconds=5))  # an association of ours for something else went well
CALLED = Alive(20, timedelta(seconds=30))  # it called us
DELIVERED = Alive(10_000)  # it took an object


def wake(session: Session, node: Node, how: Alive) -> int:
    """The node lives: transfers that wait only since it could not be reached are due now; how many. None of a node that
    is switched off or paused; dead letters stay what they are."""
    moment = now()
    if not node.enabled or options.of(node).paused:
        return 0
    if node.last_fault_at is not None and timedelta() <= moment - node.last_fault_at < how.since:
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
    for at in range(0, len(ids), 500):
        session.execute(
            update(Transfer)
            .where(Transfer.id.in_(ids[at : at + 500]))
            .values(woken_from=Transfer.run_after, run_after=moment)
        )
    for one in session.scalars(select(Transfer).where(Transfer.id.in_(ids[: TESTED.most]))):
        transfer_events.transfer(session, one)  # the pages read all rows again at the first
    return len(ids)
