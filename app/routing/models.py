"""Tables: route, route_run, route_run_transfer, routing_mark."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, LargeBinary, String, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base, JsonWithMessages
from app.kit.phrases import Phrase

WAITING, QUEUED, SENDING, DONE, FAILED, DROPPED = "waiting", "queued", "sending", "done", "failed", "dropped"
_WAITING, _OPEN = text("state = 'waiting'"), text("state IN ('queued', 'sending')")


class Route(Base):
    """A rule with its place in the order. rule: as `rule.Rule`, nodes in it by id."""

    __tablename__ = "route"

    id: Mapped[str] = mapped_column(String(26), primary_key=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    position: Mapped[int]  # lower ones are tried first
    enabled: Mapped[bool] = mapped_column(default=False)
    facility_id: Mapped[str | None] = mapped_column(ForeignKey("facility.id"))  # None: studies of every facility
    rule: Mapped[dict[str, Any]]
    tested_at: Mapped[datetime | None]  # when the rule as it is was last tried on a study
    last_fired_at: Mapped[datetime | None]
    fired: Mapped[int] = mapped_column(default=0)  # runs that did something
    objects: Mapped[int] = mapped_column(BigInteger, default=0)  # in those
    changed_by: Mapped[str] = mapped_column(String(128), default="")
    changed_at: Mapped[datetime]


class RouteRun(Base):
    """One route and the objects of one study that came together.

    waiting: until due_at (None: until it is started manually, or until the study is complete), then decided: a run that
    means no object goes away. queued: its job is to act. sending: its transfers are under way. done, failed (reason),
    dropped (by a person)."""

    __tablename__ = "route_run"
    __table_args__ = (
        Index("ix_route_run_route", "route_id", "state", "id"),
        Index("ix_route_run_study", "study_instance_uid", "route_id"),
        Index("ix_route_run_due", "due_at", sqlite_where=_WAITING, postgresql_where=_WAITING),
        Index("ix_route_run_open", "id", sqlite_where=_OPEN, postgresql_where=_OPEN),
    )

    id: Mapped[str] = mapped_column(String(26), primary_key=True)
    route_id: Mapped[str] = mapped_column(ForeignKey("route.id", ondelete="CASCADE"))
    study_instance_uid: Mapped[str] = mapped_column(String(64))
    facility_id: Mapped[str | None] = mapped_column(String(26))
    state: Mapped[str] = mapped_column(String(10), default=WAITING)
    reason: Mapped[Phrase | None]
    picked: Mapped[list[list[int]]] = mapped_column(JSON)  # spans of instance.id, of this study's objects only
    objects: Mapped[int] = mapped_column(default=0)
    done: Mapped[dict[str, Any]] = mapped_column(
        JsonWithMessages, default=dict
    )  # what was done: sent, dropped, skipped
    attempts: Mapped[int] = mapped_column(default=0)
    uids: Mapped[bytes | None] = mapped_column(LargeBinary)  # old and new UIDs of an anonymized copy, sealed as in deid
    job_id: Mapped[str | None] = mapped_column(String(26))
    created_at: Mapped[datetime]
    last_at: Mapped[datetime]  # of the last arrival in it
    due_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class RouteRunTransfer(Base):
    """The transfers of a run; one transfer may serve several runs that followed quickly."""

    __tablename__ = "route_run_transfer"

    run_id: Mapped[str] = mapped_column(ForeignKey("route_run.id", ondelete="CASCADE"), primary_key=True)
    transfer_id: Mapped[str] = mapped_column(String(26), primary_key=True, index=True)


class RoutingMark(Base):
    """One row: the number of the last event that was handled for the routes. It moves in the transaction that
    makes the runs, so an arrival is accounted for exactly once."""

    __tablename__ = "routing_mark"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    event_id: Mapped[int] = mapped_column(BigInteger)
