"""One table: setting_group."""

from datetime import datetime
from typing import Any

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base


class SettingGroup(Base):
    """One group of settings as last saved; each save is a new version, so the history stays."""

    __tablename__ = "setting_group"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    values: Mapped[dict[str, Any]]
    changed_by: Mapped[str] = mapped_column(String(128))
    changed_at: Mapped[datetime]
