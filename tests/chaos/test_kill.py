"""`kill -9` of any role while ten senders push: what was answered with success is there, byte for byte, and nothing
else is half there (OPS-7)."""

import hashlib
import os
import random
import signal
import threading
from pathlib import Path

import pytest
from pydicom.uid import generate_uid
from sqlalchemy import select

from app import config as boot
from app.archive.models import Instance
from app.db import open_database
from tests.chaos.ledger import Ledger
from tests.support import live as live_server
from tests.support.sender import Prepared, Sender, make_ct, renumber
from tests.support.waiting import eventually, pace

KILLS = int(os.environ.get("FILMROOM_CHAOS_KILLS", "15"))
SENDERS = 10


def _send_for_ever(port: int, number: int, stop: threading.Event, ledger: Ledger) -> None:
    study, series = generate_uid(), generate_uid()
    # Big enough to span several PDUs, so that a kill can hit the middle of an object.
    template = make_ct(study, series, 1, size=256 if number % 2 else 64, patient_id=f"CHAOS{number}")
    base, count = template.sop_instance_uid[:-6], 0
    sender: Sender | None = None
    item: Prepared | None = None
    while not stop.is_set():
        try:
            sender = sender or Sender(port, timeout=10)
            if item is None:
                item = renumber(template, f"{base}{count:06d}")
                count += 1
                ledger.offered[item.sop_instance_uid] = hashlib.sha256(item.data).hexdigest()
            status, _ = sender.send(item)
            if status == 0:
                ledger.acknowledged.add(item.sop_instance_uid)
                item = None
            pace(0.005)
        except (OSError, ConnectionError):
            ledger.faults += 1  # the object in flight is offered again, as a modality would
            sender = None
            pace(0.1)
    if sender:
        sender.abort()


def _stored_digest(path: Path, offset: int) -> str:
    with path.open("rb") as handle:
        handle.seek(offset)
        return hashlib.file_digest(handle, "sha256").hexdigest()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_nothing_acknowledged_is_lost_however_often_roles_are_killed(tmp_path: Path) -> None:
    seed = int(os.environ.get("FILMROOM_CHAOS_SEED", "1"))
    dice = random.Random(seed)
    ledger, stop, kills = Ledger(), threading.Event(), 0
    with live_server.running(tmp_path / "data") as live:
        senders = [
            threading.Thread(target=_send_for_ever, args=(live.dicom_port, n, stop, ledger)) for n in range(SENDERS)
        ]
        for thread in senders:
            thread.start()
        try:
            while kills < KILLS:
                pace(dice.uniform(0.2, 0.8))
                role = dice.choice(["dicom", "dicom", "web", "worker"])
                for pid in live.role_pids(role)[:1]:
                    os.kill(pid, signal.SIGKILL)
                    kills += 1
            # A slow machine may have had no time between the kills.
            eventually(lambda: len(ledger.acknowledged) > 10 * SENDERS, "objects are acknowledged", seconds=120)
            pace(1)  # the senders go on for a while without kills
        finally:
            stop.set()
            for thread in senders:
                thread.join()
        live.wait_ready()
        print(
            f"seed {seed}: {kills} kills, {len(ledger.acknowledged)} of {len(ledger.offered)} acknowledged, {ledger.faults} broken associations"
        )
    assert kills == KILLS
    assert len(ledger.acknowledged) > 10 * SENDERS, "the senders got through between the kills"
    _check(live.data, ledger)


def _left(store: Path) -> list[Path]:
    """Temporary files that no sweep has cleared away."""
    return [p for p in (store / ".incoming").rglob("*") if p.is_file() and p.name != "lock"]


def _check(data: Path, ledger: Ledger) -> None:
    """A last start sweeps what the kills left behind; then index, files and ledger must agree."""
    with live_server.running(data) as live:
        live.wait_ready()
        config = boot.load({"data": data}, environ={})
        # The sweep runs beside the first callers; a busy disk may keep it for a while.
        eventually(lambda: _left(config.store), "nothing temporary is left", until=lambda left: not left)
    database = open_database(config)
    with database.read() as session:
        rows = {row.sop_instance_uid: row for row in session.scalars(select(Instance))}
    database.dispose()
    missing = ledger.acknowledged - set(rows)
    assert not missing, f"{len(missing)} acknowledged objects are gone"
    wrong = [
        uid
        for uid, row in rows.items()
        if _stored_digest(config.store / row.path, row.data_set_offset) != ledger.offered.get(uid)
    ]
    assert not wrong, f"{len(wrong)} stored objects differ from what was sent"
    files = {str(path.relative_to(config.store)) for path in config.store.rglob("*") if path.is_file()}
    known = {row.path for row in rows.values()}
    assert files == known, (
        f"files without a row: {sorted(files - known)[:5]}, rows without a file: {sorted(known - files)[:5]}"
    )
