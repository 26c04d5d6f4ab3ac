"""The one place that reads the time, so that tests can set it."""

import time
from datetime import UTC, datetime


def now() -> datetime:
    """The present moment in UTC, with its zone."""
    return datetime.now(UTC)


def monotonic() -> float:
    """Seconds that never go back, for pauses and durations."""
    return time.monotonic()
