"""When a scheduled route fires next. Pure. Times are local times of the site."""

from datetime import datetime, time, timedelta

from app.kit.clock import local, moment_of
from app.routing.rule import WEEKDAYS, When


def following(when: When, moment: datetime) -> datetime | None:
    """The first time after `moment` (with its zone); None for a manual route. `every`: multiples of `every` minutes
    since midnight."""
    if when.kind == "hand":
        return None
    if when.kind != "schedule":
        return moment + timedelta(seconds=when.quiet if when.kind == "settled" else 0)
    today = local(moment).date()
    for days in range(9):
        day = today + timedelta(days=days)
        if when.weekdays and WEEKDAYS[day.weekday()] not in when.weekdays:
            continue
        for clock in _times(when):
            found = moment_of(day, clock)
            if found > moment:
                return found
    return None


def _times(when: When) -> list[time]:
    if when.every is not None:
        return [time(minute // 60, minute % 60) for minute in range(0, 1440, when.every)]
    return sorted(time(int(clock[:2]), int(clock[3:])) for clock in when.at)
