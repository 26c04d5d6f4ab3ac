"""What a fuzzed process must keep: its threads, its files, its memory, and a log without faults of ours."""

import logging
import os
import threading
from dataclasses import dataclass, field


def resident() -> int:
    """Bytes of memory of this process now (Linux)."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def handles() -> int:
    return len(os.listdir("/proc/self/fd"))


class Faults(logging.Handler):
    """Collects what our own code logs as an exception: to a peer it may not happen, whatever it sends."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info:
            self.found.append(logging.Formatter().format(record))

    def __enter__(self) -> "Faults":
        logging.getLogger("app").addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger("app").removeHandler(self)


@dataclass
class Report:
    """What a run did. growth: bytes of memory after the first tenth, which warms caches; worst: seconds of the slowest."""

    done: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    growth: int = 0
    worst: float = 0.0
    faults: list[str] = field(default_factory=list)
    _level: int = 0

    def count(self, outcome: str) -> None:
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1

    def level(self) -> None:
        """The memory from which growth is counted."""
        self._level = resident()

    def end(self) -> None:
        self.growth = max(0, resident() - self._level)

    def __str__(self) -> str:
        told = ", ".join(f"{name} {count:,}" for name, count in sorted(self.outcomes.items()))
        return (
            f"{self.done:,} done; {told}; slowest {self.worst:.2f} s; memory grew {self.growth / 1e6:.1f} MB;"
            f" {len(self.faults)} faults; {threading.active_count()} threads, {handles()} files open"
        )
