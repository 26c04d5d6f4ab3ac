"""Tokens: shown once, narrowed to their scopes, ended at once."""

from tests.support.client import Web


def bearer(web: Web, token: str, path: str = "/api/v1/users/me") -> int:
    return web.nobody.get(path, headers={"Authorization": f"Bearer {token}"}).status_code


def make(web: Web, *scopes: str, **values: object) -> dict[str, str]:
    answer = web.admin.post("/api/v1/tokens", json={"name": "script", "scopes": list(scopes)} | values)
    assert answer.status_code == 201, answer.text
    return answer.json()  # type: ignore[no-any-return]


def test_a_token_does_what_its_scopes_say_and_no_more(web: Web) -> None:
    token = make(web, "audit.read")["token"]
    assert bearer(web, token, "/api/v1/audit") == 200
    assert bearer(web, token, "/api/v1/users") == 403
    assert bearer(web, token, "/api/v1/settings") == 403


def test_it_is_shown_once(web: Web) -> None:
    made = make(web, "self")
    listed = web.admin.get("/api/v1/tokens").json()
    assert made["token"] not in str(listed) and listed["items"][0]["id"] == made["id"]


def test_a_deleted_token_ends_at_once(web: Web) -> None:
    made = make(web, "self")
    assert bearer(web, made["token"]) == 200
    assert web.admin.delete(f"/api/v1/tokens/{made['id']}").status_code == 204
    assert bearer(web, made["token"]) == 401


def test_nobody_gives_more_than_they_have(web: Web) -> None:
    answer = web.bob.post("/api/v1/tokens", json={"name": "x", "scopes": ["audit.read"]})
    assert answer.status_code == 403
    assert web.bob.post("/api/v1/tokens", json={"name": "x", "scopes": ["fly"]}).status_code == 422
    assert web.bob.post("/api/v1/tokens", json={"name": "x", "scopes": []}).status_code == 422
    assert web.bob.post("/api/v1/tokens", json={"name": "x", "scopes": ["metrics"]}).status_code == 403
    assert make(web, "metrics")["scopes"] == ["metrics"]


def test_a_token_makes_no_tokens(web: Web) -> None:
    token = make(web, "self", "audit.read")["token"]
    headers = {"Authorization": f"Bearer {token}"}
    answer = web.nobody.post("/api/v1/tokens", json={"name": "x", "scopes": ["self"]}, headers=headers)
    assert answer.status_code == 403


def test_anothers_token_is_not_there(web: Web) -> None:
    made = web.bob.post("/api/v1/tokens", json={"name": "x", "scopes": ["self"]}).json()
    assert web.alice.delete(f"/api/v1/tokens/{made['id']}").status_code == 404
    assert web.alice.get("/api/v1/tokens").json()["items"] == []


def test_a_made_up_token_is_refused(web: Web) -> None:
    assert bearer(web, "frt_nonsense") == 401
