"""Settings, Certificates and Proxy, as forms of a browser without script, and in Chromium."""

import re
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from app.trust import runtime
from tests.support import dcmtk
from tests.support.browser import chromium, visitor
from tests.support.client import Web
from tests.support.live import Live
from tests.support.pki import Authority
from tests.support.postgres import free_port

PAGE = "/settings/certificates"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("pki"))


@pytest.fixture
def calling(web: Web) -> Iterator[Web]:
    runtime.configure(web.services.config, web.database)
    yield web
    runtime._current = runtime.Ways()


@pytest.mark.parametrize("page", [PAGE, "/settings/proxy"])
def test_the_pages_are_for_administrators(web: Web, page: str) -> None:
    answer = web.admin.get(page)
    assert answer.status_code == 200 and "<h1" in answer.text and "style=" not in answer.text.replace("stylesheet", "")
    assert web.bob.get(page).status_code == 403
    assert web.nobody.get(page).status_code == 303


def test_the_port_needs_a_certificate(web: Web) -> None:
    data = {"enabled": "1", "dicom_tls_port": "2762", "profile": "bcp195", "client_certificates": "none"}
    refused = web.admin.post(f"{PAGE}/tls", data=data)
    assert refused.status_code == 422 and "requires a certificate of this station" in refused.text
    assert web.admin.post(f"{PAGE}/make", data={"hosts": "pacs.example\n10.0.0.5", "name": "LAN"}).status_code == 303
    assert web.admin.post(f"{PAGE}/tls", data=data).status_code == 303
    page = web.admin.get(PAGE).text
    assert "pacs.example, 10.0.0.5" in page and "in use" in page
    wrong = web.admin.post(f"{PAGE}/tls", data=data | {"dicom_tls_port": "seventy"})
    assert wrong.status_code == 422 and 'aria-invalid="true"' in wrong.text
    assert web.admin.get("/api/v1/settings/dicom-tls").json()["values"]["enabled"] is True


def test_a_pair_is_brought_and_its_key_never_seen_again(web: Web, authority: Authority) -> None:
    pair = authority.pair("brought", "filmroom.example")
    data = {"name": "Hospital", "chain": pair.chain, "key": pair.clear}
    assert web.admin.post(f"{PAGE}/bring", data=data).status_code == 303
    secret = pair.clear.splitlines()[3]
    (row,) = web.admin.get("/api/v1/certificates").json()["items"]
    one = web.admin.get(f"/api/v1/certificates/{row['id']}")
    assert row["active"] and row["has_key"] and row["fingerprint"] == pair.fingerprint
    pem = web.admin.get(f"{PAGE}/{row['id']}.pem")
    assert pem.text == pair.chain and "attachment" in pem.headers["content-disposition"]
    for seen in (web.admin.get(PAGE).text, one.text, web.admin.get("/api/v1/audit").text):
        assert secret not in seen and "PRIVATE KEY-----\n" not in seen
    again = web.admin.post(f"{PAGE}/bring", data=data)
    assert again.status_code == 422 and "here already" in again.text and secret not in again.text


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"chain": "nothing"}, "There is no certificate in it"),
        ({"key": "nothing"}, "There is no private key in it"),
        ({"key": "other"}, "does not belong to the first certificate"),
        ({"chain": "expired"}, "The certificate expired on"),
    ],
)
def test_what_is_wrong_with_a_pair_is_said(web: Web, authority: Authority, change: dict[str, str], words: str) -> None:
    pair, other = authority.pair("one"), authority.pair("other")
    old = authority.pair("old", days=-1)
    texts = {"other": other.clear, "expired": old.chain}
    data = {"name": "x", "chain": pair.chain, "key": pair.clear}
    data |= {name: texts.get(value, value) for name, value in change.items()}
    if change.get("chain") == "expired":
        data["key"] = old.clear
    answer = web.admin.post(f"{PAGE}/bring", data=data)
    assert answer.status_code == 422 and words in answer.text


def test_others_are_trusted_used_and_removed(web: Web, authority: Authority) -> None:
    assert web.admin.post(f"{PAGE}/trust", data={"trusted": authority.text}).status_code == 303
    assert web.admin.post(f"{PAGE}/trust", data={"trusted": authority.text}).status_code == 303, "known already"
    for name in ("a", "b"):
        assert web.admin.post(f"{PAGE}/make", data={"hosts": f"{name}.example", "name": name}).status_code == 303
    rows = {row["name"]: row for row in web.admin.get("/api/v1/certificates").json()["items"]}
    assert sorted(row["kind"] for row in rows.values()) == ["authority", "own", "own", "trusted"]
    assert web.admin.post(f"{PAGE}/{rows['b']['id']}/use").status_code == 303
    in_use = web.admin.post(f"{PAGE}/{rows['b']['id']}/remove")
    assert in_use.status_code == 422 and "in use" in in_use.text
    assert web.admin.post(f"{PAGE}/{rows['a']['id']}/remove").status_code == 303
    assert web.bob.get("/api/v1/certificates").status_code == 403


def test_the_proxy_is_saved_and_its_password_kept(calling: Web) -> None:
    web = calling
    data = {
        "url": "http://proxy.example:3128",
        "username": "film",
        "password": "pass-7",
        "exceptions": ".clinic.example\n10.0.0.0/8",
    }
    assert web.admin.post("/settings/proxy", data=data).status_code == 303
    page = web.admin.get("/settings/proxy").text
    assert "Is set. Leave it empty" in page and "pass-7" not in page
    assert web.admin.post("/settings/proxy", data=data | {"password": ""}).status_code == 303
    proxy = runtime.current().proxy_for("pacs.example")
    assert proxy is not None and proxy.password == "pass-7"
    wrong = web.admin.post("/settings/proxy", data=data | {"url": "ftp://x"})
    assert wrong.status_code == 422 and "socks5://host:port or http://host:port" in wrong.text
    shown = web.admin.get("/api/v1/settings/proxy").text + web.admin.get("/api/v1/audit").text
    assert "pass-7" not in shown
    tried = web.admin.post("/settings/proxy/test", data={"host": "10.1.2.3", "port": "104"})
    assert "without the proxy" in tried.text
    assert "is a name such as" in web.admin.post("/settings/proxy/test", data={"host": "a b", "port": "1"}).text
    assert web.admin.post("/settings/proxy", data=data | {"password_clear": "1"}).status_code == 303
    runtime.current().invalidate()
    proxy = runtime.current().proxy_for("pacs.example")
    assert proxy is not None and proxy.password == ""


def test_the_password_and_the_test_by_rest(calling: Web) -> None:
    web = calling
    assert web.admin.put("/api/v1/settings/proxy/password", json={"password": "p"}).status_code == 204
    answer = web.admin.post("/api/v1/settings/proxy/test", json={"host": "pacs.example", "port": 104})
    assert answer.status_code == 200 and answer.json()["ok"] is False
    assert web.bob.post("/api/v1/settings/proxy/test", json={"host": "pacs.example", "port": 104}).status_code == 403


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.mark.browser
@pytest.mark.peer
@pytest.mark.parametrize("theme", ["dark", "light"])
def test_in_chromium_a_certificate_is_made_and_the_port_opens(
    browser: Browser, live: Live, theme: str, tmp_path: Path
) -> None:
    port = free_port()
    with visitor(browser, live, theme=theme) as person:
        page = person.page
        person.go(PAGE)
        if not page.get_by_text("in use").count():  # the other theme, or a try before this one, may have made it
            page.fill("#f-make-name", "LAN")
            page.get_by_role("button", name="Create certificate").click()
            page.wait_for_selector("text=in use", timeout=30_000)
        page.check("input[name=enabled]")
        page.fill("#f-dicom_tls_port", str(port))
        page.locator("form[action$='/tls']").get_by_role("button", name="Save").click()
        page.wait_for_selector("form[action$='/tls'] >> text=Saved", timeout=30_000)
        for _ in range(60):
            person.go(PAGE)
            if page.get_by_text(f"Listening on port {port}").count():
                break
            page.wait_for_timeout(500)
        assert page.get_by_text(f"Listening on port {port}").count() == 1
        href = page.get_by_label(re.compile("Download Filmroom")).get_attribute("href")
        answer = page.context.request.get(href)
        (tmp_path / "ca.pem").write_text(answer.text())
        assert dcmtk.echoscu(port, "FILMROOM", "ECHOSCU", "+tla", "+cf", str(tmp_path / "ca.pem")).code == 0
        assert person.axe() == []
        assert person.overflow() == 0
        person.shot(f"certificates-{theme}")
        page.get_by_label("Remove LAN").click()
        assert page.locator("dialog[open]").get_by_text("The private key is deleted too").count() == 1
        page.locator("dialog[open]").get_by_role("button", name="Cancel").click()
        page.get_by_text("Import certificate and key").click()
        page.set_input_files("#f-chain-file", files=[{"name": "a.pem", "mimeType": "text/plain", "buffer": b"hello"}])
        page.wait_for_function("() => document.querySelector('#f-chain').value === 'hello'")
        page.get_by_role("button", name="Import certificate").click()
        page.wait_for_selector("text=There is no certificate in it", timeout=30_000)
        page.get_by_text("Add trusted authority").click()
        der = ssl.PEM_cert_to_DER_cert(Authority(tmp_path).revoked().replace("X509 CRL", "CERTIFICATE"))
        page.set_input_files("#f-revocations-file", files=[{"name": "a.crl", "mimeType": "", "buffer": der}])
        page.wait_for_function(
            "() => document.querySelector('#f-revocations').value.startsWith('-----BEGIN X509 CRL-----')"
        )
        page.get_by_role("button", name="Add", exact=True).click()
        page.wait_for_selector("text=The list is of Test authority, which is not trusted here", timeout=30_000)
        assert person.axe() == []
        person.shot(f"certificates-wrong-{theme}")
        person.go("/settings/proxy")
        page.fill("#f-url", "socks5://127.0.0.1:1")
        page.fill("#f-exceptions", "10.0.0.0/8")
        page.locator("form[action='/settings/proxy']").get_by_role("button", name="Save").click()
        page.locator("[role=status]", has_text="Saved").wait_for(timeout=30_000)
        page.wait_for_load_state("load")  # the answer to Save is a page of its own; its script must have begun
        page.fill("#f-host", "127.0.0.1")
        page.get_by_role("button", name="Test").click()
        page.wait_for_selector("#proxy-test >> text=cannot be reached", timeout=30_000)
        assert person.axe() == []
        person.shot(f"proxy-{theme}")
        assert [fault for fault in person.faults if "422" not in fault] == []


def test_a_list_of_revoked_ones_stands_beside_its_authority(web: Web, authority: Authority, tmp_path: Path) -> None:
    bad = authority.pair("revoked", "localhost")
    both = {"trusted": authority.text, "revocations": authority.revoked(bad)}
    assert web.admin.post(f"{PAGE}/trust", data=both).status_code == 303
    page = web.admin.get(PAGE).text
    assert "1 revoked" in page and "CRL Test authority" in page
    other = Authority(tmp_path / "other", "Another").revoked()
    wrong = web.admin.post(f"{PAGE}/trust", data={"trusted": "", "revocations": other})
    assert wrong.status_code == 422 and "which is not trusted here. Trust the authority first." in wrong.text
    assert 'aria-invalid="true"' in wrong.text
    rest = web.admin.post("/api/v1/certificates", json={"kind": "crl", "chain": authority.revoked(days=9)})
    assert rest.status_code == 201 and (rest.json()["revoked"], rest.json()["state"]) == (0, "ok")
    items = web.admin.get("/api/v1/certificates").json()["items"]
    assert [one["kind"] for one in items if one["kind"] == "crl"] == ["crl"], "the newer one in place of the older"
    owner = next(one["id"] for one in items if one["kind"] == "trusted")
    assert web.admin.delete(f"/api/v1/certificates/{owner}").status_code == 204
    assert not [one for one in web.admin.get("/api/v1/certificates").json()["items"] if one["kind"] != "own"]
