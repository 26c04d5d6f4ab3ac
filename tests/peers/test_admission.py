"""Who may call us, and whose facility what arrives belongs to."""

import pytest

from app.db import Database
from app.kit.errors import Forbidden
from app.network.settings import DicomSettings
from app.nodes import admission, service
from app.nodes import queries as node_queries
from app.nodes.admission import CALLED_UNKNOWN, CALLER_VERBS, CALLING_UNKNOWN, QUERY_VERBS
from app.nodes.service import NodeValues
from app.security.models import Facility
from app.security.settings import SecuritySettings
from app.security.verbs import Verb
from app.settings import save
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


@pytest.mark.parametrize("change", [NodeValues(enabled=False), NodeValues(accept=False, may_query=False)])
def test_a_node_that_may_do_nothing_is_kept_out(station: Database, change: NodeValues) -> None:
    with station.write() as session:
        service.update_node(session, actor(station, "admin"), "ct", change)
    assert _admit(station, "CT1", KNOWN, unknown_callers="all").reason == CALLING_UNKNOWN


def test_a_node_may_what_its_options_say(station: Database) -> None:
    for change, may_store, may_search in (
        (NodeValues(accept=False), False, True),
        (NodeValues(accept=True, may_query=False), True, False),
        (NodeValues(may_query=True), True, True),
    ):
        with station.write() as session:
            service.update_node(session, actor(station, "admin"), "ct", change)
        verbs = _admit(station, "CT1", KNOWN).verbs
        assert (Verb.STUDY_IMPORT in verbs, Verb.STUDY_SEARCH in verbs) == (may_store, may_search)
        assert Verb.NODE_ECHO in verbs


def test_the_called_title_decides_first(station: Database) -> None:
    assert _admit(station, "CT1", KNOWN, called="OTHER").reason == CALLED_UNKNOWN
    assert _admit(station, "CT1", KNOWN, called="OTHER", check_called_title=False).reason == 0
    assert _admit(station, "CT1", KNOWN, called="OTHER", also_called=["OTHER"]).reason == 0
    assert _admit(station, "CT1", KNOWN, called="filmroom").reason == CALLED_UNKNOWN, "case-sensitive"


def test_the_called_facility_wins_over_the_callers(station: Database) -> None:
    assert _admit(station, "CT1", KNOWN, called="SOUTH1").facility_id == _facility(station, "South")
    assert _admit(station, "X", NEAR, called="SOUTH1").facility_id == _facility(station, "South")


def test_a_node_finds_only_what_is_its_facilitys_and_nothing_elsewhere(station: Database) -> None:
    """SEC-10 on DIMSE: another facility's title is no key to its studies."""
    own = _admit(station, "CT1", KNOWN)
    assert (own.sees_all, own.facility_id, own.clash) == (False, _facility(station, "North"), "")
    assert Verb.STUDY_SEARCH in own.verbs
    other = _admit(station, "CT1", KNOWN, called="SOUTH1")
    assert other.facility_id == _facility(station, "South") and "belongs to North but called South" in other.clash
    assert not other.verbs & admission.QUERY_VERBS and Verb.STUDY_IMPORT in other.verbs


def test_what_comes_to_a_facilitys_port_belongs_to_it(station: Database) -> None:
    north, south = _facility(station, "North"), _facility(station, "South")
    with station.read() as session:
        rules = DicomSettings()

        def come(calling: str, called: str, at: str, address: str = NEAR) -> admission.Admission:
            return admission.admit(session, rules, "FILMROOM", calling, called, address, None, at)

        for called in ("FILMROOM", "WHATEVER"):
            found = come("X", called, south)
            assert (found.reason, found.facility_id, found.sees_all, found.clash) == (0, south, False, "")
        between = come("X", "SOUTH1", north)
        assert between.facility_id == south, "the title wins"
        assert "title of South at the port of North" in between.clash
        node = come("CT1", "WHATEVER", south, KNOWN)
        assert node.facility_id == south and "belongs to North" in node.clash


def test_a_call_is_noted_on_the_node(station: Database) -> None:
    node_id = str(_admit(station, "CT1", KNOWN).node_id)
    assert admission.is_news(node_id) and not admission.is_news(node_id)
    with station.write() as session:
        admission.mark_seen(session, node_id)
    with station.read() as session:
        assert node_queries.node(session, actor(station, "admin"), "ct").last_seen_at is not None


def test_only_known_nodes_query_unless_the_setting_says_otherwise(station: Database) -> None:
    assert _admit(station, "CT1", KNOWN).verbs == CALLER_VERBS | QUERY_VERBS
    assert _admit(station, "X", NEAR).verbs == CALLER_VERBS
    assert _admit(station, "X", NEAR, query_callers="private").verbs == CALLER_VERBS | QUERY_VERBS
    assert _admit(station, "X", FAR, query_callers="private").reason == CALLING_UNKNOWN
    assert _admit(station, "X", FAR, query_callers="all").verbs == QUERY_VERBS | {Verb.NODE_ECHO}, "it may not store"
    assert _admit(station, "X", NEAR, unknown_callers="known").reason == CALLING_UNKNOWN


def test_a_bound_node_or_title_sees_its_facility_and_others_all(station: Database) -> None:
    assert not _admit(station, "CT1", KNOWN).sees_all, "bound to North"
    with station.write() as session:
        service.create_node(session, actor(station, "admin"), NodeValues("free", "FREE", KNOWN, 104))
    assert _admit(station, "FREE", KNOWN).sees_all
    assert not _admit(station, "FREE", KNOWN, called="SOUTH1").sees_all
    assert not _admit(station, "X", NEAR, query_callers="private").sees_all
    with station.write() as session:
        save(session, SecuritySettings(facility_isolation=False), "test")
    assert _admit(station, "CT1", KNOWN).sees_all, "isolation is switched off"


def test_a_user_at_anothers_title_is_kept_out(station: Database) -> None:
    north, south = _admit(station, "CT1", KNOWN), _admit(station, "CT1", KNOWN, called="SOUTH1")
    bob, alice = actor(station, "bob"), actor(station, "alice")
    assert (north.actor_of(bob).facility_id, north.actor_of(alice).sees_all) == (bob.facility_id, True)
    seen = south.actor_of(alice)
    assert (seen.facility_id, seen.sees_all) == (_facility(station, "South"), False)
    with pytest.raises(Forbidden):
        south.actor_of(bob)
