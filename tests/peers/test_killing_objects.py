"""An object that brings the worker down each time it is converted: it leaves the queue alone, and nothing waits behind it
(OPS-8). The process really dies, in the midst of the codec's work."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import select

from app.config import Config
from app.db import Database
from app.forward import transcode_sweep
from app.forward.forwarder import Forwarder
from app.forward.models import TransferInstance
from tests.support import dcmtk
from tests.support.forward_queue import STUDY, Queue
from tests.support.live import ROOT
from tests.support.waiting import eventually

POISON = f"{STUDY}.1.3"

# A worker's forward queue in a process of its own, whose codec dies of one object and works for all others.
WORKER = """
import os, signal, sys, time
from app import config as boot
from app.archive import Archive
from app.db import open_database
from app.kit import rolestate
from app.forward import transcode
from app.forward.forwarder import Forwarder

config = boot.load({"data": sys.argv[1], "database_url": sys.argv[2]}, environ={})
real = transcode.transcode_dataset
def dying(source, target, made):
    if sys.argv[3].encode() in source.read_bytes():
        os.kill(os.getpid(), signal.SIGKILL)
    real(source, target, made)
transcode.transcode_dataset = dying
database = open_database(config)
forwarder = Forwarder(config, database, Archive(config, database), rolestate.process_name())
forwarder.start()
sys.stdin.read()
"""


def _state(queue: Queue, uid: str) -> TransferInstance:
    with queue.database.read() as session:
        return session.scalars(select(TransferInstance).where(TransferInstance.sop_instance_uid == uid)).one()


@pytest.mark.peer
def test_an_object_that_kills_the_worker_is_given_up_alone(config: Config, database: Database, tmp_path: Path) -> None:
    queue = Queue(config, database)
    arguments = (str(config.data), config.database_url, POISON)
    with dcmtk.storescp(tmp_path / "scp", "+xa") as port:
        for_ever = {"retries": 2, "retry_forever": True}  # not even then
        queue.set(port=port, ae_title="STORESCP", transfer_syntax="rle", parallel=1, **for_ever)
        transfer = queue.send()
        deaths = 0
        until = time.monotonic() + 120
        while queue.get(transfer).state in ("queued", "running"):
            worker = subprocess.Popen([sys.executable, "-c", WORKER, *arguments], cwd=ROOT, stdin=subprocess.PIPE)
            try:
                eventually(
                    lambda: worker.poll() is not None or queue.get(transfer).state not in ("queued", "running"),  # noqa: B023
                    "the worker ends or the transfer does",
                    seconds=until - time.monotonic(),
                )
            finally:
                dead = worker.poll() is not None
                worker.kill()
                worker.wait()
            deaths += dead
    assert deaths == 3, "the first try and two more"
    found = queue.get(transfer)
    assert (found.state, found.sent, found.failed) == ("failed", 9, 1)
    poison = _state(queue, POISON)
    assert poison.state == "failed" and "The worker stopped" in (poison.message or "")
    assert len(list((tmp_path / "scp").iterdir())) == 9, "all the others arrived"
    assert list(config.run.glob(f"{transcode_sweep.PREFIX}*")) == []
    queue.archive.close()


def test_who_dies_while_it_only_sends_costs_no_object_a_try(config: Config, database: Database) -> None:
    queue = Queue(config, database)
    queue.send()
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    from app.kit import rolestate

    slot = queue.slot(owner=f"{rolestate.machine_name()}:{int(gone.stdout)}")
    rows = queue.take(slot)
    assert rows
    Forwarder(config, database, queue.archive, rolestate.process_name()).release_dead()
    again = queue.take(queue.slot(owner=rolestate.process_name()))
    assert [row.id for row in again] == [row.id for row in rows], "they are free, and in the same order"
    with database.read() as session:
        assert {one.tries for one in session.scalars(select(TransferInstance))} == {0}
    queue.archive.close()
