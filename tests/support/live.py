"""A real `filmroom serve` in processes of its own: the way users meet it."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.support.postgres import free_port
from tests.support.waiting import eventually

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "Correct-Horse-7-Battery"


@dataclass
class Live:
    """One running installation."""

    url: str
    port: int
    dicom_port: int
    data: Path
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def auth(self) -> tuple[str, str]:
        return ("admin", PASSWORD)

    def client(self, user: str = "admin", password: str = PASSWORD) -> httpx.Client:
        return httpx.Client(base_url=self.url, auth=(user, password), timeout=60, trust_env=False)

    def role_pids(self, role: str) -> list[int]:
        found = []
        for path in (self.data / "run").glob(f"role-{role}-*.json"):
            with contextlib.suppress(OSError, ValueError):
                found.append(int(json.loads(path.read_text())["pid"]))
        return [pid for pid in found if Path(f"/proc/{pid}").exists()]

    def wait_ready(self, seconds: float = 120) -> float:
        """Seconds until /healthz says that every role is ready."""
        started = time.monotonic()
        with httpx.Client(trust_env=False, timeout=2) as client:
            try:
                eventually(
                    lambda: client.get(f"{self.url}/healthz").status_code,
                    "filmroom serve is ready",
                    seconds=seconds,
                    until=lambda status: status == 200,
                    process=self.process,
                    ignoring=(httpx.HTTPError,),
                )
            except AssertionError as fault:
                raise RuntimeError(f"{fault}\n{self.log.read_text()[-4000:]}") from None
        return time.monotonic() - started

    def stop(self) -> float:
        """SIGTERM; the seconds it took."""
        started = time.monotonic()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        return time.monotonic() - started


def start(
    data: Path, *options: str, environ: dict[str, str] | None = None, wait: bool = True, kept_port: bool = False
) -> Live:
    """Starts `filmroom serve` on free ports over `data`, which may exist already. kept_port: the DICOM port stands in
    config.toml, where pages may change it, not on the command line, which wins."""
    port, dicom_port = free_port(), free_port()
    if kept_port:
        data.mkdir(parents=True, exist_ok=True)
        (data / "config.toml").write_text(f"dicom_port = {dicom_port}\n")
    data.parent.mkdir(parents=True, exist_ok=True)
    log = data.parent / f"{data.name}.log"
    command = [
        sys.executable,
        "-m",
        "app.cli",
        "serve",
        "--data",
        str(data),
        "--port",
        str(port),
        *(() if kept_port else ("--dicom-port", str(dicom_port))),
        *options,
    ]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("FILMROOM_")}
    environment |= {"PYTHONPATH": str(ROOT), "FILMROOM_ADMIN_PASSWORD": PASSWORD} | (environ or {})
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=output, stderr=output, stdin=subprocess.DEVNULL
        )
    live = Live(f"http://127.0.0.1:{port}", port, dicom_port, data, process, log)
    if wait:
        try:
            live.wait_ready()
        except BaseException:
            live.stop()
            raise
    return live


@contextlib.contextmanager
def running(data: Path, *options: str, environ: dict[str, str] | None = None) -> Iterator[Live]:
    live = start(data, *options, environ=environ)
    try:
        yield live
    finally:
        live.stop()
