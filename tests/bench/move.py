"""C-MOVE and C-GET of one study of 525 KB CT: Filmroom, Orthanc with its defaults and with TCP_NODELAY=1. The caller
(DCMTK's movescu and getscu) and the destination (storescp that keeps nothing) are the same for all."""

import contextlib
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydicom.uid import generate_uid

from tests.bench.table import Row
from tests.support import dcmtk
from tests.support import live as live_server
from tests.support.postgres import free_port
from tests.support.sender import Prepared, Sender, make_ct, renumber
from tests.support.waiting import eventually

OBJECTS = int(os.environ.get("FILMROOM_BENCH_MOVED", "500"))
CALLER = "BENCHSCU"


@contextlib.contextmanager
def orthanc(folder: Path, nodelay: bool, destination: int) -> Iterator[int]:
    """Its DICOM port; it knows the destination as DEST and lets the caller move."""
    port = free_port()
    folder.mkdir()
    nodes = {"dest": ["DEST", "127.0.0.1", destination], "caller": [CALLER, "127.0.0.1", 104]}
    settings = {
        "StorageDirectory": str(folder / "db"),
        "IndexDirectory": str(folder / "db"),
        "DicomPort": port,
        "HttpPort": free_port(),
        "DicomAet": "ORTHANC",
        "DicomCheckCalledAet": False,
        "DicomModalities": nodes,
        "Plugins": [],
    }
    (folder / "orthanc.json").write_text(json.dumps(settings))
    process = subprocess.Popen(
        ["Orthanc", str(folder / "orthanc.json")],
        env=os.environ | (dcmtk.QUICK if nodelay else {}),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        eventually(lambda: dcmtk.echoscu(port, "ORTHANC", CALLER).code == 0, "Orthanc answers")
        yield port
    finally:
        process.terminate()
        process.wait()


def fill(port: int, called: str, objects: Sequence[Prepared]) -> None:
    sender = Sender(port, called=called)
    for item in objects:
        status, comment = sender.send(item)
        if status != 0:
            raise RuntimeError(f"status {status:04X} {comment}")
    sender.release()


def moved(program: str, port: int, called: str, study: str, *options: str) -> float:
    """Objects a second of one retrieval, the caller's start included; RuntimeError unless all of them came."""
    command = [program, "-v", "-S", "-aet", CALLER, "-aec", called, *options, "-k", "QueryRetrieveLevel=STUDY"]
    command += ["-k", f"StudyInstanceUID={study}", "127.0.0.1", str(port)]
    started = time.perf_counter()
    done = subprocess.run(command, env=os.environ | dcmtk.QUICK, capture_output=True, timeout=300, check=False)
    seconds = time.perf_counter() - started
    words = (done.stdout + done.stderr).decode("utf-8", "replace")
    if done.returncode or "Success" not in words:
        raise RuntimeError(f"{program}: {words[-500:]}")
    return OBJECTS / seconds


def run() -> list[Row]:
    study, series = generate_uid(), generate_uid()
    template = make_ct(study, series, 1)
    objects = [renumber(template, f"{template.sop_instance_uid[:-6]}{n:06d}") for n in range(OBJECTS)]
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as name,
        dcmtk.storescp(Path(name) / "scp", "--ignore", "-pdu", "131072", title="DEST") as destination,
        live_server.running(Path(name) / "data") as live,
        orthanc(Path(name) / "slow", False, destination) as slow,
        orthanc(Path(name) / "tuned", True, destination) as tuned,
    ):
        with live.client() as client:
            for title, port in (("DEST", destination), (CALLER, 104)):
                body = {"name": title.lower(), "ae_title": title, "host": "127.0.0.1", "port": port}
                client.post("/api/v1/nodes", json=body).raise_for_status()
        ports = {"ours": (live.dicom_port, "FILMROOM"), "orthanc": (slow, "ORTHANC"), "tuned": (tuned, "ORTHANC")}
        for port, called in ports.values():
            fill(port, called, objects)
        rows = []
        for program, options, name in (
            ("movescu", ("-aem", "DEST"), "C-MOVE"),
            ("getscu", ("--ignore",), "C-GET"),
        ):
            figures: dict[str, list[float]] = {who: [] for who in ports}
            for _ in range(3):  # in turn, so that a noisy neighbour meets all of them
                for who, (port, called) in ports.items():
                    figures[who].append(moved(program, port, called, study, *options))
            best = {who: max(values) for who, values in figures.items()}
            what = f"{name} of a study of {OBJECTS} CT, 525 KB each"
            rows += [
                Row("move", what, best["ours"], "obj/s", "Orthanc, defaults", best["orthanc"]),
                Row("move", what, best["ours"], "obj/s", "Orthanc, TCP_NODELAY=1", best["tuned"]),
            ]
    return rows
