"""One table: job."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base, JsonWithMessages
from app.kit import queue_priority
from app.kit.phrases import Phrase

QUEUED, RUNNING, DONE, FAILED, CANCELLED = "queued", "running", "done", "failed", "cancelled"


class Job(Base):
    """Slow or outside work. `payload` holds ids only, never patient data."""

    __tablename__ = "job"

    id: Mapped[str] = mapped_column(String(26), primary_key=True)
    kind: Mapped[str] = mapped_column(String(64), index=True)
    state: Mapped[str] = mapped_column(String(10), default=QUEUED)
    priority: Mapped[int] = mapped_column(default=queue_priority.NORMAL)  # a higher number is first
    payload: Mapped[dict[str, Any]] = mapped_column(default=dict)
    result: Mapped[dict[str, Any]] = mapped_column(JsonWithMessages, default=dict)
    progress_done: Mapped[int] = mapped_column(default=0)
    progress_total: Mapped[int] = mapped_column(default=0)
    error: Mapped[Phrase | None]
    attempts: Mapped[int] = mapped_column(default=0)
    max_attempts: Mapped[int] = mapped_column(default=3)
    created_at: Mapped[datetime]
    run_after: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    heartbeat_at: Mapped[datetime | None]
    claimed_by: Mapped[str | None] = mapped_column(String(64))
    created_by: Mapped[str] = mapped_column(String(128), default="system")
    owner_id: Mapped[str | None] = mapped_column(String(26), index=True)  # the user; the name may be another's later
    facility_id: Mapped[str | None] = mapped_column(String(26), index=True)
    correlation_id: Mapped[str] = mapped_column(String(32), default="")

    __table_args__ = (
        Index(
            "ix_job_ready",
            priority.desc(),
            "run_after",
            "id",
            sqlite_where=text("state = 'queued'"),
            postgresql_where=text("state = 'queued'"),
        ),
        Index(
            "ix_job_running",
            "heartbeat_at",
            sqlite_where=text("state = 'running'"),
            postgresql_where=text("state = 'running'"),
        ),
    )

    def as_json(self) -> dict[str, Any]:
        """Representation of long work at Location (DESIGN part 2)."""
        return {
            "id": self.id,
            "kind": self.kind,
            "state": self.state,
            "error": self.error,
            "created_by": self.created_by,
            "progress": {"done": self.progress_done, "total": self.progress_total},
            "attempts": self.attempts,
            "created_at": self.created_at.isoformat(),
            "finished_at": self.finished_at and self.finished_at.isoformat(),
            "result": self.result,
        }
