"""A print outlives what happens to the machine: the worker killed in the middle, and the whole program stopped."""

import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import httpx
import page as validator
import pydicom
import pytest

from tests.support import live as live_server
from tests.support.waiting import eventually

pytestmark = [pytest.mark.slow, pytest.mark.peer]


def _until(client: httpx.Client, location: str, wanted: Any, seconds: float) -> dict[str, Any]:
    return eventually(lambda: client.get(location).json(), "the print's state", until=wanted, seconds=seconds)


def test_prints_survive_a_killed_worker_and_a_restart(tmp_path: Path, shared_data: Path) -> None:
    files = sorted((shared_data / "series" / "ct_chest_lidc0314").glob("*.dcm"))[:8]
    uids = [str(pydicom.dcmread(f, stop_before_pixels=True).SOPInstanceUID) for f in files]
    data = tmp_path / "data"
    with live_server.running(data) as live, live.client() as client:
        port = str(live.dicom_port)
        subprocess.run(["storescu", "-aec", "FILMROOM", "127.0.0.1", port, *map(str, files)], check=True, timeout=60)
        items = [{"sop_instance_uid": uids[n % 8], "rotate": 90 * (n % 4)} for n in range(800)]
        accepted = client.post("/api/v1/prints", json={"items": items, "layout": "2x2"})
        assert accepted.status_code == 202, accepted.text
        location = accepted.headers["Location"]
        state = _until(client, location, lambda s: s["progress"]["done"] >= 3 and s["state"] == "running", 60)
        assert state["state"] == "running", state
        for pid in live.role_pids("worker"):
            os.kill(pid, signal.SIGKILL)
        state = _until(client, location, lambda s: s["state"] not in ("queued", "running"), 240)
        assert (state["state"], state["progress"]) == ("done", {"done": 200, "total": 200}), state
        made = client.get(state["pdf"]).content
        assert validator.is_pdf_compliant_bytes(made, profile="3b")
        assert [
            p.suffix for p in (data / "store" / ".products" / "prints").iterdir() if not p.name.startswith(".")
        ].count(".pdf") == 1
    with live_server.running(data) as live, live.client() as client:
        assert client.get(location).json()["state"] == "done"
        assert client.get(state["pdf"]).content == made
