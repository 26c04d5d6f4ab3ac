"""C-STORE ingest at 1, 4, 10 and 20 associations: Filmroom (fsync and index commit before success), DCMTK storescp (writes
files, no fsync, no index) and Orthanc with its defaults and with TCP_NODELAY=1. The sender is the same for all."""

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from pydicom.uid import generate_uid

from tests.bench.table import Row
from tests.support import live as live_server
from tests.support.postgres import free_port
from tests.support.sender import Sender, make_ct, renumber
from tests.support.waiting import port_open

OBJECTS = int(os.environ.get("FILMROOM_BENCH_OBJECTS", "600"))


def push(port: int, called: str, associations: int, objects: int, nodelay: bool = True) -> float:
    """Objects per second over all associations, counted from the first byte to the last answer."""
    share = objects // associations
    ready = threading.Barrier(associations + 1)
    faults: list[BaseException] = []

    def work() -> None:
        try:
            study, series = generate_uid(), generate_uid()
            template = make_ct(study, series, 1)
            items = [renumber(template, f"{template.sop_instance_uid[:-6]}{n:06d}") for n in range(share)]
            sender = Sender(port, called=called, nodelay=nodelay)
            ready.wait()
            for item in items:
                status, comment = sender.send(item)
                if status != 0:
                    raise RuntimeError(f"status {status:04X} {comment}")
            sender.release()
        except BaseException as fault:
            faults.append(fault)
            ready.abort()

    threads = [threading.Thread(target=work) for _ in range(associations)]
    for thread in threads:
        thread.start()
    with contextlib.suppress(threading.BrokenBarrierError):
        ready.wait()
    started = time.perf_counter()
    for thread in threads:
        thread.join()
    if faults:
        raise faults[0]
    return share * associations / (time.perf_counter() - started)


@contextlib.contextmanager
def storescp() -> Iterator[int]:
    folder, port = tempfile.mkdtemp(prefix="bench-"), free_port()
    process = subprocess.Popen(
        ["storescp", "--fork", "-od", folder, "-pdu", "131072", str(port)],
        env=os.environ | {"TCP_NODELAY": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    time.sleep(0.5)  # until it listens: a connection without an association would be counted
    try:
        yield port
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def orthanc(nodelay: bool) -> Iterator[int]:
    folder, port, web = Path(tempfile.mkdtemp(prefix="bench-")), free_port(), free_port()
    settings = {
        "StorageDirectory": str(folder / "db"),
        "IndexDirectory": str(folder / "db"),
        "DicomPort": port,
        "HttpPort": web,
        "DicomAet": "ORTHANC",
        "DicomCheckCalledAet": False,
        "Plugins": [],
    }
    (folder / "orthanc.json").write_text(json.dumps(settings))
    environment = os.environ | ({"TCP_NODELAY": "1"} if nodelay else {})
    process = subprocess.Popen(
        ["Orthanc", str(folder / "orthanc.json")], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    port_open(port)
    time.sleep(0.5)  # it has ended with the connection of this probe
    try:
        yield port
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def run() -> list[Row]:
    rows = []
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        live_server.running(Path(folder) / "data") as live,
        storescp() as plain,
        orthanc(False) as slow,
        orthanc(True) as tuned,
    ):
        push(live.dicom_port, "FILMROOM", 1, 20)  # warm
        for associations in (1, 4, 10, 20):
            figures: dict[str, list[float]] = {"ours": [], "storescp": [], "orthanc": [], "tuned": []}
            for _ in range(3):  # in turn, so that a noisy neighbour meets all of them
                figures["ours"].append(push(live.dicom_port, "FILMROOM", associations, OBJECTS))
                figures["storescp"].append(push(plain, "STORESCP", associations, OBJECTS))
                figures["orthanc"].append(push(slow, "ORTHANC", associations, max(associations * 10, OBJECTS // 4)))
                figures["tuned"].append(push(tuned, "ORTHANC", associations, max(associations * 10, OBJECTS // 2)))
            best = {name: max(values) for name, values in figures.items()}
            name = f"525 KB CT, fsync and index, {associations} association(s)"
            rows += [
                Row("ingest", name, best["ours"], "obj/s", "DCMTK storescp (no fsync, no index)", best["storescp"]),
                Row("ingest", name, best["ours"], "obj/s", "Orthanc, defaults", best["orthanc"]),
                Row("ingest", name, best["ours"], "obj/s", "Orthanc, TCP_NODELAY=1", best["tuned"]),
            ]
        # A sender that leaves Nagle on, as most modalities do: it waits for the receiver's acknowledgements.
        ours = push(live.dicom_port, "FILMROOM", 1, OBJECTS, nodelay=False)
        theirs = push(slow, "ORTHANC", 1, OBJECTS // 4, nodelay=False)
        rows.append(
            Row("ingest", "525 KB CT, a sender with Nagle's algorithm", ours, "obj/s", "Orthanc, defaults", theirs)
        )
    return rows
