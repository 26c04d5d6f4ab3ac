"""Faults as answers: RFC 9457 problem details for programs, a page or a toast for people."""

import logging
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from fastapi.exceptions import RequestValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, RedirectResponse, Response

from app.audit.tally import AuditedAction
from app.http import i18n
from app.http.deps import identify, known_identity
from app.http.services import services
from app.http.templates import is_htmx, render
from app.kit.clock import now
from app.kit.errors import AppError, BadRequest, Forbidden, Invalid, NotFound, Unavailable
from app.kit.logging import correlation_id
from app.kit.phrases import NOTHING, as_phrase, phrase
from app.kit.validation import message_of
from app.security.errors import PasswordChangeRequired, SessionLocked

log = logging.getLogger(__name__)
_PROGRAMS = ("/api/", "/dicom-web", "/wado", "/healthz", "/metrics")
_TITLES = {
    "not-found": "Not found",
    "invalid": "Invalid request",
    "bad-request": "Malformed request",
    "unauthorized": "Sign-in required",
    "forbidden": "Permission denied",
    "conflict": "Conflict with the current state",
    "too-large": "Too large",
    "not-acceptable": "Format not available",
    "unsupported-media-type": "Unsupported content type",
    "too-many-requests": "Too many requests",
    "misdirected": "Unknown host name",
    "too-slow": "Request timed out",
    "unavailable": "Temporarily not available",
    "storage-full": "Storage full",
    "second-factor": "Second factor required",
    "session-locked": "Session locked",
    "password-change-required": "Password change required",
    "csrf": "Page expired",
    "method-not-allowed": "Method not allowed",
    "unexpected": "Internal error",
}


class MethodNotAllowed(AppError):
    code, status = "method-not-allowed", 405


class Unexpected(AppError):
    """A bug. Does not reveal internal details; the log has the trace under the correlation id."""

    code, status = "unexpected", 500


def for_programs(connection: HTTPConnection) -> bool:
    return connection.scope["type"] == "websocket" or connection.url.path.startswith(_PROGRAMS)


def fault_of(raised: Exception) -> AppError:
    """The fault for a raised exception."""
    if isinstance(raised, AppError):
        return raised
    if isinstance(raised, RequestValidationError):
        if any(error["type"] == "json_invalid" for error in raised.errors()):
            return BadRequest("The body is not valid JSON.", hint="Check the syntax of the body.")
        return _invalid(raised)
    if isinstance(raised, HTTPException):
        if raised.status_code == 404:
            return NotFound("This page does not exist.", hint="Check the address.")
        if raised.status_code == 405:
            return MethodNotAllowed("This address does not support the method.")
        fault = BadRequest(str(raised.detail))
        fault.status = raised.status_code
        return fault
    return Unexpected(
        "An internal error occurred; nothing was changed.",
        hint="Try again. If the error persists, report the reference code below to an administrator.",
    )


def _invalid(raised: RequestValidationError) -> Invalid:
    """Names the fields and rules; never repeats the values, which may be a patient's."""
    messages = []
    for error in raised.errors()[:20]:
        place = ".".join(str(part) for part in error["loc"] if part not in ("body", "query", "path"))
        messages.append({"field": place, "message": message_of(error)})
    first = messages[0] if messages else {"field": "", "message": NOTHING}
    detail = phrase("{field}: {message}", field=first["field"], message=first["message"])
    if not first["field"]:
        detail = as_phrase(first["message"])
    return Invalid(detail, hint="See the fields listed.", field=first["field"], errors=messages)


def as_problem(fault: AppError) -> dict[str, Any]:
    """The members of RFC 9457, then extensions: code, hint, correlation_id and what the fault adds."""
    body = {
        "type": f"/problems/{fault.code}",
        "title": i18n.gettext(_TITLES.get(fault.code, fault.code.replace("-", " ").capitalize())),
        "status": fault.status,
        "detail": i18n.translate(fault.detail),
        "code": fault.code,
        "hint": i18n.translate(fault.hint),
        "correlation_id": correlation_id.get(),
    }
    errors = fault.extra.get("errors")
    if isinstance(errors, Mapping):  # field -> message, as the forms of the pages read them
        errors = [{"field": field, "message": as_phrase(message)} for field, message in errors.items()]
    if isinstance(errors, list):
        body["errors"] = [
            one | {"message": i18n.translate(one["message"])} if isinstance(one, dict) and "message" in one else one
            for one in errors
        ]
    return {**fault.extra, **body}


def _headers(connection: HTTPConnection, fault: AppError) -> dict[str, str]:
    headers = {}
    if fault.status == 401:
        # A browser would open its own dialog over the page for Basic; only programs are asked for it.
        browser = "sec-fetch-mode" in connection.headers or "hx-request" in connection.headers
        headers["WWW-Authenticate"] = "Bearer" if browser else 'Basic realm="Filmroom", charset="UTF-8"'
    if "retry_after" in fault.extra:
        headers["Retry-After"] = str(fault.extra["retry_after"])
    if isinstance(fault, Unavailable):
        headers["Retry-After"] = "5"
    return headers


def problem_response(connection: HTTPConnection, raised: Exception) -> Response:
    """The error answer, in the accepted format."""
    fault = fault_of(raised)
    i18n.set_language(i18n.language_of(connection))
    if for_programs(connection):
        media = "application/problem+json"
        return JSONResponse(as_problem(fault), fault.status, _headers(connection, fault), media_type=media)
    return _page(connection, fault)


def _page(connection: HTTPConnection, fault: AppError) -> Response:
    part = connection.headers.get("hx-request") == "true"
    headers = {k: v for k, v in _headers(connection, fault).items() if k == "Retry-After"}
    where = connection.url.path + (f"?{connection.url.query}" if connection.url.query else "")
    if fault.code == "unauthorized":
        target = "/login" if part or where == "/" else f"/login?next={quote(where)}"
        return _redirect(target, part)
    if isinstance(fault, PasswordChangeRequired):
        return _redirect("/password", part)
    context: dict[str, Any] = {"fault": fault, "problem": as_problem(fault), "at": now(), "next": where}
    if isinstance(fault, SessionLocked):
        if part:  # the shell lays its dialog over the page; what was being done stays under it (SEC-3)
            return Response(status_code=fault.status, headers={"HX-Reswap": "none"})
        return render(connection, "security/lock.html", context, fault.status)
    if is_htmx(connection):
        headers |= {"HX-Retarget": "#toasts", "HX-Reswap": "beforeend"}
        return render(connection, "shell/_fault.html", context, fault.status, headers)
    return render(connection, "shell/error.html", context, fault.status, headers)


def _redirect(target: str, part: bool) -> Response:
    if part:
        return Response(status_code=401, headers={"HX-Redirect": target})
    return RedirectResponse(target, 303)


async def handle_fault(request: HTTPConnection, raised: Exception) -> Response:
    """The exception handler of every expected fault, a socket's too; a denial is written to the audit trail."""
    if not for_programs(request):
        identity = await identify(request)  # nothing may have asked yet: an address that does not exist
        if identity is not None and identity.locked and isinstance(raised, HTTPException):
            raised = SessionLocked("This session is locked.", hint="Unlock it with your password.")
    if isinstance(raised, Forbidden) and not isinstance(raised, PasswordChangeRequired):
        await run_in_threadpool(_record_denial, request, raised)
    return problem_response(request, raised)


def _record_denial(request: HTTPConnection, fault: Forbidden) -> None:
    identity = known_identity(request)
    route = request.scope.get("route")
    services(request).gate.tally.count(
        AuditedAction(
            identity.actor.name if identity else "anonymous",
            str(fault.extra.get("verb", fault.code)),
            "denied",
            thing="route",
            thing_id=f"{request.scope.get('method', 'WEBSOCKET')} {getattr(route, 'path_format', '')}"[:128],
            address=request.client.host if request.client else "",
            who_id=(identity.actor.user_id or "") if identity else "",
        )
    )
