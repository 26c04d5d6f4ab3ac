"""Refused associations in the transfer log (NET-9). Known nodes have one entry each. Of a stranger, the first refusal within a
minute is written at once and the others as one entry with their number, for each address: a caller that asks without end
cannot fill the database."""

import threading
from dataclasses import dataclass

from app.audit.tally import MINUTE
from app.db import Database
from app.kit.addresses import source_of
from app.kit.phrases import Phrase, phrase
from app.nodes import operation_log

MOST = 200  # addresses within a minute that have entries of their own; all others share one


@dataclass(frozen=True, slots=True)
class Refusal:
    """An association that was not taken: the titles, the caller's address, and the reason."""

    calling: str
    called: str
    address: str
    words: Phrase


@dataclass(slots=True)
class _Counted:
    """Refusals of one address within a minute, without the first. latest: the last of them."""

    latest: Refusal
    count: int = 0


class Refusals:
    """Of one process. Thread-safe. `close` writes what is still counted."""

    def __init__(self, database: Database, window: float = MINUTE, most: int = MOST) -> None:
        """window: seconds; most: addresses with entries of their own."""
        self._database = database
        self._window, self._most = window, most
        self._lock = threading.Lock()
        self._counted: dict[str, _Counted] = {}
        self._timer: threading.Timer | None = None

    def record(self, refusal: Refusal, *, known: bool) -> None:
        """Writes the refusal down or counts it. known: the caller is a node."""
        if known or self._is_first(refusal):
            self._write(refusal, refusal.words)

    def _is_first(self, refusal: Refusal) -> bool:
        with self._lock:
            if self._timer is None:
                self._timer = threading.Timer(self._window, self.flush)
                self._timer.daemon = True
                self._timer.start()
            source = source_of(refusal.address)
            counted = self._counted.get(source)
            if counted is None and len(self._counted) < self._most:
                self._counted[source] = _Counted(refusal)
                return True
            if counted is None:
                counted = self._counted.setdefault("", _Counted(refusal))
            counted.latest = refusal
            counted.count += 1
            return False

    def flush(self) -> None:
        """Ends the window: writes what was counted in it."""
        with self._lock:
            counted, self._counted = self._counted, {}
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
        for source, one in counted.items():
            if not one.count:
                continue
            if source:
                words = phrase(
                    "{count:n} more within a minute, the last: {words}", count=one.count, words=one.latest.words
                )
            else:
                words = phrase("{count:n} more within a minute, of many addresses.", count=one.count)
            self._write(one.latest, words)

    def close(self) -> None:
        self.flush()

    def _write(self, refusal: Refusal, words: Phrase) -> None:
        operation_log.log_operation(
            self._database,
            operation_log.Operation(
                "association",
                "scp",
                refusal.calling,
                "refused",
                title=refusal.calling,
                called=refusal.called,
                address=refusal.address,
                words=words,
            ),
        )
