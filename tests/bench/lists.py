"""The study list and QIDO-RS over 100,000 studies (a million with `make bench-large`), alone and while four senders
push; the page's own rows, the search as you type, and queries that programs ask."""

import multiprocessing
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
from pydicom.uid import generate_uid

from app import config as boot
from app.db import open_database
from tests.bench.table import Row, p95
from tests.support import bulk
from tests.support import live as live_server
from tests.support.sender import Sender, make_ct, renumber
from tests.support.waiting import eventually

ROUNDS = 12
PAGES = {
    "first page, newest first": "/storage",
    "search as you type, 3 letters": "/storage?q=gar",
    "by name": "/storage?name=gar",
    "CT of a month": "/storage?mod=CT&date=2024-05-01..2024-05-31",
}
QUERIES = {
    "one patient": "/dicom-web/studies?PatientID={pid}&limit=25",
    "name wildcard": "/dicom-web/studies?PatientName=gar*&limit=25",
    "date range and modality": "/dicom-web/studies?StudyDate=20240501-20240531&ModalitiesInStudy=CT&limit=25",
    "first 25": "/dicom-web/studies?limit=25",
}


def _send(port: int, stop: Any, sent: Any) -> None:
    template = make_ct(generate_uid(), generate_uid(), 1)
    sender, number = Sender(port), 0
    while not stop.is_set():
        assert sender.send(renumber(template, f"{template.sop_instance_uid[:-6]}{number:06d}"))[0] == 0
        number += 1
        with sent.get_lock():
            sent.value += 1
    sender.release()


class _Push:
    """Senders of 525 KB CT until told to stop; objects per second. Each is a process, as modalities are machines: in
    threads of this one they would keep the client that measures from its interpreter."""

    def __init__(self, port: int, senders: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._stop, self._sent = context.Event(), context.Value("i", 0)
        self._senders = [context.Process(target=_send, args=(port, self._stop, self._sent)) for _ in range(senders)]

    def __enter__(self) -> "_Push":
        for sender in self._senders:
            sender.start()
        eventually(self._under_way, "the senders send")
        self._begun, self._before = time.perf_counter(), self._sent.value
        return self

    def _under_way(self) -> bool:
        if not all(sender.is_alive() for sender in self._senders):
            raise RuntimeError("a sender ended")
        return bool(self._sent.value >= 40)

    def __exit__(self, *_: object) -> None:
        self.rate = (self._sent.value - self._before) / (time.perf_counter() - self._begun)
        self._stop.set()
        for sender in self._senders:
            sender.join(30)


def _measure(client: httpx.Client, path: str, rounds: int = ROUNDS) -> list[float]:
    taken = []
    for _ in range(rounds):
        started = time.perf_counter()
        answer = client.get(path)
        taken.append((time.perf_counter() - started) * 1000)
        if answer.status_code not in (200, 204):
            raise RuntimeError(f"{path}: {answer.status_code} {answer.text[:200]}")
    return taken


def _all(client: httpx.Client, pid: str, when: str, count: int, limit: float) -> list[Row]:
    rows = []
    for group, paths in (("list", PAGES), ("QIDO", QUERIES)):
        for name, path in paths.items():
            headers = {"HX-Request": "true"} if group == "list" else {}
            client.headers.update(headers)
            taken = _measure(client, path.format(pid=pid))
            rows.append(
                Row(
                    group,
                    f"{count:,} studies: {name}{when}, p95",
                    p95(taken),
                    "ms",
                    "limit",
                    limit,
                    less_is_better=True,
                )
            )
    return rows


def run(count: int = 100_000) -> list[Row]:
    limit = 50.0 if count <= 100_000 else 100.0
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        data = Path(name) / "data"
        live_server.start(data).stop()
        database = open_database(boot.load({"data": data}, environ={}))
        bulk.fill(database, count)
        with database.read() as session:
            from sqlalchemy import text

            pid = str(session.execute(text("SELECT patient_id FROM patient LIMIT 1 OFFSET 1000")).scalar())
        database.dispose()
        with live_server.running(data) as live, live.client() as client:
            _all(client, pid, "", count, limit)  # warm
            rows = _all(client, pid, "", count, limit)
            with _Push(live.dicom_port, 4) as push:
                rows += _all(client, pid, ", four senders pushing", count, limit)
            rows.append(Row("list", "ingest meanwhile", push.rate, "obj/s"))
            with _Push(live.dicom_port, 10):
                taken = _measure(client, next(iter(PAGES.values())))
            name = f"{count:,} studies: first page, ten senders pushing, p95"
            rows.append(Row("list", name, p95(taken), "ms", "limit", 300.0, less_is_better=True))
    return rows
