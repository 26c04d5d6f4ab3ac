"""Tables of the forward queue: transfer, transfer_instance, derived_object, transfer_slot."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, String, false, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base, BigKey
from app.kit import queue_priority
from app.kit.phrases import Phrase

_ACTIVE = text("state in ('queued', 'running')")


class Transfer(Base):
    """One destination and one study, for one source (a person, or a route): what goes, and how far it is (FWD-2).

    state: queued, running, done, failed (a dead letter), cancelled. priority: a higher number is first. run_after: not before; a pause
    after a fault. attempts: how often it was begun; faults: tries that failed since something last went."""

    __tablename__ = "transfer"
    __table_args__ = (
        Index(
            "ix_transfer_active",
            "node_id",
            "priority",
            "id",
            "run_after",
            sqlite_where=_ACTIVE,
            postgresql_where=_ACTIVE,
        ),
        Index("ix_transfer_state", "state", "id"),
    )

    id: Mapped[str] = mapped_column(String(26), primary_key=True)
    node_id: Mapped[str] = mapped_column(ForeignKey("node.id"), index=True)
    study_instance_uid: Mapped[str] = mapped_column(String(64), index=True)
    facility_id: Mapped[str | None] = mapped_column(String(26))
    source: Mapped[str] = mapped_column(String(40), default="")  # "" a person, else who keeps adding to it: route:<id>
    state: Mapped[str] = mapped_column(String(10), default="queued")
    priority: Mapped[int] = mapped_column(default=queue_priority.NORMAL)
    run_after: Mapped[datetime]
    attempts: Mapped[int] = mapped_column(default=0)
    faults: Mapped[int] = mapped_column(default=0)
    unreached: Mapped[bool] = mapped_column(default=False, server_default=false())  # last fault: no way to it
    woken_from: Mapped[
        datetime | None
    ]  # it goes early, since the node proved alive; else it would have waited till then
    committing: Mapped[bool] = mapped_column(default=False)  # all is sent; the node was asked to commit it
    total: Mapped[int] = mapped_column(default=0)
    sent: Mapped[int] = mapped_column(default=0)
    warned: Mapped[int] = mapped_column(default=0)
    failed: Mapped[int] = mapped_column(default=0)
    there: Mapped[int] = mapped_column(default=0)  # not sent, since the node had it
    committed: Mapped[int] = mapped_column(default=0)
    error: Mapped[Phrase | None]
    created_by: Mapped[str] = mapped_column(String(128))
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]


class TransferInstance(Base):
    """One object of a transfer. state: waiting, sent, warned (taken with a warning), failed, there (the node had it).

    slot: the lane that has it in its hands while it waits; tries: how often it was in flight when something broke."""

    __tablename__ = "transfer_instance"
    __table_args__ = (
        Index("ix_transfer_instance_todo", "transfer_id", "state"),
        Index("ix_transfer_instance_object", "transfer_id", "sop_instance_uid", unique=True),
    )

    id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=True)
    transfer_id: Mapped[str] = mapped_column(ForeignKey("transfer.id", ondelete="CASCADE"))
    sop_instance_uid: Mapped[str] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(8), default="waiting")
    derived_id: Mapped[int | None] = mapped_column(BigInteger)  # derived_object.id: that one leaves in its place
    slot: Mapped[int | None]
    tries: Mapped[int] = mapped_column(default=0)
    committed: Mapped[bool] = mapped_column(default=False)
    status: Mapped[int | None]  # the peer's DIMSE status
    message: Mapped[Phrase | None]  # the peer's own words


class DerivedObject(Base):
    """The file sent in place of a stored object, for as long as its holder (a run of a route) needs it. It holds old
    and new UIDs together: it is read by the lanes alone and never shown (ANON-3)."""

    __tablename__ = "derived_object"

    id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=True)
    holder: Mapped[str] = mapped_column(String(40), index=True)
    original_uid: Mapped[str] = mapped_column(String(64))
    sop_instance_uid: Mapped[str] = mapped_column(String(64))
    study_instance_uid: Mapped[str] = mapped_column(String(64))
    series_instance_uid: Mapped[str] = mapped_column(String(64))
    patient_id: Mapped[str] = mapped_column(String(64), default="")
    path: Mapped[str] = mapped_column(String(256))  # below the store's root
    described: Mapped[dict[str, Any]]  # the columns of an archive row


class TransferSlot(Base):
    """One association to a node that may be open: who has it. There are as many as the node's option `parallel`."""

    __tablename__ = "transfer_slot"

    node_id: Mapped[str] = mapped_column(ForeignKey("node.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    owner: Mapped[str] = mapped_column(String(64))  # host:pid of the worker
    heartbeat_at: Mapped[datetime]
    rate: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")  # bytes a second up to heartbeat_at
