"""Faults of this package beyond the common ones."""

from app.kit.errors import AppError


class BadArchive(AppError):
    """A zip file that cannot be read or must not be unpacked; `detail` gives the reason in one sentence."""

    code, status = "bad-archive", 422


class MemberRefused(AppError):
    """One member of a zip file that is left out; the others are read."""

    code, status = "member-refused", 422
