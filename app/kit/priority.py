"""Who goes first when the processors are busy: people who wait for a page before machines that can wait."""

import contextlib
import os


def stand_back(steps: int) -> None:
    """Lets this process, its later threads and its children go behind the others: woken up, it takes nobody's processor
    away (SCHED_BATCH), and it gets a smaller share (nice, 0 to 19). Idle processors are used all the same. Does nothing
    where the system has no such thing or forbids it."""
    with contextlib.suppress(AttributeError, OSError):
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    with contextlib.suppress(AttributeError, OSError):
        os.nice(steps)
