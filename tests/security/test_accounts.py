"""What accounts leave behind, and how far those who look after accounts can go."""

from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from app import events, jobs
from app.security import queries
from tests.security.conftest import Attack
from tests.support.client import PASSWORD, Web

NEW = "Summer-hat-8-ribbons"


def make(site: Web, name: str, **values: object) -> str:
    body = {"name": name, "password": PASSWORD, "role": "technician"} | values
    answer = site.admin.post("/api/v1/users", json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def token_of(browser: TestClient) -> str:
    return str(browser.post("/api/v1/tokens", json={"name": "script", "scopes": ["self"]}).json()["token"])


def opens(site: Web, token: str) -> bool:
    answer = site.nobody.get("/api/v1/users/me", headers={"Authorization": f"Bearer {token}"})
    return answer.status_code == 200


@pytest.mark.parametrize("way", ["reset", "reset, page", "disable and enable", "delete"])
def test_tokens_end(site: Web, attack: Attack, way: str) -> None:
    name = f"token-{way.split(' ')[-1].strip(',')}{len(way)}"
    user = make(site, name)
    token = token_of(site.sign_in(name))
    assert opens(site, token)
    csrf = {"csrf_token": site.admin.headers["X-CSRF-Token"]}
    if way == "reset":
        assert site.admin.put(f"/api/v1/users/{user}/password", json={"password": NEW}).status_code == 204
    elif way == "reset, page":
        assert site.admin.post(f"/settings/users/{user}/password", data=csrf).status_code == 200
    elif way == "delete":
        assert site.admin.delete(f"/api/v1/users/{user}").status_code == 204
    else:
        for disabled in (True, False):
            answer = site.admin.patch(f"/api/v1/users/{user}", json={"disabled": disabled})
            assert answer.status_code == 200
    assert not opens(site, token)
    attack("tokens of before used after")


def test_administrators_see_and_end_tokens_of_others(site: Web) -> None:
    user = make(site, "tokenowner")
    token = token_of(site.sign_in("tokenowner"))
    listed = site.admin.get(f"/api/v1/users/{user}/tokens").json()["items"]
    assert [(one["name"], one["user"]) for one in listed] == [("script", "tokenowner")]
    assert "tokenowner" in {one["user"] for one in site.admin.get("/api/v1/tokens").json()["items"]}
    page = site.admin.get(f"/settings/users/{user}").text
    place = f"/settings/users/{user}/tokens/{listed[0]['id']}/end"
    assert "script" in page and place in page and token not in page
    csrf = {"csrf_token": site.admin.headers["X-CSRF-Token"]}
    assert site.admin.post(place, data=csrf).status_code == 303
    assert not opens(site, token)
    assert site.bob.get(f"/api/v1/users/{user}/tokens").status_code == 403
    assert site.bob.get("/api/v1/tokens", params={"user": user}).status_code == 403
    assert site.bob.delete(f"/api/v1/users/{user}/tokens/1").status_code == 403


def test_a_later_user_of_the_same_name_gets_nothing(site: Web, attack: Attack) -> None:
    """Jobs, prints, queries, events, sessions, tokens, preferences: all of the account, none of the name."""
    user = make(site, "erin")
    erin = site.sign_in("erin")
    token, cookie = token_of(erin), dict(erin.cookies)
    erin.patch("/api/v1/users/me/preferences", json={"density": "compact", "language": "es"})
    with site.database.write() as session:
        before = events.newest(session)
        job = jobs.enqueue(session, "print.render", {}, actor_name="erin", owner_id=user)
        events.append(session, "job.changed", {"of": "the first erin"}, user_id=user)
    assert erin.get(f"/api/v1/jobs/{job}").status_code == 200
    assert site.admin.delete(f"/api/v1/users/{user}").status_code == 204
    make(site, "erin")
    second = site.sign_in("erin")
    assert second.get(f"/api/v1/jobs/{job}").status_code == 404
    assert second.get("/api/v1/jobs").json()["items"] == []
    heard = second.get("/api/v1/events", params={"since": before, "wait": 0}).json()["items"]
    assert not [one for one in heard if one["payload"].get("of")]
    assert second.get("/api/v1/users/me").json()["preferences"] == {}
    assert second.get("/api/v1/tokens").json()["items"] == []
    assert not opens(site, token)
    assert site.client(cookies=cookie).get("/api/v1/users/me").status_code == 401
    attack("things of a former user of the name", 7)


@pytest.fixture(scope="module")
def clerk(site: Web) -> Iterator[TestClient]:
    """Looks after the users of North, and may hardly anything else."""
    body = {"name": "clerk", "verbs": ["self", "user.admin", "study.search"], "sees_all": False}
    assert site.admin.post("/api/v1/roles", json=body).status_code == 201
    north = site.admin.get("/api/v1/users/bob").json()["facility_id"]
    make(site, "claire", role="clerk", facility_id=north)
    make(site, "claus", role="clerk", facility_id=north)
    with site.sign_in("claire") as client:
        yield client


def _climbs(site: Web) -> dict[str, tuple[str, str, dict[str, object] | None]]:
    ids = {user["name"]: user["id"] for user in site.admin.get("/api/v1/users").json()["items"]}
    south = site.admin.get("/api/v1/users/dora").json()["facility_id"]
    new = {"name": "climber", "password": NEW}
    users, roles = "/api/v1/users", "/api/v1/roles"
    return {
        "make an administrator": ("POST", users, new | {"role": "administrator"}),
        "make a stronger user": ("POST", users, new | {"role": "technician"}),
        "make one in another facility": ("POST", users, new | {"role": "clerk", "facility_id": south}),
        "become administrator": ("PATCH", f"{users}/{ids['claire']}", {"role": "administrator"}),
        "promote a colleague": ("PATCH", f"{users}/{ids['claus']}", {"role": "radiologist"}),
        "move a colleague": ("PATCH", f"{users}/{ids['claus']}", {"facility_id": south}),
        "reset the administrator's password": ("PUT", f"{users}/{ids['admin']}/password", {"password": NEW}),
        "reset a stronger user's password": ("PUT", f"{users}/{ids['bob']}/password", {"password": NEW}),
        "disable the administrator": ("PATCH", f"{users}/{ids['admin']}", {"disabled": True}),
        "mail of the administrator": ("PATCH", f"{users}/{ids['admin']}", {"email": "me@example.org"}),
        "second factor of the administrator": ("DELETE", f"{users}/{ids['admin']}/second-factor", None),
        "delete a stronger user": ("DELETE", f"{users}/{ids['alice']}", None),
        "a role with more": ("POST", roles, {"name": "more", "verbs": ["self", "audit.read"], "sees_all": False}),
        "a role that sees all": ("POST", roles, {"name": "all", "verbs": ["self"], "sees_all": True}),
        "the own role": ("PUT", f"{roles}/clerk", {"verbs": ["self", "user.admin", "settings.edit"]}),
        "the own role sees all": ("PUT", f"{roles}/clerk", {"verbs": ["self", "user.admin"], "sees_all": True}),
        "a stronger role": ("PUT", f"{roles}/technician", {"verbs": ["self"]}),
        "a token with more": ("POST", "/api/v1/tokens", {"name": "t", "scopes": ["settings.edit"]}),
    }


def test_nobody_makes_others_or_themselves_stronger(site: Web, clerk: TestClient, attack: Attack) -> None:
    climbs = _climbs(site)
    wrong = {}
    for what, (method, path, body) in climbs.items():
        answer = clerk.request(method, path, json=body)
        if answer.status_code != 403:
            wrong[what] = (answer.status_code, answer.text[:200])
    assert wrong == {}
    with site.database.read() as session:
        admin = queries.user_named(session, "admin")
        assert admin is not None and not admin.disabled and admin.email == ""
        assert queries.user_named(session, "climber") is None
    attack("climbs by a role that manages users", len(climbs))


def test_the_same_by_the_pages(site: Web, clerk: TestClient, attack: Attack) -> None:
    ids = {user["name"]: user["id"] for user in site.admin.get("/api/v1/users").json()["items"]}
    csrf = {"csrf_token": clerk.headers["X-CSRF-Token"]}
    tries = [
        ("/settings/users/new", {"name": "climber", "role": "administrator"}),
        (f"/settings/users/{ids['admin']}/password", {}),
        (f"/settings/users/{ids['admin']}/second-factor", {}),
        (f"/settings/users/{ids['admin']}/delete", {}),
        (f"/settings/users/{ids['admin']}", {"disabled": "true", "role": "clerk"}),
        (f"/settings/users/{ids['claire']}", {"role": "administrator"}),
    ]
    for path, form in tries:
        answer = clerk.post(path, data=csrf | form)
        assert answer.status_code in (403, 422) and 'id="temporary"' not in answer.text, (path, answer.status_code)
    attack("climbs by a role that manages users", len(tries))


def test_what_is_within_the_own_rights_goes(site: Web, clerk: TestClient) -> None:
    north = site.admin.get("/api/v1/users/bob").json()["facility_id"]
    body = {"name": "cleo", "password": NEW, "role": "clerk", "facility_id": north}
    made = clerk.post("/api/v1/users", json=body)
    assert made.status_code == 201, made.text
    path = f"/api/v1/users/{made.json()['id']}"
    assert clerk.patch(path, json={"display_name": "Cleo"}).status_code == 200
    assert clerk.put(f"{path}/password", json={"password": "Autumn-leaf-9-red"}).status_code == 204
    assert clerk.post("/api/v1/roles", json={"name": "less", "verbs": ["self"]}).status_code == 201
    assert clerk.delete("/api/v1/roles/less").status_code == 204
    assert clerk.delete(path).status_code == 204
