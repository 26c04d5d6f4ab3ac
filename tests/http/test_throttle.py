"""Failed sign-ins cost more and more time, for names that exist and for those that do not alike."""

from datetime import timedelta

import pytest

from app.kit import clock
from app.security import login, throttle
from app.security.throttle import FailureThrottle, pause_after
from tests.support.client import PASSWORD, Web

WRONG = "Wrong-horse-9-hat"


def tries(web: Web, name: str, count: int, password: str = WRONG) -> list[int]:
    body = {"user": name, "password": password}
    return [web.nobody.post("/api/v1/sessions", json=body).status_code for _ in range(count)]


@pytest.mark.parametrize("name", ["alice", "nobody-of-this-name"])
def test_after_five_failures_a_pause_begins(web: Web, name: str) -> None:
    assert tries(web, name, 7) == [401] * 5 + [429] * 2


def test_the_pause_holds_for_the_right_password_and_says_how_long(web: Web) -> None:
    tries(web, "alice", 5)
    answer = web.nobody.post("/api/v1/sessions", json={"user": "alice", "password": PASSWORD})
    assert answer.status_code == 429 and answer.json()["code"] == "too-many-requests"
    assert 25 <= int(answer.headers["retry-after"]) <= 30


def test_it_counts_basic_too(web: Web) -> None:
    program = web.basic("alice", WRONG)
    assert [program.get("/api/v1/users/me").status_code for _ in range(6)] == [401] * 5 + [429]


def test_the_right_password_after_the_pause_clears_the_count(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    tries(web, "alice", 5)
    monkeypatch.setattr(login, "now", lambda: clock.now() + timedelta(seconds=31))
    assert tries(web, "alice", 1, PASSWORD) == [201]
    assert tries(web, "alice", 4) == [401] * 4
    assert tries(web, "alice", 1, PASSWORD) == [201]


def test_one_address_cannot_try_many_names(web: Web) -> None:
    codes = [tries(web, f"name{number}", 1)[0] for number in range(32)]
    assert codes == [401] * 30 + [429] * 2


def test_pauses_double_up_to_a_quarter_of_an_hour() -> None:
    assert [pause_after(n).total_seconds() for n in (0, 4, 5, 6, 7, 12, 500)] == [0, 0, 30, 60, 120, 900, 900]


def test_the_memory_of_failures_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttle, "_KEPT", 50)
    kept = FailureThrottle()
    for number in range(500):
        kept.count_attempt(f"n{number}", f"a{number}", known=False)
    assert len(kept._names) == len(kept._addresses) == 50
