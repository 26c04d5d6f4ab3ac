"""Faults of this package beyond the common ones."""

from app.kit.errors import AppError, NotFound


class NoFrame(AppError):
    """The object has no such frame, or its frames cannot be located."""

    code, status, dimse = "no-frame", 404, 0x0112


class Damaged(NotFound):
    """The stored file is not what was stored: as a whole it is as good as gone, for every sender of objects too."""

    code, status, dimse = "damaged", 500, 0xA702  # PS3.4 table C.4-2: unable to perform sub-operations
