"""Settings of this package."""

from typing import ClassVar

from pydantic import Field

from app.settings import Group


class SecuritySettings(Group):
    """Password policy, lock and isolation."""

    group: ClassVar[str] = "security"
    title: ClassVar[str] = "Security"

    idle_minutes: int = Field(
        15,
        title="Screen lock (minutes)",
        ge=1,
        le=15,
        description="The screen locks after this time without input. Live updates do not count as input.",
    )
    session_hours: int = Field(
        12, title="Session lifetime (hours)", ge=1, le=72, description="Users sign in again after this time."
    )
    password_length: int = Field(
        12, title="Minimum password length", ge=12, le=64, description="Minimum number of characters of a password."
    )
    password_history: int = Field(
        5, title="Password history", ge=5, le=24, description="Number of earlier passwords that cannot be used again."
    )
    password_days: int = Field(
        0,
        title="Password expires after (days)",
        ge=0,
        le=3650,
        description="Users must change their password after this time; 0: never.",
    )
    facility_isolation: bool = Field(
        True,
        title="Isolate facilities",
        description="Users of a facility see only its studies. This does not apply to roles with access to all facilities.",
    )
