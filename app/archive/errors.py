"""Faults of this package beyond the common ones."""

from app.kit.errors import AppError, NotFound


class NoFrame(AppError):
    """The object has no such frame, or its frames cannot be located."""

    code, status, dimse = "no-frame", 404, 0x0112


class Damaged(NotFound):
    """The content of the stored file has changed since it was stored. The object is not sent or shown."""

    code, status, dimse = "damaged", 500, 0xA702  # PS3.4 table C.4-2: unable to perform sub-operations
