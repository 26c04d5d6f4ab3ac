"""The worker's thread for arrivals: it sleeps until an event comes or something is due (`arrivals.next_turn`)."""

import contextlib
import logging
import threading
from datetime import timedelta

from app import events
from app.db import Database
from app.kit.clock import now

log = logging.getLogger(__name__)
LONGEST = 5.0  # seconds between two turns: a wake-up may be lost, or the clock set back
TOGETHER = 0.1  # seconds in which events are collected before they are handled together


class ArrivalWatch:
    """Calls `arrivals.run_once` when there is a reason to, in a thread of its own."""

    def __init__(self, database: Database, stopping: threading.Event) -> None:
        self._database, self._stopping = database, stopping

    def start(self) -> None:
        threading.Thread(target=self._run, name="arrivals", daemon=True).start()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                with contextlib.closing(events.Follower(self._database)) as follower:
                    self._handle_until_stopped(follower)
            except Exception:
                log.exception("arrivals cannot be handled; trying again in 2 s")
                self._stopping.wait(2)

    def _handle_until_stopped(self, follower: events.Follower) -> None:
        from app.routing import arrivals

        while not self._stopping.wait(TOGETHER):
            arrivals.run_once(self._database)
            due = arrivals.next_turn(self._database)
            left = LONGEST if due is None else (due - now()) / timedelta(seconds=1)
            follower.wait(min(max(left, 0.0), LONGEST))
