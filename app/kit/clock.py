"""The one place that reads the time, so that tests can set it, and that knows the time zone of the site."""

import time
from datetime import UTC, date, datetime
from datetime import time as time_of_day
from zoneinfo import ZoneInfo

_zone: ZoneInfo | None = None  # of the site; None: that of this machine


def now() -> datetime:
    """The present moment in UTC, with its zone."""
    return datetime.now(UTC)


def monotonic() -> float:
    """Seconds that never go back, for pauses and durations."""
    return time.monotonic()


def use_zone(name: str) -> None:
    """Sets the time zone of the site for this process: an IANA name, or "" for the machine's. ZoneInfoNotFoundError or
    ValueError for a name that is none."""
    global _zone
    _zone = ZoneInfo(name) if name else None


def local(moment: datetime) -> datetime:
    """A moment (with its zone) in the time zone of the site; what people read and what schedules mean."""
    return moment.astimezone(_zone)


def moment_of(day: date, clock: time_of_day) -> datetime:
    """The moment, in UTC, at which the clocks of the site show this. A time that a change of the clocks leaps over is
    the moment as many minutes after the change; of a time that comes twice, the first."""
    if _zone is None:  # by its timestamp: astimezone() puts a time that is leapt over before the change
        return datetime.fromtimestamp(datetime.combine(day, clock).timestamp(), UTC)
    return datetime.fromtimestamp(datetime.combine(day, clock, tzinfo=_zone).timestamp(), UTC)
