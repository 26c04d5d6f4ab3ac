"""Limits of printing."""

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
        description="Maximum number of waiting and running prints of one user. Further prints are refused.",
    )
