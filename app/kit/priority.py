"""Process priorities when the processors are busy: people who wait for a page before machines that can wait."""

import contextlib
import os

DICOM, WORKER = 2, 5  # steps: pages stay quick while senders push and jobs run


def lower_priority(steps: int) -> None:
    """Lets this thread, those it starts later and their children go behind the others. Called when a role has started:
    one that comes back is waited for. When woken up, they do not preempt other processes (SCHED_BATCH), and they get a
    smaller share (nice, 0 to 19). Idle processors are used all the same. Does nothing where the system has no such
    thing or forbids it."""
    with contextlib.suppress(AttributeError, OSError):
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    with contextlib.suppress(AttributeError, OSError):
        os.nice(steps)
