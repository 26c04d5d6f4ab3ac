"""Facilities: titles and ports made from names, and who knows of which."""

import pytest

from app.security.facilities import port_for, title_for
from tests.support.client import Web


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("Hospital del Valle", "HOSPITAL_DEL_VAL"),
        ("Clínica Ñandú", "CLINICA_NANDU"),
        ("山田病院", "FACILITY"),
        ("a/b\\c", "A_B_C"),
        ("North", "NORTH02"),
        ("Seventeen letters", "SEVENTEEN_LETTER"),
        ("Hospital 1", "HOSPITAL1"),
        ("Clinic 02", "CLINIC02"),
    ],
)
def test_a_title_is_made_from_the_name(name: str, title: str) -> None:
    assert title_for(name, {"NORTH"}) == title


def test_titles_never_clash_and_never_grow() -> None:
    taken: set[str] = set()
    for _ in range(120):
        title = title_for("Hospital del Valle de Abajo", taken)
        assert title not in taken and len(title) <= 16
        taken.add(title)


def test_ports_begin_at_11113_and_fill_gaps() -> None:
    assert [port_for(set()), port_for({11113, 11114}), port_for({11114})] == [11113, 11115, 11113]


def test_ports_of_other_programs_are_passed_by() -> None:
    assert port_for({11113}, lambda port: port > 11115) == 11116


def test_one_may_be_without_a_port(web: Web) -> None:
    made = web.admin.post("/api/v1/facilities", json={"name": "Ward", "port": 0}).json()
    assert made["port"] is None and made["ae_title"] == "WARD" and made["listening"] is None
    address = f"/api/v1/facilities/{made['id']}"
    assert web.admin.put(address, json={"name": "Ward", "port": 11300}).json()["port"] == 11300
    assert web.admin.put(address, json={"name": "Ward 2"}).json()["port"] == 11300, "it stays when it is renamed"
    assert web.admin.put(address, json={"name": "Ward", "port": None}).json()["port"] is None


def test_titles_and_ports_of_the_installation_are_taken(web: Web) -> None:
    web.admin.put("/api/v1/settings/dicom", json={"also_called": ["OLDNAME"]})
    config = web.services.config
    made = web.admin.post("/api/v1/facilities", json={"name": "Ward", "port": 0}).json()
    for body, field in (
        ({"name": "A", "ae_title": "OLDNAME"}, "ae_title"),
        ({"name": "A", "port": config.dicom_port}, "port"),
        ({"name": "A", "port": config.port}, "port"),
        ({"name": "A", "ae_title": "FILMROOM"}, "ae_title"),
    ):
        answer = web.admin.post("/api/v1/facilities", json=body)
        assert (answer.status_code, answer.json()["field"]) == (409, field)
        assert web.admin.put(f"/api/v1/facilities/{made['id']}", json=body).status_code == 409


def test_everyone_knows_their_own_only(web: Web) -> None:
    def names(person: str) -> list[str]:
        return [item["name"] for item in getattr(web, person).get("/api/v1/facilities").json()["items"]]

    assert names("admin") == names("alice") == ["North", "South"]
    assert names("bob") == names("charlie") == ["North"] and names("dora") == ["South"]
    south = web.dora.get("/api/v1/facilities").json()["items"][0]["id"]
    assert web.charlie.get(f"/api/v1/facilities/{south}").status_code == 404


def test_one_is_made_changed_and_removed(web: Web) -> None:
    made = web.admin.post("/api/v1/facilities", json={"name": "East Clinic"})
    assert made.status_code == 201
    assert made.json()["ae_title"] == "EAST_CLINIC"
    assert 11113 <= made.json()["port"] < 11200, "the first that no other program has"
    address = f"/api/v1/facilities/{made.json()['id']}"
    renamed = web.admin.put(address, json={"name": "East Hospital"}).json()
    assert (renamed["name"], renamed["ae_title"]) == ("East Hospital", "EAST_CLINIC")
    assert web.admin.post("/api/v1/facilities", json={"name": "east hospital"}).status_code == 409
    assert web.admin.put(address, json={"name": "East", "ae_title": "TOO_LONG_A_TITLE_X"}).status_code == 422
    assert web.admin.delete(address).status_code == 204
    assert web.admin.get(address).status_code == 404


def test_one_with_users_stays(web: Web) -> None:
    north = web.bob.get("/api/v1/facilities").json()["items"][0]["id"]
    answer = web.admin.delete(f"/api/v1/facilities/{north}")
    assert answer.status_code == 409 and "2 users" in answer.json()["detail"]


def test_our_own_title_is_taken(web: Web) -> None:
    answer = web.admin.post("/api/v1/facilities", json={"name": "X", "ae_title": "FILMROOM"})
    assert answer.status_code == 409
    assert web.admin.post("/api/v1/facilities", json={"name": "Filmroom"}).json()["ae_title"] == "FILMROOM02"


def test_a_tls_port_of_its_own(web: Web) -> None:
    east = web.admin.post("/api/v1/facilities", json={"name": "East", "port": 11400, "tls_port": 11401}).json()
    assert (east["port"], east["tls_port"], east["tls_listening"]) == (11400, 11401, None)
    for body in ({"port": 11401}, {"port": 0, "tls_port": 11400}, {"port": 11500, "tls_port": 11500}):
        assert web.admin.post("/api/v1/facilities", json={"name": "West"} | body).status_code == 409, body
    assert web.admin.post("/api/v1/facilities", json={"name": "West", "tls_port": -5}).status_code == 422
    west = web.admin.post("/api/v1/facilities", json={"name": "West", "tls_port": "next"}).json()
    assert west["port"] and west["tls_port"] and west["port"] != west["tls_port"]
    address = f"/api/v1/facilities/{east['id']}"
    assert web.admin.put(address, json={"name": "East 2"}).json()["tls_port"] == 11401, "it stays"
    assert web.admin.put(address, json={"name": "East 2", "tls_port": "next"}).json()["tls_port"] == 11401
    assert web.admin.put(address, json={"name": "East 2", "tls_port": 0}).json()["tls_port"] is None
    assert web.bob.put(address, json={"name": "East 2", "tls_port": 11600}).status_code == 403
