"""Tables of Query/Retrieve: remote_query, remote_query_node, remote_answer, retrieval."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base, BigKey
from app.kit.phrases import Phrase


class RemoteQuery(Base):
    """One question to one or several nodes; it and its answers live a day. The work is job.id = job_id."""

    __tablename__ = "remote_query"

    id: Mapped[str] = mapped_column(String(26), primary_key=True)
    job_id: Mapped[str] = mapped_column(String(26), index=True)
    level: Mapped[str] = mapped_column(String(8))  # PATIENT, STUDY, SERIES, IMAGE
    keys: Mapped[dict[str, Any]] = mapped_column(default=dict)  # keyword -> what is looked for
    modalities: Mapped[list[str]] = mapped_column(default=list)  # each is asked for by itself
    limit: Mapped[int] = mapped_column(default=500)  # answers of each node
    created_by: Mapped[str] = mapped_column(String(128), index=True)
    owner_id: Mapped[str | None] = mapped_column(String(26), index=True)  # the user; the name may be another's later
    facility_id: Mapped[str | None] = mapped_column(String(26))
    created_at: Mapped[datetime] = mapped_column(index=True)


class RemoteQueryNode(Base):
    """One node of a query, and how it went there."""

    __tablename__ = "remote_query_node"

    id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=True)
    query_id: Mapped[str] = mapped_column(ForeignKey("remote_query.id", ondelete="CASCADE"), index=True)
    node_id: Mapped[str] = mapped_column(String(26))
    node_name: Mapped[str] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(10), default="waiting")  # waiting, asking, done, failed, cancelled
    answers: Mapped[int] = mapped_column(default=0)
    broken: Mapped[int] = mapped_column(default=0)  # answers that could not be read
    limited: Mapped[bool] = mapped_column(default=False)  # it had more
    seconds: Mapped[float] = mapped_column(default=0.0)
    error: Mapped[Phrase | None]
    hint: Mapped[Phrase | None]


class RemoteAnswer(Base):
    __tablename__ = "remote_answer"
    __table_args__ = (Index("ix_remote_answer_key", "query_node_id", "key"),)

    id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=True)
    query_node_id: Mapped[int] = mapped_column(ForeignKey("remote_query_node.id", ondelete="CASCADE"))
    key: Mapped[str] = mapped_column(String(64))  # the unique key of the level
    values: Mapped[dict[str, Any]] = mapped_column(default=dict)  # keyword -> text


class Retrieval(Base):
    """A study, or a part of it, on its way here; the work is job.id = job_id. done, total: objects of it that are here,
    and that there are, as far as known; the rest is what the peer counts."""

    __tablename__ = "retrieval"

    id: Mapped[str] = mapped_column(String(26), primary_key=True)
    job_id: Mapped[str] = mapped_column(String(26), index=True)
    node_id: Mapped[str] = mapped_column(ForeignKey("node.id", ondelete="CASCADE"), index=True)
    study_instance_uid: Mapped[str] = mapped_column(String(64), index=True)
    series_instance_uid: Mapped[str] = mapped_column(String(64), default="")
    sop_instance_uids: Mapped[list[str]] = mapped_column(default=list)
    method: Mapped[str] = mapped_column(String(4), default="auto")  # auto, move, get
    used: Mapped[str] = mapped_column(String(8), default="")  # move, get or web, once it is known
    destination: Mapped[str] = mapped_column(String(64), default="")  # another node's name; empty: here
    about: Mapped[dict[str, Any]] = mapped_column(default=dict)  # keyword -> text, what people see of the study
    facility_id: Mapped[str | None] = mapped_column(String(26))
    state: Mapped[str] = mapped_column(String(10), default="queued")
    attempts: Mapped[int] = mapped_column(default=0)
    total: Mapped[int] = mapped_column(default=0)
    done: Mapped[int] = mapped_column(default=0)
    done_before: Mapped[int] = mapped_column(default=0)  # at the start of this try, for the rate
    completed: Mapped[int] = mapped_column(default=0)
    failed: Mapped[int] = mapped_column(default=0)
    warned: Mapped[int] = mapped_column(default=0)
    remaining: Mapped[int | None]
    error: Mapped[Phrase | None]
    hint: Mapped[Phrase | None]
    created_by: Mapped[str] = mapped_column(String(128), index=True)
    owner_id: Mapped[str | None] = mapped_column(String(26), index=True)  # the user; the name may be another's later
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None] = mapped_column(index=True)
