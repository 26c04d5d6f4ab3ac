"""Errors of anonymization."""

from app.kit.errors import AppError, Conflict, Invalid


class UnknownProfile(Invalid):
    """A profile that is not there, or one that cannot be kept yet: it is refused, never done by half."""

    code = "unknown-profile"


class NotReady(Conflict):
    """The copy is not finished, failed, or was removed."""

    code = "not-ready"


class CannotClean(AppError):
    """An object that cannot be read well enough to be sure that nothing of it leaks."""

    code, status = "cannot-clean", 422
