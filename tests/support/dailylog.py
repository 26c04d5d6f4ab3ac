"""Lines for a daily log at a chosen time."""

import logging
from datetime import UTC, datetime

from app.kit.dailylog import DailyFile

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp()


DAY = 86400.0


def write_line(handler: DailyFile, words: str, at: float) -> None:
    record = logging.LogRecord("x", logging.INFO, __file__, 1, words, None, None)
    record.created = at
    handler.emit(record)
