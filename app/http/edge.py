"""The outermost layer of the web role: one correlation id, one log line and one set of headers per request; requests
that are too large or oddly addressed end here; an unexpected exception becomes an answer with a reference code."""

import asyncio
import logging
import re
import time
from typing import Any

from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app import audit
from app.audit.tally import AuditTally
from app.http import i18n, problems, readings, security_headers, texts
from app.http.deps import identify
from app.http.hosts import Hosts
from app.kit.errors import AppError, BadRequest, TooLarge, Unauthorized
from app.kit.logging import correlation_id, new_correlation_id
from app.kit.numbers import parse_integer
from app.kit.phrases import phrase

log = logging.getLogger("app.http.requests")
_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")
_HOST = re.compile(r"[A-Za-z0-9.\-_]{1,253}(:\d{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:\d{1,5})?")
_SMALL = 16 * 1024 * 1024
# Where objects come in; those interfaces stream to disk and keep the limits of SEC-7 themselves.
_SIGN_IN = ("/login", "/setup", "/api/v1/sessions")
_BEFORE_SIGN_IN = 64 * 1024  # bytes of a body
_SECONDS = 30.0  # for such a body to arrive
_UPLOADS = ("/api/v1/imports", "/dicom-web/", "/imports", "/uploads")
_QUIET = ("/static/", "/healthz", "/metrics")


class TooSlow(AppError):
    """The body did not arrive in time (RFC 9110 15.5.9)."""

    code, status = "too-slow", 408


class Edge:
    """Pure ASGI, so that streams pass untouched."""

    def __init__(self, app: ASGIApp, hosts: Hosts, readings: AuditTally) -> None:
        self.app = app
        self.hosts = hosts
        self.readings = readings

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
            await self._socket(scope, receive, send)
            return
        await _Exchange(self.app, self.hosts, self.readings, scope, receive, send).run()

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await check_host(HTTPConnection(scope), self.hosts)
            texts.refuse_address(scope)
        except AppError:
            await receive()
            await send({"type": "websocket.close", "code": 1008})  # before it is accepted: the answer is 403
            return
        await self.app(scope, receive, send)


async def check_host(connection: HTTPConnection, hosts: Hosts) -> None:
    """Raises BadRequest for a Host that is missing, malformed or given twice, Misdirected for one of another server."""
    given = connection.headers.getlist("host")
    if len(given) != 1 or not _HOST.fullmatch(given[0]):
        raise BadRequest("The Host header is missing or malformed.", hint="Send a Host as in RFC 9110 7.2.")
    await hosts.check(connection)


class _Exchange:
    """One request and its answer."""

    def __init__(
        self, app: ASGIApp, hosts: Hosts, tally: AuditTally, scope: Scope, receive: Receive, send: Send
    ) -> None:
        self.app, self.scope, self.receive, self.send = app, scope, receive, send
        self.hosts, self.readings = hosts, tally
        self.status = 0
        self.seen = audit.RequestReads()
        self.https = scope.get("scheme") == "https"
        self.limit = None if scope["path"].startswith(_UPLOADS) else _SMALL
        if scope["path"] in _SIGN_IN:
            self.limit = _BEFORE_SIGN_IN
        self.read = 0
        self.signed_in: bool | None = None  # None: not looked yet
        self.fault: AppError | None = None  # why the body was refused
        self.replaced = False  # the application's answer is not sent: the fault was
        self.complete: bool | None = None  # whether the body is here; None: nothing was asked for yet
        self.due = asyncio.get_running_loop().time() + _SECONDS

    async def run(self) -> None:
        begin = time.perf_counter()
        request = Request(self.scope, self._receive)
        try:
            self.seen = audit.begin_request()
            i18n.set_language(
                i18n.language_of(request)
            )  # as the browser says; who is found later may have chosen another
            await check_host(request, self.hosts)
            texts.refuse_address(self.scope)
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
        length = request.headers.get("content-length", "0")
        if self.limit is not None and parse_integer(length, high=self.limit) is None:
            raise TooLarge(
                phrase("The request exceeds {limit} bytes.", limit=self.limit),
                hint="Send files to /api/v1/imports.",
            )

    async def _receive(self) -> Message:
        try:
            return await self._piece()
        except AppError as fault:
            self.fault = fault
            raise

    async def _piece(self) -> Message:
        """The next piece of the body. A client that is not signed in has little space and time for it, so that a
        request that will be refused cannot occupy memory or a connection."""
        if self.complete is False and not self.signed_in:
            await self._resolve_identity()
        message = await self._next()
        self.complete = not message.get("more_body", False)
        if message["type"] == "http.request":
            self.read += len(message.get("body", b""))
        if self.limit is not None and self.read > self.limit:
            raise TooLarge(
                phrase("The request exceeds {limit} bytes.", limit=self.limit),
                hint="Send files to /api/v1/imports.",
            )
        if self.read > _BEFORE_SIGN_IN and not self.signed_in:
            await self._resolve_identity()
            if not self.signed_in:
                raise Unauthorized("You are not signed in.", hint="Sign in, or send Basic or Bearer credentials.")
        return message

    async def _resolve_identity(self) -> None:
        if self.signed_in is None:
            self.signed_in = await identify(Request(self.scope)) is not None

    async def _next(self) -> Message:
        if self.signed_in or self.complete is not False:
            return await self.receive()
        try:
            async with asyncio.timeout_at(self.due):
                return await self.receive()
        except TimeoutError:
            raise TooSlow("The request was not received in time.", hint="Try again.") from None

    async def _send(self, message: Message) -> None:
        if self.replaced:
            return
        if self.fault is not None:  # FastAPI answers 400 for whatever happens while it reads a body
            fault, self.fault, self.replaced = self.fault, None, True
            await problems.problem_response(Request(self.scope), fault)(self.scope, self._receive, self._complete)
            return
        await self._complete(message)

    async def _complete(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            if self.status < 400:
                await readings.count_reading(self.readings, self.scope, self.seen)
            message["headers"] = security_headers.complete(
                list(message.get("headers", [])), https=self.https, correlation=correlation_id.get()
            )
        await self.send(message)

    async def _answer(self, request: Request, fault: Exception) -> None:
        if self.status:  # the answer has begun: cutting it off is all that is left
            raise ConnectionError("the answer was broken off") from None
        answer: Response = problems.problem_response(request, fault)
        await answer(self.scope, self._receive, self._complete)

    def _route(self) -> str:
        """The route's pattern: a path may hold UIDs or a name, which no log may."""
        route: Any = self.scope.get("route")
        pattern = getattr(route, "path_format", None) or getattr(route, "path", None)
        if pattern is None:
            first = "/" + self.scope["path"].lstrip("/").partition("/")[0]
            return first if re.fullmatch(r"/[a-z-]{0,20}", first) else "/(unknown)"
        return f"{self.scope.get('root_path', '')}{pattern}"
