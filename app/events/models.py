"""One table: event."""

from datetime import datetime
from typing import Any

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base, BigKey

NOBODY = "-"  # as `user_id`: of a user who is none or no longer there


class Event(Base):
    __tablename__ = "event"
    # No index but the key: a row is written with every batch of objects that comes in. Numbers follow time, and the
    # newest row is never pruned, so no number is used twice.

    id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=True)
    at: Mapped[datetime]
    topic: Mapped[str] = mapped_column(String(64))
    facility_id: Mapped[str | None] = mapped_column(String(26))
    user_id: Mapped[str | None] = mapped_column(String(26))  # set: only for this user (and who may see all jobs)
    payload: Mapped[dict[str, Any]] = mapped_column(default=dict)
