"""Errors of a route."""

from app.kit.errors import Conflict


class NotTested(Conflict):
    """A route is tried on a study before it is enabled (FWD-1)."""

    code = "not-tested"
