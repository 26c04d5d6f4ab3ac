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
from app.forward.models import Transfer
from app.kit.errors import Conflict
from app.routing import arrivals, service
from app.routing.errors import NotTested
from app.routing.rule import WEEKDAYS
from app.security import SYSTEM
from app.security.queries import facilities
from tests.archive.make import ct, part10
from tests.routing.conftest import STUDY, Clock, Site, send, to_send
from tests.support import dcmtk
from tests.support.dimse import data_set_of

CT = {"items": [{"field": "Modality", "value": "CT"}]}


def transfers(site: Site) -> list[Transfer]:
    with site.database.read() as session:
        return list(session.scalars(select(Transfer).order_by(Transfer.id)))


@pytest.mark.peer
def test_a_settled_study_goes_where_its_route_says_byte_for_byte(site: Site, clock: Clock, tmp_path: Path) -> None:
    with dcmtk.storescp(tmp_path / "scp") as port:
        site.node("pacs", port)
        route = site.route("all CT", send("pacs"), conditions=CT)
        for number in range(3):
            site.put(sop=f"{STUDY}.1.{number}")
        site.put(sop="1.2.4.1.1", study="1.2.4", series="1.2.4.1", Modality="MR")
        site.turn()
        assert transfers(site) == []
        assert {run.state for run in site.runs()} == {"waiting"}
        clock(11)
        site.all_at_once()
    (run,) = site.runs(route)
    assert (run.state, run.objects, run.study_instance_uid) == ("done", 3, STUDY)
    got = {str(dcmread(path).SOPInstanceUID): path for path in (tmp_path / "scp").iterdir()}
    assert set(got) == {f"{STUDY}.1.{number}" for number in range(3)}
    with site.database.read() as session:
        for instance in session.scalars(select(Instance).where(Instance.sop_instance_uid.in_(got))):
            stored = (site.config.store / instance.path).read_bytes()[instance.data_set_offset :]
            assert data_set_of(got[instance.sop_instance_uid]) == stored
    found = site.get(route)
    assert (found.fired, found.objects) == (1, 3)
    assert found.last_fired_at is not None


def test_what_comes_later_fires_again_for_itself_alone(site: Site, clock: Clock) -> None:
    site.node("pacs")
    route = site.route("all", send("pacs"))
    site.put(sop="1.2.3.1.1.1")
    site.turn()
    clock(11)
    site.turn()
    assert to_send(site) == ["1.2.3.1.1.1"]
    site.put(sop="1.2.3.1.1.2")
    site.put(sop="1.2.3.1.1.1")  # a duplicate is nothing new
    site.turn()
    clock(11)
    site.turn()
    assert to_send(site) == ["1.2.3.1.1.1", "1.2.3.1.1.2"]
    assert [run.objects for run in site.runs(route)] == [1, 1]


def test_quiet_is_each_routes_own_and_begins_anew_with_every_object(site: Site, clock: Clock) -> None:
    site.node("pacs")
    slow = site.route("slow", send("pacs"), when={"kind": "settled", "quiet": 60})
    quick = site.route("quick", send("pacs"), when={"kind": "settled", "quiet": 5})
    site.put(sop="1.2.3.1.1.1")
    site.turn()
    clock(6)
    site.turn()
    assert [len(site.runs(r)) for r in (slow, quick)] == [1, 1]
    assert (site.runs(slow)[0].state, site.runs(quick)[0].state) == ("waiting", "sending")
    clock(50)
    site.put(sop="1.2.3.1.1.2")
    site.turn()
    clock(50)
    site.turn()
    assert site.runs(slow)[0].state == "waiting"
    clock(11)
    site.turn()
    assert (site.runs(slow)[0].state, site.runs(slow)[0].objects) == ("sending", 2)


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
def test_where_an_object_came_from_and_when_decides(site: Site, field: str, op: str, value: Any, other: Any) -> None:
    """FWD-1: titles, facility, node, interface and time of day of a real arrival; and any attribute, private ones too."""
    with site.database.read() as session:
        north = next(f.id for f in facilities(session) if f.name == "North")
    scanner = site.node("scanner", title="CT1")
    site.node("pacs")
    fires = site.route("fires", send("pacs"), when={"kind": "object"}, conditions=_one(field, op, value))
    silent = site.route("silent", send("pacs"), when={"kind": "object"}, conditions=_one(field, op, other))
    private = ct()
    private.private_block(0x0009, "FILMROOM_TEST", create=True).add_new(1, "LO", "secret")
    site.put(part10(private), Source("dimse", "CT1", "WARD1", facility_id=north, node_id=scanner))
    site.turn()
    assert [len(site.runs(route)) for route in (fires, silent)] == [1, 0]
    assert len(transfers(site)) == 1


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


def test_an_object_route_does_not_wait(site: Site) -> None:
    site.node("pacs")
    route = site.route("each", send("pacs"), when={"kind": "object"})
    site.put(sop="1.2.3.1.1.1")
    site.turn()
    site.put(sop="1.2.3.1.1.2")
    site.turn()
    assert to_send(site) == ["1.2.3.1.1.1", "1.2.3.1.1.2"]
    assert [run.state for run in site.runs(route)] == ["sending"] * 2


def test_a_conflict_is_not_routed_until_it_is_decided(site: Site) -> None:
    site.node("pacs")
    site.route("each", send("pacs"), when={"kind": "object"})
    site.put(sop="1.2.3.1.1.1")
    assert site.put(sop="1.2.3.1.1.1", StudyDescription="Another").status == "conflict"
    site.turn()
    assert to_send(site) == ["1.2.3.1.1.1"]
    with site.database.write() as session:
        (conflict,) = archive.list_conflicts(session, site.admin)
        archive.decide_conflict(session, site.admin, conflict.id, "save-as-new")
    site.work("archive.carry_out")
    site.turn()
    assert len(to_send(site)) == 2


def test_nothing_goes_back_to_where_it_came_from_unless_the_route_says_so(site: Site) -> None:
    node = site.node("pacs")
    site.node("other")
    once = site.route("away", send("pacs", "other"), when={"kind": "object"})
    site.put(source=Source("dimse", "PACS", "FILMROOM", node_id=node))
    site.turn()
    assert [site.get(once).fired, len(transfers(site))] == [1, 1]
    site.route("echo", send("pacs", back=True), when={"kind": "object"})
    site.put(sop="1.2.3.1.1.2", source=Source("dimse", "PACS", "FILMROOM", node_id=node))
    site.turn()
    assert len(to_send(site)) == 3


def test_a_route_that_stops_keeps_the_objects_from_those_below(site: Site) -> None:
    site.node("pacs")
    first = site.route("CT only", send("pacs"), {"do": "stop"}, when={"kind": "object"}, conditions=CT)
    rest = site.route("the rest", send("pacs"), when={"kind": "object"})
    site.put(sop="1.2.3.1.1.1")
    site.put(sop="1.2.3.1.2.1", series="1.2.3.1.2", Modality="SR")
    site.turn()
    assert {(run.route_id, run.objects) for run in site.runs()} == {(first, 1), (rest, 1)}
    assert sorted(to_send(site)) == ["1.2.3.1.1.1", "1.2.3.1.2.1"]


def test_a_route_may_take_the_whole_study(site: Site) -> None:
    site.node("pacs")
    site.route("with CT", send("pacs"), when={"kind": "object"}, take="study", conditions=CT)
    site.put(sop="1.2.3.1.1.1")
    site.put(sop="1.2.3.1.2.1", series="1.2.3.1.2", Modality="SR")
    site.turn()
    assert len(to_send(site)) == 2


def test_a_route_of_a_facility_sees_its_studies_only(site: Site) -> None:
    with site.database.read() as session:
        north, south = sorted((f for f in facilities(session) if not f.home), key=lambda f: f.name)
    site.node("pacs")
    site.route("north", send("pacs"), when={"kind": "object"}, facility=north.id)
    site.put(sop="1.2.3.1.1.1", source=Source("dimse", facility_id=south.id))
    site.put(sop="1.2.5.1.1.1", study="1.2.5", series="1.2.5.1", source=Source("dimse", facility_id=north.id))
    site.turn()
    assert to_send(site) == ["1.2.5.1.1.1"]


def test_what_came_before_a_route_was_turned_on_is_left_alone(site: Site) -> None:
    site.node("pacs")
    site.put(sop="1.2.3.1.1.1")
    site.route("each", send("pacs"), when={"kind": "object"})
    site.turn()
    assert to_send(site) == []


def test_a_schedule_waits_for_its_time_and_for_quiet(site: Site, clock: Clock) -> None:
    site.node("pacs")
    route = site.route("hourly", send("pacs"), when={"kind": "schedule", "every": 60})
    site.put(sop="1.2.3.1.1.1")
    site.turn()
    (run,) = site.runs(route)
    assert run.due_at is not None and run.due_at.astimezone().minute == 0
    seconds = (run.due_at - run.created_at).total_seconds()
    clock(seconds - 5)
    site.turn()
    assert to_send(site) == []
    site.put(sop="1.2.3.1.1.2")
    clock(6)
    site.turn()
    site.turn()
    assert to_send(site) == []  # its last object came six seconds ago
    clock(6)
    site.turn()
    assert to_send(site) == ["1.2.3.1.1.1", "1.2.3.1.1.2"]


def test_by_hand_means_when_somebody_says_so(site: Site, clock: Clock) -> None:
    site.node("pacs")
    route = site.route("manual", send("pacs"), when={"kind": "hand"})
    site.put()
    site.turn()
    clock(1e6)
    site.turn()
    assert to_send(site) == []
    with site.database.write() as session:
        assert service.fire_now(session, site.admin, route) == 1
    clock(1)
    site.turn()
    assert len(to_send(site)) == 1


def test_an_untested_route_is_not_turned_on(site: Site) -> None:
    site.node("pacs")
    route = site.route("new", send("pacs"), on=False)
    with site.database.write() as session, pytest.raises(NotTested):
        service.switch_route(session, site.admin, route, True)
    with site.database.write() as session:
        service.mark_tested(session, site.admin, [route])
        service.switch_route(session, site.admin, route, True)
    with site.database.write() as session:
        service.update_route(session, site.admin, route, data={"actions": [send("pacs")], "take": "study"})
        assert service.queries.route(session, site.admin, route).tested_at is None


def test_a_run_that_fails_three_times_is_listed_and_blocks_nothing(site: Site, clock: Clock) -> None:
    from app.nodes import service as peers
    from app.nodes.options import NodeValues

    site.node("pacs")
    site.node("good")
    bad = site.route("bad", send("pacs"), when={"kind": "object"})
    good = site.route("good", send("good"), when={"kind": "object"})
    with site.database.write() as session:
        peers.update_node(session, site.admin, "pacs", NodeValues(enabled=False))
    site.put()
    for _ in range(4):
        site.turn()
        clock(400)
    site.turn()
    assert site.runs(good)[0].state == "sending"
    (run,) = site.runs(bad)
    assert run.state == "failed" and "switched off" in (run.reason or "")
    with site.database.write() as session:
        peers.update_node(session, site.admin, "pacs", NodeValues(enabled=True))
        service.retry_run(session, site.admin, run.id)
    clock(1)
    site.turn()
    assert site.runs(bad)[0].state == "sending"
    with site.database.write() as session, pytest.raises(Conflict):
        service.drop_run(session, site.admin, run.id)


def test_an_object_deleted_and_sent_again_is_new(site: Site) -> None:
    """SQLite gives the number of the newest row out again; the mark must not be fooled."""
    site.node("pacs")
    site.route("each", send("pacs"), when={"kind": "object"})
    for number in range(3):
        site.put(sop=f"1.2.3.1.1.{number}")
    site.turn()
    with site.database.write() as session, pytest.raises(Conflict):
        archive.delete_study(session, SYSTEM, STUDY)  # not while it is on its way
    with site.database.write() as session:
        for transfer in session.scalars(select(Transfer)):
            forwarding.cancel_transfer(session, SYSTEM, transfer.id)
        archive.delete_study(session, SYSTEM, STUDY)
    for number in range(3):
        site.put(sop=f"1.2.9.1.1.{number}", study="1.2.9", series="1.2.9.1")
    site.turn()
    assert len(to_send(site)) == 6
    assert len(set(to_send(site))) == 6


def test_two_workers_at_once_make_no_run_twice(site: Site) -> None:
    import threading

    site.node("pacs")
    site.route("each", send("pacs"), when={"kind": "object"})
    for number in range(40):
        site.put(sop=f"1.2.3.1.1.{number}")
    threads = [threading.Thread(target=arrivals.run_once, args=(site.database,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    site.turn()
    assert len(to_send(site)) == 40
    assert len(set(to_send(site))) == 40
