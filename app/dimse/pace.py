"""Time between the response to an object and the sender's next object.

One whose TCP waits for acknowledgements of what it sent before (Nagle's algorithm at its side, delayed acknowledgements
at this side) loses about 40 ms each time, and this is not visible elsewhere (DESIGN 3.4). The moments are those that
the transfer log takes anyway."""

import statistics

_OBJECTS = 20
_DELAY = (0.035, 0.060)  # seconds: what Linux, Windows and others have as their shortest delay of an acknowledgement


class Pace:
    """Of one association."""

    __slots__ = ("_answered", "_gaps")

    def __init__(self) -> None:
        self._answered = 0.0
        self._gaps: list[float] = []

    def record_object(self, begun: float, ended: float) -> None:
        """An object's command was there at `begun`, the response was sent at `ended` (monotonic seconds)."""
        if len(self._gaps) < _OBJECTS:
            if self._answered:
                self._gaps.append(begun - self._answered)
            self._answered = ended

    def interrupt(self) -> None:
        """Something else was asked: the next gap is not measured."""
        self._answered = 0.0

    @property
    def is_known(self) -> bool:
        """Whether there were enough objects to judge."""
        return len(self._gaps) >= _OBJECTS

    @property
    def delay_ms(self) -> int | None:
        """The median of its waits where that is what delayed acknowledgements look like."""
        median = statistics.median(self._gaps)
        return round(median * 1000) if _DELAY[0] <= median <= _DELAY[1] else None
