"""Dependencies of the routes: transactions, and who may call."""

import base64
import binascii
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Annotated, Any, TypeVar

from fastapi import Depends
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection, Request
from starlette.websockets import WebSocket

from app.http import csrf, i18n, parameters
from app.http.services import services
from app.kit.errors import AppError, BadRequest, Unauthorized
from app.kit.texts import is_storable
from app.security import Actor, Verb, require
from app.security.errors import PasswordChangeRequired, SessionLocked
from app.security.identity import Identity

COOKIE = "filmroom_session"
_UNKNOWN: Any = object()
# Streams and live updates are not user input (SEC-3); the shell reports real input with POST .../activity.
_NO_INPUT = ("/dicom-web", "/wado", "/api/v1/events", "/static", "/healthz", "/metrics")


def client_address(connection: HTTPConnection) -> str:
    return connection.client.host if connection.client else ""


async def _from_header(connection: HTTPConnection, header: str) -> Identity | None:
    gate = services(connection).gate
    scheme, _, value = header.partition(" ")
    value = value.strip()
    if scheme.lower() == "bearer" and value:
        known, identity = gate.cached_identity("token", value)
        identity = identity if known else await run_in_threadpool(gate.identify_token, value)
        if identity is None:
            raise Unauthorized(
                "The token is invalid or has expired.", hint="Create a new token in your account settings."
            )
        return identity
    if scheme.lower() == "basic":
        try:
            name, colon, password = base64.b64decode(value, validate=True).decode("utf-8").partition(":")
        except (binascii.Error, UnicodeDecodeError):
            name = colon = password = ""
        if not is_storable(name + password):
            await run_in_threadpool(gate.login.count_unstorable, client_address(connection), "basic")
            raise BadRequest(
                "The user name or password contains a character that cannot be stored (U+0000).",
                hint="Remove the character and send the request again.",
            )
        if not colon:
            raise Unauthorized("The Authorization header is malformed.", hint="Use Basic base64(name:password), UTF-8.")
        identity = gate.peek_basic(name, password)
        return identity or await run_in_threadpool(gate.verify_basic, name, password, client_address(connection))
    raise Unauthorized("This type of Authorization is not supported.", hint="Use Basic or Bearer.")


async def _find_identity(connection: HTTPConnection) -> Identity | AppError | None:
    header = connection.headers.get("authorization")
    if header is not None:
        try:
            return await _from_header(connection, header)
        except AppError as fault:
            return fault
    cookie = connection.cookies.get(COOKIE)
    if not cookie:
        return None
    gate = services(connection).gate
    known, identity = gate.cached_identity("session", cookie)
    return identity if known else await run_in_threadpool(gate.identify_session, cookie)


async def _resolve_identity(connection: HTTPConnection) -> Identity | AppError | None:
    """Found once a request; a fault is kept, so that a public page still opens with a bad header."""
    found = getattr(connection.state, "identity", _UNKNOWN)
    if found is _UNKNOWN:
        found = await _find_identity(connection)
        if isinstance(found, Identity):
            found = found.seen_from(client_address(connection))
        connection.state.identity = found
        language = i18n.language_of(connection)
        i18n.set_language(language)
        if isinstance(found, Identity) and not found.language:
            # Users without a chosen language get the browser's language, also in print.
            found = replace(found, actor=replace(found.actor, language=language))
            connection.state.identity = found
    return found  # type: ignore[no-any-return]


async def identify(connection: HTTPConnection) -> Identity | None:
    """The identity, or None; locked sessions included. Never raises for a bad cookie or header."""
    found = await _resolve_identity(connection)
    return found if isinstance(found, Identity) else None


def known_identity(connection: HTTPConnection) -> Identity | None:
    """The result of `identify` earlier in this request; for templates and error pages."""
    found = getattr(connection.state, "identity", None)
    return found if isinstance(found, Identity) else None


def _counts_as_input(connection: HTTPConnection) -> bool:
    if connection.headers.get("x-background"):
        return False
    return connection.scope["type"] == "http" and not connection.url.path.startswith(_NO_INPUT)


async def identity_for(connection: HTTPConnection, verb: Verb, *, locked_too: bool = False) -> Identity:
    """The identity behind a request that may do this. Raises 401, 403 and 423 faults; checks CSRF and Origin."""
    found = await _resolve_identity(connection)
    if isinstance(found, AppError):
        raise found
    if found is None:
        raise Unauthorized("You are not signed in.", hint="Sign in, or send Basic or Bearer credentials.")
    if found.how == "session":
        await csrf.check(connection, found)
    if found.locked and not locked_too:
        raise SessionLocked("This session is locked.", hint="Unlock it with your password.")
    if found.must_change_password and verb is not Verb.SELF:
        raise PasswordChangeRequired("You must change your password first.", hint="Open /password and change it.")
    require(found.actor, verb)
    connection.state.verb = verb  # the permission it was granted for: `readings` audits by it
    if not locked_too and _counts_as_input(connection):
        services(connection).gate.saw_input(found)
    return found


async def actor_for(connection: Request | WebSocket | HTTPConnection, verb: Verb) -> Actor:
    """For raw async endpoints (mark them with `@asks(verb)`): the actor, or the fault raised."""
    return (await identity_for(connection, verb)).actor


class allow:  # lower case: it reads as a verb where it is used, Depends(allow(Verb.STUDY_VIEW))
    """Dependency: the actor, when it may do `verb`. A test finds it on every route."""

    def __init__(self, verb: Verb, *, locked_too: bool = False) -> None:
        self.verb = verb
        self.locked_too = locked_too

    async def __call__(self, connection: HTTPConnection) -> Actor:
        identity = await identity_for(connection, self.verb, locked_too=self.locked_too)
        parameters.refuse_unknown(connection)
        return identity.actor


E = TypeVar("E", bound=Callable[..., Any])


def public(endpoint: E) -> E:
    """Marks an endpoint as open to everyone: login, health, static files."""
    endpoint.__filmroom_public__ = True  # type: ignore[attr-defined]
    return endpoint


def checks_permission_itself(verb: Verb) -> Callable[[E], E]:
    """Marks a raw endpoint that calls `actor_for(..., verb)` itself."""

    def mark(endpoint: E) -> E:
        endpoint.__filmroom_asks__ = verb  # type: ignore[attr-defined]
        return endpoint

    return mark


Identified = Annotated[Identity | None, Depends(identify)]


async def _read(connection: HTTPConnection, _first: Identified) -> AsyncIterator[Session]:
    """Opened and, on SQLite, closed without a change of threads, each of which is a wait on a busy machine: the first
    query, in the endpoint's thread, opens a connection."""
    reading = services(connection).database.read()
    session = reading.__enter__()
    try:
        yield session
    except BaseException as fault:
        if not await _leave_session(connection, reading, fault):
            raise
    else:
        await _leave_session(connection, reading, None)


async def _leave_session(
    connection: HTTPConnection, reading: AbstractContextManager[Session], fault: BaseException | None
) -> bool:
    why = (type(fault), fault, fault.__traceback__) if fault is not None else (None, None, None)
    if services(connection).database.dialect == "sqlite":
        return bool(reading.__exit__(*why))
    return bool(await run_in_threadpool(reading.__exit__, *why))  # a word to another machine


def _write(connection: HTTPConnection, _first: Identified) -> Iterator[Session]:
    # The caller is identified before the lock is taken: verifying a password hashes, and writes in a transaction of its
    # own.
    with services(connection).database.change() as session:
        yield session


# scope="function": the transaction is committed before the answer leaves, so "saved" is never reported too early.
ReadSession = Annotated[Session, Depends(_read, scope="function")]
WriteSession = Annotated[Session, Depends(_write, scope="function")]
