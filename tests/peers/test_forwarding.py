"""When things go, and the queue's verbs on both databases."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update

from app.archive import holds
from app.config import Config
from app.db import Database
from app.forward import claims, journal, queue_queries, transfers
from app.forward.journal import DeliveryAnswer
from app.forward.models import Transfer, TransferInstance
from app.forward.schedule import JITTER, PAUSES, SLOWLY, after_fault, in_window
from app.kit.clock import now
from app.kit.phrases import phrase
from app.security import SYSTEM
from tests.support.forward_queue import STUDY, Queue


def at(hour: int, minute: int = 0) -> datetime:
    """A moment of this server's local time."""
    return datetime(2026, 11, 21, hour, minute).astimezone().astimezone(UTC)


@pytest.mark.parametrize(
    ("window", "inside", "outside"),
    [
        ("22:00-06:00", [(22, 0), (23, 59), (0, 0), (5, 59)], [(6, 0), (12, 0), (21, 59)]),
        ("08:30-17:00", [(8, 30), (16, 59)], [(8, 29), (17, 0), (0, 0)]),
        ("", [(3, 0)], []),
        ("07:00-07:00", [(6, 59), (7, 0)], []),
    ],
)
def test_a_window_over_midnight_too(window: str, inside: list[tuple[int, int]], outside: list[tuple[int, int]]) -> None:
    assert all(in_window(window, at(*moment)) for moment in inside)
    assert not any(in_window(window, at(*moment)) for moment in outside)


def test_pauses_grow_and_end_or_go_on_slowly() -> None:
    assert after_fault(4, 3, for_ever=False).over
    for faults in (1, 2, 3):
        then = after_fault(faults, 3, for_ever=False)
        seconds = then.pause.total_seconds()
        assert not then.over and abs(seconds - PAUSES[faults - 1]) <= PAUSES[faults - 1] * JITTER
    slow = after_fault(400, 3, for_ever=True)
    assert not slow.over and slow.pause.total_seconds() >= SLOWLY * (1 - JITTER)
    assert len({after_fault(1, 3, for_ever=False).pause for _ in range(9)}) > 1, "not all at once"


@pytest.fixture
def queue(config: Config, database: Database) -> Iterator[Queue]:
    made = Queue(config, database)
    yield made
    made.archive.close()


def test_lanes_share_a_study_and_never_an_object(queue: Queue) -> None:
    transfer = queue.send()
    first, second = queue.slot(), queue.slot()
    assert first and second and first.number != second.number
    assert queue.slot() is None, "the node allows two"
    hands = [queue.take(first), queue.take(second), queue.take(first)]
    taken = [row.id for hand in hands for row in hand]
    assert [len(hand) for hand in hands] == [4, 4, 2] and len(set(taken)) == 10
    assert queue.take(second) == []
    for hand in hands:
        queue.record(hand)
    found = queue.get(transfer)
    assert (found.state, found.sent, found.attempts) == ("done", 10, 1)


def test_what_is_urgent_goes_first_and_then_what_is_older(queue: Queue) -> None:
    old, young, urgent = queue.send(), queue.send(), queue.send(priority=9)
    slot = queue.slot()
    assert [row.transfer_id for row in queue.take(slot, 10)] == [urgent] * 10
    assert [row.transfer_id for row in queue.take(slot, 15)] == [old] * 10 + [young] * 5


def test_many_small_transfers_are_one_batch(queue: Queue) -> None:
    made = [queue.send(sop_instance_uids=[f"{STUDY}.1.{n % 10}"]) for n in range(30)]
    rows = queue.take(queue.slot(), 25)
    assert [row.transfer_id for row in rows] == made[:25]
    queue.record(rows)
    assert {queue.get(one).state for one in made[:25]} == {"done"}


def test_a_paused_node_and_one_out_of_its_hours_get_nothing(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    queue.send()
    slot = queue.slot()
    queue.set(paused=True)
    assert queue.take(slot) == [] and queue.slot() is None
    queue.set(paused=False, window="22:00-06:00")
    moment = at(12)
    monkeypatch.setattr(claims, "now", lambda: moment)
    assert queue.take(slot) == [] and queue.slot() is None
    with queue.database.write() as session:
        session.execute(update(Transfer).values(run_after=at(0) - timedelta(days=2)))
    moment = at(23)
    assert len(queue.take(slot)) == 4


def test_a_dead_destination_costs_each_of_its_transfers_a_try_and_others_none(queue: Queue) -> None:
    one, more, other = queue.send(), queue.send(), queue.send("two")
    slot = queue.slot()
    assert slot is not None
    queue.take(slot)
    with queue.database.write() as session:
        claims.record_fault(session, slot, phrase("It is off."), [])
        claims.free_slot(session, slot)
    for transfer in (one, more):
        found = queue.get(transfer)
        assert (found.state, found.faults, found.error) == ("queued", 1, "It is off.") and found.run_after > now()
    assert queue.get(other).faults == 0 and len(queue.take(queue.slot("two"))) == 4


def test_while_another_lane_works_a_refused_association_costs_nothing(queue: Queue) -> None:
    transfer = queue.send()
    first, second = queue.slot(), queue.slot()
    queue.take(first)
    assert second is not None
    with queue.database.write() as session:
        claims.record_fault(session, second, phrase("Only one at a time."), [])
    assert queue.get(transfer).faults == 0


def test_the_object_in_flight_goes_last_and_is_given_up_alone(queue: Queue) -> None:
    transfer = queue.send()
    slot = queue.slot()
    assert slot is not None
    poison = queue.take(slot, 10)[0]
    for _ in range(4):
        with queue.database.write() as session:
            claims.record_fault(session, slot, phrase("It broke off."), [poison.id])
            claims.free_slot(session, slot)
            session.execute(update(Transfer).values(run_after=now()))
        slot = queue.slot()
        assert slot is not None
        rows = queue.take(slot, 3)
        assert poison.id not in [row.id for row in rows]
        queue.record(rows[:2])  # some progress each time, so the whole is not given up
    found = queue.get(transfer)
    assert (found.state, found.sent, found.failed) == ("running", 8, 1)


def test_for_ever_means_that_nothing_is_given_up(queue: Queue) -> None:
    queue.set(retry_forever=True, retries=0)
    transfer = queue.send()
    for _ in range(5):
        slot = queue.slot()
        assert slot is not None
        queue.take(slot)
        with queue.database.write() as session:
            claims.record_fault(session, slot, phrase("It is off."), [])
            claims.free_slot(session, slot)
            session.execute(update(Transfer).values(run_after=now()))
    assert (queue.get(transfer).state, queue.get(transfer).faults) == ("queued", 5)


def test_objects_are_added_in_batches_and_none_twice(queue: Queue) -> None:
    uids = [f"{STUDY}.1.{n}" for n in range(10)]

    def add(some: list[str], **more: bool) -> str:
        with queue.database.write() as session:
            made = transfers.append(session, SYSTEM, STUDY, "one", some, source="route:1", **more)
            return made.id

    first = add(uids[:4])
    assert add(uids[2:6]) == first and queue.get(first).total == 6
    queue.record(queue.take(queue.slot(), 10))
    assert queue.get(first).state == "done"
    assert add(uids[:6]) == first and queue.get(first).state == "done", (
        "after all destinations have received all objects"
    )
    assert add(uids) == first
    found = queue.get(first)
    assert (found.state, found.total, found.sent) == ("queued", 10, 6)
    assert add(uids[:1], again=True) == first and queue.get(first).sent == 5, "it has changed since"
    with queue.database.read() as session:
        assert len(session.scalars(select(TransferInstance)).all()) == 10
        assert holds.count(session, STUDY) == 1


def test_the_proof_names_what_every_destination_has(queue: Queue) -> None:
    one, two = queue.send("one"), queue.send("two")
    rows = queue.take(queue.slot("one"), 10)
    queue.record(rows[:5])
    queue.record(rows[5:6], "warned")
    queue.record(rows[6:7], "there")
    rows = queue.take(queue.slot("two"), 10)
    queue.record(rows[:4])
    queue.record(rows[4:], "failed")
    with queue.database.read() as session:
        alone, both = transfers.delivered(session, [one]), transfers.delivered(session, [one, two])
        nothing = transfers.delivered(session, [one, "no such transfer"])
    assert (len(alone.safe), len(alone.missing), alone.complete) == (6, 4, False)
    assert (len(both.safe), len(both.missing)) == (4, 6) and not nothing.complete and not nothing.safe
    queue.set(commitment=True)
    with queue.database.read() as session:
        assert transfers.delivered(session, [one]).safe == frozenset(), "it has committed nothing"


def test_what_a_dead_worker_held_is_given_back_once(queue: Queue) -> None:
    transfer = queue.send()
    slot = queue.slot(owner="elsewhere:1")
    assert slot is not None
    rows = queue.take(slot)
    journal.Journal(journal.journal_path(queue.config.run, slot.node_id, slot.number)).write(
        DeliveryAnswer(rows[0].id, "sent", 0, None)
    )
    with queue.database.write() as session:
        claims.record_answers(
            session, journal.read_journal(journal.journal_path(queue.config.run, slot.node_id, slot.number))
        )
        assert claims.free_slot(session, slot)
        assert not claims.free_slot(session, slot), "somebody has done so"
    again = queue.slot(owner="here:2")
    assert {row.id for row in queue.take(again, 20)} == {row.id for row in rows[1:]} | set(_others(queue, rows))
    assert queue.get(transfer).sent == 1


def _others(queue: Queue, rows: list[queue_queries.WaitingObject]) -> list[int]:
    with queue.database.read() as session:
        return [one for one in session.scalars(select(TransferInstance.id)) if one not in {row.id for row in rows}]


def test_a_cancelled_transfer_is_seen_by_the_lane_and_taken_up_again_whole(queue: Queue) -> None:
    transfer = queue.send()
    slot = queue.slot()
    assert slot is not None
    rows = queue.take(slot)
    with queue.database.write() as session:
        transfers.cancel_transfer(session, queue.admin, transfer)
        assert claims.stopped_transfers(session, [transfer]) == {transfer}
        assert holds.count(session, STUDY) == 0
    assert queue.take(slot) == []
    with queue.database.write() as session:
        transfers.retry_transfer(session, queue.admin, transfer)
    assert {row.id for row in queue.take(slot, 20)}.isdisjoint({row.id for row in rows}), "they are in somebody's hands"
    with queue.database.write() as session:
        claims.release_claimed(session, [row.id for row in rows])
    assert {row.id for row in queue.take(slot, 20)} == {row.id for row in rows}
