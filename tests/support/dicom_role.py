"""The DICOM role as a process of its own."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from app.config import Config
from tests.support.live import ROOT
from tests.support.postgres import free_port
from tests.support.waiting import eventually

CT1 = "codecs/wg04/ct1/ct1_uncompressed.dcm"


CT, EXPLICIT = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1"


@dataclass
class Role:
    port: int
    process: subprocess.Popen[bytes]
    run: Path

    def pids(self) -> list[int]:
        """The receiver processes that say they are ready."""
        found = []
        for path in self.run.glob("role-dicom-*.json"):
            with contextlib.suppress(OSError, ValueError):
                said = json.loads(path.read_text())
                if said["state"] == "ready" and Path(f"/proc/{said['pid']}").exists():
                    found.append(int(said["pid"]))
        return found

    def wait(self, count: int) -> list[int]:
        return eventually(self.pids, f"{count} processes", until=lambda pids: len(pids) >= count, process=self.process)


@contextlib.contextmanager
def dicom_role(config: Config, receivers: int, port: int | None = None) -> Iterator[Role]:
    chosen = port or free_port()
    command = [sys.executable, "-m", "app.cli", "dicom", "--data", str(config.data), "--dicom-port", str(chosen)]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "FILMROOM_ADMIN_PASSWORD": "Correct-Horse-7-Battery"}
    process = subprocess.Popen(
        [*command, "--receivers", str(receivers), "--dicom-host", "127.0.0.1"],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield Role(chosen, process, config.run)
    finally:
        process.terminate()
        process.wait(60)
