"""Composition root of the web role: every interface's routes, the static bundle, the event stream."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

import app.api as api
import app.dicomweb as dicomweb
import app.pages as pages
from app import __version__, events, settings
from app.api.events import Hub
from app.archive import Archive
from app.config import Config, ConfigError
from app.db import open_database
from app.http import install
from app.http.connections import Connections, guarded
from app.http.services import Services
from app.http.settings import WebSettings
from app.kit import files, occupied, paths, rolestate, startup
from app.kit.errors import AppError
from app.settings import zone
from app.trust import runtime

log = logging.getLogger(__name__)
_LOOK = 5.0  # seconds between looks at the limits
_OWN_FILES = 256  # open files that the process itself needs: database, objects, logs


def create_app(config: Config, connections: Connections | None = None) -> FastAPI:
    """The whole web application over one installation; opens the database, so call it after the fork."""
    database = open_database(config)
    archive = Archive(config, database)
    service = Services.open(config, database=database, archive=archive)
    hub = Hub(database)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        events.use_folder(config.run / "events")
        runtime.configure(config, database)
        with contextlib.suppress(AppError), database.read() as session:
            zone.follow(session)
        hub.start()
        limits = asyncio.create_task(_follow_limits(service, connections)) if connections is not None else None
        try:
            yield
        finally:
            if limits is not None:
                limits.cancel()
            hub.stop()
            service.close()
            archive.close()
            database.dispose()

    app = FastAPI(
        title="Filmroom",
        version=__version__,
        lifespan=lifespan,
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
    )
    app.state.hub = hub
    for interface in (dicomweb, api, pages):
        for router in getattr(interface, "routers", list)():
            app.include_router(router)
    if paths.web_dist().is_dir():
        app.mount("/static", _Bundle(directory=paths.web_dist()), name="static")
    install(app, service)
    return app


async def _follow_limits(service: Services, connections: Connections) -> None:
    """The limits on connections and the time zone as they are set; a change counts within seconds."""

    def read() -> WebSettings:
        with service.database.read() as session:
            zone.follow(session)
            return settings.load(session, WebSettings)

    while True:
        with contextlib.suppress(AppError):  # the database is away: the last limits stay
            limits = await run_in_threadpool(read)
            connections.per_address = limits.connections_per_address
            connections.most = min(limits.connections, max(64, (files.raise_limit() or 1 << 16) - _OWN_FILES))
        await asyncio.sleep(_LOOK)


class _Bundle(StaticFiles):
    """The built bundle. Names under assets/ carry a hash of their content, so browsers keep them for good."""

    def file_response(self, *args: Any, **options: Any) -> Response:
        answer = super().file_response(*args, **options)
        hashed = "/assets/" in str(args[0])
        answer.headers["cache-control"] = "public, max-age=31536000, immutable" if hashed else "no-cache"
        return answer


class _Server(uvicorn.Server):
    """Says `ready` once the socket listens, and ends within its time also when clients hold on."""

    def __init__(self, config: uvicorn.Config, state: rolestate.RoleState) -> None:
        super().__init__(config)
        self._state = state

    async def startup(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
        await super().startup(sockets)  # type: ignore[arg-type]
        startup.resume_collection()
        self._state.set("ready")

    async def on_tick(self, counter: int) -> bool:
        self._state.pulse()
        return await super().on_tick(counter)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._state.set("stopping")
        super().handle_exit(sig, frame)


def run(config: Config) -> None:
    """Runs until SIGTERM or SIGINT. Raises ConfigError when the port is taken."""
    try:
        occupied.require_free([(config.host, config.port)])
    except occupied.Occupied as taken:
        raise ConfigError(str(taken)) from None
    state = rolestate.RoleState(config.run, "web")
    state.start()
    try:
        connections = Connections(config.trusted_proxies)
        options = uvicorn.Config(
            create_app(config, connections),
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
            **guarded(connections),
        )
        _Server(options, state).run()
    finally:
        state.close()
