"""Memory and CPU time of the roles of a running installation."""

import contextlib
import os
import threading
from pathlib import Path

ROLES = ("web", "dicom", "worker")


_TICKS = os.sysconf("SC_CLK_TCK")


def _family(pid: int) -> list[int]:
    """The process and all below it."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                parents[int(entry.name)] = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found


def rss(pid: int) -> int:
    """Memory of the process and all below it, as the kernel counts VmRSS."""
    total = 0
    for one in _family(pid):
        with contextlib.suppress(OSError):
            total += int(Path(f"/proc/{one}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return total


def cpu(pid: int) -> float:
    """Seconds of processor time so far, ended children included."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(int(one) for one in fields[11:15]) / _TICKS


class Watch:
    """Samples the roles while something happens to them."""

    def __init__(self, pids: dict[str, int], idle: dict[str, int]) -> None:
        self.pids, self.idle = pids, idle
        self.peak = dict.fromkeys(pids, 0)
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def _sample(self) -> None:
        while not self._end.wait(0.03):
            for role, pid in self.pids.items():
                with contextlib.suppress(OSError):
                    self.peak[role] = max(self.peak[role], rss(pid))

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def above(self) -> dict[str, int]:
        """MB above idle."""
        return {role: max(0, self.peak[role] - self.idle[role]) >> 20 for role in self.peak}
