"""Composition root of the web role: every door's routes, the static bundle, the event stream."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import FrameType

import uvicorn
from fastapi import FastAPI

import app.api as api
import app.dicomweb as dicomweb
import app.pages as pages
from app import __version__, events
from app.api.events import Hub
from app.archive import Archive
from app.config import Config
from app.db import open_database
from app.http import install
from app.http.services import Services
from app.kit import rolestate

log = logging.getLogger(__name__)


def create_app(config: Config) -> FastAPI:
    """The whole web application over one installation. Opens nothing until it starts."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        events.use_folder(config.run / "events")
        database = open_database(config)
        app.state.services = Services.build(config, database, Archive(config, database))
        app.state.hub = Hub(database)
        app.state.hub.start()
        try:
            yield
        finally:
            app.state.hub.stop()
            database.dispose()

    app = FastAPI(
        title="Filmroom",
        version=__version__,
        lifespan=lifespan,
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
    )
    install(app, config)
    for router in (*api.routers(), *dicomweb.routers(), *pages.routers()):
        app.include_router(router)
    return app


class _Server(uvicorn.Server):
    """Says `ready` once the socket listens, and ends within its time also when clients hold on."""

    def __init__(self, config: uvicorn.Config, state: rolestate.RoleState) -> None:
        super().__init__(config)
        self._state = state

    async def startup(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
        await super().startup(sockets)  # type: ignore[arg-type]
        self._state.set("ready")

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._state.set("stopping")
        super().handle_exit(sig, frame)


def run(config: Config) -> None:
    """Runs until SIGTERM or SIGINT."""
    state = rolestate.RoleState(config.run, "web")
    state.start()
    try:
        settings = uvicorn.Config(
            create_app(config),
            host=config.host,
            port=config.port,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=2,
            timeout_keep_alive=30,
            proxy_headers=bool(config.trusted_proxies),
            forwarded_allow_ips=config.trusted_proxies or None,
            ws_max_size=1 << 16,
        )
        _Server(settings, state).run()
    finally:
        state.close()
