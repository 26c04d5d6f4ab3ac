"""Who may call us, and whose facility what arrives belongs to."""

from dataclasses import replace

import pytest

from app.db import Database
from app.peers import admission, queries, service
from app.peers.admission import CALLED_UNKNOWN, CALLING_UNKNOWN
from app.peers.service import NodeValues
from app.peers.settings import DicomSettings
from app.security.models import Facility
from tests.support.client import actor, add_cast

FAR, NEAR, KNOWN = "8.8.8.8", "192.168.1.9", "203.0.114.7"


@pytest.fixture
def station(database: Database) -> Database:
    """A node at a public address that belongs to North, and a facility South with a title of its own."""
    add_cast(database)
    with database.write() as session:
        north, south = (session.query(Facility).filter_by(name=name).one() for name in ("North", "South"))
        south.ae_title = "SOUTH1"
        values = NodeValues("ct", "CT1", KNOWN, 104, facility_id=north.id)
        service.create_node(session, actor(database, "admin"), values)
    return database


def _admit(
    database: Database, calling: str, address: str, called: str = "FILMROOM", **settings: object
) -> admission.Admission:
    with database.read() as session:
        rules = DicomSettings.model_validate(settings)
        return admission.admit(session, rules, "FILMROOM", calling, called, address)


def _facility(database: Database, name: str) -> str:
    with database.read() as session:
        return str(session.query(Facility).filter_by(name=name).one().id)


def test_a_known_node_comes_in_from_anywhere_it_is_known_to_be(station: Database) -> None:
    found = _admit(station, "CT1", KNOWN)
    assert (found.reason, found.node_name, found.facility_id) == (0, "ct", _facility(station, "North"))


def test_its_title_from_elsewhere_is_not_enough(station: Database) -> None:
    assert _admit(station, "CT1", FAR).reason == CALLING_UNKNOWN
    near = _admit(station, "CT1", NEAR)
    assert (near.reason, near.node_name, near.facility_id) == (0, "", None), "an unknown caller of a private network"


@pytest.mark.parametrize(
    ("rule", "near", "far"),
    [("private", 0, CALLING_UNKNOWN), ("all", 0, 0), ("known", CALLING_UNKNOWN, CALLING_UNKNOWN)],
)
def test_unknown_callers_by_rule(station: Database, rule: str, near: int, far: int) -> None:
    assert _admit(station, "X", NEAR, unknown_callers=rule).reason == near
    assert _admit(station, "X", "127.0.0.1", unknown_callers=rule).reason == near
    assert _admit(station, "X", FAR, unknown_callers=rule).reason == far
    assert _admit(station, "CT1", KNOWN, unknown_callers=rule).reason == 0


@pytest.mark.parametrize("change", [NodeValues(enabled=False), NodeValues(accept=False)])
def test_a_node_that_may_not_send_is_kept_out(station: Database, change: NodeValues) -> None:
    with station.write() as session:
        service.update_node(session, actor(station, "admin"), "ct", replace(change))
    assert _admit(station, "CT1", KNOWN, unknown_callers="all").reason == CALLING_UNKNOWN


def test_the_called_title_decides_first(station: Database) -> None:
    assert _admit(station, "CT1", KNOWN, called="OTHER").reason == CALLED_UNKNOWN
    assert _admit(station, "CT1", KNOWN, called="OTHER", check_called_title=False).reason == 0
    assert _admit(station, "CT1", KNOWN, called="OTHER", also_called=["OTHER"]).reason == 0
    assert _admit(station, "CT1", KNOWN, called="filmroom").reason == CALLED_UNKNOWN, "capitals matter"


def test_the_called_facility_wins_over_the_callers(station: Database) -> None:
    assert _admit(station, "CT1", KNOWN, called="SOUTH1").facility_id == _facility(station, "South")
    assert _admit(station, "X", NEAR, called="SOUTH1").facility_id == _facility(station, "South")


def test_a_call_is_noted_on_the_node(station: Database) -> None:
    node_id = str(_admit(station, "CT1", KNOWN).node_id)
    assert admission.is_news(node_id) and not admission.is_news(node_id)
    with station.write() as session:
        admission.seen(session, node_id)
    with station.read() as session:
        assert queries.node(session, actor(station, "admin"), "ct").last_seen_at is not None
