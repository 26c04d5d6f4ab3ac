"""Every form of every template: a secret never travels in an address, and no form is sent by a way nobody chose."""

import re
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from app.kit import paths
from tests.support.client import Web

# A field is secret by its type or by its name; `code` is the second factor's.
_SECRET = re.compile(r"""type=["']password["']|["'](?:\w*password\w*|\w*secret\w*|\w*token|code|passphrase)["']""")
_FORM = re.compile(r"<form\b(?P<start>[^>]*)>(?P<inside>.*?)</form>", re.DOTALL)


@dataclass(frozen=True)
class Form:
    """A form of a template. inside: its source, with the calls that make its fields."""

    template: str
    attributes: dict[str, str]
    inside: str

    @property
    def secret(self) -> bool:
        return _SECRET.search(self.inside) is not None


class _Start(HTMLParser):
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found = {name: value or "" for name, value in attrs}


def _attributes(start: str) -> dict[str, str]:
    parser = _Start()
    # Expressions of the template stay values; their quotes would end the attribute.
    parser.feed(f"<form {re.sub(r'{[{%].*?[}%]}', 'x', start)}>")
    return parser.found


def _forms() -> list[Form]:
    found = []
    for path in sorted(Path(paths.templates()).rglob("*.html")):
        text = re.sub(r"{#.*?#}", "", path.read_text("utf-8"), flags=re.DOTALL)
        name = str(path.relative_to(paths.templates()))
        found += [Form(name, _attributes(m["start"]), m["inside"]) for m in _FORM.finditer(text)]
    return found


FORMS = _forms()


def test_the_forms_are_found() -> None:
    names = {form.template for form in FORMS if form.secret}
    assert {"security/login.html", "printing/composer.html", "security/password.html"} <= names


@pytest.mark.parametrize("form", FORMS, ids=lambda form: f"{form.template}-{FORMS.index(form)}")
def test_no_form_sends_a_secret_in_an_address(form: Form) -> None:
    """A form without a method is sent by GET: so each says its own, and what holds a secret posts."""
    method = form.attributes.get("method")
    assert method in ("get", "post", "dialog"), "the form names its method"
    assert not (form.secret and method == "get"), "a secret would be in the address, the history and the logs"
    assert "hx-get" not in form.attributes or not form.secret


@pytest.mark.parametrize("form", FORMS, ids=lambda form: f"{form.template}-{FORMS.index(form)}")
def test_a_form_that_a_script_sends_is_not_boosted(form: Form) -> None:
    """hx-boost is inherited (shell/base.html): it would send such a form to the page's own address."""
    sent_by_script = "action" not in form.attributes and form.attributes.get("method") != "dialog"
    assert not sent_by_script or form.attributes.get("hx-boost") == "false"


SEEN = re.compile(r'name="seen" value="(\w+)"')
ROUTE = {"actions": [{"do": "send", "nodes": ["PACS"]}]}


def _thing(admin: TestClient, kind: str) -> tuple[str, str, dict[str, str], dict[str, object]]:
    """(page, address over REST, a form of it, what another administrator changes meanwhile)."""
    node = {"name": "PACS", "ae_title": "PACS", "host": "127.0.0.1", "port": 104}
    if kind == "user":
        made = admin.get("/api/v1/users/bob").json()["id"]
        typed = {"display_name": "Mine", "role": "technician"}
        return f"/settings/users/{made}", f"/api/v1/users/{made}", typed, {"email": "theirs@example.org"}
    made = admin.post("/api/v1/nodes", json=node).json()["id"]
    if kind == "node":
        typed = node | {"comment": "Mine", "port": "104", "enabled": "on"}
        return f"/settings/nodes/{made}", "/api/v1/nodes/PACS", typed, {"paused": True}  # type: ignore[return-value]
    if kind == "facility":
        made = admin.post("/api/v1/facilities", json={"name": "West"}).json()["id"]
        address = f"/api/v1/facilities/{made}"
        return f"/settings/facilities/{made}", address, {"name": "Mine"}, {"name": "Theirs"}
    made = admin.post("/api/v1/routes", json={"name": "Night", **ROUTE}).json()["id"]
    return f"/settings/routes/{made}", f"/api/v1/routes/{made}", {"name": "Mine"}, {"take": "study"}


@pytest.mark.parametrize("kind", ["user", "node", "facility", "route"])
def test_a_form_does_not_undo_what_another_administrator_changed(web: Web, kind: str) -> None:
    """Each of the two opened the page; the second to save is told, and may save again."""
    page, address, typed, theirs = _thing(web.admin, kind)
    seen = SEEN.search(web.admin.get(page).text)
    assert seen is not None
    method = "PUT" if kind == "facility" else "PATCH"
    changed = web.admin.request(method, address, json=theirs)
    assert changed.status_code == 200, changed.text
    before = web.admin.get(address).json()
    refused = web.admin.post(page, data=typed | {"seen": seen[1]})
    assert "Another user has changed this since the page was opened." in refused.text, refused.status_code
    assert web.admin.get(address).json() == before
    again = SEEN.search(refused.text)
    assert again is not None and again[1] != seen[1] and "Mine" in refused.text
    if kind != "route":  # its form has many more fields
        assert web.admin.post(page, data=typed | {"seen": again[1]}).status_code == 303


def test_a_group_of_settings_does_not_either(web: Web) -> None:
    seen = re.search(
        r'action="/settings/groups/general".*?name="seen" value="(\w+)"', web.admin.get("/settings/general").text, re.S
    )
    assert seen is not None
    theirs = {"site_name": "Theirs"}
    assert web.admin.put("/api/v1/settings/general", json=theirs).status_code == 200
    refused = web.admin.post("/settings/groups/general", data={"site_name": "Mine", "seen": seen[1]})
    assert "Another user has changed this" in refused.text and "Mine" in refused.text
    assert web.admin.get("/api/v1/settings/general").json()["values"]["site_name"] == "Theirs"
