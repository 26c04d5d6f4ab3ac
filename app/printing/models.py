"""One table: print_request."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base
from app.kit.phrases import Phrase


class PrintRequest(Base):
    """An order and its result. Its progress is in its job (app.jobs); `state` only shows that the file exists."""

    __tablename__ = "print_request"

    id: Mapped[str] = mapped_column(String(26), primary_key=True)
    job_id: Mapped[str] = mapped_column(String(26), index=True)
    state: Mapped[str] = mapped_column(String(10), default="")  # "" follow the job, "done" the file is here
    items: Mapped[list[Any]] = mapped_column(JSON)  # OrderItem or null, page by page
    options: Mapped[dict[str, Any]]  # PrintOrder without items and password
    password: Mapped[str] = mapped_column(String(1024), default="")  # sealed
    pages: Mapped[int] = mapped_column(default=0)
    file: Mapped[str] = mapped_column(String(256), default="")  # name of a file of app.archive.products
    bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    notices: Mapped[list[Phrase]] = mapped_column(default=list)
    # For the queue's rows, so that showing it asks one table:
    study_instance_uid: Mapped[str] = mapped_column(String(64), default="", index=True)
    patient_name: Mapped[str] = mapped_column(String(400), default="")
    modality: Mapped[str] = mapped_column(String(16), default="")
    created_by: Mapped[str] = mapped_column(String(128), index=True)
    owner_id: Mapped[str | None] = mapped_column(String(26), index=True)  # the user; the name may be another's later
    facility_id: Mapped[str | None] = mapped_column(String(26), index=True)
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
