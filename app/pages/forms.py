"""Shared parts of pages with forms."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from fastapi import Request
from starlette.responses import RedirectResponse

from app.http import i18n, services
from app.http.deps import known_identity
from app.kit.errors import AppError, Conflict, Forbidden, Invalid, TooMany, Unauthorized
from app.security.identity import Identity

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Faults:
    """Errors of a form: a sentence, what belongs below which field, and the status of the answer."""

    message: str = ""
    errors: dict[str, str] = field(default_factory=dict)
    status: int = 422

    def of(self, name: str) -> str:
        """The message below this field."""
        return self.errors.get(name, "")

    @property
    def general(self) -> str:
        """The message above the form: an error of no single field."""
        return "" if self.errors else self.message


NO_FAULTS = Faults()


def faults_of(raised: AppError) -> Faults:
    text = " ".join(part for part in (i18n.translate(raised.detail), i18n.translate(raised.hint)) if part)
    name = str(raised.extra.get("field", ""))
    errors = {name: text} if name else {}
    several = raised.extra.get("errors", ())
    if isinstance(several, Mapping):  # field -> message, or a list of both
        several = [{"field": name, "message": message} for name, message in several.items()]
    for each in several:
        errors[str(each["field"])] = i18n.translate(each["message"])
    return Faults(text, errors, raised.status if isinstance(raised, TooMany) else 422)


def attempt(request: Request, work: Callable[[Any], T]) -> tuple[T | None, Faults]:
    """Runs `work(session)` in a transaction of its own. A fault the person can correct is answered, not raised:
    the transaction is rolled back and the form is shown again."""

    def run() -> T:
        with services(request).database.change() as session:
            return work(session)

    return attempt_alone(run)


def attempt_alone(work: Callable[[], T]) -> tuple[T | None, Faults]:
    """The same without a transaction, for what opens its own: passwords are hashed outside of any."""
    try:
        return work(), Faults()
    except (Invalid, Conflict, Unauthorized, TooMany) as raised:
        return None, faults_of(raised)
    except Forbidden as raised:
        if raised.code != "forbidden":
            raise
        return None, faults_of(raised)


def stamp(*values: object) -> str:
    """Stamp of the values a form was rendered from, as its hidden field `seen` (the macro of that name)."""
    return hashlib.sha256(repr(values).encode()).hexdigest()[:16]


def require_unchanged(seen: str, current: str) -> None:
    """Raises Conflict when another user has changed the values of a form: saving it would undo that unnoticed. seen: as
    the form sent it, empty from a program; current: the stamp of what is saved now."""
    if seen and seen != current:
        raise Conflict(
            "Another user has changed this since the page was opened.",
            hint="Your values are shown. Save again to use them, or reload the page to see the current values.",
        )


def redirect(address: str) -> RedirectResponse:
    """After a form: the page again, so that a reload sends nothing twice."""
    return RedirectResponse(address, 303)


def own_path(address: str) -> str:
    """Where to go after the login: a page of this server, never another site (OWASP: open redirects)."""
    plain = address.startswith("/") and not address.startswith(("//", "/\\", "/login", "/logout"))
    return address if plain and address.isprintable() and "\\" not in address else "/"


def current_identity(request: Request) -> Identity:
    """The identity that `allow` has found."""
    identity = known_identity(request)
    assert identity is not None
    return identity
