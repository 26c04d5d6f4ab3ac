"""What holds for every request: headers, ids, limits, faults, the log line."""

import logging
import platform
from typing import Annotated

import pytest
from fastapi import APIRouter, Depends, FastAPI, Request, WebSocket
from pydantic import BaseModel
from starlette.testclient import TestClient, WebSocketDenialResponse

from app import http
from app.http import actor_for, allow, checks_permission_itself, public
from app.http.csrf import check_origin
from app.kit.errors import NotFound
from app.security import Actor, Verb
from tests.support.client import Web, all_routers
from tests.support.marked import MARKED, traces_of_marked

router = APIRouter()


class Body(BaseModel):
    patient_name: int


@router.get("/api/v1/test/bug")
@public
def bug() -> None:
    raise RuntimeError(f"cannot read {MARKED['PatientName']!r}")


@router.get("/api/v1/test/missing/{name}")
@public
def missing(name: str) -> None:
    raise NotFound("Study not found.", hint="Look in the list.", study=1)


@router.post("/api/v1/test/body")
@public
async def body(request: Request) -> int:
    return len(await request.body())


@router.post("/api/v1/test/model")
@public
def model(body: Body) -> int:
    return body.patient_name


@router.get("/test/page-bug")
@public
def page_bug() -> None:
    raise RuntimeError("a bug")


@router.get("/test/page")
def page(actor: Annotated[Actor, Depends(allow(Verb.USER_ADMIN))]) -> str:
    return actor.name


@router.post("/test/form")
def form(actor: Annotated[Actor, Depends(allow(Verb.SELF))]) -> str:
    return actor.name


@router.get("/test/raw")
@checks_permission_itself(Verb.STUDY_VIEW)
async def raw(request: Request) -> str:
    return (await actor_for(request, Verb.STUDY_VIEW)).name


@router.websocket("/test/socket")
@checks_permission_itself(Verb.EVENT_FOLLOW)
async def socket(websocket: WebSocket) -> None:
    actor = await actor_for(websocket, Verb.EVENT_FOLLOW)
    await websocket.accept()
    await websocket.send_text(actor.name)
    await websocket.close()


@router.websocket("/test/open-socket")
@public
async def open_socket(websocket: WebSocket) -> None:
    check_origin(websocket)
    await websocket.accept()
    await websocket.close()


@pytest.fixture
def site(web: Web) -> Web:
    web.app = FastAPI(openapi_url=None)
    for each in [*all_routers(), router]:
        web.app.include_router(each)
    http.install(web.app, web.services)
    return web


def test_every_answer_carries_the_security_headers(site: Web) -> None:
    for path in ("/api/v1/users/me", "/nothing", "/api/v1/test/bug", "/test/page-bug"):
        headers = site.nobody.get(path).headers
        assert "script-src 'self' 'wasm-unsafe-eval'" in headers["content-security-policy"], path
        assert "unsafe-inline" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff" and headers["cache-control"] == "no-store"
        assert "strict-transport-security" not in headers


def test_over_https_the_browser_is_told_to_stay_there(site: Web) -> None:
    client = TestClient(site.app, base_url="https://testserver")
    assert "max-age" in client.get("/nothing").headers["strict-transport-security"]
    signed_in = client.post("/api/v1/sessions", json={"user": "bob", "password": "Winter-coat-7-buttons"})
    assert "Secure" in signed_in.headers["set-cookie"]


def test_a_sane_request_id_is_kept_and_another_replaced(site: Web) -> None:
    client = site.nobody
    assert client.get("/nothing", headers={"X-Request-ID": "abc-12345678"}).headers["x-request-id"] == "abc-12345678"
    for bad in ("short", "x" * 65, "new line", "a/b/c/d/e"):
        assert client.get("/nothing", headers={"X-Request-ID": bad}).headers["x-request-id"] != bad


@pytest.mark.parametrize("host", ["", "a b", "x/y", "evil@host", "h:99999999"])
def test_an_odd_host_is_refused(site: Web, host: str) -> None:
    assert site.nobody.get("/api/v1/users/me", headers={"Host": host}).status_code == 400


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "[::1]:8000", "testserver:8000", "LOCALHOST", platform.node()])
def test_a_usual_host_is_fine(site: Web, host: str) -> None:
    assert site.nobody.get("/api/v1/users/me", headers={"Host": host}).status_code == 401


def test_a_body_has_a_limit_whether_announced_or_not(site: Web) -> None:
    client = site.nobody
    assert client.post("/api/v1/test/body", content=b"x" * 1000).json() == 1000
    announced = client.post("/api/v1/test/body", content=b"x", headers={"Content-Length": str(10**9)})
    assert announced.status_code == 413 and announced.json()["code"] == "too-large"
    streamed = client.post("/api/v1/test/body", content=(b"x" * 2**20 for _ in range(20)))
    assert streamed.status_code == 413


def test_an_expected_fault_is_a_problem(site: Web) -> None:
    answer = site.nobody.get("/api/v1/test/missing/x")
    assert answer.status_code == 404 and answer.headers["content-type"] == "application/problem+json"
    said = answer.json()
    said.pop("correlation_id")
    assert said == {
        "type": "/problems/not-found",
        "title": "Not found",
        "status": 404,
        "detail": "Study not found.",
        "hint": "Look in the list.",
        "code": "not-found",
        "study": 1,
    }


def test_a_bug_says_a_code_and_nothing_of_its_inside(site: Web, caplog: pytest.LogCaptureFixture) -> None:
    answer = site.nobody.get("/api/v1/test/bug")
    assert answer.status_code == 500 and answer.json()["code"] == "unexpected"
    assert traces_of_marked(answer.text) == [] and "RuntimeError" not in answer.text
    assert answer.json()["correlation_id"] == answer.headers["x-request-id"]
    assert any(record.exc_info for record in caplog.records)


def test_a_page_that_fails_says_so_as_a_page(site: Web) -> None:
    answer = site.nobody.get("/test/page-bug")
    assert answer.status_code == 500 and answer.headers["content-type"].startswith("text/html")
    assert answer.headers["x-request-id"] in answer.text and "Traceback" not in answer.text
    part = site.nobody.get("/test/page-bug", headers={"HX-Request": "true"})
    assert part.headers["hx-retarget"] == "#toasts" and "<html" not in part.text


def test_a_wrong_body_names_the_field_and_not_the_value(site: Web) -> None:
    answer = site.nobody.post("/api/v1/test/model", json={"patient_name": MARKED["PatientName"]})
    assert answer.status_code == 422 and answer.json()["field"] == "patient_name"
    assert traces_of_marked(answer.text) == []
    assert site.nobody.post("/api/v1/test/model", content=b"{not json").status_code == 422


def test_nothing_at_an_address_and_the_wrong_method(site: Web) -> None:
    assert site.nobody.get("/api/v1/nothing").json()["code"] == "not-found"
    assert site.nobody.delete("/api/v1/test/bug").json()["code"] == "method-not-allowed"
    assert site.nobody.get("/nothing").headers["content-type"].startswith("text/html")


def test_a_page_sends_who_is_not_signed_in_to_the_login(site: Web) -> None:
    answer = site.nobody.get("/test/page?study=1.2.3")
    assert answer.status_code == 303 and answer.headers["location"] == "/login?next=/test/page%3Fstudy%3D1.2.3"
    part = site.nobody.get("/test/page", headers={"HX-Request": "true"})
    assert part.status_code == 401 and part.headers["hx-redirect"] == "/login"


def test_a_denied_page_says_so_and_is_written_down(site: Web) -> None:
    answer = site.sign_in("bob").get("/test/page")
    assert answer.status_code == 403 and answer.headers["content-type"].startswith("text/html")
    rows = site.sign_in("admin").get("/api/v1/audit", params={"outcome": "denied"}).json()["items"]
    assert [(row["actor_name"], row["verb"], row["thing_id"]) for row in rows] == [
        ("bob", "user.admin", "GET /test/page")
    ]


def test_a_form_may_carry_the_token_as_a_field(site: Web) -> None:
    bob = site.sign_in("bob")
    token = bob.headers.pop("X-CSRF-Token")
    assert bob.post("/test/form", data={"csrf_token": "wrong"}).status_code == 403
    assert bob.post("/test/form", data={"csrf_token": token}).text == '"bob"'
    assert site.basic("bob").post("/test/form").status_code == 200  # no cookie, no forgery


@pytest.mark.parametrize(
    "headers", [{"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}]
)
def test_another_sites_request_is_refused_even_with_the_token(site: Web, headers: dict[str, str]) -> None:
    assert site.sign_in("bob").post("/test/form", headers=headers).status_code == 403


def test_a_raw_endpoint_and_a_socket_ask_too(site: Web) -> None:
    bob = site.sign_in("bob")
    assert bob.get("/test/raw").text == '"bob"'
    assert site.nobody.get("/test/raw").status_code == 303
    with bob.websocket_connect("/test/socket") as connection:
        assert connection.receive_text() == "bob"


def test_a_socket_is_closed_to_nobody_and_to_other_sites(site: Web) -> None:
    bob = site.sign_in("bob")
    for client, path, headers in (
        (site.nobody, "/test/socket", {}),
        (bob, "/test/socket", {"Origin": "http://evil.example"}),
        (site.nobody, "/test/open-socket", {"Origin": "http://evil.example"}),
    ):
        with pytest.raises(WebSocketDenialResponse) as refused, client.websocket_connect(path, headers=headers):
            pass
        assert (refused.value.status_code, refused.value.json()["code"]) in ((401, "unauthorized"), (403, "csrf"))


def test_the_log_line_has_no_query_and_no_name(site: Web, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "app.http.requests"):
        site.nobody.get(f"/api/v1/test/missing/{MARKED['PatientName']}?patient_id={MARKED['PatientID']}")
        site.nobody.get(f"/{MARKED['PatientName']}/x")
    said = [record.getMessage() for record in caplog.records]
    assert any(line.startswith("GET /api/v1/test/missing/{name} 404") for line in said)
    assert traces_of_marked("\n".join(said)) == []


def test_a_wrong_address_keeps_the_shell_for_who_is_signed_in_and_the_lock_for_who_is_locked(site: Web) -> None:
    bob = site.sign_in("bob")
    assert 'class="bar"' in bob.get("/nothing").text and 'class="bar"' not in site.nobody.get("/nothing").text
    bob.post("/api/v1/sessions/current/lock")
    locked = bob.get("/nothing")
    assert locked.status_code == 423 and 'class="bar"' not in locked.text
