"""Settings of this room."""

from typing import ClassVar

from pydantic import Field

from app.settings import Group


class SecuritySettings(Group):
    """Password policy, lock and isolation."""

    group: ClassVar[str] = "security"
    title: ClassVar[str] = "Security"

    idle_minutes: int = Field(
        15,
        title="Minutes until the screen locks",
        ge=1,
        le=15,
        description="Without input; polls and streams do not count.",
    )
    session_hours: int = Field(
        12, title="Hours a session lasts", ge=1, le=72, description="After them everyone signs in again."
    )
    password_length: int = Field(12, title="Length of a password", ge=12, le=64, description="Fewest characters.")
    password_history: int = Field(
        5, title="Passwords remembered", ge=5, le=24, description="So many earlier ones cannot be used again."
    )
    password_days: int = Field(
        0, title="Days a password lasts", ge=0, le=3650, description="Then it must be changed; 0 means never."
    )
    facility_isolation: bool = Field(
        True,
        title="Keep facilities apart",
        description="People of a facility see only its studies. Roles that see all are not concerned.",
    )
