"""What is asked of a store-and-forward box, however it runs: DCMTK sends through it to DCMTK, and things die in between."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import pydicom
from pydicom.uid import generate_uid

from tests.support import dcmtk
from tests.support.dimse import data_set_of
from tests.support.live import ROOT
from tests.support.marked import MARKED, traces_of_marked
from tests.support.postgres import free_port
from tests.support.waiting import eventually

SOURCE = ROOT / ".." / "shared" / "data" / "codecs" / "wg04" / "ct1" / "ct1_uncompressed.dcm"
STOP_LIMIT = 5.0  # seconds (FWD-5, OPS-2)


class Box(Protocol):
    """One way to run it."""

    def start(self) -> None: ...
    def stop(self) -> None: ...
    def kill(self) -> None:
        """kill -9 of the supervisor; what runs it has to bring it back."""

    def status(self) -> int:
        """The exit code of `filmroom status` (health check)."""

    def log(self) -> str: ...


def say(what: str, found: object = "") -> None:
    sys.stdout.write(f"  {what}{': ' if found != '' else ''}{found}\n")
    sys.stdout.flush()


def sh(*command: str | Path, ok: bool = True, seconds: float = 900) -> str:
    """A command's output; ends the run when it fails, unless that is expected."""
    done = subprocess.run(
        [*map(str, command)], capture_output=True, text=True, timeout=seconds, stdin=subprocess.DEVNULL
    )
    if ok and done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))}\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done.stdout + done.stderr


def until(condition: Callable[[], object], what: str, seconds: float = 120) -> float:
    """Seconds until it holds."""
    started = time.monotonic()
    try:
        eventually(condition, what, seconds=seconds)
    except AssertionError as fault:
        raise SystemExit(f"FAILED: {fault}") from None
    return time.monotonic() - started


def holds(condition: bool, what: str, found: object = "") -> None:
    if not condition:
        raise SystemExit(f"FAILED: {what}: {found}")
    say(what, found)


class Traffic:
    """A modality, a PACS that can be switched off, and the objects between them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.came = folder, folder / "pacs"
        self.port, self.pacs_port = free_port(), free_port()
        self.sent: list[str] = []
        self.came.mkdir(parents=True, exist_ok=True)
        self._dataset = pydicom.dcmread(SOURCE)

    def configuration(self, **values: object) -> Path:
        file = self.folder / "forwarder.json"
        said = {
            "local_ae_title": "BOX", "local_port": self.port, "local_host": "127.0.0.1", "pacs_host": "127.0.0.1",
            "pacs_port": self.pacs_port, "pacs_ae_title": "PACS", "forward_immediately": True, "retry_attempts": 50,
        }  # fmt: skip
        file.write_text(json.dumps(said | values, indent=2))
        file.chmod(0o644)
        return file

    def send(self, count: int) -> None:
        """storescu stores `count` new objects of one study, each acknowledged."""
        data, files = self._dataset, []
        for keyword, value in MARKED.items():
            setattr(data, keyword, value)
        data.StudyInstanceUID, data.SeriesInstanceUID = generate_uid(), generate_uid()
        for _ in range(count):
            data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = generate_uid()
            file = self.folder / f"{data.SOPInstanceUID}.dcm"
            data.save_as(file)
            files.append(file)
            self.sent.append(str(data.SOPInstanceUID))
        done = dcmtk.storescu(self.port, files, "-R", called="BOX", calling="MODALITY")
        if done.code:
            raise SystemExit(f"FAILED: storescu: {done.output[-2000:]}")

    def missing(self) -> list[str]:
        """Of what was acknowledged, what the PACS has not got byte-equal."""
        left = []
        for uid in self.sent:
            found = list(self.came.glob(f"*{uid}*"))
            # storescu leaves trailing padding out, so what was sent may be longer
            if not found or not data_set_of(self.folder / f"{uid}.dcm").startswith(data_set_of(found[0])):
                left.append(uid)
        return left


def prove(box: Box, traffic: Traffic) -> None:
    """The common part; whatever fails ends the run with its words."""
    say("ready", f"{until(lambda: box.status() == 0, 'ready'):.1f} s after the start command returned")
    with dcmtk.storescp(traffic.came, port=traffic.pacs_port, title="PACS"):
        traffic.send(5)
        say("5 objects through to the PACS", f"{until(lambda: not traffic.missing(), 'arrival'):.1f} s")
    traffic.send(5)
    box.kill()
    gone = until(lambda: box.status() != 0, "the killed one is gone")
    back = until(lambda: box.status() == 0, "back after kill -9")
    say("kill -9 with a dead PACS and 5 objects waiting; back", f"{gone + back:.1f} s")
    traffic.send(5)
    with dcmtk.storescp(traffic.came, port=traffic.pacs_port, title="PACS"):
        took = until(lambda: not traffic.missing(), "arrival after kill -9 and a dead PACS", 300)
        say("PACS back; all 15 objects there, unchanged", f"{took:.1f} s")
    traffic.send(5)
    started = time.monotonic()
    box.stop()
    took = time.monotonic() - started
    holds(took < STOP_LIMIT and box.status() == 3, "stopped", f"{took:.1f} s")
    with dcmtk.storescp(traffic.came, port=traffic.pacs_port, title="PACS"):
        box.start()
        until(lambda: box.status() == 0, "ready again")
        took = until(lambda: not traffic.missing(), "arrival after stop and start", 300)
        say("stopped with 5 waiting, started again; all 20 there", f"{took:.1f} s")
    words = box.log()
    holds(
        bool(words) and not traces_of_marked(words),
        "no patient data in its output",
        f"{len(words)} characters",
    )
