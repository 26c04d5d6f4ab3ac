"""The worker is killed while it sends, several times: everything arrives, and only what was in flight arrives twice."""

import os
import signal
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.archive.make import ct_bytes
from tests.peers.test_outgoing import listening
from tests.support.live import Live

pytestmark = [pytest.mark.slow, pytest.mark.peer]
OBJECTS, KILLS = 400, 4


def test_kill_9_repeats_only_what_was_in_flight(live: Live, tmp_path: Path) -> None:
    came: Counter[str] = Counter()

    def handle(event: Any) -> int:
        came[event.request.AffectedSOPInstanceUID] += 1
        time.sleep(0.01)
        return 0

    with live.client() as client, listening(handle) as peer:
        for study in range(4):
            files = [
                (
                    "files",
                    (f"{n}.dcm", ct_bytes(sop=f"1.3.{study}.1.{n}", study=f"1.3.{study}", series=f"1.3.{study}.1")),
                )
                for n in range(OBJECTS // 4)
            ]
            assert client.post("/api/v1/imports", files=files).status_code == 200
        body = {"name": "pacs", "ae_title": "LIAR", "host": "127.0.0.1", "port": peer.port, "parallel": 2}
        assert client.post("/api/v1/nodes", json=body).status_code == 201
        for study in range(4):
            sent = client.post("/api/v1/transfers", json={"study_instance_uid": f"1.3.{study}", "node": "pacs"})
            assert sent.status_code == 202
        for kill in range(KILLS):
            _until(lambda kill=kill: len(came) >= (kill + 1) * OBJECTS // 8, came)  # type: ignore[misc]
            (pid,) = live.role_pids("worker")
            os.kill(pid, signal.SIGKILL)
            _until(lambda pid=pid: live.role_pids("worker") not in ([], [pid]), came)  # type: ignore[misc]
        _until(lambda: {t["state"] for t in client.get("/api/v1/transfers").json()["items"]} == {"done"}, came)
        items = client.get("/api/v1/transfers").json()["items"]
    assert len(came) == OBJECTS and sum(item["sent"] for item in items) == OBJECTS
    again = sum(count - 1 for count in came.values())
    assert again <= KILLS * 2, "one object for each of the two associations at each kill"


def test_kill_9_in_the_middle_of_an_object_repeats_that_object_alone(live: Live) -> None:
    """Killed while the peer has an object whose answer we do not know; the answers before it stand in the journal alone."""
    came: Counter[str] = Counter()
    held, goes_on = threading.Event(), threading.Event()

    def handle(event: Any) -> int:
        came[event.request.AffectedSOPInstanceUID] += 1
        if len(came) == 3 and not held.is_set():
            held.set()
            goes_on.wait(60)
        return 0

    with live.client() as client, listening(handle) as peer:
        files = [("files", (f"{n}.dcm", ct_bytes(sop=f"1.4.1.{n}", study="1.4", series="1.4.1"))) for n in range(6)]
        assert client.post("/api/v1/imports", files=files).status_code == 200
        body = {"name": "held", "ae_title": "LIAR", "host": "127.0.0.1", "port": peer.port, "parallel": 1}
        assert client.post("/api/v1/nodes", json=body).status_code == 201
        place = client.post("/api/v1/transfers", json={"study_instance_uid": "1.4", "node": "held"}).headers["location"]
        assert held.wait(60)
        (pid,) = live.role_pids("worker")
        os.kill(pid, signal.SIGKILL)
        _until(lambda: live.role_pids("worker") not in ([], [pid]), came)
        goes_on.set()
        _until(lambda: client.get(place).json()["state"] == "done", came)
        found = client.get(place).json()
    assert (found["sent"], found["failed"], found["waiting"]) == (6, 0, 0)
    assert sorted(came.values()) == [1, 1, 1, 1, 1, 2], "only what was in flight goes out again"


def _until(condition: Any, came: Counter[str], seconds: float = 90) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, len(came)
        time.sleep(0.05)
