"""The faults of a chaos run: what is killed, slowed, cut, filled and put forward or back."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.live import ROOT, Live
from tests.support.postgres import free_port


@dataclass
class Destination:
    """A PACS of ours as a process; see tests/chaos/pacs.py."""

    title: str
    folder: Path
    transfer_syntax: str = "stored"  # as which it wants objects: the node option
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def ledger(self) -> Path:
        return self.folder / f"{self.title}.ledger"

    @property
    def control(self) -> Path:
        return self.folder / f"{self.title}.control"

    def start(self) -> None:
        command = [
            sys.executable,
            "-m",
            "tests.chaos.pacs",
            str(self.port),
            self.title,
            str(self.ledger),
            str(self.control),
        ]
        with (self.folder / f"{self.title}.log").open("ab") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def behave(self, how: str) -> None:
        part = self.control.with_suffix(".part")
        part.write_text(how)
        part.rename(self.control)


def clock_environment(folder: Path) -> dict[str, str]:
    """Environment for `filmroom serve`: its wall clock follows the file `clock` (tests/chaos/clock.c)."""
    library = folder / "clock.so"
    source = Path(__file__).with_name("clock.c")
    subprocess.run(["gcc", "-shared", "-fPIC", "-O2", "-o", str(library), str(source)], check=True)
    (folder / "clock").write_text("0")
    return {"LD_PRELOAD": str(library), "CHAOS_CLOCK": str(folder / "clock")}


@dataclass
class Storm:
    """Does one fault after another. log: (moment, what) of each, for the judgement of repeats."""

    live: Live
    destinations: list[Destination]
    folder: Path
    dice: random.Random
    log: list[tuple[float, str]] = field(default_factory=list)

    def strike(self) -> None:
        ways: list[tuple[int, str, Callable[[], None]]] = [
            (10, "kill web", lambda: self._kill("web")),
            (22, "kill dicom", lambda: self._kill("dicom")),
            (22, "kill worker", lambda: self._kill("worker")),
            (6, "dead pacs", self._dead),
            (8, "slow pacs", lambda: self._odd(f"slow {self.dice.uniform(0.05, 0.4):.2f}", 1.5)),
            (12, "reset", lambda: self._odd("reset", 0.4)),
            (6, "full pacs", lambda: self._odd("full", 0.8)),
            (4, "full disk", self._fill),
            (10, "clock", self._clock),
        ]
        _, what, do = self.dice.choices(ways, [weight for weight, _, _ in ways])[0]
        self.log.append((time.time(), what))
        do()
        self.log.append((time.time(), what))

    def _kill(self, role: str) -> None:
        for pid in self.live.role_pids(role)[:1]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(self.dice.uniform(0.1, 0.5))  # between two kills

    def _dead(self) -> None:
        one = self.dice.choice(self.destinations)
        one.kill()
        time.sleep(self.dice.uniform(0.5, 2.0))  # how long it is dead
        one.start()

    def _odd(self, how: str, seconds: float) -> None:
        one = self.dice.choice(self.destinations)
        one.behave(how)
        time.sleep(seconds)  # how long it behaves like that
        one.behave("ok")

    def _fill(self) -> None:
        """All that is free on the data folder's file system, and given back half a second later."""
        filler = self.live.data / "filler"
        try:
            with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
                while True:
                    file.write(bytes(1 << 20))
        finally:
            time.sleep(0.6)  # how long the disk is full
            filler.unlink(missing_ok=True)

    def _clock(self) -> None:
        """Some hours or a day forward or back, and right again a second later."""
        jump = self.dice.choice(("3600", "-3600", "86400", "-86400", "20", "-20"))
        (self.folder / "clock").write_text(jump)
        time.sleep(self.dice.uniform(0.3, 1.2))  # how long the clock is wrong
        (self.folder / "clock").write_text("0")

    def calm(self) -> None:
        """Everything as it should be, so that what waits can go out."""
        (self.folder / "clock").write_text("0")
        for one in self.destinations:
            one.behave("ok")
            if one.process is None or one.process.poll() is not None:
                one.start()
