"""What waits for a node out of reach goes when it proves alive: bounded, at no cost, and nothing else with it."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from app.config import Config
from app.db import Database
from app.forward import claims, waking
from app.forward.models import Transfer
from app.kit.clock import now
from app.kit.phrases import NOTHING, phrase
from app.nodes import admission, service
from app.nodes.models import Node
from app.worker import Worker
from tests.support import dcmtk
from tests.support.client import actor
from tests.support.dimse import Station
from tests.support.forward_queue import Queue
from tests.support.postgres import free_port
from tests.support.transferring import fill_archive, order_transfer, transfer_shown, work_until_idle

LATER = timedelta(minutes=9)


@pytest.fixture
def queue(config: Config, database: Database) -> Iterator[Queue]:
    made = Queue(config, database)
    yield made
    made.archive.close()


def _fail(queue: Queue, flying: bool = False, unreached: bool = True) -> None:
    """One try of the node fails."""
    slot = queue.slot()
    assert slot is not None
    rows = queue.take(slot)
    with queue.database.write() as session:
        claims.record_fault(session, slot, phrase("It is off."), [rows[0].id] if flying else [], unreached=unreached)
        claims.free_slot(session, slot)


def _put_off(database: Database) -> datetime:
    """The pauses have grown long; the fault is some time ago."""
    until = now() + LATER
    with database.write() as session:
        session.execute(update(Transfer).where(Transfer.state == "queued").values(run_after=until))
        session.execute(update(Node).values(last_fault_at=now() - timedelta(minutes=1)))
    return until


def _wake(queue: Queue, how: waking.Alive = waking.TESTED) -> int:
    with queue.database.write() as session:
        node = session.get(Node, queue.node("one"))
        assert node is not None
        return waking.wake_transfers(session, node, how)


def test_a_few_go_first_and_what_is_delivered_brings_the_rest(queue: Queue) -> None:
    made = [queue.send() for _ in range(waking.TESTED.most + 7)]
    _fail(queue)
    _put_off(queue.database)
    assert _wake(queue) == waking.TESTED.most
    due = [one for one in made if queue.get(one).run_after <= now()]
    assert due == made[: waking.TESTED.most], "the oldest first"
    assert _wake(queue, waking.DELIVERED) == 7
    assert all(queue.get(one).run_after <= now() for one in made)


def test_an_early_try_that_fails_costs_nothing_and_waits_as_before(queue: Queue) -> None:
    transfer = queue.send()
    _fail(queue)
    until = _put_off(queue.database)
    for _ in range(6):  # more often than a transfer may fail
        assert _wake(queue) == 1
        _fail(queue)
        found = queue.get(transfer)
        assert (found.state, found.faults, found.run_after) == ("queued", 1, until)
    with queue.database.write() as session:  # when its moment has come, a try is a try
        session.execute(update(Transfer).values(run_after=now()))
    _fail(queue)
    assert queue.get(transfer).faults == 2


def test_what_an_object_or_a_full_disk_held_up_keeps_its_pause(queue: Queue) -> None:
    queue.send()
    _fail(queue, flying=True)
    _put_off(queue.database)
    assert _wake(queue) == 0
    with queue.database.write() as session:
        session.execute(update(Transfer).values(run_after=now()))
    _fail(queue, unreached=False)
    _put_off(queue.database)
    assert _wake(queue) == 0


def test_paused_and_dead_ones_stay_where_they_are(queue: Queue) -> None:
    queue.set(retries=0)
    dead = queue.send()
    _fail(queue)
    queue.set(retries=3)
    stopped = queue.send()
    _fail(queue)
    until = _put_off(queue.database)
    with queue.database.write() as session:
        service.pause_node(session, queue.admin, "one", True)
    assert _wake(queue) == 0 and queue.get(stopped).run_after == until
    with queue.database.write() as session:
        service.pause_node(session, queue.admin, "one", False)
    queue.set(enabled=False)
    assert _wake(queue) == 0
    queue.set(enabled=True)
    assert _wake(queue) == 1
    assert queue.get(dead).state == "failed"


def test_a_node_that_calls_but_takes_nothing_is_not_tried_with_each_call(queue: Queue) -> None:
    queue.send()
    _fail(queue)  # just now
    with queue.database.write() as session:
        session.execute(update(Transfer).values(run_after=now() + LATER))
    assert _wake(queue, waking.CALLED) == 0 and _wake(queue, waking.ANSWERED) == 0
    _put_off(queue.database)
    assert _wake(queue, waking.CALLED) == 1


def test_each_proof_is_followed_once_also_by_a_worker_that_starts_later(queue: Queue) -> None:
    queue.send()
    _fail(queue)
    _put_off(queue.database)
    running = waking.Position()
    assert waking.process_proofs(queue.database, running) == 0
    with queue.database.write() as session:
        service.record_outcome(session, queue.node("one"), NOTHING, "called")
    assert waking.process_proofs(queue.database, running) == 1
    _put_off(queue.database)
    assert waking.process_proofs(queue.database, running) == 0, "the proof is followed already"
    assert waking.process_proofs(queue.database, waking.Position()) == 1, "a killed worker may not have followed it"


@pytest.mark.peer
@pytest.mark.parametrize("how", ["tested", "called"])
def test_a_pacs_that_is_back_gets_its_studies_at_once(
    receiver: Station,
    worker: Worker,
    peopled: Database,
    sqlite_config: Config,
    shared_data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    how: str,
) -> None:
    """It was off; then it answers a test, or calls us itself: nobody waits for the pause."""
    fill_archive(receiver, shared_data / "codecs/wg04/ct1/ct1_uncompressed.dcm", 3, tmp_path)
    port = free_port()
    transfer_id = order_transfer(peopled, port)
    work_until_idle(worker)
    assert transfer_shown(peopled, transfer_id)["waits_for_node"]
    _put_off(peopled)
    with dcmtk.storescp(tmp_path / "scp", port=port):
        if how == "tested":
            assert service.probe_node(peopled, actor(peopled, "admin"), "pacs", sqlite_config).ok
        else:
            monkeypatch.setattr(admission, "_told", {})
            assert dcmtk.echoscu(receiver.port, calling="STORESCP").code == 0
        assert waking.process_proofs(peopled, waking.Position()) == 1
        work_until_idle(worker)
    found = transfer_shown(peopled, transfer_id)
    assert (found["state"], found["sent"], found["waits_for_node"]) == ("done", 3, False)
