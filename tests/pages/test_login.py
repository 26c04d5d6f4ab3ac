"""The login page, the second step, the lock without script, the first run: as a browser without JavaScript meets them."""

import re
import time

import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from app import config as boot
from app.audit import AuditEvent
from app.config import Config
from app.db import Database
from app.http import Services
from app.pages.forms import own_path
from app.security import setup, totp
from app.security.models import User
from tests.support.client import PASSWORD, Web

NEW = "Summer-hat-8-ribbons"


def token_of(html: str) -> str:
    found = re.search(r'name="csrf_token" value="([^"]+)"', html)
    assert found, html[:500]
    return found[1]


def hidden(html: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', html)
    assert found, html[:500]
    return found[1]


def enter(web: Web, name: str = "bob", password: str = PASSWORD, **more: str) -> tuple[TestClient, str, int]:
    browser = web.client()
    answer = browser.post("/login", data={"user": name, "password": password, "next": "/account"} | more)
    return browser, answer.text or answer.headers["location"], answer.status_code


def test_the_card_shows_nothing_of_the_inside(web: Web) -> None:
    answer = web.nobody.get("/login")
    assert answer.status_code == 200
    assert 'name="user"' in answer.text and 'class="bar"' not in answer.text and "/settings" not in answer.text


def test_it_leads_where_one_wanted_to_go(web: Web) -> None:
    browser, where, status = enter(web)
    assert (where, status) == ("/account", 303)
    assert "bob" in browser.get("/account").text


def test_a_wrong_password_says_so_and_keeps_the_name(web: Web) -> None:
    _, html, status = enter(web, password="Wrong-horse-9-hat")
    assert status == 401 and "Incorrect user name or password." in html
    assert 'value="bob"' in html and "Wrong-horse" not in html


@pytest.mark.parametrize(
    "address",
    ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)", "/login", "/a\nb", "", "x"],
)
def test_it_never_leads_to_another_site(address: str) -> None:
    assert own_path(address) == "/"


def test_it_leads_to_pages_of_ours() -> None:
    assert own_path("/viewer?study=1.2.3&series=4") == "/viewer?study=1.2.3&series=4"


def test_another_site_cannot_post_it(web: Web) -> None:
    data = {"user": "bob", "password": PASSWORD}
    assert web.nobody.post("/login", data=data, headers={"Origin": "http://evil.example"}).status_code == 403


def test_the_second_step_asks_for_the_code_and_not_for_the_password_again(web: Web) -> None:
    secret = web.bob.post("/api/v1/users/me/second-factor", json={"password": PASSWORD}).json()["secret"]
    step = int(time.time()) // 30
    web.bob.put("/api/v1/users/me/second-factor", json={"code": totp.code_at(secret, step - 1)})
    browser, html, status = enter(web)
    assert status == 401 and 'name="code"' in html and 'name="password"' not in html and PASSWORD not in html
    ticket = hidden(html, "ticket")
    wrong = browser.post("/login", data={"ticket": ticket, "code": "000000"})
    assert wrong.status_code == 401 and "filmroom_session" not in browser.cookies
    code = totp.code_at(secret, int(time.time()) // 30)
    right = browser.post("/login", data={"ticket": ticket, "code": code, "next": "/account"})
    assert right.status_code == 303 and browser.get("/account").status_code == 200
    assert browser.post("/login", data={"ticket": "00" + ticket[2:], "code": code}).status_code == 401


def test_signing_out_ends_the_session(web: Web) -> None:
    browser, _, _ = enter(web)
    answer = browser.post("/logout", data={"csrf_token": token_of(browser.get("/account").text)})
    assert answer.headers["location"] == "/login"
    assert browser.get("/account").headers["location"].startswith("/login")


def test_a_locked_page_asks_for_the_password_and_goes_on(web: Web) -> None:
    browser, _, _ = enter(web)
    token = token_of(browser.get("/account").text)
    browser.post("/api/v1/sessions/current/lock", headers={"X-CSRF-Token": token})
    page = browser.get("/account?saved=password")
    assert page.status_code == 423 and "/session/unlock" in page.text and "Current password" not in page.text
    part = browser.get("/account", headers={"HX-Request": "true"})
    assert part.status_code == 423 and part.text == ""
    data = {"csrf_token": token_of(page.text), "password": "Wrong-horse-9-hat", "next": "/account"}
    assert browser.post("/session/unlock", data=data).status_code == 401
    answer = browser.post("/session/unlock", data=data | {"password": PASSWORD})
    assert answer.headers["location"] == "/account" and browser.get("/account").status_code == 200


def test_a_temporary_password_leads_to_its_change(web: Web) -> None:
    body = {"name": "erin", "password": NEW, "role": "technician", "temporary": True}
    web.admin.post("/api/v1/users", json=body)
    browser, _, _ = enter(web, "erin", NEW)
    assert browser.get("/storage").headers["location"] == "/password"
    page = browser.get("/password")
    data = {"csrf_token": token_of(page.text), "old": NEW, "new": "Autumn-leaf-9-red", "again": "Autumn-leaf-9-rod"}
    differs = browser.post("/password", data=data)
    assert differs.status_code == 422 and "do not match" in differs.text
    weak = browser.post("/password", data=data | {"new": "short", "again": "short"})
    assert weak.status_code == 422 and "at least 12" in weak.text
    assert browser.post("/password", data=data | {"again": data["new"]}).status_code == 303
    assert browser.get("/account").status_code == 200


def test_the_language_of_the_card_is_chosen_and_kept(web: Web) -> None:
    browser = web.client()
    answer = browser.get("/login?lang=es")
    assert answer.status_code == 303 and browser.cookies["filmroom_language"] == "es"
    assert '<html lang="es"' in browser.get("/login").text


@pytest.fixture
def fresh(config: Config, database: Database) -> Web:
    """A new installation: roles, but nobody yet."""
    services = Services.open(config, database=database)
    setup.prepare(database, services.secrets, {})
    return Web(services)


def test_the_first_run_makes_administrator_station_and_node(fresh: Web) -> None:
    browser = fresh.client()
    assert "No users yet" in browser.get("/login").text
    assert browser.get("/setup?code=wrong").status_code == 403
    code = setup.setup_code(fresh.services.secrets)
    assert browser.get(f"/setup?code={code}").status_code == 200
    data = {"code": code, "name": "chief", "password": "weak", "again": "weak"}
    refused = browser.post("/setup", data=data)
    assert refused.status_code == 422 and "at least 12" in refused.text and 'value="chief"' in refused.text
    assert browser.post("/setup", data=data | {"code": "x", "password": NEW, "again": NEW}).status_code == 403
    made = browser.post("/setup", data=data | {"password": NEW, "again": NEW})
    assert made.headers["location"] == "/setup/station"
    with fresh.database.read() as session:
        assert session.scalars(select(User)).one().last_login_at is not None
        assert [
            one.detail
            for one in session.scalars(
                select(AuditEvent).where(AuditEvent.verb == "login", AuditEvent.outcome == "success")
            )
        ] == [{"how": "setup"}]

    station = browser.get("/setup/station")
    assert 'value="FILMROOM"' in station.text and 'value="11112"' in station.text
    assert (
        "DICOM listens on all network interfaces. The web interface is available on this computer only" in station.text
    )  # NET-3
    assert (boot.load({}, environ={}).dicom_host, boot.load({}, environ={}).host) == ("0.0.0.0", "127.0.0.1")
    fields = {
        "csrf_token": token_of(station.text),
        "site_name": "Hospital del Valle",
        "title": "VALLE",
        "port": "11120",
    }
    assert browser.post("/setup/station", data=fields | {"port": "70000"}).status_code == 422
    answer = browser.post("/setup/station", data=fields)
    assert answer.headers["location"] == "/setup/node?restart=1"
    again = boot.load({"data": fresh.services.config.data}, environ={})
    assert (again.aet, again.dicom_port) == ("VALLE", 11120)
    assert "Hospital del Valle" in fresh.nobody.get("/login").text

    node = {"csrf_token": fields["csrf_token"], "name": "PACS", "ae_title": "ORTHANC", "host": "127.0.0.1", "port": "x"}
    assert browser.post("/setup/node", data=node).status_code == 422
    saved = browser.post("/setup/node", data=node | {"port": "104"})
    assert saved.status_code == 303 and saved.headers["location"].startswith("/settings/nodes/")
    assert browser.get("/api/v1/nodes").json()["items"][0]["ae_title"] == "ORTHANC"
    fresh.services.close()


def test_the_link_works_once(web: Web) -> None:
    code = setup.setup_code(web.services.secrets)
    assert web.nobody.get(f"/setup?code={code}").headers["location"] == "/"
    data = {"code": code, "name": "mallory", "password": NEW, "again": NEW}
    assert web.nobody.post("/setup", data=data).status_code == 422
    assert web.admin.get("/api/v1/users/mallory").status_code == 404
