"""Settings of every page."""

import re
from typing import ClassVar
from zoneinfo import available_timezones

from pydantic import Field, field_validator

from app.settings import Group


class GeneralSettings(Group):
    """Name and start page of the installation."""

    group: ClassVar[str] = "general"
    title: ClassVar[str] = "General"

    site_name: str = Field(
        "", title="Hospital and department", max_length=128, description="Shown on the sign-in page."
    )
    time_zone: str = Field(
        "",
        title="Time zone",
        max_length=64,
        description="IANA name such as Europe/Madrid. Used for all times in pages and prints and for schedules. Empty: the time zone of the server.",
    )

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        if name and name not in available_timezones():
            raise ValueError("This time zone is not known. Enter an IANA name such as Europe/Madrid.")
        return name


class WebSettings(Group):
    """The web server: which names it answers to, and how many connections it accepts."""

    group: ClassVar[str] = "web"
    title: ClassVar[str] = "Web server"

    host_names: list[str] = Field(
        title="Host names",
        default_factory=list,
        max_length=50,
        description="Additional names of this server, such as filmroom.example.org; one per line. The names and addresses of this machine are always accepted.",
    )
    connections_per_address: int = Field(
        256,
        title="Connections per address",
        ge=16,
        le=10_000,
        description="Maximum number of open connections of one client address. Idle connections are closed first.",
    )
    connections: int = Field(
        2000, title="Total connections", ge=64, le=20_000, description="Maximum number of open connections."
    )

    @field_validator("host_names")
    @classmethod
    def _names(cls, names: list[str]) -> list[str]:
        for name in names:
            if not re.fullmatch(r"[A-Za-z0-9._-]{1,253}|[0-9A-Fa-f:.]{2,45}", name):
                raise ValueError("A host name may contain letters, digits, dots and hyphens, without port and path.")
        return names


class CrossOriginSettings(Group):
    """Which other web pages may talk to this installation."""

    group: ClassVar[str] = "cross-origin"
    title: ClassVar[str] = "Other web applications"

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
                raise ValueError(
                    "Enter an origin as http:// or https:// with a host and an optional port, without a path."
                )
        return origins
