"""Context of a job's function: its payload, progress and cancellation."""

import threading
import time
from dataclasses import dataclass, field
from typing import Any

from app.config import Config
from app.db import Database
from app.jobs import queue
from app.jobs.queue import Claimed


class Cancelled(Exception):
    """The job was cancelled or taken away; the function just ends."""


class PermanentFault(Exception):
    """Trying again cannot help; the message is the reason people read."""


@dataclass(slots=True)
class JobContext:
    """One try of one job. `archive` is an app.archive.Archive: this layer cannot name it."""

    config: Config
    database: Database
    archive: Any
    job: Claimed
    stopped: threading.Event = field(default_factory=threading.Event)  # set by cancel and by the role's own end
    moved: float = field(default_factory=time.monotonic)  # when progress was last reported
    _reported_at: float = 0.0

    def progress(self, done: int, total: int) -> None:
        """Reports the progress of the job (at most four times a second) and raises Cancelled when it is no longer
        wanted."""
        self.check_cancelled()
        moment = self.moved = time.monotonic()
        if moment - self._reported_at < 0.25 and done < total:
            return
        self._reported_at = moment
        with self.database.write() as session:
            wanted = queue.progress(session, self.job.id, done, total)
        if not wanted:
            self.stopped.set()
            raise Cancelled

    def check_cancelled(self) -> None:
        if self.stopped.is_set():
            raise Cancelled
