"""Repairs rows after the wall clock was set back: runs that wait for a moment in the far future."""

from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.jobs import CLOCK_SLACK
from app.routing import schedule
from app.routing.models import QUEUED, SENDING, WAITING, Route, RouteRun
from app.routing.rule import Rule

_LONGEST = timedelta(minutes=10)  # nothing is tried again later than that
_AT_ONCE = 500


def heal(session: Session, moment: datetime) -> None:
    """See app.jobs.heal_clock. The arrivals have ended by now, so runs that waited for completeness are due."""
    session.execute(
        update(RouteRun)
        .where(RouteRun.state == WAITING, RouteRun.due_at > moment, RouteRun.last_at > moment + CLOCK_SLACK)
        .values(due_at=moment, last_at=moment)
    )
    session.execute(
        update(RouteRun)
        .where(RouteRun.state.in_((QUEUED, SENDING)), RouteRun.due_at > moment + _LONGEST)
        .values(due_at=moment)
    )
    _put_off(session, moment)


def _put_off(session: Session, moment: datetime) -> None:
    """Runs that were looked at while the clock was ahead, and put off by it. Those of a schedule may wait for days; the
    others are due when their study is quiet."""
    rules = {key: Rule.model_validate(rule) for key, rule in session.execute(select(Route.id, Route.rule)).all()}
    own = {key: rule.when for key, rule in rules.items() if rule.when.kind != "schedule"}
    far = (RouteRun.state == WAITING, RouteRun.due_at > moment + _LONGEST, RouteRun.route_id.in_(own))
    for run in session.scalars(select(RouteRun).where(*far).order_by(RouteRun.due_at.desc()).limit(_AT_ONCE)):
        due = schedule.following(own[run.route_id], run.last_at)
        if due is not None and run.due_at is not None and due < run.due_at:
            run.due_at = max(due, moment)
