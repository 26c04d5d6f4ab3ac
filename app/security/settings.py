"""Settings of this room."""

from typing import ClassVar

from pydantic import Field

from app.settings import Group


class SecuritySettings(Group):
    """Password policy, lock and isolation."""

    group: ClassVar[str] = "security"
    title: ClassVar[str] = "Security"

    idle_minutes: int = Field(15, ge=1, le=15, description="Minutes without input until the screen locks")
    session_hours: int = Field(12, ge=1, le=72, description="Hours after which everyone signs in again")
    password_length: int = Field(12, ge=12, le=64, description="Fewest characters of a password")
    password_history: int = Field(5, ge=5, le=24, description="How many earlier passwords may not be used again")
    password_days: int = Field(0, ge=0, le=3650, description="Days until a password must be changed; 0 means never")
    facility_isolation: bool = Field(True, description="People of a facility see only its studies")
