"""Faults of this package. Their codes are part of the contract (DESIGN part 2): programs and the shell react to them."""

from app.kit.errors import AppError, Forbidden, TooMany, Unauthorized


class SecondFactorRequired(Unauthorized):
    """Name and password are right, the code of the second factor is still missing. ticket: for the second step of the
    login page (`Login.prove_by_ticket`)."""

    code = "second-factor"
    ticket = ""


class SessionLocked(AppError):
    """15 minutes without input: the session is kept, but answers nothing until it is unlocked (SEC-3)."""

    code, status = "session-locked", 423


class PasswordChangeRequired(Forbidden):
    """A temporary or expired password opens only the page that changes it."""

    code = "password-change-required"


class Throttled(TooMany):
    """Too many failed logins; extra["retry_after"] is the pause in whole seconds."""
