"""Who hears of what, by WebSocket and by long poll: SEC-10 holds for events too."""

from urllib.parse import quote

import pytest
from sqlalchemy import insert
from starlette.websockets import WebSocketDisconnect

from app import events
from app.api.events import Hub
from app.events import Event
from app.kit.clock import now
from app.security.queries import facilities
from tests.support.client import Web

# name of the event -> who of the cast hears of it
HEARD = {
    "study north": {"admin", "alice", "bob", "charlie"},
    "study south": {"admin", "alice", "dora"},
    "study nobody's": {"admin", "alice"},
    "job of bob": {"admin", "bob"},
    "node shared": {"admin", "alice", "bob", "charlie", "dora"},
    "node south": {"admin", "alice", "dora"},
}


def _append(web: Web) -> int:
    """One event of each kind; the number before the first."""
    with web.database.write() as session:
        known = {one.name: one.id for one in facilities(session)}
        before = events.newest(session)
        north, south = known["North"], known["South"]
        events.append(session, "study.arriving", {"is": "study north"}, facility_id=north)
        events.append(session, "study.arriving", {"is": "study south"}, facility_id=south)
        events.append(session, "study.arriving", {"is": "study nobody's"})
        events.append(session, "job.changed", {"is": "job of bob"}, facility_id=north, user_id=web.actor("bob").user_id)
        events.append(session, "node.changed", {"is": "node shared"})
        events.append(session, "node.changed", {"is": "node south"}, facility_id=south)
    return before


@pytest.mark.parametrize("who", ["admin", "alice", "bob", "charlie", "dora"])
def test_everyone_hears_of_their_own_facility(web: Web, who: str) -> None:
    wanted = [name for name, heard in HEARD.items() if who in heard]
    client = getattr(web, who)
    before = _append(web)
    polled = client.get("/api/v1/events", params={"since": before, "wait": 0}).json()
    assert [one["payload"]["is"] for one in polled["items"] if "is" in one["payload"]] == wanted
    web.app.state.hub = hub = Hub(web.database)
    hub.start()
    assert hub.following.wait(30)
    try:
        with client.websocket_connect(f"/api/v1/events?since={before}") as socket:
            missed = [socket.receive_json()["payload"].get("is") for _ in wanted]
            assert missed == wanted, "what came before it connected"
            _append(web)
            live = [socket.receive_json()["payload"].get("is") for _ in wanted]
            assert live == wanted, "and what comes while it is open"
    finally:
        hub.stop()


def test_nobody_follows_without_signing_in(web: Web) -> None:
    assert web.nobody.get("/api/v1/events").status_code == 401


FOREIGN = 1234  # events of another facility in a row: more than are read in one go, and no multiple of that


def _among_foreign(web: Web) -> tuple[int, list[str]]:
    """Events of North with many of South before, between and behind them; the number before all, and what North hears."""
    with web.database.write() as session:
        known = {one.name: one.id for one in facilities(session)}
        before = events.newest(session)

        def add(facility: str, words: str, times: int = 1) -> None:
            row = {"at": now(), "topic": "study.arriving", "facility_id": known[facility], "payload": {"is": words}}
            session.execute(insert(Event), [row] * times)

        for name in ("first", "second"):
            add("South", "foreign", FOREIGN)
            add("North", name)
        add("South", "foreign", FOREIGN)
    return before, ["first", "second"]


def test_polling_reaches_every_event_beyond_those_of_others(web: Web) -> None:
    before, wanted = _among_foreign(web)
    since, heard, asked = before, [], 0
    with web.database.read() as session:
        newest = events.newest(session)
    while since < newest:
        answer = web.charlie.get("/api/v1/events", params={"since": since, "wait": 0}).json()
        assert answer["next"] > since, "the cursor stands still"
        since, asked = answer["next"], asked + 1
        heard += [one["payload"]["is"] for one in answer["items"]]
    assert heard == wanted
    assert asked <= len(wanted) + 1, "an empty answer ends the way, it is no step of it"


def test_a_socket_reaches_every_event_beyond_those_of_others(web: Web) -> None:
    before, wanted = _among_foreign(web)
    web.app.state.hub = hub = Hub(web.database)
    hub.start()
    assert hub.following.wait(30)
    try:
        with web.charlie.websocket_connect(f"/api/v1/events?since={before}") as socket:
            assert [socket.receive_json()["payload"]["is"] for _ in wanted] == wanted
            _append(web)
            assert socket.receive_json()["payload"]["is"] == "study north"
    finally:
        hub.stop()


def test_a_number_that_no_database_takes_is_refused(web: Web) -> None:
    assert web.alice.get("/api/v1/events", params={"since": 10**20, "wait": 0}).status_code == 422


def test_a_hostile_number_opens_no_socket(web: Web) -> None:
    """It is refused before the handshake, and the next follower is served."""
    for since in ("²", "1e999", "NaN", "9" * 20, "9" * 5000, str(2**63), "-1", "1.5", "\x00", "٣", "0x10"):
        address = f"/api/v1/events?since={quote(since)}"
        with pytest.raises(WebSocketDisconnect), web.admin.websocket_connect(address) as socket:
            socket.receive_json()
    web.app.state.hub = hub = Hub(web.database)
    hub.start()
    try:
        with web.admin.websocket_connect(f"/api/v1/events?since={2**63 - 1}"):
            pass
    finally:
        hub.stop()
