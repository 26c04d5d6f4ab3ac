"""The outermost layer of the web role: one correlation id, one log line and one set of headers per request; requests
that are too large or oddly addressed end here; an exception nobody expected becomes an answer with a code to quote."""

import logging
import re
import time
from typing import Any

from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.http import i18n, problems, security_headers
from app.kit.errors import AppError, BadRequest, TooLarge
from app.kit.logging import correlation_id, new_correlation_id
from app.kit.phrases import phrase

log = logging.getLogger("app.http.requests")
_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")
_HOST = re.compile(r"[A-Za-z0-9.\-_]{1,253}(:\d{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:\d{1,5})?")
_SMALL = 16 * 1024 * 1024
# Where objects come in; those doors stream to disk and keep the limits of SEC-7 themselves.
_UPLOADS = ("/api/v1/imports", "/dicom-web/", "/imports", "/uploads")
_QUIET = ("/static/", "/healthz", "/metrics")


class Edge:
    """Pure ASGI, so that streams pass untouched."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        given = HTTPConnection(scope).headers.get("x-request-id", "")
        if _ID.fullmatch(given):
            correlation_id.set(given)
        else:
            new_correlation_id()
        if scope["type"] == "websocket":
            await self.app(scope, receive, send)
            return
        await _Exchange(self.app, scope, receive, send).run()


class _Exchange:
    """One request and its answer."""

    def __init__(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        self.app, self.scope, self.receive, self.send = app, scope, receive, send
        self.status = 0
        self.https = scope.get("scheme") == "https"
        self.limit = None if scope["path"].startswith(_UPLOADS) else _SMALL
        self.read = 0

    async def run(self) -> None:
        begin = time.perf_counter()
        request = Request(self.scope, self._receive)
        try:
            i18n.use(i18n.language_of(request))  # as the browser says; who is found later may have chosen another
            self._refuse(request)
            await self.app(self.scope, self._receive, self._send)
        except AppError as fault:
            await self._answer(request, fault)
        except Exception as fault:
            log.exception("unexpected fault in %s", self._route())
            await self._answer(request, fault)
        finally:
            level = logging.DEBUG if self.scope["path"].startswith(_QUIET) else logging.INFO
            seconds = time.perf_counter() - begin
            log.log(level, "%s %s %s %.0f ms", self.scope["method"], self._route(), self.status, seconds * 1000)

    def _refuse(self, request: Request) -> None:
        if not _HOST.fullmatch(request.headers.get("host", "")):
            raise BadRequest("The Host header is missing or malformed.", hint="Send a Host as in RFC 9110 7.2.")
        length = request.headers.get("content-length", "0")
        if self.limit is not None and length.isdigit() and int(length) > self.limit:
            raise TooLarge(
                phrase("A request here has at most {limit} bytes.", limit=self.limit),
                hint="Files go to /api/v1/imports.",
            )

    async def _receive(self) -> Message:
        message = await self.receive()
        if self.limit is not None and message["type"] == "http.request":
            self.read += len(message.get("body", b""))
            if self.read > self.limit:
                raise TooLarge(
                    phrase("A request here has at most {limit} bytes.", limit=self.limit),
                    hint="Files go to /api/v1/imports.",
                )
        return message

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = security_headers.complete(
                list(message.get("headers", [])), https=self.https, correlation=correlation_id.get()
            )
        await self.send(message)

    async def _answer(self, request: Request, fault: Exception) -> None:
        if self.status:  # the answer has begun: cutting it off is all that is left
            raise ConnectionError("the answer was broken off") from None
        answer: Response = problems.answer(request, fault)
        await answer(self.scope, self._receive, self._send)

    def _route(self) -> str:
        """The route's pattern: a path may hold UIDs or a name, which no log may."""
        route: Any = self.scope.get("route")
        pattern = getattr(route, "path_format", None) or getattr(route, "path", None)
        if pattern is None:
            first = "/" + self.scope["path"].lstrip("/").partition("/")[0]
            return first if re.fullmatch(r"/[a-z-]{0,20}", first) else "/(unknown)"
        return f"{self.scope.get('root_path', '')}{pattern}"
