"""When a transfer goes, and when again: windows, pauses, priorities. Pure, but for the jitter."""

import random
from dataclasses import dataclass
from datetime import datetime, time, timedelta

from app.kit.clock import local

PAUSES = (5.0, 30.0, 300.0, 600.0)  # seconds before tries 2, 3, 4 and 5; the last one for all after it
SLOWLY = 900.0  # seconds between attempts once the retries are used up, for a node that is retried until delivered
JITTER = 0.2  # so that a hundred transfers that failed together do not come back together


@dataclass(frozen=True, slots=True)
class Retry:
    """Delays after a failed try. over: it is a dead letter now; else it is tried again after `pause`."""

    over: bool
    pause: timedelta = timedelta()


def after_fault(faults: int, retries: int, for_ever: bool) -> Retry:
    """faults: tries that have failed in a row, this one included; retries: how many may follow the first."""
    if faults > retries:
        return Retry(False, _around(SLOWLY)) if for_ever else Retry(True)
    return Retry(False, _around(PAUSES[min(faults, len(PAUSES)) - 1]))


def _around(seconds: float) -> timedelta:
    return timedelta(seconds=seconds * random.uniform(1 - JITTER, 1 + JITTER))  # noqa: S311 jitter, not a secret


def in_window(window: str, moment: datetime) -> bool:
    """Whether a moment (with its zone) lies in "22:00-06:00" in the time zone of the site; "" is always. The first minute
    belongs to it, the last does not; equal ends mean the whole day."""
    if not window:
        return True
    first, _, last = window.partition("-")
    begin, end = time.fromisoformat(first), time.fromisoformat(last)
    here = local(moment).time().replace(tzinfo=None)
    if begin == end:
        return True
    return begin <= here < end if begin < end else here >= begin or here < end
