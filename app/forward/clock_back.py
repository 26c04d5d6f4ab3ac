"""Repairs rows after the wall clock was set back: tries, slots and answers that seem due in the far future."""

from datetime import datetime, timedelta

from sqlalchemy import and_, or_, update
from sqlalchemy.orm import Session

from app.forward.models import Transfer, TransferSlot
from app.forward.schedule import PAUSES
from app.jobs import CLOCK_SLACK
from app.nodes.models import Commitment

_LONGEST = timedelta(seconds=2 * PAUSES[-1])  # no try is put off for longer
_ANSWER = timedelta(days=1)


def heal(session: Session, moment: datetime) -> None:
    """See app.jobs.heal_clock."""
    session.execute(
        update(Transfer)
        .where(Transfer.state.in_(("queued", "running")), Transfer.run_after > moment)
        .where(
            or_(
                Transfer.created_at > moment + CLOCK_SLACK,
                Transfer.run_after > moment + _LONGEST,
                # only a fault puts a transfer off
                and_(Transfer.faults == 0, Transfer.run_after > moment + CLOCK_SLACK),
            )
        )
        .values(run_after=moment, woken_from=None)
    )
    session.execute(update(Transfer).where(Transfer.woken_from > moment + _LONGEST).values(woken_from=None))
    session.execute(
        update(TransferSlot).where(TransferSlot.heartbeat_at > moment + CLOCK_SLACK).values(heartbeat_at=moment)
    )
    session.execute(update(Commitment).where(Commitment.due_at > moment + _ANSWER).values(due_at=moment))
