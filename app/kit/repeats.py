"""Log lines of the same cause: a database that is away is met by every thread, several times a second.

An outage (a fault of status 503 or 507) is one line per cause and minute, without a trace. Any other trace appears
three times a minute, a warning or error without one thirty times. The next line after that has the number of records
left out. A line that is a record by itself is logged with `extra=EVERY_ONE` and always appears."""

import logging
import threading
import time
from collections import OrderedDict

from app.kit.errors import AppError

MINUTE = 60.0
_KNOWN = 500  # causes remembered
_TRACES, _LINES = 3, 30  # a minute
_DECIDED = "filmroom_left_out"
EVERY_ONE = {_DECIDED: False}


class _Cause:
    __slots__ = ("begun", "left_out", "seen")

    def __init__(self, begun: float) -> None:
        self.begun, self.seen, self.left_out = begun, 0, 0


_lock = threading.Lock()
_causes: OrderedDict[tuple[str, ...], _Cause] = OrderedDict()


def exceeds_limit(record: logging.LogRecord) -> bool:
    """Whether the record is left out. Decided once for all handlers; the record of an outage loses its trace."""
    if record.levelno < logging.WARNING:
        return False
    decided: bool | None = record.__dict__.get(_DECIDED)
    if decided is None:
        decided = record.__dict__[_DECIDED] = _decide(record)
    return decided


def _decide(record: logging.LogRecord) -> bool:
    cause, most = _cause_of(record)
    moment = time.monotonic()
    with _lock:
        known = _causes.get(cause)
        if known is None or moment - known.begun >= MINUTE:
            left_out = known.left_out if known is not None else 0
            known = _causes[cause] = _Cause(moment)
            while len(_causes) > _KNOWN:
                _causes.popitem(last=False)
            if left_out:
                record.msg, record.args = f"{record.getMessage()} (and {left_out} more like it before)", None
        _causes.move_to_end(cause)
        known.seen += 1
        if known.seen <= most:
            return False
        known.left_out += 1
        return True


def _cause_of(record: logging.LogRecord) -> tuple[tuple[str, ...], int]:
    """Criterion for equal records, and their limit per minute."""
    fault = record.exc_info[1] if record.exc_info else None
    if isinstance(fault, AppError) and fault.status in (503, 507):
        record.msg, record.args = f"{record.getMessage()}: {fault.detail}", None
        record.exc_info = record.exc_text = None
        return ("outage", fault.detail), 1
    if fault is not None:
        return (record.name, str(record.msg), type(fault).__name__, str(fault)[:80]), _TRACES
    return (record.name, str(record.msg)), _LINES
