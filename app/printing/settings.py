"""What printing may cost."""

from typing import ClassVar

from pydantic import Field

from app.settings import Group


class PrintSettings(Group):
    """Limits of the print queue."""

    group: ClassVar[str] = "printing"
    title: ClassVar[str] = "Printing"

    queued_per_user: int = Field(
        200,
        title="Queued prints per user",
        ge=1,
        le=100_000,
        description="Prints of one user that may wait or be in progress at a time. More are refused until some are done.",
    )
