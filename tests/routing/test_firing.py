"""From an arrival to what leaves: every object is put to every route exactly once, whatever happens in between."""

import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from sqlalchemy import select

from app.archive import Source
from app.archive import service as archive
from app.archive.models import Instance
from app.forward import transfers as forwarding
from app.forward.models import Transfer, TransferInstance
from app.kit.errors import Conflict
from app.routing import arrivals, service
from app.routing.errors import NotTested
from app.routing.rule import WEEKDAYS
from app.security import SYSTEM
from app.security.queries import facilities
from tests.archive.make import ct, part10
from tests.routing.conftest import Clock, House
from tests.support import dcmtk
from tests.support.dimse import data_set_of

STUDY = "1.2.3.1"
CT = {"items": [{"field": "Modality", "value": "CT"}]}


def send(*nodes: str, back: bool = False) -> dict[str, object]:
    return {"do": "send", "nodes": list(nodes), "back": back}


def transfers(house: House) -> list[Transfer]:
    with house.database.read() as session:
        return list(session.scalars(select(Transfer).order_by(Transfer.id)))


def to_send(house: House) -> list[str]:
    with house.database.read() as session:
        return list(session.scalars(select(TransferInstance.sop_instance_uid).order_by(TransferInstance.id)))


@pytest.mark.peer
def test_a_settled_study_goes_where_its_route_says_byte_for_byte(house: House, clock: Clock, tmp_path: Path) -> None:
    with dcmtk.storescp(tmp_path / "scp") as port:
        house.node("pacs", port)
        route = house.route("all CT", send("pacs"), conditions=CT)
        for number in range(3):
            house.put(sop=f"{STUDY}.1.{number}")
        house.put(sop="1.2.4.1.1", study="1.2.4", series="1.2.4.1", Modality="MR")
        house.turn()
        assert transfers(house) == []
        assert {run.state for run in house.runs()} == {"waiting"}
        clock(11)
        house.all_at_once()
    (run,) = house.runs(route)
    assert (run.state, run.objects, run.study_instance_uid) == ("done", 3, STUDY)
    got = {str(dcmread(path).SOPInstanceUID): path for path in (tmp_path / "scp").iterdir()}
    assert set(got) == {f"{STUDY}.1.{number}" for number in range(3)}
    with house.database.read() as session:
        for instance in session.scalars(select(Instance).where(Instance.sop_instance_uid.in_(got))):
            stored = (house.config.store / instance.path).read_bytes()[instance.data_set_offset :]
            assert data_set_of(got[instance.sop_instance_uid]) == stored
    found = house.get(route)
    assert (found.fired, found.objects) == (1, 3)
    assert found.last_fired_at is not None


def test_what_comes_later_fires_again_for_itself_alone(house: House, clock: Clock) -> None:
    house.node("pacs")
    route = house.route("all", send("pacs"))
    house.put(sop="1.2.3.1.1.1")
    house.turn()
    clock(11)
    house.turn()
    assert to_send(house) == ["1.2.3.1.1.1"]
    house.put(sop="1.2.3.1.1.2")
    house.put(sop="1.2.3.1.1.1")  # a duplicate is nothing new
    house.turn()
    clock(11)
    house.turn()
    assert to_send(house) == ["1.2.3.1.1.1", "1.2.3.1.1.2"]
    assert [run.objects for run in house.runs(route)] == [1, 1]


def test_quiet_is_each_routes_own_and_begins_anew_with_every_object(house: House, clock: Clock) -> None:
    house.node("pacs")
    slow = house.route("slow", send("pacs"), when={"kind": "settled", "quiet": 60})
    quick = house.route("quick", send("pacs"), when={"kind": "settled", "quiet": 5})
    house.put(sop="1.2.3.1.1.1")
    house.turn()
    clock(6)
    house.turn()
    assert [len(house.runs(r)) for r in (slow, quick)] == [1, 1]
    assert (house.runs(slow)[0].state, house.runs(quick)[0].state) == ("waiting", "sending")
    clock(50)
    house.put(sop="1.2.3.1.1.2")
    house.turn()
    clock(50)
    house.turn()
    assert house.runs(slow)[0].state == "waiting"
    clock(11)
    house.turn()
    assert (house.runs(slow)[0].state, house.runs(slow)[0].objects) == ("sending", 2)


@pytest.mark.parametrize(
    ("field", "op", "value", "other"),
    [
        ("calling", "is", "ct1", "ct2"),
        ("called", "wildcard", "WARD*", "FILMROOM"),
        ("facility", "is", "North", "South"),
        ("source", "one-of", ["dimse", "stow"], ["upload"]),
        ("node", "is", "scanner", "another"),
        ("time", "between", ["{-1h}", "{+1h}"], ["{+2h}", "{+3h}"]),
        ("weekday", "one-of", ["{+0d}", "{+1d}"], ["{+3d}", "{+4d}"]),
        ("StudyDescription", "contains", "chest", "skull"),
        ("0009xx01:FILMROOM_TEST", "is", "secret", "open"),
    ],
)
def test_where_an_object_came_from_and_when_decides(house: House, field: str, op: str, value: Any, other: Any) -> None:
    """FWD-1: titles, facility, node, interface and time of day of a real arrival; and any attribute, private ones too."""
    with house.database.read() as session:
        north = next(f.id for f in facilities(session) if f.name == "North")
    scanner = house.node("scanner", title="CT1")
    house.node("pacs")
    fires = house.route("fires", send("pacs"), when={"kind": "object"}, conditions=_one(field, op, value))
    silent = house.route("silent", send("pacs"), when={"kind": "object"}, conditions=_one(field, op, other))
    private = ct()
    private.private_block(0x0009, "FILMROOM_TEST", create=True).add_new(1, "LO", "secret")
    house.put(part10(private), Source("dimse", "CT1", "WARD1", facility_id=north, node_id=scanner))
    house.turn()
    assert [len(house.runs(route)) for route in (fires, silent)] == [1, 0]
    assert len(transfers(house)) == 1


def _one(field: str, op: str, value: Any) -> dict[str, Any]:
    return {"items": [{"field": field, "op": op, "value": _moments(value)}]}


def _moments(value: Any) -> Any:
    """`{+1h}` as a time of day, `{+1d}` as a weekday from now: this machine's, as conditions read them."""
    if isinstance(value, list):
        return [_moments(one) for one in value]
    if not (found := re.fullmatch(r"\{([+-]\d)([hd])\}", value)):
        return value
    moment = datetime.now().astimezone()
    if found[2] == "h":
        return (moment + timedelta(hours=int(found[1]))).strftime("%H:%M")
    return WEEKDAYS[(moment + timedelta(days=int(found[1]))).weekday()]


def test_an_object_route_does_not_wait(house: House) -> None:
    house.node("pacs")
    route = house.route("each", send("pacs"), when={"kind": "object"})
    house.put(sop="1.2.3.1.1.1")
    house.turn()
    house.put(sop="1.2.3.1.1.2")
    house.turn()
    assert to_send(house) == ["1.2.3.1.1.1", "1.2.3.1.1.2"]
    assert [run.state for run in house.runs(route)] == ["sending"] * 2


def test_a_conflict_is_not_routed_until_it_is_decided(house: House) -> None:
    house.node("pacs")
    house.route("each", send("pacs"), when={"kind": "object"})
    house.put(sop="1.2.3.1.1.1")
    assert house.put(sop="1.2.3.1.1.1", StudyDescription="Another").status == "conflict"
    house.turn()
    assert to_send(house) == ["1.2.3.1.1.1"]
    with house.database.write() as session:
        (conflict,) = archive.list_conflicts(session, house.admin)
        archive.decide_conflict(session, house.admin, conflict.id, "save-as-new")
    house.work("archive.carry_out")
    house.turn()
    assert len(to_send(house)) == 2


def test_nothing_goes_back_to_where_it_came_from_unless_the_route_says_so(house: House) -> None:
    node = house.node("pacs")
    house.node("other")
    once = house.route("away", send("pacs", "other"), when={"kind": "object"})
    house.put(source=Source("dimse", "PACS", "FILMROOM", node_id=node))
    house.turn()
    assert [house.get(once).fired, len(transfers(house))] == [1, 1]
    house.route("echo", send("pacs", back=True), when={"kind": "object"})
    house.put(sop="1.2.3.1.1.2", source=Source("dimse", "PACS", "FILMROOM", node_id=node))
    house.turn()
    assert len(to_send(house)) == 3


def test_a_route_that_stops_keeps_the_objects_from_those_below(house: House) -> None:
    house.node("pacs")
    first = house.route("CT only", send("pacs"), {"do": "stop"}, when={"kind": "object"}, conditions=CT)
    rest = house.route("the rest", send("pacs"), when={"kind": "object"})
    house.put(sop="1.2.3.1.1.1")
    house.put(sop="1.2.3.1.2.1", series="1.2.3.1.2", Modality="SR")
    house.turn()
    assert {(run.route_id, run.objects) for run in house.runs()} == {(first, 1), (rest, 1)}
    assert sorted(to_send(house)) == ["1.2.3.1.1.1", "1.2.3.1.2.1"]


def test_a_route_may_take_the_whole_study(house: House) -> None:
    house.node("pacs")
    house.route("with CT", send("pacs"), when={"kind": "object"}, take="study", conditions=CT)
    house.put(sop="1.2.3.1.1.1")
    house.put(sop="1.2.3.1.2.1", series="1.2.3.1.2", Modality="SR")
    house.turn()
    assert len(to_send(house)) == 2


def test_a_route_of_a_facility_sees_its_studies_only(house: House) -> None:
    with house.database.read() as session:
        north, south = sorted((f for f in facilities(session) if not f.home), key=lambda f: f.name)
    house.node("pacs")
    house.route("north", send("pacs"), when={"kind": "object"}, facility=north.id)
    house.put(sop="1.2.3.1.1.1", source=Source("dimse", facility_id=south.id))
    house.put(sop="1.2.5.1.1.1", study="1.2.5", series="1.2.5.1", source=Source("dimse", facility_id=north.id))
    house.turn()
    assert to_send(house) == ["1.2.5.1.1.1"]


def test_what_came_before_a_route_was_turned_on_is_left_alone(house: House) -> None:
    house.node("pacs")
    house.put(sop="1.2.3.1.1.1")
    house.route("each", send("pacs"), when={"kind": "object"})
    house.turn()
    assert to_send(house) == []


def test_a_schedule_waits_for_its_time_and_for_quiet(house: House, clock: Clock) -> None:
    house.node("pacs")
    route = house.route("hourly", send("pacs"), when={"kind": "schedule", "every": 60})
    house.put(sop="1.2.3.1.1.1")
    house.turn()
    (run,) = house.runs(route)
    assert run.due_at is not None and run.due_at.astimezone().minute == 0
    seconds = (run.due_at - run.created_at).total_seconds()
    clock(seconds - 5)
    house.turn()
    assert to_send(house) == []
    house.put(sop="1.2.3.1.1.2")
    clock(6)
    house.turn()
    house.turn()
    assert to_send(house) == []  # its last object came six seconds ago
    clock(6)
    house.turn()
    assert to_send(house) == ["1.2.3.1.1.1", "1.2.3.1.1.2"]


def test_by_hand_means_when_somebody_says_so(house: House, clock: Clock) -> None:
    house.node("pacs")
    route = house.route("manual", send("pacs"), when={"kind": "hand"})
    house.put()
    house.turn()
    clock(1e6)
    house.turn()
    assert to_send(house) == []
    with house.database.write() as session:
        assert service.fire_now(session, house.admin, route) == 1
    clock(1)
    house.turn()
    assert len(to_send(house)) == 1


def test_an_untested_route_is_not_turned_on(house: House) -> None:
    house.node("pacs")
    route = house.route("new", send("pacs"), on=False)
    with house.database.write() as session, pytest.raises(NotTested):
        service.switch_route(session, house.admin, route, True)
    with house.database.write() as session:
        service.mark_tested(session, house.admin, [route])
        service.switch_route(session, house.admin, route, True)
    with house.database.write() as session:
        service.update_route(session, house.admin, route, data={"actions": [send("pacs")], "take": "study"})
        assert service.queries.route(session, house.admin, route).tested_at is None


def test_a_run_that_fails_three_times_is_listed_and_blocks_nothing(house: House, clock: Clock) -> None:
    from app.nodes import service as peers
    from app.nodes.options import NodeValues

    house.node("pacs")
    house.node("good")
    bad = house.route("bad", send("pacs"), when={"kind": "object"})
    good = house.route("good", send("good"), when={"kind": "object"})
    with house.database.write() as session:
        peers.update_node(session, house.admin, "pacs", NodeValues(enabled=False))
    house.put()
    for _ in range(4):
        house.turn()
        clock(400)
    house.turn()
    assert house.runs(good)[0].state == "sending"
    (run,) = house.runs(bad)
    assert run.state == "failed" and "switched off" in (run.reason or "")
    with house.database.write() as session:
        peers.update_node(session, house.admin, "pacs", NodeValues(enabled=True))
        service.retry_run(session, house.admin, run.id)
    clock(1)
    house.turn()
    assert house.runs(bad)[0].state == "sending"
    with house.database.write() as session, pytest.raises(Conflict):
        service.drop_run(session, house.admin, run.id)


def test_an_object_deleted_and_sent_again_is_new(house: House) -> None:
    """SQLite gives the number of the newest row out again; the mark must not be fooled."""
    house.node("pacs")
    house.route("each", send("pacs"), when={"kind": "object"})
    for number in range(3):
        house.put(sop=f"1.2.3.1.1.{number}")
    house.turn()
    with house.database.write() as session, pytest.raises(Conflict):
        archive.delete_study(session, SYSTEM, STUDY)  # not while it is on its way
    with house.database.write() as session:
        for transfer in session.scalars(select(Transfer)):
            forwarding.cancel_transfer(session, SYSTEM, transfer.id)
        archive.delete_study(session, SYSTEM, STUDY)
    for number in range(3):
        house.put(sop=f"1.2.9.1.1.{number}", study="1.2.9", series="1.2.9.1")
    house.turn()
    assert len(to_send(house)) == 6
    assert len(set(to_send(house))) == 6


def test_two_workers_at_once_make_no_run_twice(house: House) -> None:
    import threading

    house.node("pacs")
    house.route("each", send("pacs"), when={"kind": "object"})
    for number in range(40):
        house.put(sop=f"1.2.3.1.1.{number}")
    threads = [threading.Thread(target=arrivals.run_once, args=(house.database,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    house.turn()
    assert len(to_send(house)) == 40
    assert len(set(to_send(house))) == 40
