"""The second factor, from the QR code to the recovery code."""

import time

import pytest

from app.security import totp
from tests.support.client import PASSWORD, Web


@pytest.fixture
def enrolled(web: Web) -> tuple[str, list[str]]:
    """bob with a second factor: (secret, recovery codes)."""
    begun = web.bob.post("/api/v1/users/me/second-factor", json={"password": PASSWORD})
    assert begun.status_code == 200 and begun.json()["qr"].startswith("data:image/svg+xml")
    secret = begun.json()["secret"]
    # The step before the present one, so that the present code is still unused for the tests.
    code = totp.code_at(secret, int(time.time()) // 30 - 1)
    confirmed = web.bob.put("/api/v1/users/me/second-factor", json={"code": code})
    assert confirmed.status_code == 200
    return secret, confirmed.json()["recovery_codes"]


def sign_in(web: Web, code: str = "") -> tuple[int, str]:
    answer = web.nobody.post("/api/v1/sessions", json={"user": "bob", "password": PASSWORD, "code": code})
    return answer.status_code, answer.json().get("code", "")


def test_a_missing_code_is_asked_for_by_name(web: Web, enrolled: tuple[str, list[str]]) -> None:
    assert sign_in(web) == (401, "second-factor")


def test_without_the_password_nobody_learns_of_the_factor(web: Web, enrolled: tuple[str, list[str]]) -> None:
    answer = web.nobody.post("/api/v1/sessions", json={"user": "bob", "password": "Wrong-horse-9-hat"})
    assert answer.json()["code"] == "unauthorized"


def test_a_code_opens_once(web: Web, enrolled: tuple[str, list[str]]) -> None:
    code = totp.code_at(enrolled[0], int(time.time()) // 30)
    assert sign_in(web, code)[0] == 201
    assert sign_in(web, code) == (401, "unauthorized")


def test_a_recovery_code_opens_once(web: Web, enrolled: tuple[str, list[str]]) -> None:
    assert sign_in(web, enrolled[1][3])[0] == 201
    assert sign_in(web, enrolled[1][3]) == (401, "unauthorized")
    assert sign_in(web, enrolled[1][4])[0] == 201


def test_basic_is_refused_and_a_token_works(web: Web, enrolled: tuple[str, list[str]]) -> None:
    answer = web.basic("bob").get("/api/v1/users/me")
    assert answer.status_code == 401 and answer.json()["code"] == "second-factor"
    token = web.bob.post("/api/v1/tokens", json={"name": "script", "scopes": ["self"]}).json()["token"]
    assert web.nobody.get("/api/v1/users/me", headers={"Authorization": f"Bearer {token}"}).status_code == 200


def test_basic_ends_the_moment_the_factor_is_on(web: Web) -> None:
    program = web.basic("bob")
    assert program.get("/api/v1/users/me").status_code == 200
    secret = web.bob.post("/api/v1/users/me/second-factor", json={"password": PASSWORD}).json()["secret"]
    code = totp.code_at(secret, int(time.time()) // 30)
    assert web.bob.put("/api/v1/users/me/second-factor", json={"code": code}).status_code == 200
    assert program.get("/api/v1/users/me").status_code == 401


def test_unlocking_asks_for_the_code_too(web: Web, enrolled: tuple[str, list[str]]) -> None:
    web.bob.post("/api/v1/sessions/current/lock")
    answer = web.bob.post("/api/v1/sessions/current/unlock", json={"password": PASSWORD})
    assert answer.status_code == 401 and answer.json()["code"] == "second-factor"
    code = totp.code_at(enrolled[0], int(time.time()) // 30)
    assert web.bob.post("/api/v1/sessions/current/unlock", json={"password": PASSWORD, "code": code}).status_code == 204


def test_a_wrong_code_does_not_turn_it_on(web: Web) -> None:
    web.bob.post("/api/v1/users/me/second-factor", json={"password": PASSWORD})
    assert web.bob.put("/api/v1/users/me/second-factor", json={"code": "000000"}).status_code == 422
    assert sign_in(web)[0] == 201


def test_an_administrator_helps_who_lost_the_phone(web: Web, enrolled: tuple[str, list[str]]) -> None:
    who = web.admin.get("/api/v1/users/bob").json()
    assert who["second_factor"] is True
    assert web.admin.delete(f"/api/v1/users/{who['id']}/second-factor").status_code == 204
    assert sign_in(web)[0] == 201


def test_the_secret_stands_sealed_in_the_database(web: Web, enrolled: tuple[str, list[str]]) -> None:
    from app.security import queries

    with web.database.read() as session:
        user = queries.user_named(session, "bob")
        assert user is not None and user.totp_secret is not None
        assert enrolled[0] not in user.totp_secret
        assert not set(enrolled[1]) & set(user.recovery_codes)
