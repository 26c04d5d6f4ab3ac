"""A web application with all interfaces, and the cast every package's tests speak with:

    def test_it_shows_a_study(web: Web) -> None:
        assert web.alice.get("/api/v1/studies").status_code == 200

admin (administrator), alice (radiologist), bob (technician) and charlie (facility user), both of the facility "North",
dora (facility user of "South"), and nobody. Each is an httpx client signed in by cookie that sends the CSRF token;
`web.basic("bob")` is the same person as a program. The fixture `web` runs on both databases."""

import importlib
import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fastapi import APIRouter, FastAPI
from starlette.routing import BaseRoute
from starlette.testclient import TestClient

from app import http, security
from app.config import Config
from app.db import Database
from app.http import Services
from app.kit.clock import now
from app.kit.ids import new_id
from app.security import Actor, passwords, roles
from app.security.identity import actor_of
from app.security.models import Facility, Role, User
from app.security.settings import SecuritySettings

PASSWORD = "Winter-coat-7-buttons"
CAST = {
    "admin": ("administrator", None),
    "alice": ("radiologist", None),
    "bob": ("technician", "North"),
    "charlie": ("facility", "North"),
    "dora": ("facility", "South"),
}
INTERFACES = ("api", "pages", "dicomweb")
_hash: list[str] = []
_routes: list[BaseRoute] = []


def password_hash() -> str:
    """Argon2 is slow on purpose: one hash serves the whole test process."""
    if not _hash:
        _hash.append(passwords.hash_password(PASSWORD))
    return _hash[0]


def add_cast(database: Database) -> None:
    """The people above and the facilities North and South."""
    with database.write() as session:
        roles.seed(session)
        facilities = {}
        for name in ("North", "South"):
            facilities[name] = new_id()
            session.add(Facility(id=facilities[name], name=name, created_at=now()))
        session.flush()
        for name, (role, facility) in CAST.items():
            session.add(
                User(
                    id=new_id(),
                    name=name,
                    password_hash=password_hash(),
                    password_changed_at=now(),
                    role=role,
                    facility_id=facilities[facility] if facility else None,
                    recovery_codes=[],
                    preferences={},
                    created_at=now(),
                )
            )


def actor(database: Database, name: str) -> Actor:
    """One of the cast as the actor verbs take."""
    with database.read() as session:
        user = security.queries.user_named(session, name)
        assert user is not None
        role = session.get(Role, user.role)
        assert role is not None
        return actor_of(user, role, SecuritySettings())


def all_routers() -> list[APIRouter]:
    """What the server includes: the routers of every interface that is there."""
    found: list[APIRouter] = []
    for interface in INTERFACES:
        module = importlib.import_module(f"app.{interface}")
        if hasattr(module, "routers"):
            found += module.routers()
    return found


def all_routes() -> list[BaseRoute]:
    """The routes of all routers, as an application includes them. That takes a third of a second, so they are shared by the
    applications of a test process: what belongs to one installation is in its `services`."""
    if not _routes:
        app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
        for router in all_routers():
            app.include_router(router)
        _routes.extend(app.router.routes)
    return _routes


class Web:
    """The application, its services and the signed-in cast."""

    def __init__(self, services: Services, routers: list[APIRouter] | None = None) -> None:
        self.services = services
        self.app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
        self.app.router.routes += all_routes() if routers is None else []
        for router in routers or ():
            self.app.include_router(router)
        http.install(self.app, services)
        self._clients: dict[str, TestClient] = {}

    @property
    def database(self) -> Database:
        return self.services.database

    def client(self, **options: Any) -> TestClient:
        """A browser nobody has signed in at; redirects are not followed."""
        return TestClient(self.app, base_url="http://testserver", follow_redirects=False, **options)

    @property
    def nobody(self) -> TestClient:
        return self.client()

    def sign_in(self, name: str, password: str = PASSWORD, code: str = "") -> TestClient:
        """A new browser signed in as this user."""
        client = self.client()
        answer = client.post("/api/v1/sessions", json={"user": name, "password": password, "code": code})
        assert answer.status_code == 201, answer.text
        client.headers["X-CSRF-Token"] = answer.json()["csrf_token"]
        return client

    def basic(self, name: str, password: str = PASSWORD) -> TestClient:
        """A program that sends HTTP Basic with every request."""
        client = self.client()
        client.auth = (name, password)
        return client

    def actor(self, name: str) -> Actor:
        return actor(self.database, name)

    def __getattr__(self, name: str) -> TestClient:
        if name not in CAST:
            raise AttributeError(name)
        if name not in self._clients:
            self._clients[name] = self.sign_in(name)
        return self._clients[name]


@contextmanager
def open_web(config: Config, database: Database, archive: Any = None) -> Iterator[Web]:
    """The application on an installation of its own."""
    own = None
    if archive is None and importlib.util.find_spec("app.archive") is not None:
        module = importlib.import_module("app.archive")
        archive = own = module.Archive(config, database)
    add_cast(database)
    services = Services.open(config, database=database, archive=archive)
    try:
        yield Web(services)
    finally:
        services.close()
        if own is not None:
            own.close()
