"""What the wall clock's going back leaves behind in this room: runs that wait for a moment in the far future."""

from datetime import datetime

from sqlalchemy import update
from sqlalchemy.orm import Session

from app.jobs import CLOCK_SLACK
from app.routing.models import WAITING, RouteRun


def heal(session: Session, moment: datetime) -> None:
    """See app.jobs.heal_clock. The arrivals are over by now, so what waited for quiet is due."""
    session.execute(
        update(RouteRun)
        .where(RouteRun.state == WAITING, RouteRun.due_at > moment, RouteRun.last_at > moment + CLOCK_SLACK)
        .values(due_at=moment, last_at=moment)
    )
