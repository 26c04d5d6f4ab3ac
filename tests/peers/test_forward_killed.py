"""The worker is killed while it sends, several times: everything arrives, and only what was in flight arrives twice."""

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.archive.make import ct_bytes
from tests.support.live import Live
from tests.support.scp import listening
from tests.support.waiting import eventually

pytestmark = [pytest.mark.slow, pytest.mark.peer]
OBJECTS, KILLS = 400, 4


def test_kill_9_repeats_only_what_was_in_flight(live: Live, tmp_path: Path) -> None:
    came: Counter[str] = Counter()

    def handle(event: Any) -> int:
        came[event.request.AffectedSOPInstanceUID] += 1
        time.sleep(0.01)  # a peer slow enough to be killed for in between
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
            eventually(lambda: len(came), "objects arrive", until=_at_least((kill + 1) * OBJECTS // 8), seconds=90)
            (pid,) = live.role_pids("worker")
            os.kill(pid, signal.SIGKILL)
            eventually(lambda: live.role_pids("worker"), "a new worker", until=_other_than(pid), seconds=90)
        eventually(
            lambda: {t["state"] for t in client.get("/api/v1/transfers").json()["items"]},
            "all transfers are done",
            until=lambda states: states == {"done"},
            seconds=90,
        )
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
        eventually(lambda: live.role_pids("worker"), "a new worker", until=_other_than(pid), seconds=90)
        goes_on.set()
        eventually(lambda: client.get(place).json()["state"] == "done", "the transfer is done", seconds=90)
        found = client.get(place).json()
    assert (found["sent"], found["failed"], found["waiting"]) == (6, 0, 0)
    assert sorted(came.values()) == [1, 1, 1, 1, 1, 2], "only what was in flight goes out again"


def _at_least(wanted: int) -> Callable[[int], bool]:
    return lambda count: count >= wanted


def _other_than(pid: int) -> Callable[[list[int]], bool]:
    return lambda pids: pids not in ([], [pid])
