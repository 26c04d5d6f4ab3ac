"""Signing in by cookie, Basic and token, as browsers and programs do it."""

from tests.support.client import PASSWORD, Web


def test_a_session_opens_with_name_and_password(web: Web) -> None:
    browser = web.nobody
    answer = browser.post("/api/v1/sessions", json={"user": "alice", "password": PASSWORD})
    assert answer.status_code == 201
    assert answer.json()["role"] == "radiologist"
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("filmroom_session=") and "HttpOnly" in cookie and "SameSite=lax" in cookie
    assert browser.get("/api/v1/sessions").status_code == 200


def test_a_wrong_password_is_refused_and_written_down(web: Web) -> None:
    answer = web.nobody.post("/api/v1/sessions", json={"user": "alice", "password": "Wrong-horse-9-hat"})
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["code"] == "unauthorized" and problem["type"] == "/problems/unauthorized"
    assert problem["correlation_id"] == answer.headers["x-request-id"]


def test_nobody_gets_in_without_credentials(web: Web) -> None:
    answer = web.nobody.get("/api/v1/sessions")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Basic")


def test_a_program_sends_basic_with_every_request(web: Web) -> None:
    program = web.basic("bob")
    assert [program.get("/api/v1/sessions").status_code for _ in range(3)] == [200, 200, 200]
    assert web.basic("bob", "Wrong-horse-9-hat").get("/api/v1/sessions").status_code == 401


def test_a_change_needs_the_sessions_token(web: Web) -> None:
    browser = web.alice
    del browser.headers["X-CSRF-Token"]
    answer = browser.post("/api/v1/sessions/current/lock")
    assert answer.status_code == 403 and answer.json()["code"] == "csrf"


def test_another_site_cannot_sign_somebody_in(web: Web) -> None:
    body = {"user": "alice", "password": PASSWORD}
    answer = web.nobody.post("/api/v1/sessions", json=body, headers={"Origin": "http://elsewhere.example"})
    assert answer.status_code == 403 and answer.json()["code"] == "csrf"


def test_signing_out_ends_the_session(web: Web) -> None:
    browser = web.alice
    cookie = browser.cookies["filmroom_session"]
    assert browser.delete("/api/v1/sessions/current").status_code == 204
    browser.cookies.set("filmroom_session", cookie)
    assert browser.get("/api/v1/sessions").status_code == 401


def test_a_locked_session_answers_nothing_until_it_is_unlocked(web: Web) -> None:
    browser = web.alice
    assert browser.post("/api/v1/sessions/current/lock").status_code == 204
    answer = browser.get("/api/v1/sessions")
    assert answer.status_code == 423 and answer.json()["code"] == "session-locked"
    assert browser.post("/api/v1/sessions/current/unlock", json={"password": "Wrong-horse-9-hat"}).status_code == 401
    assert browser.get("/api/v1/sessions").status_code == 423
    assert browser.post("/api/v1/sessions/current/unlock", json={"password": PASSWORD}).status_code == 204
    assert browser.get("/api/v1/sessions").status_code == 200
