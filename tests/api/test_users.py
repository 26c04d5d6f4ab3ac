"""Administrators look after users; everyone after oneself."""

import pytest

from tests.support.client import PASSWORD, Web

NEW = "Summer-hat-8-ribbons"


def make(web: Web, name: str = "erin", **values: object) -> dict[str, object]:
    body = {"name": name, "password": NEW, "role": "technician", "temporary": False} | values
    answer = web.admin.post("/api/v1/users", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()  # type: ignore[no-any-return]


def test_a_new_user_can_sign_in(web: Web) -> None:
    make(web, display_name="Erin Vega")
    me = web.sign_in("Erin", NEW).get("/api/v1/users/me").json()
    assert (me["name"], me["display_name"], me["role"]) == ("erin", "Erin Vega", "technician")
    assert "study.print" in me["verbs"] and "tag.edit" not in me["verbs"]


def test_a_temporary_password_opens_nothing_but_its_change(web: Web) -> None:
    make(web, temporary=True)
    erin = web.sign_in("erin", NEW)
    answer = erin.get("/api/v1/facilities")
    assert answer.status_code == 403 and answer.json()["code"] == "password-change-required"
    assert web.basic("erin", NEW).get("/api/v1/facilities").json()["code"] == "password-change-required"
    again = erin.put("/api/v1/users/me/password", json={"old": NEW, "new": NEW})
    assert again.status_code == 422 and "used before" in again.json()["detail"]
    assert erin.put("/api/v1/users/me/password", json={"old": NEW, "new": "Autumn-leaf-9-red"}).status_code == 204
    assert erin.get("/api/v1/facilities").status_code == 200


def test_the_last_five_passwords_do_not_come_back(web: Web) -> None:
    make(web)
    erin, used = web.sign_in("erin", NEW), [NEW]
    for number in range(5):
        fresh = f"Autumn-leaf-{number}-red"
        if number < 4:
            reused = erin.put("/api/v1/users/me/password", json={"old": used[-1], "new": used[0]})
            assert reused.status_code == 422
        assert erin.put("/api/v1/users/me/password", json={"old": used[-1], "new": fresh}).status_code == 204
        used.append(fresh)
    assert erin.put("/api/v1/users/me/password", json={"old": used[-1], "new": NEW}).status_code == 204


def test_the_present_password_is_asked_for(web: Web) -> None:
    answer = web.bob.put("/api/v1/users/me/password", json={"old": "Wrong-horse-9-hat", "new": NEW})
    assert answer.status_code == 422 and answer.json()["field"] == "old"


def test_disabling_ends_sessions_and_programs_at_once(web: Web) -> None:
    bob, program = web.bob, web.basic("bob")
    assert program.get("/api/v1/users/me").status_code == bob.get("/api/v1/users/me").status_code == 200
    who = web.admin.get("/api/v1/users/bob").json()["id"]
    assert web.admin.patch(f"/api/v1/users/{who}", json={"disabled": True}).status_code == 200
    assert bob.get("/api/v1/users/me").status_code == 401
    assert program.get("/api/v1/users/me").status_code == 401
    assert web.nobody.post("/api/v1/sessions", json={"user": "bob", "password": PASSWORD}).status_code == 401


def test_a_changed_password_ends_the_other_sessions_and_remembered_programs(web: Web) -> None:
    here, there, program = web.bob, web.sign_in("bob"), web.basic("bob")
    assert program.get("/api/v1/users/me").status_code == 200
    assert here.put("/api/v1/users/me/password", json={"old": PASSWORD, "new": NEW}).status_code == 204
    assert here.get("/api/v1/users/me").status_code == 200
    assert there.get("/api/v1/users/me").status_code == 401
    assert program.get("/api/v1/users/me").status_code == 401


def test_an_empty_facility_is_none(web: Web) -> None:
    """Also for somebody who belongs to none already."""
    before = web.admin.get("/api/v1/users/alice").json()["facility_id"]
    answer = web.admin.patch("/api/v1/users/alice", json={"facility_id": ""})
    assert answer.status_code == 200 and answer.json()["facility_id"] == before, answer.text
    assert web.admin.patch("/api/v1/users/alice", json={"facility_id": "zz"}).status_code == 422


def test_the_last_administrator_stays(web: Web) -> None:
    admin = web.admin.get("/api/v1/users/admin").json()["id"]
    for change in ({"disabled": True}, {"role": "technician"}):
        assert web.admin.patch(f"/api/v1/users/{admin}", json=change).status_code == 409
    assert web.admin.delete(f"/api/v1/users/{admin}").status_code == 409


def test_a_deleted_user_keeps_the_name_in_the_audit(web: Web) -> None:
    erin = make(web)["id"]
    web.sign_in("erin", NEW)
    assert web.admin.delete(f"/api/v1/users/{erin}").status_code == 204
    trail = web.admin.get("/api/v1/audit", params={"user": "erin"}).json()["items"]
    assert [(row["verb"], row["outcome"]) for row in trail] == [("login", "success")]


@pytest.mark.parametrize("name", ["", "two words", "a:b", "x" * 65, "bob", "BOB", "a/b", "a\nb"])
def test_a_bad_or_taken_name_is_refused(web: Web, name: str) -> None:
    body = {"name": name, "password": NEW, "role": "technician"}
    assert web.admin.post("/api/v1/users", json=body).status_code in (409, 422)


def test_nobody_else_may_look_after_users(web: Web) -> None:
    for person in (web.alice, web.bob, web.charlie):
        assert person.get("/api/v1/users").status_code == 403
        assert (
            person.post("/api/v1/users", json={"name": "x", "password": NEW, "role": "administrator"}).status_code
            == 403
        )
    denied = web.admin.get("/api/v1/audit", params={"outcome": "denied", "user": "bob"}).json()["items"]
    assert {row["verb"] for row in denied} == {"user.admin"}


def test_preferences_are_kept_and_checked(web: Web) -> None:
    kept = web.bob.patch("/api/v1/users/me/preferences", json={"language": "es", "theme": "dark", "density": "compact"})
    assert kept.json() == {"language": "es", "theme": "dark", "preferences": {"density": "compact"}}
    assert web.bob.patch("/api/v1/users/me/preferences", json={"theme": "pink"}).status_code == 422
    assert web.bob.get("/api/v1/users/me").json()["language"] == "es"


def test_a_role_of_ones_own_counts_at_once(web: Web) -> None:
    body = {"name": "archivist", "verbs": ["self", "audit.read"], "sees_all": False}
    assert web.admin.post("/api/v1/roles", json=body).status_code == 201
    make(web, role="archivist")
    erin = web.sign_in("erin", NEW)
    assert erin.get("/api/v1/audit").status_code == 200 and erin.get("/api/v1/settings").status_code == 403
    changed = {"verbs": ["self", "settings.read"], "sees_all": False}
    assert web.admin.put("/api/v1/roles/archivist", json=changed).status_code == 200
    assert erin.get("/api/v1/audit").status_code == 403 and erin.get("/api/v1/settings").status_code == 200
    assert web.admin.delete("/api/v1/roles/archivist").status_code == 409
    assert web.admin.put("/api/v1/roles/administrator", json=changed).status_code == 409
    assert web.admin.put("/api/v1/roles/archivist", json={"verbs": ["fly"]}).status_code == 422
