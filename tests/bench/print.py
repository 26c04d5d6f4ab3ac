"""Fifty A4 pages at 300 dpi as PDF/A-3b: one image a page, and four; and how soon the order is accepted."""

import tempfile
import time
from pathlib import Path

from pydicom.uid import generate_uid

from tests.bench.table import Row
from tests.support import live as live_server
from tests.support.sender import Sender, make_ct, renumber


def _wait(client: object, path: str) -> float:
    started = time.perf_counter()
    while True:
        state = client.get(path).json()  # type: ignore[attr-defined]
        if state["state"] == "done":
            return time.perf_counter() - started
        if state["state"] in ("failed", "cancelled"):
            raise RuntimeError(state["error"])
        time.sleep(0.02)


def run() -> list[Row]:
    study, series = generate_uid(), generate_uid()
    template = make_ct(study, series, 1)
    rows = []
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        live_server.running(Path(folder) / "data") as live,
        live.client() as client,
    ):
        sender = Sender(live.dicom_port)
        items = [renumber(template, f"{template.sop_instance_uid[:-6]}{n:06d}") for n in range(200)]
        for item in items:
            assert sender.send(item)[0] == 0
        sender.release()
        for layout, count in (("1x1", 50), ("2x2", 200)):
            best, accepted = float("inf"), float("inf")
            for _ in range(3):
                order = {
                    "items": [{"sop_instance_uid": item.sop_instance_uid, "frame": 1} for item in items[:count]],
                    "layout": layout,
                    "paper": "A4",
                    "output": "pdf",
                }
                started = time.perf_counter()
                answer = client.post("/api/v1/prints", json=order)
                taken = time.perf_counter() - started
                assert answer.status_code == 202, answer.text
                accepted = min(accepted, taken)
                best = min(best, taken + _wait(client, answer.headers["location"]))
            rows.append(
                Row(
                    "print",
                    f"50 A4 pages, {layout} CT 512x512 each, PDF/A-3b",
                    best,
                    "s",
                    "limit",
                    10.0,
                    less_is_better=True,
                )
            )
            rows.append(
                Row("print", f"50 A4 pages, {layout}: accepted (202)", accepted, "s", "limit", 2.0, less_is_better=True)
            )
    return rows
