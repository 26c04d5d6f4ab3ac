"""Sending one study of 525 KB CT on (forward queue, from the order to the last answer that is written down) to DCMTK
storescp, which keeps nothing, and to Orthanc: against DCMTK's storescu sending the same files to the same peers."""

import os
import subprocess
import tempfile
import time
from datetime import datetime
from pathlib import Path

import httpx
from pydicom.uid import generate_uid

from tests.bench.ingest import orthanc
from tests.bench.move import fill
from tests.bench.table import Row
from tests.support import dcmtk
from tests.support import live as live_server
from tests.support.sender import make_ct, renumber
from tests.support.waiting import job_ended

OBJECTS = int(os.environ.get("FILMROOM_BENCH_SENT", "500"))


def sent(client: httpx.Client, study: str, node: str) -> float:
    """Objects a second of one transfer; RuntimeError unless all of them arrived."""
    made = client.post("/api/v1/transfers", json={"study_instance_uid": study, "node": node})
    made.raise_for_status()
    found = job_ended(client, f"/api/v1/transfers/{made.json()['id']}", 120)
    if found["state"] != "done":
        raise RuntimeError(str(found["error"]))
    begun, ended = (datetime.fromisoformat(found[key]) for key in ("created_at", "finished_at"))
    return OBJECTS / (ended - begun).total_seconds()


def storescu(port: int, title: str, folder: Path) -> float:
    """Objects a second of storescu over these files, its start included."""
    command = [
        "storescu",
        "-R",
        "-aec",
        title,
        "+sd",
        "+r",
        "+sp",
        "*.dcm",
        "-pdu",
        "131072",
        "127.0.0.1",
        str(port),
        str(folder),
    ]
    started = time.perf_counter()
    done = subprocess.run(command, env=os.environ | dcmtk.QUICK, capture_output=True, timeout=300, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr.decode("utf-8", "replace")[-500:])
    return OBJECTS / (time.perf_counter() - started)


def run() -> list[Row]:
    study, series = generate_uid(), generate_uid()
    template = make_ct(study, series, 1)
    objects = [renumber(template, f"{template.sop_instance_uid[:-6]}{n:06d}") for n in range(OBJECTS)]
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as name,
        dcmtk.storescp(Path(name) / "scp", "--ignore", "-pdu", "131072") as plain,
        orthanc(True) as tuned,
        live_server.running(Path(name) / "data") as live,
        live.client() as client,
    ):
        fill(live.dicom_port, "FILMROOM", objects)
        peers = {"storescp": (plain, "STORESCP"), "orthanc": (tuned, "ORTHANC")}
        for node, (port, title) in peers.items():
            body = {"name": node, "ae_title": title, "host": "127.0.0.1", "port": port}
            client.post("/api/v1/nodes", json=body).raise_for_status()
        figures: dict[str, list[float]] = {f"{who} {node}": [] for who in ("ours", "theirs") for node in peers}
        for _ in range(3):  # in turn, so that a noisy neighbour meets both
            for node, (port, title) in peers.items():
                figures[f"ours {node}"].append(sent(client, study, node))
                figures[f"theirs {node}"].append(storescu(port, title, live.data / "store"))
        best = {name: max(values) for name, values in figures.items()}
    what = f"sending {OBJECTS} CT, 525 KB each, to"
    return [
        Row("send", f"{what} {name}", best[f"ours {node}"], "obj/s", "DCMTK storescu", best[f"theirs {node}"])
        for node, name in (("storescp", "storescp (keeps nothing)"), ("orthanc", "Orthanc, TCP_NODELAY=1"))
    ]
