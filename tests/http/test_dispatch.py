"""Finding a route quickly finds the same route."""

from fastapi import APIRouter, FastAPI
from fastapi.testclient import TestClient

from app.http.dispatch import add_guards


def _app(quick: bool) -> TestClient:
    app, whole = FastAPI(), APIRouter(prefix="/api")
    for name in ("a", "b"):
        router = APIRouter(prefix=f"/{name}")
        router.add_api_route("", lambda name=name: name, methods=["GET"])
        router.add_api_route("/{x}", lambda x, name=name: f"{name} {x}", methods=["GET", "POST"])
        router.add_api_route("/{x}/more", lambda x, name=name: f"{name} {x} more", methods=["GET"])
        whole.include_router(router)
    root = APIRouter()
    root.add_api_route("/", lambda: "root", methods=["GET"])
    root.add_api_route("/{word}.txt", lambda word: word, methods=["GET"])
    for router in (whole, root):
        app.include_router(router)
    if quick:
        add_guards(app.router.routes)
    return TestClient(app, follow_redirects=False)


def test_the_same_routes_are_found() -> None:
    plain, quick = _app(False), _app(True)
    paths = [
        "/",
        "/x.txt",
        "/api",
        "/api/a",
        "/api/b",
        "/api/a/",
        "/api/a/1",
        "/api/b/1/more",
        "/api/b/1/less",
        "/c",
        "//",
    ]
    for path in paths:
        for method in ("GET", "POST", "DELETE"):
            one, other = plain.request(method, path), quick.request(method, path)
            same = (other.status_code, other.text, other.headers.get("allow"), other.headers.get("location"))
            assert (one.status_code, one.text, one.headers.get("allow"), one.headers.get("location")) == same, path
    assert quick.get("/api/b/1/more").json() == "b 1 more"
