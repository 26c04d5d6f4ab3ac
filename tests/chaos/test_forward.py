"""Store and forward through every fault we know (FWD-2): ten senders, two destinations, and a ledger.

At the end every acknowledged object is stored, byte for byte; it is at each destination at least once, byte for byte or,
at the one that wants JPEG-LS, pixel for pixel, or visibly waiting; it was sent again only when a fault may have swallowed the answer or its record; and nothing is
marked as sent that its destination did not answer with success. `make chaos` runs it with FILMROOM_CHAOS_FAULTS=N."""

import hashlib
import os
import random
import shutil
import subprocess
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import httpx
import pytest
from pydicom.uid import generate_uid
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app import config as boot
from app.archive.models import Instance
from app.db import open_database
from app.forward.models import Transfer, TransferInstance, TransferSlot
from app.kit.clock import now
from app.nodes.models import Node
from tests.chaos.faults import Destination, Storm, clock_environment
from tests.chaos.ledger import Ledger
from tests.chaos.pacs import of_pixels
from tests.support import live as live_server
from tests.support.live import Live
from tests.support.sender import Prepared, Sender, make_ct, renumber
from tests.support.waiting import eventually, pace

FAULTS = int(os.environ.get("FILMROOM_CHAOS_FAULTS", "30"))
SENDERS = 10
SIDE = 48  # pixels
DRAIN = 360.0  # seconds all that waits may take to go out once it is calm
NEAR = 3.0  # seconds: an answer or its record can only be lost by a fault as near as this


@contextmanager
def _small_disk(folder: Path) -> Iterator[Path]:
    """A file system of its own that can be filled without harming anybody."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=700m", "filmroom-chaos", str(folder)], check=True)
    try:
        yield folder
    finally:
        shutil.copytree(folder / "data" / "logs", folder.parent / "logs")  # for who looks into a failure
        shutil.copy(folder / "data.log", folder.parent)
        subprocess.run(["umount", "-l", str(folder)], check=True)


def _send(port: int, number: int, stop: threading.Event, ledger: Ledger) -> None:
    """A modality: an object again and again until it is acknowledged; a new study every forty objects."""
    sender: Sender | None = None
    item: Prepared | None = None
    template, count = None, 0
    while not stop.is_set():
        try:
            if item is None:
                if count % 40 == 0:
                    template = make_ct(generate_uid(), generate_uid(), 1, size=SIDE, patient_id=f"STORM{number}")
                assert template is not None
                item = renumber(template, f"{template.sop_instance_uid[:-6]}{count:06d}")
                count += 1
                ledger.offered[item.sop_instance_uid] = hashlib.sha256(item.data).hexdigest()
                ledger.pixels[item.sop_instance_uid] = of_pixels(
                    item.sop_instance_uid, f"STORM{number}", item.data[-SIDE * SIDE * 2 :]
                )
            sender = sender or Sender(port, timeout=10, calling=f"MOD{number}")
            status, _ = sender.send(item)
            if status == 0:
                ledger.acknowledged.add(item.sop_instance_uid)
                item = None
            pace(0.2 if status == 0 else 0.5)
        except (OSError, ConnectionError):
            ledger.faults += 1
            sender = None
            pace(0.2)
    if sender:
        sender.abort()


def _prepare(live: Live, destinations: list[Destination]) -> None:
    with live.client() as client:
        for one in destinations:
            node = {
                "name": one.title,
                "ae_title": one.title,
                "host": "127.0.0.1",
                "port": one.port,
                "capabilities": ["store"],
                "transfer_syntax": one.transfer_syntax,
            }
            client.post("/api/v1/nodes", json=node | {"retries": 20, "retry_forever": True}).raise_for_status()
        whens = ({"kind": "object"}, {"kind": "settled", "quiet": 2})
        for one, when in zip(destinations, whens, strict=True):
            route = {"name": f"to {one.title}", "when": when, "actions": [{"do": "send", "nodes": [one.title]}]}
            client.post("/api/v1/routes", json=route | {"enabled": True, "untested": True}).raise_for_status()


def _storm(live: Live, storm: Storm, ledger: Ledger) -> None:
    stop = threading.Event()
    senders = [threading.Thread(target=_send, args=(live.dicom_port, n, stop, ledger)) for n in range(SENDERS)]
    for thread in senders:
        thread.start()
    try:
        for _ in range(FAULTS):
            storm.strike()
            pace(storm.dice.uniform(0.0, 0.2))
    finally:
        storm.calm()
        try:  # a slow machine may have had no time between the faults
            eventually(lambda: len(ledger.acknowledged) > 10 * SENDERS, "objects are acknowledged", seconds=120)
            pace(3)  # the senders go on for a while without faults
        finally:
            stop.set()
        for thread in senders:
            thread.join()


def _arrived(one: Destination) -> dict[str, list[tuple[float, str, str]]]:
    """SOP Instance UID -> (moment, digest, status) of each time it came."""
    found: dict[str, list[tuple[float, str, str]]] = defaultdict(list)
    for line in one.ledger.read_text().splitlines():
        moment, uid, digest, status = line.split()
        found[uid].append((float(moment), digest, status))
    return found


def _drained(live: Live, ledger: Ledger, destinations: list[Destination]) -> bool:
    """Waits until each destination has everything; dead letters are sent again as a person would, by one click."""
    until = time.monotonic() + DRAIN
    while time.monotonic() < until:
        arrived = [
            {uid for uid, came in _arrived(one).items() if any(s == "0000" for _, _, s in came)} for one in destinations
        ]
        if all(ledger.acknowledged <= there for there in arrived):
            return True
        try:
            with live.client() as client:
                client.post("/api/v1/transfers/retry", json={"all": True})
        except httpx.HTTPError:
            pass
        pace(2)  # between two clicks
    return False


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_store_and_forward_loses_nothing_and_never_lies(tmp_path: Path) -> None:
    seed = int(os.environ.get("FILMROOM_CHAOS_SEED", "1"))
    ledger = Ledger()
    destinations = [Destination("PACS1", tmp_path), Destination("PACS2", tmp_path, transfer_syntax="jpeg-ls")]
    environment = clock_environment(tmp_path)
    try:
        for one in destinations:
            one.start()
        with (
            _small_disk(tmp_path / "disk") as disk,
            live_server.running(disk / "data", environ=environment) as live,
        ):
            _prepare(live, destinations)
            storm = Storm(live, destinations, tmp_path, random.Random(seed))
            _storm(live, storm, ledger)
            live.wait_ready()
            whole = _drained(live, ledger, destinations)
            live.stop()
            _judge(disk / "data", ledger, destinations, storm, whole, seed)
    finally:
        for one in destinations:
            one.kill()


def _judge(data: Path, ledger: Ledger, destinations: list[Destination], storm: Storm, whole: bool, seed: int) -> None:
    config = boot.load({"data": data}, environ={})
    database = open_database(config)
    with database.read() as session:
        stored = {row.sop_instance_uid: row for row in session.scalars(select(Instance))}
        rows = session.execute(
            select(Node.name, TransferInstance.sop_instance_uid, TransferInstance.state)
            .join(Transfer, Transfer.id == TransferInstance.transfer_id)
            .join(Node, Node.id == Transfer.node_id)
        ).all()
        waiting = _waiting(session)
    database.dispose()
    missing = ledger.acknowledged - set(stored)
    assert not missing, f"seed {seed}: {len(missing)} acknowledged objects are gone"
    for uid, row in stored.items():
        content = (config.store / row.path).read_bytes()[row.data_set_offset :]
        assert hashlib.sha256(content).hexdigest() == ledger.offered[uid], f"seed {seed}: {uid} is stored differently"
    states: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for node, uid, state in rows:
        states[node][uid].add(state)
    moments = [moment for moment, _ in storm.log]
    for one in destinations:
        arrived = _arrived(one)
        good = {uid for uid, came in arrived.items() if any(status == "0000" for _, _, status in came)}
        whole_bytes = one.transfer_syntax == "stored"
        for uid, came in arrived.items():
            right = ledger.offered[uid] if whole_bytes else ledger.pixels[uid]
            assert {digest for _, digest, _ in came} == {right}, f"seed {seed}: {uid} came changed"
        unseen = {uid for uid in ledger.acknowledged - good if not states[one.title][uid]}
        assert not unseen, f"seed {seed}: {len(unseen)} objects neither reached {one.title} nor wait for it"
        lies = {uid for uid, found in states[one.title].items() if found & {"sent", "warned", "committed"}} - good
        assert not lies, f"seed {seed}: {len(lies)} objects are marked as sent to {one.title}, which never took them"
        repeats, odd = _repeats(arrived, moments)
        print(f"{one.title}: {len(good)} objects, {repeats} sent again after faults")
        assert not odd, f"seed {seed}: {len(odd)} objects went to {one.title} twice without a fault near: {odd[:5]}"
    faults: dict[str, int] = defaultdict(int)
    for _, what in storm.log[::2]:
        faults[what] += 1
    print(
        f"seed {seed}: {len(storm.log) // 2} faults {dict(faults)}, {len(ledger.acknowledged)} of {len(ledger.offered)} objects acknowledged"
    )
    assert whole, f"seed {seed}: not everything went out within {DRAIN:g} s of calm; what waits:\n{waiting}"
    assert len(ledger.acknowledged) > 10 * SENDERS, "the senders got through between the faults"


def _waiting(session: Session) -> str:
    """What had not gone out, for who looks into a failure: each transfer and what holds it."""
    held = session.execute(
        select(Transfer, TransferInstance.slot, TransferInstance.state, func.count())
        .join(TransferInstance, TransferInstance.transfer_id == Transfer.id)
        .where(TransferInstance.state.in_(("waiting", "failed")))
        .group_by(Transfer.id, TransferInstance.slot, TransferInstance.state)
    )
    lines = [
        f"{one.id} {one.state} due in {(one.run_after - now()).total_seconds():.0f} s, {one.faults} faults,"
        f" {one.total} objects, committing {one.committing}: {count} {state}, slot {slot}; {one.error}"
        for one, slot, state, count in held
    ]
    slots = [
        f"slot {one.number} of {one.node_id}: {one.owner}, {one.heartbeat_at}"
        for one in session.scalars(select(TransferSlot))
    ]
    return "\n".join(lines + slots)


def _repeats(arrived: dict[str, list[tuple[float, str, str]]], moments: list[float]) -> tuple[int, list[str]]:
    """How often an object came again after it had been taken, and those for which no fault was near its first coming."""
    count, odd = 0, []
    for uid, came in arrived.items():
        taken = [moment for moment, _, status in came if status == "0000"]
        for earlier, _ in pairwise(taken):
            count += 1
            if not any(-NEAR <= moment - earlier <= NEAR for moment in moments):
                odd.append(uid)
    return count, odd
