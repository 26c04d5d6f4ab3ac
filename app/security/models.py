"""Tables: facility, role, user_account, password_history, web_session, api_token."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base


class Facility(Base):
    __tablename__ = "facility"

    id: Mapped[str] = mapped_column(String(26), primary_key=True)
    name: Mapped[str] = mapped_column(String(128), unique=True)
    ae_title: Mapped[str | None] = mapped_column(String(16), unique=True)
    port: Mapped[int | None] = mapped_column(unique=True)
    tls_port: Mapped[int | None] = mapped_column(unique=True, index=True)
    home: Mapped[bool] = mapped_column(default=False)  # what comes to no other facility belongs to it
    created_at: Mapped[datetime]


class Role(Base):
    __tablename__ = "role"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    verbs: Mapped[list[str]]
    sees_all: Mapped[bool] = mapped_column(default=False)
    built_in: Mapped[bool] = mapped_column(default=False)


class User(Base):
    __tablename__ = "user_account"

    id: Mapped[str] = mapped_column(String(26), primary_key=True)
    name: Mapped[str] = mapped_column(String(128), unique=True)
    display_name: Mapped[str] = mapped_column(String(128), default="")
    email: Mapped[str] = mapped_column(String(256), default="")
    password_hash: Mapped[str] = mapped_column(String(256))
    password_changed_at: Mapped[datetime]
    must_change_password: Mapped[bool] = mapped_column(default=False)
    role: Mapped[str] = mapped_column(ForeignKey("role.name"))
    facility_id: Mapped[str | None] = mapped_column(ForeignKey("facility.id"))
    disabled: Mapped[bool] = mapped_column(default=False)
    totp_secret: Mapped[str | None] = mapped_column(String(256))  # sealed with the data key
    totp_pending: Mapped[str | None] = mapped_column(String(256))  # shown as a QR code, not yet confirmed by a code
    totp_last_step: Mapped[int] = mapped_column(default=0)  # a code is good once
    recovery_codes: Mapped[list[str]] = mapped_column(default=list)  # SHA-256 of those not used yet
    failed_logins: Mapped[int] = mapped_column(default=0)
    locked_until: Mapped[datetime | None]
    language: Mapped[str] = mapped_column(String(8), default="")
    theme: Mapped[str] = mapped_column(String(16), default="")
    preferences: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_at: Mapped[datetime]
    last_login_at: Mapped[datetime | None]


class PasswordHistory(Base):
    __tablename__ = "password_history"

    id: Mapped[str] = mapped_column(String(26), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("user_account.id", ondelete="CASCADE"), index=True)
    password_hash: Mapped[str] = mapped_column(String(256))
    created_at: Mapped[datetime]


class WebSession(Base):
    """A browser's session. The cookie holds the secret; the row only its SHA-256."""

    __tablename__ = "web_session"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    id: Mapped[str] = mapped_column(String(26), unique=True)  # what administrators see
    user_id: Mapped[str] = mapped_column(ForeignKey("user_account.id", ondelete="CASCADE"), index=True)
    csrf: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime]
    last_input_at: Mapped[datetime]
    locked: Mapped[bool] = mapped_column(default=False)
    address: Mapped[str] = mapped_column(String(64), default="")
    agent: Mapped[str] = mapped_column(String(256), default="")


class ApiToken(Base):
    __tablename__ = "api_token"

    id: Mapped[str] = mapped_column(String(26), primary_key=True)
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("user_account.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(128))
    scopes: Mapped[list[str]]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
