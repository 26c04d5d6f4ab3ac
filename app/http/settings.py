"""Settings of every page."""

from typing import ClassVar

from pydantic import Field, field_validator

from app.settings import Group


class GeneralSettings(Group):
    """What the installation is called, and what people see first."""

    group: ClassVar[str] = "general"
    title: ClassVar[str] = "General"

    site_name: str = Field("", title="Hospital and department", max_length=128, description="Shown at the sign-in.")


class CrossOriginSettings(Group):
    """Which other web pages may talk to this installation."""

    group: ClassVar[str] = "cross-origin"
    title: ClassVar[str] = "Other web viewers"

    allowed_origins: list[str] = Field(
        title="Allowed origins",
        default_factory=list,
        max_length=50,
        description="Origins whose pages may use DICOMweb and REST with a token, such as https://viewer.example.org.",
    )

    @field_validator("allowed_origins")
    @classmethod
    def _plain(cls, origins: list[str]) -> list[str]:
        for origin in origins:
            scheme, _, host = origin.partition("://")
            if scheme not in ("http", "https") or not host or any(c in host for c in "/*,; ") or len(origin) > 200:
                raise ValueError("An origin is http:// or https://, a host and perhaps a port, nothing behind it.")
        return origins
