"""Tables: audit_event, and audit_head, which has the length of the chain."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base, BigKey


class AuditEvent(Base):
    __tablename__ = "audit_event"

    id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=True)
    at: Mapped[datetime] = mapped_column(index=True)
    actor_name: Mapped[str] = mapped_column(String(128), index=True)  # kept when the user is deleted
    actor_kind: Mapped[str] = mapped_column(String(16), default="user")
    verb: Mapped[str] = mapped_column(String(64), index=True)
    outcome: Mapped[str] = mapped_column(String(16))  # success, denied, failed
    thing: Mapped[str] = mapped_column(String(32), default="")
    thing_id: Mapped[str] = mapped_column(String(128), default="", index=True)
    facility_id: Mapped[str | None] = mapped_column(String(26), index=True)
    address: Mapped[str] = mapped_column(String(64), default="")
    correlation_id: Mapped[str] = mapped_column(String(32), default="")
    detail: Mapped[dict[str, Any]] = mapped_column(default=dict)
    previous: Mapped[str] = mapped_column(String(64))
    digest: Mapped[str] = mapped_column(String(64), unique=True)


class AuditHead(Base):
    """One row: the end of the chain, so that cutting off its end is noticed."""

    __tablename__ = "audit_head"

    id: Mapped[int] = mapped_column(primary_key=True)
    rows: Mapped[int] = mapped_column(BigInteger)
    digest: Mapped[str] = mapped_column(String(64))  # of the last row
    keyed_after: Mapped[int] = mapped_column(BigInteger)  # rows up to this id are of an older version, without a key
    mac: Mapped[str] = mapped_column(String(64))  # over the three; empty until a process with the key has been there
