"""The time zone of the site as this process uses it."""

from typing import Any

from sqlalchemy.orm import Session

from app.kit import clock
from app.settings.registry import kind_of
from app.settings.store import load


def follow(session: Session) -> None:
    """Uses the time zone that is set now. Each process calls this at its start and every few seconds."""
    general: Any = load(session, kind_of("general"))  # declared by a package above this one
    clock.use_zone(general.time_zone)
