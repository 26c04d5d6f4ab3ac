"""Settings and the person's page, as forms of a browser without script."""

import re
import time
from datetime import UTC, datetime

import pytest

from app.http import i18n
from app.pages import settings_search
from app.security import Actor, Verb, totp
from tests.support.client import PASSWORD, Web

ADMIN_PAGES = ["/settings/general", "/settings/security", "/settings/users", "/settings/facilities", "/settings/audit"]


@pytest.mark.parametrize(
    "page", [*ADMIN_PAGES, "/settings/users/new", "/settings/facilities/new", "/account", "/password"]
)
def test_every_page_opens(web: Web, page: str) -> None:
    answer = web.admin.get(page)
    assert answer.status_code == 200 and "<h1" in answer.text
    assert "style=" not in answer.text.replace("stylesheet", "") and "<script>" not in answer.text


def test_every_setting_is_found_by_the_words_people_see(web: Web) -> None:
    """Groups, fields of pages and sections; the address leads to the field itself."""

    def found(text: str, language: str = "en") -> dict[str, str]:
        headers = {"HX-Request": "true", "Accept-Language": language}
        answer = web.admin.get("/settings/search", params={"q": text}, headers=headers)
        assert answer.status_code == 200 and "<html" not in answer.text
        hits = re.findall(r'class="hit"\s+href="([^"]+)"><span>([^<]+)<', answer.text)
        return {label: href for href, label in reversed(hits)}  # of two with one name the first

    assert found("screen lock") == {"Screen lock (minutes)": "/settings/security#f-security-idle_minutes"}
    both = web.admin.get("/settings/search", params={"q": "TLS port"}, headers={"HX-Request": "true"}).text
    assert 'href="/settings/certificates#' in both and 'href="/settings/facilities#' in both, (
        "each of two with one name"
    )
    assert found("proxy")["Proxy"] == "/settings/proxy"
    assert found("bandwidth") and all(href.startswith("/settings/nodes#f-") for href in found("bandwidth").values())
    assert "no such thing at all" not in found("no such thing at all")
    for page in ("users", "facilities", "nodes", "routes", "forwarder", "certificates", "proxy"):
        assert settings_search.labels(settings_search._PAGES[page][0]), f"the fields of {page} are known"
    whole = web.admin.get("/settings/search", params={"q": "lock"})
    assert "<html" in whole.text and "Screen lock (minutes)" in whole.text, "without script too"
    assert 'href="/settings/general"' in web.admin.get("/settings/search", headers={"HX-Request": "true"}).text
    assert web.bob.get("/settings/search", params={"q": "lock"}).status_code == 403


def test_every_field_that_is_found_stands_on_its_page(web: Web) -> None:
    hits = [
        hit for word in ("e", "a", "o", "i") for hit in settings_search.find(_everything(), word) if "#" in hit.href
    ]
    groups = {
        hit.href
        for hit in hits
        if hit.href.startswith(("/settings/general", "/settings/storage", "/settings/security"))
    }
    assert len(groups) > 5
    for page in {href.partition("#")[0] for href in groups}:
        text = web.admin.get(page).text
        for anchor in [href.partition("#")[2] for href in groups if href.startswith(page + "#")]:
            assert f'id="{anchor}"' in text, anchor


def _everything() -> Actor:
    return Actor(name="admin", verbs=frozenset(Verb))


@pytest.mark.parametrize("page", ADMIN_PAGES)
def test_settings_are_for_administrators(web: Web, page: str) -> None:
    assert web.bob.get(page).status_code == 403
    assert web.nobody.get(page).status_code == 303


def test_a_user_is_added_with_a_temporary_password(web: Web) -> None:
    data = {"name": "erin", "display_name": "Erin Vega", "role": "technician", "facility_id": ""}
    page = web.admin.post("/settings/users/new", data=data)
    assert page.status_code == 200
    shown = re.search(r'id="temporary">([^<]+)<', page.text)
    assert shown
    erin = web.sign_in("erin", shown[1])
    assert erin.get("/api/v1/users/me").json()["must_change_password"] is True
    again = web.admin.post("/settings/users/new", data=data)
    assert again.status_code == 422 and "user with this name already exists" in again.text
    assert shown[1] not in web.admin.get("/settings/users").text


def test_a_refused_user_leaves_nothing_behind(web: Web) -> None:
    answer = web.admin.post("/settings/users/new", data={"name": "erin", "role": "Role not found"})
    assert answer.status_code == 422
    assert web.admin.get("/api/v1/users/erin").status_code == 404


def test_a_user_is_changed_disabled_and_removed(web: Web) -> None:
    bob = web.admin.get("/api/v1/users/bob").json()
    where = f"/settings/users/{bob['id']}"
    session = web.bob
    data = {"display_name": "Bob T.", "role": "technician", "facility_id": bob["facility_id"], "disabled": "1"}
    assert web.admin.post(where, data=data).status_code == 303
    assert "Bob T." in web.admin.get(where).text
    assert session.get("/api/v1/users/me").status_code == 401
    assert web.admin.post(f"{where}/delete").headers["location"] == "/settings/users"
    assert web.admin.get(where).status_code == 404


def test_a_session_is_seen_and_ended(web: Web) -> None:
    bob, who = web.bob, web.admin.get("/api/v1/users/bob").json()["id"]
    page = web.admin.get(f"/settings/users/{who}").text
    action = re.search(r'action="([^"]+/sessions/[^"]+/end)"', page)
    assert action and web.admin.post(action[1]).status_code == 303
    assert bob.get("/api/v1/users/me").status_code == 401


def test_a_facility_is_made_renamed_and_removed(web: Web) -> None:
    made = web.admin.post("/settings/facilities/new", data={"name": "East", "own_port": "1"})
    assert made.status_code == 303
    where = made.headers["location"].partition("?")[0]
    assert 'value="EAST"' in web.admin.get(where).text
    wrong = web.admin.post(where, data={"name": "East", "ae_title": "EAST", "port": "seventy", "own_port": "1"})
    assert wrong.status_code == 422 and "from 1 to 65535" in wrong.text and 'aria-invalid="true"' in wrong.text
    assert (
        web.admin.post(
            where, data={"name": "East Clinic", "ae_title": "EAST", "port": "11113", "own_port": "1"}
        ).status_code
        == 303
    )
    assert "Port 11113 is opening" in web.admin.get(where).text, "no receiver runs here"
    assert web.admin.post(where, data={"name": "East Clinic", "ae_title": "EAST", "port": "11113"}).status_code == 303
    assert "No dedicated port" in web.admin.get(where).text
    secure = {"name": "East Clinic", "ae_title": "EAST", "tls_port": "", "own_tls": "1"}
    assert web.admin.post(where, data=secure).status_code == 303
    assert re.search(r"Port 11\d+ is opening", web.admin.get(where).text), "the next free one"
    wrong = web.admin.post(where, data=secure | {"tls_port": "x"})
    assert wrong.status_code == 422 and "from 1 to 65535" in wrong.text
    assert web.admin.post(f"{where}/delete").status_code == 303


def test_general_and_security_are_saved(web: Web) -> None:
    assert web.admin.post("/settings/groups/general", data={"site_name": "Valle"}).status_code == 303
    assert 'value="Valle"' in web.admin.get("/settings/general").text
    security = web.admin.get("/api/v1/settings/security").json()["values"]
    form = {name: str(value) for name, value in security.items() if not isinstance(value, bool)} | {"idle_minutes": "5"}
    assert web.admin.post("/settings/groups/security", data=form).status_code == 303
    saved = web.admin.get("/api/v1/settings/security").json()["values"]
    assert saved["idle_minutes"] == 5 and saved["facility_isolation"] is False  # an unticked switch sends nothing
    wrong = web.admin.post("/settings/groups/security", data=form | {"idle_minutes": "600"})
    assert wrong.status_code == 422 and 'value="600"' in wrong.text and 'aria-invalid="true"' in wrong.text
    assert web.admin.post("/settings/groups/nothing", data={}).status_code == 404


def test_the_audit_page_filters(web: Web) -> None:
    web.nobody.post("/login", data={"user": "mallory", "password": "Wrong-horse-9-hat"})
    page = web.admin.get("/settings/audit?outcome=failed").text
    assert "mallory" in page and ">admin<" not in page.partition("<tbody>")[2]


def test_preferences_change_the_page(web: Web) -> None:
    data = {"display_name": "Bob T.", "language": "es", "theme": "contrast", "density": "compact"}
    assert web.bob.post("/account", data=data).status_code == 303
    page = web.bob.get("/account").text
    assert re.search(r'<html lang="es"[^>]* data-theme="contrast"\s+data-density="compact"', page)
    assert web.bob.post("/account", data=data | {"theme": "pink"}).status_code == 422


def test_the_second_factor_is_set_up_on_the_page(web: Web) -> None:
    begun = web.bob.post("/account/second-factor", data={"password": PASSWORD}).text
    secret = re.search(r'name="secret" value="([A-Z2-7]+)"', begun)
    assert secret and "data:image/svg+xml" in begun
    wrong = web.bob.post("/account/second-factor/confirm", data={"code": "000000", "secret": secret[1]})
    assert wrong.status_code == 422 and secret[1] in wrong.text
    code = totp.code_at(secret[1], int(time.time()) // 30)
    done = web.bob.post("/account/second-factor/confirm", data={"code": code, "secret": secret[1]}).text
    assert len(re.findall(r"<li>[a-z2-9]{5}-[a-z2-9]{5}</li>", done)) == 10
    assert web.bob.post("/account/second-factor/remove", data={"password": "Wrong-horse-9-hat"}).status_code == 422
    assert web.bob.post("/account/second-factor/remove", data={"password": PASSWORD}).status_code == 303


def test_a_token_is_made_and_deleted_on_the_page(web: Web) -> None:
    page = web.bob.post(
        "/account/tokens", data={"name": "script", "scopes": ["self", "study.search"], "days": "30"}
    ).text
    token = re.search(r'id="new-token">(frt_[^<]+)<', page)
    assert token
    assert web.nobody.get("/api/v1/users/me", headers={"Authorization": f"Bearer {token[1]}"}).status_code == 200
    action = re.search(r'action="(/account/tokens/[^"]+/delete)"', web.bob.get("/account").text)
    assert action and web.bob.post(action[1]).status_code == 303
    assert web.nobody.get("/api/v1/users/me", headers={"Authorization": f"Bearer {token[1]}"}).status_code == 401
    assert web.bob.post("/account/tokens", data={"name": "x"}).status_code == 422


def test_the_time_zone_of_the_site_is_the_one_of_all_times(web: Web) -> None:
    """Not the server's and not the browser's; an unknown name is refused and changes nothing."""
    moment = datetime(2026, 7, 1, 23, 30, tzinfo=UTC)
    assert web.admin.put("/api/v1/settings/general", json={"time_zone": "Asia/Tokyo"}).status_code == 200
    try:
        assert i18n.format_moment(moment).endswith("08:30") and i18n.format_time(moment) == "08:30"
        assert 'data-utc-offset="540"' in web.admin.get("/settings/general").text
        refused = web.admin.put("/api/v1/settings/general", json={"time_zone": "Mars/Olympus"})
        assert refused.status_code == 422 and "Europe/Madrid" in refused.text
        assert i18n.format_time(moment) == "08:30"
    finally:
        assert web.admin.put("/api/v1/settings/general", json={}).status_code == 200


def test_sections_are_grouped_and_empty_groups_left_out(web: Web) -> None:
    page = web.admin.get("/settings/general").text
    sections = page[page.index('id="sections"') : page.index("</nav>", page.index('id="sections"'))]
    assert re.findall(r"<h2>([^<]+)</h2>", sections) == ["System", "Access", "DICOM"]
    assert len(re.findall(r'<a href="/(?:settings/|conflicts)', sections)) == 13
