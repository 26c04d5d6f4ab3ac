"""Guessing passwords and codes: every place counts, and parallel tries gain nothing (SEC-1)."""

import base64
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest
from starlette.testclient import TestClient

from app.security import passwords, totp
from app.security.throttle import FREE_TRIES
from tests.security.conftest import Attack
from tests.support.client import PASSWORD, Web

_numbers = count(1)
NEW, THIRD = "Summer-hat-8-ribbons", "Autumn-leaf-9-red"


def person(site: Web, role: str = "technician") -> str:
    """A user of this test's own, with PASSWORD; from an address of their own failures would not be apart."""
    name = f"guess{next(_numbers)}"
    answer = site.admin.post("/api/v1/users", json={"name": name, "password": PASSWORD, "role": role})
    assert answer.status_code == 201, answer.text
    return name


@pytest.fixture(autouse=True)
def _fresh_address(site: Web) -> None:
    """All tests call from one address: its own pause is tried in tests/http/test_throttle.py."""
    site.services.gate.login.throttle._addresses.clear()


def wrong(number: int) -> str:
    return f"Wrong-horse-{number}-hat"


Try = Callable[[int], int]


def _session(site: Web, name: str) -> Try:
    return lambda n: site.nobody.post("/api/v1/sessions", json={"user": name, "password": wrong(n)}).status_code


def _login_page(site: Web, name: str) -> Try:
    return lambda n: site.nobody.post("/login", data={"user": name, "password": wrong(n)}).status_code


def _basic(site: Web, name: str) -> Try:
    def one(n: int) -> int:
        both = base64.b64encode(f"{name}:{wrong(n)}".encode()).decode()
        return site.nobody.get("/api/v1/users/me", headers={"Authorization": f"Basic {both}"}).status_code

    return one


def _unlock(site: Web, name: str) -> Try:
    browser = site.sign_in(name)
    browser.post("/api/v1/sessions/current/lock")
    return lambda n: _as(site, browser).post("/api/v1/sessions/current/unlock", json={"password": wrong(n)}).status_code


def _change(site: Web, name: str) -> Try:
    browser = site.sign_in(name)
    return lambda n: _as(site, browser).put("/api/v1/users/me/password", json={"old": wrong(n), "new": NEW}).status_code


def _change_page(site: Web, name: str) -> Try:
    browser = site.sign_in(name)
    form = {"new": NEW, "again": NEW, "csrf_token": browser.headers["X-CSRF-Token"]}
    return lambda n: _page_code(_as(site, browser).post("/password", data=form | {"old": wrong(n)}))


def _begin_factor(site: Web, name: str) -> Try:
    browser = site.sign_in(name)
    return lambda n: _as(site, browser).post("/api/v1/users/me/second-factor", json={"password": wrong(n)}).status_code


def _remove_factor(site: Web, name: str) -> Try:
    browser = site.sign_in(name)
    return lambda n: (
        _as(site, browser).request("DELETE", "/api/v1/users/me/second-factor", json={"password": wrong(n)}).status_code
    )


def _confirm_factor(site: Web, name: str) -> Try:
    browser = site.sign_in(name)
    browser.post("/api/v1/users/me/second-factor", json={"password": PASSWORD})
    return lambda n: _as(site, browser).put("/api/v1/users/me/second-factor", json={"code": f"{n:06}"}).status_code


def _page_code(answer: object) -> int:
    """A form that was refused is shown again with 422, whatever the reason; its words tell them apart."""
    return 429 if "Too many" in answer.text else answer.status_code  # type: ignore[attr-defined]


def _as(site: Web, browser: TestClient) -> TestClient:
    """The same browser for another thread."""
    client = site.client(cookies=dict(browser.cookies))
    client.headers["X-CSRF-Token"] = browser.headers["X-CSRF-Token"]
    return client


PLACES = [
    _session, _login_page, _basic, _unlock, _change, _change_page, _begin_factor, _remove_factor, _confirm_factor,
]  # fmt: skip


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__.strip("_"))
def test_parallel_tries_gain_nothing(site: Web, attack: Attack, place: Callable[[Web, str], Try]) -> None:
    """Twenty guesses at the same moment: no more are judged than one after another."""
    guess = place(site, person(site))
    with ThreadPoolExecutor(20) as pool:
        codes = list(pool.map(guess, range(1, 21)))
    assert 429 in codes and sum(code != 429 for code in codes) <= FREE_TRIES, codes
    assert set(codes) <= {401, 422, 429}, codes
    attack("guesses at passwords and codes, in parallel", len(codes))


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__.strip("_"))
def test_failures_are_in_the_trail(site: Web, place: Callable[[Web, str], Try]) -> None:
    name = person(site)
    place(site, name)(1)
    rows = site.admin.get("/api/v1/audit", params={"user": name, "verb": "login", "outcome": "failed"}).json()
    assert rows["total"] == 1, rows


def test_who_knows_the_password_cannot_wipe_out_the_count_of_wrong_codes(site: Web, attack: Attack) -> None:
    name = person(site)
    browser = site.sign_in(name)
    secret = browser.post("/api/v1/users/me/second-factor", json={"password": PASSWORD}).json()["secret"]
    code = totp.code_at(secret, int(time.time()) // 30 - 1)
    assert browser.put("/api/v1/users/me/second-factor", json={"code": code}).status_code == 200
    codes = []
    for number in range(8):
        site.nobody.post("/api/v1/sessions", json={"user": name, "password": PASSWORD})  # right, without a code
        body = {"user": name, "password": PASSWORD, "code": f"{number:06}"}
        codes.append(site.nobody.post("/api/v1/sessions", json=body).status_code)
    assert codes[-1] == 429 and codes.count(401) <= FREE_TRIES, codes
    attack("wrong codes between right passwords", len(codes))


def test_a_wrong_setup_code_is_slowed(site: Web, attack: Attack) -> None:
    site.services.gate.login.throttle._addresses.clear()
    codes = [site.nobody.post("/setup", data={"code": f"{n:040}"}).status_code for n in range(35)]
    assert codes[:30] == [403] * 30 and codes[30:] == [429] * 5
    attack("guesses at the setup code", len(codes))


def _hashing(site: Web, name: str) -> dict[str, Callable[[], object]]:
    browser = site.sign_in(name)
    csrf = {"csrf_token": site.admin.headers["X-CSRF-Token"]}
    own = {"csrf_token": browser.headers["X-CSRF-Token"]}
    user = site.admin.get(f"/api/v1/users/{name}").json()["id"]
    made = {"name": f"{name}x", "password": NEW, "role": "technician"}
    return {
        "create": lambda: site.admin.post("/api/v1/users", json=made),
        "create, page": lambda: site.admin.post(
            "/settings/users/new", data=csrf | {"name": f"{name}y", "role": "technician"}
        ),
        "change": lambda: browser.put("/api/v1/users/me/password", json={"old": PASSWORD, "new": NEW}),
        "change, page": lambda: browser.post("/password", data=own | {"old": NEW, "new": THIRD, "again": THIRD}),
        "second factor": lambda: browser.post("/api/v1/users/me/second-factor", json={"password": THIRD}),
        "second factor, page": lambda: browser.post("/account/second-factor", data=own | {"password": THIRD}),
        "remove it": lambda: browser.request("DELETE", "/api/v1/users/me/second-factor", json={"password": THIRD}),
        "remove it, page": lambda: browser.post("/account/second-factor/remove", data=own | {"password": THIRD}),
        "sign in": lambda: site.sign_in(name, THIRD),
        "basic": lambda: site.basic(name, THIRD).get("/api/v1/users/me"),
        "lock": lambda: browser.post("/api/v1/sessions/current/lock"),
        "unlock": lambda: browser.post("/api/v1/sessions/current/unlock", json={"password": THIRD}),
        "reset": lambda: site.admin.put(f"/api/v1/users/{user}/password", json={"password": NEW}),
        "reset, page": lambda: site.admin.post(f"/settings/users/{user}/password", data=csrf),
    }


def test_no_hash_is_made_inside_a_write_transaction(site: Web, monkeypatch: pytest.MonkeyPatch, attack: Attack) -> None:
    """While a hash is computed, somebody else can write."""
    held: list[str] = []
    doing, hashed = "", set()

    class Hasher:
        def __getattr__(self, name: str) -> object:
            real = getattr(original, name)

            def watched(*arguments: object) -> object:
                hashed.add(doing)
                other = threading.Thread(target=_write, args=(site,), daemon=True)
                other.start()
                other.join(3)
                if other.is_alive():
                    held.append(doing)
                return real(*arguments)

            return watched if name in ("hash", "verify") else real

    actions = _hashing(site, person(site))
    original = passwords._HASHER
    monkeypatch.setattr(passwords, "_HASHER", Hasher())
    for doing, action in actions.items():  # noqa: B007 read by `watched`
        action()
    assert held == []
    assert hashed == set(actions) - {"lock"}
    attack("hashes while others write", len(hashed))


def _write(site: Web) -> None:
    with site.database.write():
        pass
