"""Settings of every page."""

from typing import ClassVar

from pydantic import Field

from app.settings import Group


class GeneralSettings(Group):
    """What the installation is called, and what people see first."""

    group: ClassVar[str] = "general"
    title: ClassVar[str] = "General"

    site_name: str = Field("", max_length=128, description="Hospital and department, shown at the sign-in")
