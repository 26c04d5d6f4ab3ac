"""`kill -9` of the worker while studies settle and routes fire: every object leaves by its route, and by no run twice."""

import os
import random
import signal
from pathlib import Path

import pytest
from pydicom import dcmread

from tests.support import dcmtk
from tests.support import live as live_server
from tests.support.sender import Sender, make_ct, renumber
from tests.support.waiting import eventually, pace

pytestmark = [pytest.mark.slow, pytest.mark.peer]
STUDIES, OBJECTS = 6, 6


def _node_and_route(live: live_server.Live, port: int, name: str, when: dict[str, object]) -> None:
    with live.client() as client:
        node = {"name": name, "ae_title": "STORESCP", "host": "127.0.0.1", "port": port, "retries": 50}
        assert client.post("/api/v1/nodes", json=node).status_code == 201
        body = {
            "name": f"to {name}",
            "when": when,
            "actions": [{"do": "send", "nodes": [name]}],
            "enabled": True,
            "untested": True,
        }
        assert client.post("/api/v1/routes", json=body).status_code == 201


def _worker(live: live_server.Live, killed: list[int]) -> int:
    """The process id of a worker that is up; a killed one takes its time to go and to come back."""
    return eventually(
        lambda: [pid for pid in live.role_pids("worker") if pid not in killed], "a worker is up", seconds=120
    )[0]


def _arrived(folder: Path) -> set[str]:
    return {str(dcmread(path, stop_before_pixels=True).SOPInstanceUID) for path in folder.iterdir()}


def test_a_killed_worker_loses_no_run_and_makes_none_twice(tmp_path: Path) -> None:
    seed = random.randrange(1 << 30)
    dice = random.Random(seed)
    print(f"seed {seed}")
    with (
        live_server.running(tmp_path / "data") as live,
        dcmtk.storescp(tmp_path / "each") as each,
        dcmtk.storescp(tmp_path / "settled") as settled,
    ):
        _node_and_route(live, each, "each", {"kind": "object"})
        _node_and_route(live, settled, "settled", {"kind": "settled", "quiet": 1})
        sent = 0
        killed: list[int] = []
        for number in range(STUDIES):
            pid = _worker(live, killed)
            study = f"1.2.826.0.1.3680043.9.8{seed}.{number}"
            template = make_ct(study, f"{study}.1", 1, size=32, patient_id=f"SURVIVE{number}")
            sender = Sender(live.dicom_port)
            for n in range(OBJECTS):
                item = renumber(template, template.sop_instance_uid[:-4] + f"{n + 1000}")
                assert sender.send(item)[0] == 0
                sent += 1
            sender.abort()
            pace(dice.uniform(0.05, 1.8))
            os.kill(pid, signal.SIGKILL)
            killed.append(pid)
        live.wait_ready()
        with live.client() as client:
            routes = eventually(  # what a killed worker held comes back after its missing heartbeats
                lambda: client.get("/api/v1/routes").json()["items"],
                "all runs are done",
                until=lambda routes: all(
                    set(route["runs"]) == {"done"} and route["objects"] >= sent for route in routes
                ),
                seconds=180,
            )
            assert {route["name"]: (route["objects"], set(route["runs"])) for route in routes} == {
                "to each": (sent, {"done"}),
                "to settled": (sent, {"done"}),
            }
            runs = client.get("/api/v1/routes/runs", params={"limit": 500}).json()["items"]
            assert sum(run["objects"] for run in runs) == 2 * sent
        assert len(_arrived(tmp_path / "each")) == sent
        assert _arrived(tmp_path / "each") == _arrived(tmp_path / "settled")
