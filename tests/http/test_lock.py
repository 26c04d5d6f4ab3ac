"""The idle lock of SEC-3: the server counts, input moves it away, polls and streams do not."""

from datetime import datetime, timedelta

import pytest
from starlette.testclient import TestClient

from app.http import deps
from app.kit import clock
from app.security import gate, login, sessions
from tests.support.client import PASSWORD, Web


class Clock:
    """The time of the packages under test."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def now(self) -> datetime:
        return clock.now() + self.ahead

    def monotonic(self) -> float:
        return clock.monotonic() + self.ahead.total_seconds()

    def later(self, minutes: float) -> None:
        self.ahead += timedelta(minutes=minutes)


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Clock:
    moved = Clock()
    for module in (gate, login, sessions):
        monkeypatch.setattr(module, "now", moved.now)
    monkeypatch.setattr(gate, "monotonic", moved.monotonic)
    return moved


def status(client: TestClient, **headers: str) -> int:
    return client.get("/api/v1/users/me", headers=headers).status_code


def test_fifteen_minutes_without_input_lock_it(web: Web, time: Clock) -> None:
    alice = web.alice
    time.later(14.9)
    assert status(alice) == 200
    time.later(14.9)
    assert status(alice) == 200
    time.later(15.1)
    assert status(alice) == 423
    assert status(alice) == 423


def test_polls_and_streams_are_no_input(web: Web, time: Clock) -> None:
    alice = web.alice
    for _ in range(4):
        time.later(4)
        assert status(alice, **{"X-Background": "1"}) == (200 if time.ahead < timedelta(minutes=15) else 423)
    assert status(alice) == 423


def test_the_pages_report_of_input_keeps_it_open(web: Web, time: Clock) -> None:
    alice = web.alice
    for _ in range(4):
        time.later(10)
        assert alice.post("/api/v1/sessions/current/activity").status_code == 204
    assert status(alice) == 200


def test_input_survives_in_the_database(web: Web, time: Clock) -> None:
    """Another process, which saw none of the input, knows of it."""
    alice = web.alice
    for _ in range(3):
        time.later(10)
        assert status(alice) == 200
    web.services.gate._notes.submit(lambda: None).result()
    other = gate.Gate(web.database, web.services.secrets)
    identity = other.identify_session(alice.cookies["filmroom_session"])
    other.close()
    assert identity is not None and not identity.locked


def test_while_locked_everything_is_refused_but_unlock_and_logout(web: Web, time: Clock) -> None:
    alice = web.alice
    time.later(16)
    for path in ("/api/v1/users/me", "/api/v1/facilities", "/api/v1/jobs", "/api/v1/sessions"):
        answer = alice.get(path)
        assert answer.status_code == 423 and answer.json()["type"] == "/problems/session-locked"
    assert alice.post("/api/v1/sessions/current/activity").status_code == 423
    assert alice.post("/api/v1/sessions/current/unlock", json={"password": PASSWORD}).status_code == 204
    assert status(alice) == 200
    time.later(16)
    assert alice.delete("/api/v1/sessions/current").status_code == 204


def test_unlocking_is_throttled_like_signing_in(web: Web) -> None:
    alice = web.alice
    alice.post("/api/v1/sessions/current/lock")
    codes = [
        alice.post("/api/v1/sessions/current/unlock", json={"password": "Wrong-horse-9-hat"}).status_code
        for _ in range(7)
    ]
    assert codes == [401] * 5 + [429] * 2


def test_a_session_ends_after_its_hours(web: Web, time: Clock) -> None:
    alice = web.alice
    for _ in range(71):
        time.later(10)
        assert status(alice) == 200
    time.later(11)
    assert time.ahead > timedelta(hours=12)
    assert status(alice) == 401


def test_programs_are_never_locked(web: Web, time: Clock) -> None:
    program = web.basic("bob")
    assert status(program) == 200
    time.later(60)
    assert status(program) == 200


def test_streams_are_told_apart_by_their_address() -> None:
    assert "/dicom-web" in deps._NO_INPUT and "/api/v1/events" in deps._NO_INPUT


def test_an_administrator_ends_a_session_at_once(web: Web) -> None:
    bob = web.bob
    listed = web.admin.get("/api/v1/sessions").json()["items"]
    his = next(item["id"] for item in listed if item["user"] == "bob")
    assert web.alice.delete(f"/api/v1/sessions/{his}").status_code == 403
    assert web.admin.delete(f"/api/v1/sessions/{his}").status_code == 204
    assert status(bob) == 401
    assert {item["user"] for item in web.alice.get("/api/v1/sessions").json()["items"]} == {"alice"}
