"""The audit trail over REST, and that things end up in it."""

import csv
import io

from app import audit
from app.security.models import Role
from tests.support.client import PASSWORD, Web


def test_it_says_who_signed_in_and_who_failed(web: Web) -> None:
    web.sign_in("bob")
    web.nobody.post("/api/v1/sessions", json={"user": "bob", "password": "Wrong-horse-9-hat"})
    web.nobody.post("/api/v1/sessions", json={"user": "mallory", "password": "Wrong-horse-9-hat"})
    rows = web.admin.get("/api/v1/audit", params={"verb": "login"}).json()["items"]
    assert [(row["actor_name"], row["outcome"]) for row in rows[1:4]] == [
        ("mallory", "failed"),
        ("bob", "failed"),
        ("bob", "success"),
    ]
    assert rows[1]["detail"] == {"how": "session", "why": "unknown user"} and rows[1]["address"] == "testclient"
    assert "Wrong-horse" not in str(rows)


def test_it_pages_and_filters(web: Web) -> None:
    with web.database.write() as session:
        for number in range(12):
            audit.by(session, audit.Named("zoe"), "study.print", "", f"1.2.{number}")
    first = web.admin.get("/api/v1/audit", params={"user": "zoe", "limit": 5}).json()
    second = web.admin.get("/api/v1/audit", params={"user": "zoe", "limit": 5, "cursor": first["next"]}).json()
    assert first["total"] == 12
    assert [row["thing_id"] for row in first["items"] + second["items"]] == [f"1.2.{n}" for n in range(11, 1, -1)]
    assert web.admin.get("/api/v1/audit", params={"thing_id": "1.2.3"}).json()["total"] == 1
    assert web.admin.get("/api/v1/audit", params={"since": "2099-01-01T00:00:00Z"}).json()["total"] == 0
    assert web.admin.get("/api/v1/audit", params={"since": "yesterday"}).status_code == 422


def test_it_comes_as_csv_without_formulas(web: Web) -> None:
    with web.database.write() as session:
        audit.by(session, audit.Named("=HYPERLINK()"), "study.print", detail={"pages": 3})
    answer = web.admin.get("/api/v1/audit", params={"format": "csv"})
    assert answer.headers["content-type"].startswith("text/csv")
    rows = [row for row in csv.DictReader(io.StringIO(answer.text)) if row["verb"] == "study.print"]
    assert [row["actor_name"] for row in rows] == ["'=HYPERLINK()"]


def test_the_chain_is_whole_until_somebody_touches_it(web: Web) -> None:
    found = web.admin.get("/api/v1/audit/verification").json()
    assert (found["whole"], found["first_broken"], found["reason"]) == (True, None, "") and found["rows"] > 0
    with web.database.write() as session:
        row = audit.list_events(session)[0][0]
        row.actor_name = "somebody else"
        broken = row.id
    found = web.admin.get("/api/v1/audit/verification").json()
    assert (found["whole"], found["first_broken"], found["reason"]) == (False, broken, "This entry was changed.")


def test_users_of_one_facility_do_not_learn_how_many_entries_there_are(web: Web) -> None:
    with web.database.write() as session:
        session.get_one(Role, "facility").verbs = ["audit.read"]
    found = web.dora.get("/api/v1/audit/verification").json()
    assert found["whole"] and found["rows"] is None


def test_changed_settings_stand_there_old_and_new(web: Web) -> None:
    answer = web.admin.put("/api/v1/settings/general", json={"site_name": "Hospital del Valle"})
    assert answer.status_code == 200 and answer.json()["values"]["site_name"] == "Hospital del Valle"
    row = web.admin.get("/api/v1/audit", params={"verb": "settings.edit"}).json()["items"][0]
    assert row["detail"] == {"site_name": [None, "Hospital del Valle"]} and row["actor_name"] == "admin"


def test_settings_refuse_what_breaks_their_rules(web: Web) -> None:
    assert web.admin.put("/api/v1/settings/security", json={"idle_minutes": 600}).status_code == 422
    assert web.admin.put("/api/v1/settings/security", json={"idle": 5}).status_code == 422
    assert web.admin.put("/api/v1/settings/nonsense", json={}).status_code == 404
    names = {item["group"] for item in web.admin.get("/api/v1/settings").json()["items"]}
    assert {"general", "security"} <= names


def test_a_reader_of_one_facility_finds_no_entry_of_another(web: Web) -> None:
    role = {"name": "auditor", "verbs": ["self", "audit.read"], "sees_all": False}
    assert web.admin.post("/api/v1/roles", json=role).status_code == 201
    north = web.actor("bob").facility_id
    with web.database.write() as session:
        for number, facility in enumerate((north, web.actor("dora").facility_id, None)):
            audit.by(session, audit.Named("zoe"), "study.view", "", f"1.2.{number}", facility_id=facility)
    user = {"name": "nina", "password": PASSWORD, "role": "auditor", "facility_id": north}
    assert web.admin.post("/api/v1/users", json=user).status_code == 201
    nina = web.sign_in("nina")
    found = nina.get("/api/v1/audit", params={"user": "zoe"}).json()
    assert [row["thing_id"] for row in found["items"]] == ["1.2.0"] and found["total"] == 1
    assert "1.2.1" not in nina.get("/api/v1/audit", params={"user": "zoe", "format": "csv"}).text
    page = nina.get("/settings/audit", params={"user": "zoe"}).text
    assert "1.2.0" in page and "1.2.1" not in page and "1.2.2" not in page
