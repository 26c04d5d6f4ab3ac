"""Texts of a request that cannot be stored (`kit/texts.py`) are refused before anything reads them: in the address by
the edge, in a JSON body or a form by a dependency of every interface that takes them. Files are not looked at."""

from typing import Any

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.requests import HTTPConnection
from starlette.types import Scope

from app.http.deps import client_address
from app.http.services import services
from app.kit import compat
from app.kit.errors import BadRequest, Invalid
from app.kit.phrases import phrase
from app.kit.texts import clean_text, is_storable, unstorable_place

UNSTORABLE = phrase("A text contains a character that cannot be stored (U+0000 or an unpaired surrogate).")
_HINT = phrase("Remove the character and send the request again.")
# Where a body is a try to sign in, and how the audit trail calls it.
_SIGN_INS = {
    "/login": "session",
    "/api/v1/sessions": "session",
    "/session/unlock": "unlock",
    "/api/v1/sessions/current/unlock": "unlock",
    "/setup": "setup",
}


def refuse_address(scope: Scope) -> None:
    """Raises BadRequest for a path or query that is not storable once decoded."""
    query: bytes = scope.get("query_string", b"")
    if b"%00" in query or b"\0" in query or not is_storable(scope["path"]):
        raise BadRequest(UNSTORABLE, hint=_HINT)


async def refuse_body(connection: HTTPConnection) -> None:
    """Dependency: raises Invalid for a body, as JSON or as a form, with a text that is not storable. Where it is a try to
    sign in, it counts as a failed one, and Throttled is raised after many."""
    if not isinstance(connection, Request):
        return
    document: Any
    form: FormData | None
    document, form = compat.parsed_body(connection)
    place = unstorable_place(document)
    if place is None and form is not None:
        place = _place_in_form(form)
    if place is None:
        return
    how = _SIGN_INS.get(connection.scope["path"]) if connection.method == "POST" else None
    if how is not None:
        login = services(connection).gate.login
        await run_in_threadpool(login.count_unstorable, client_address(connection), how)
    raise _refused(place)


async def read_form(request: Request, **limits: Any) -> FormData:
    """The form of a request whose fields are not declared. limits: those of `Request.form`. Raises Invalid as
    `refuse_body` does."""
    form = await request.form(**limits)
    if (place := _place_in_form(form)) is not None:
        raise _refused(place)
    return form


def _place_in_form(form: FormData) -> tuple[str | int, ...] | None:
    for name, value in form.multi_items():
        if not is_storable(name):
            return ()
        if not is_storable((value.filename or "") if isinstance(value, UploadFile) else value):
            return (name,)
    return None


def _refused(place: tuple[str | int, ...]) -> Invalid:
    name = clean_text(".".join(str(part) for part in place), 128)
    return Invalid(UNSTORABLE, hint=_HINT, field=name)
