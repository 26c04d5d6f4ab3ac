"""Other origins' pages (an OHIF on another host) may use DICOMweb and REST, when an administrator names them.

Off by default. Cookies are never allowed across origins: such a page authenticates by token."""

import time

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app import settings
from app.http.services import Services
from app.http.settings import CrossOriginSettings

_PATHS = ("/dicom-web", "/wado", "/api/v1/")
_FRESH = 2.0  # seconds for which the setting is believed without asking the database
_EXPOSED = "ETag, Location, Warning, Content-Range, Accept-Ranges, X-Transfer-Syntax, X-Request-Id"


class CrossOrigin:
    """Pure ASGI. Adds nothing where no origin is named."""

    def __init__(self, app: ASGIApp, services: Services) -> None:
        self._app = app
        self._services = services
        self._known: frozenset[str] = frozenset()
        self._asked = -_FRESH

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(_PATHS):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        if origin is None or origin not in await self._allowed():
            await self._app(scope, receive, send)
            return
        if scope["method"] == "OPTIONS" and "access-control-request-method" in headers:
            await send(_preflight(origin, headers))
            await send({"type": "http.response.body", "body": b""})
            return

        async def add_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer = MutableHeaders(scope=message)
                answer["Access-Control-Allow-Origin"] = origin
                answer["Access-Control-Expose-Headers"] = _EXPOSED
                answer["Cross-Origin-Resource-Policy"] = "cross-origin"
                answer.add_vary_header("Origin")
            await send(message)

        await self._app(scope, receive, add_headers)

    async def _allowed(self) -> frozenset[str]:
        moment = time.monotonic()
        if moment - self._asked >= _FRESH:
            self._asked = moment
            self._known = await run_in_threadpool(self._read)
        return self._known

    def _read(self) -> frozenset[str]:
        with self._services.database.read() as session:
            return frozenset(settings.load(session, CrossOriginSettings).allowed_origins)


def _preflight(origin: str, headers: Headers) -> Message:
    answer = MutableHeaders(
        {
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Allow-Methods": "GET, HEAD, POST, PUT, DELETE",
            "Access-Control-Allow-Headers": headers.get("access-control-request-headers", "authorization"),
            "Access-Control-Max-Age": "600",
            "Vary": "Origin",
        }
    )
    return {"type": "http.response.start", "status": 204, "headers": answer.raw}
