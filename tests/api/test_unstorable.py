"""U+0000, which PostgreSQL cannot store, and lone surrogates, which no answer can be written with: refused wherever a
client may send a text, on both databases, before anything reads it."""

import base64
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from fastapi.openapi.utils import get_openapi
from starlette.testclient import TestClient

from app.db import open_database
from app.security.throttle import ADDRESS_TRIES
from tests.conftest import copied_installation
from tests.support.client import PASSWORD, Web, open_web

JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
_SLOW = ("/api/v1/events",)


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """One application for all tests here, on each database."""
    with copied_installation(request, tmp_path_factory.mktemp("unstorable"), request.param) as config:
        database = open_database(config)
        with open_web(config, database) as web:
            yield web
        database.dispose()


@pytest.fixture(scope="module")
def document(shared: Web) -> dict[str, Any]:
    return get_openapi(title="Filmroom", version="1", routes=shared.app.routes)


def _operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [(method, path, told) for path, of in document["paths"].items() for method, told in of.items()]


def _address(path: str, name: str = "", value: str = "") -> str:
    return "/".join(
        (value if part == "{" + name + "}" else "1") if part.startswith("{") else part for part in path.split("/")
    )


def _refusal(answer: Any) -> str:
    """What is wrong with an answer to such a request; empty for nothing."""
    if answer.status_code not in (400, 422):
        return str(answer.status_code)
    said = answer.json()
    return "" if "cannot be stored" in said["detail"] else said["detail"]


def _properties(document: dict[str, Any], schema: dict[str, Any]) -> list[str]:
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return list(schema.get("properties", {})) or ["a"]


def test_in_every_parameter(shared: Web, document: dict[str, Any]) -> None:
    tried, bad = 0, []
    for method, path, told in _operations(document):
        for parameter in told.get("parameters", []):
            name, kind = parameter["name"], parameter["in"]
            if kind not in ("path", "query") or path.startswith(_SLOW):
                continue
            at = _address(path, name, "%00") if kind == "path" else f"{_address(path)}?{quote(name)}=a%00"
            tried += 1
            if fault := _refusal(shared.admin.request(method.upper(), at)):
                bad.append((method, at, fault))
    assert not bad and tried > 200


@pytest.mark.parametrize(
    "text", ['"a\\u0000"', '"\\ud800"', '["\\udfff x"]', '{"\\u0000": 1}', '{"a": {"b": "\\ud83d"}}']
)
def test_in_every_field_of_a_json_body(shared: Web, document: dict[str, Any], text: str) -> None:
    tried, bad = 0, []
    for method, path, told in _operations(document):
        schema = told.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
        if schema is None or path == "/api/v1/nodes/import" or "/sessions" in path:
            continue  # a file with lines, and tries to sign in: below
        for name in _properties(document, schema):
            body = f"{{{json.dumps(name)}: {text}}}"
            tried += 1
            if fault := _refusal(shared.admin.request(method.upper(), _address(path), content=body, headers=JSON)):
                bad.append((method, path, name, fault))
    assert not bad and tried > 80


def test_a_pair_of_surrogates_is_a_character(shared: Web) -> None:
    """And a backslash before u0000 is two characters more of a text."""
    for text in ("\\ud83d\\ude00", "\\\\u0000", "\\\\ud800"):
        body = f'{{"name": "Kept {text}"}}'.encode()
        made = shared.admin.post("/api/v1/facilities", content=body, headers=JSON)
        assert made.status_code == 201 and made.json()["name"] == json.loads(body)["name"], made.text


def test_in_forms_and_files_of_text(shared: Web) -> None:
    html = shared.admin.post("/settings/facilities/new", content=b"name=a%00", headers=FORM)
    assert html.status_code == 422 and "cannot be stored" in html.text, html.text[:200]
    for path in (
        "/settings/groups/general",
        "/settings/forwarder",
        "/settings/certificates/tls",
        "/settings/routes/new",
    ):
        answer = shared.admin.post(path, content=b"name=a%00", headers=FORM)
        assert answer.status_code == 422 and "cannot be stored" in answer.text, path
    nodes = shared.admin.post("/api/v1/nodes/import", content=b'{"nodes": [{"name": "\\ud800"}]}')
    assert nodes.status_code == 422, nodes.text
    assert "cannot be stored" in nodes.text
    rule = shared.admin.post("/api/v1/routes/test", data={"rule": '{"name": "\\u0000"}'}, files={"file": ("a", b"x")})
    assert rule.status_code == 422, rule.text


def test_bytes_of_files_are_not_looked_at(shared: Web) -> None:
    answer = shared.admin.post("/api/v1/imports", files=[("files", ("a.dcm", b"\0" * 300, "application/dicom"))])
    assert answer.status_code == 200 and answer.json()["results"][0]["status"] == "refused", answer.text


def _tries(client: TestClient) -> Iterator[Any]:
    basic = base64.b64encode(b"admin\0:x").decode()
    while True:
        yield client.post("/api/v1/sessions", content=b'{"user": "\\u0000", "password": "x"}', headers=JSON)
        yield client.post("/api/v1/sessions", content=b'{"user": "admin", "password": "\\ud800"}', headers=JSON)
        yield client.post("/login", content=b"user=admin&password=%00", headers=FORM)
        yield client.get("/api/v1/studies", headers={"Authorization": f"Basic {basic}"})


def test_a_sign_in_counts_as_failed(shared: Web) -> None:
    """Sixty tries were sixty internal errors, and none was slowed down."""
    assert shared.admin.get("/api/v1/studies").status_code == 200  # signed in before the address has to wait
    client = TestClient(shared.app, base_url="http://testserver", client=("192.0.2.7", 1), follow_redirects=False)
    tries = _tries(client)
    for _ in range(ADDRESS_TRIES):
        answer = next(tries)
        assert answer.status_code in (400, 422) and "cannot be stored" in answer.text, answer.text
    assert [next(tries).status_code for _ in range(4)] == [429] * 4
    right = client.post("/api/v1/sessions", json={"user": "admin", "password": PASSWORD})
    assert right.status_code == 429
    rows = shared.admin.get("/api/v1/audit", params={"verb": "login", "outcome": "failed"}).json()["items"]
    assert {row["detail"]["how"] for row in rows if row["address"] == "192.0.2.7"} == {"session", "basic"}


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_moments_beyond_the_calendar(shared: Web, moment: str) -> None:
    for path in ("/api/v1/audit", "/api/v1/operations"):
        for name in ("since", "until"):
            answer = shared.admin.get(path, params={name: moment})
            assert answer.status_code == 422 and answer.json()["field"] == name, answer.text
    for key in (moment, "a\0", "\ud800"):
        for sort in ("received", "name"):
            text = json.dumps([sort, key, 1, 1, False]).encode()
            cursor = base64.urlsafe_b64encode(text).decode().rstrip("=")
            answer = shared.admin.get("/api/v1/studies", params={"cursor": cursor, "sort": sort})
            assert answer.status_code == 400 or (sort, key) == ("name", moment), answer.text
