"""Expected faults. Each describes in one sentence what happened and what to do; the interfaces translate them
(RFC 9457 problem, page or fragment, DIMSE status). Anything else that is raised is a bug."""

from collections.abc import Mapping
from typing import Any

from app.kit.phrases import Phrase, as_phrase, joined


class AppError(Exception):
    """A fault a user or a program can act on.

    code: stable word for programs, the last part of the problem's `type`.
    status: HTTP status; dimse: the DIMSE status that says the same (PS3.7 Annex C). detail, hint: messages, which are
    stored and translated; a plain string is one without values.
    """

    code = "fault"
    status = 500
    dimse = 0x0110  # Processing failure

    def __init__(self, detail: str, *, hint: str = "", **extra: Any) -> None:
        super().__init__(detail)
        self.detail = as_phrase(detail)
        self.hint = as_phrase(hint)
        self.extra: Mapping[str, Any] = extra

    @property
    def message(self) -> Phrase:
        """The detail and the hint as one message."""
        return joined((self.detail, self.hint))


class NotFound(AppError):
    code, status, dimse = "not-found", 404, 0x0112


class Invalid(AppError):
    """The request cannot be understood or breaks a rule; `extra["field"]` names the field when there is one."""

    code, status, dimse = "invalid", 422, 0x0106


class BadRequest(AppError):
    code, status, dimse = "bad-request", 400, 0x0106


class Unauthorized(AppError):
    code, status, dimse = "unauthorized", 401, 0x0124


class Forbidden(AppError):
    code, status, dimse = "forbidden", 403, 0x0124


class Conflict(AppError):
    code, status, dimse = "conflict", 409, 0x0110


class TooLarge(AppError):
    code, status, dimse = "too-large", 413, 0xA700


class NotAcceptable(AppError):
    code, status, dimse = "not-acceptable", 406, 0x0122


class Unsupported(AppError):
    code, status, dimse = "unsupported-media-type", 415, 0x0122


class TooMany(AppError):
    code, status = "too-many-requests", 429


class Unavailable(AppError):
    """Database or store cannot be reached, or the disk is full; work resumes by itself."""

    code, status, dimse = "unavailable", 503, 0xA700


class StorageFull(Unavailable):
    """The disk is full up to its reserve: nothing is taken in; everything else goes on."""

    code, status = "storage-full", 507


class PeerFault(AppError):
    """The peer could not be reached, refused us, or broke off. Trying again later may help."""

    code, status, dimse = "peer", 502, 0x0110


class CannotConvert(Exception):
    """The object cannot be given in a syntax the peer takes; the message gives the reason."""
