"""One table: anonymization."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base, JsonWithMessages


class Anonymization(Base):
    """A copy of a study without identity. Its progress is in its job; `state` only shows that the zip exists.

    Old and new UIDs are sealed: with them patients could be identified again (ANON-5)."""

    __tablename__ = "anonymization"

    id: Mapped[str] = mapped_column(String(26), primary_key=True)
    job_id: Mapped[str] = mapped_column(String(26), index=True)
    state: Mapped[str] = mapped_column(String(10), default="")  # "" follow the job, "done" the zip is here
    study_instance_uid: Mapped[str] = mapped_column(String(64), index=True)
    profile: Mapped[str] = mapped_column(String(64))
    options: Mapped[list[str]]  # options of PS3.15 E.3 on top of the profile
    project: Mapped[str] = mapped_column(String(64), default="")
    to_archive: Mapped[bool] = mapped_column(default=False)
    uids: Mapped[bytes | None] = mapped_column(LargeBinary)  # AES-256-GCM over zlib over JSON [[old, new], ...]
    file: Mapped[str] = mapped_column(String(256), default="")  # name of a file of app.archive.products
    bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    report: Mapped[dict[str, Any]] = mapped_column(JsonWithMessages, default=dict)
    created_by: Mapped[str] = mapped_column(String(128), index=True)
    owner_id: Mapped[str | None] = mapped_column(String(26), index=True)  # the user; the name may be another's later
    facility_id: Mapped[str | None] = mapped_column(String(26), index=True)
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
