"""Who hears of what, by WebSocket and by long poll: SEC-10 holds for events too."""

import pytest

from app import events
from app.api.events import Hub
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
