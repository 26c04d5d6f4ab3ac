"""Tables of nodes: node, caller, node_test, network_operation, commitment, commitment_instance."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base, BigKey, JsonWithMessages
from app.kit.phrases import NOTHING, Phrase


class Node(Base):
    __tablename__ = "node"

    id: Mapped[str] = mapped_column(String(26), primary_key=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    ae_title: Mapped[str] = mapped_column(String(16), index=True)
    host: Mapped[str] = mapped_column(String(256))
    port: Mapped[int]
    facility_id: Mapped[str | None] = mapped_column(ForeignKey("facility.id"))
    enabled: Mapped[bool] = mapped_column(default=True)
    options: Mapped[dict[str, Any]] = mapped_column(default=dict)  # capabilities, syntaxes, PDU, timeouts
    last_ok_at: Mapped[datetime | None]
    last_fault_at: Mapped[datetime | None]
    last_fault: Mapped[Phrase | None]
    last_seen_at: Mapped[datetime | None]  # as a caller
    changed_by: Mapped[str] = mapped_column(String(128), default="")
    changed_at: Mapped[datetime]
    origin: Mapped[str] = mapped_column(String(16), default="", server_default="")  # "file": from --nodes, read-only
    ack_gap_ms: Mapped[int | None]  # median wait of a sender for delayed acknowledgements, as last seen
    ack_gap_at: Mapped[datetime | None]


class Caller(Base):
    """Callers to review: no known node (kind unknown), or one between two facilities (kind clash)."""

    __tablename__ = "caller"
    __table_args__ = (UniqueConstraint("kind", "title", "called", "address"),)

    id: Mapped[str] = mapped_column(String(26), primary_key=True)
    kind: Mapped[str] = mapped_column(String(8))
    title: Mapped[str] = mapped_column(String(16))
    called: Mapped[str] = mapped_column(String(16))
    address: Mapped[str] = mapped_column(String(64))
    facility_id: Mapped[str | None] = mapped_column(String(26))  # whose what it sent became
    first_at: Mapped[datetime]
    last_at: Mapped[datetime]
    count: Mapped[int] = mapped_column(default=1)
    asked: Mapped[str] = mapped_column(String(256), default="")  # services, as words apart by commas
    refused: Mapped[bool] = mapped_column(default=False)
    words: Mapped[Phrase] = mapped_column(default=NOTHING)  # why it was refused, or what clashes
    ignored: Mapped[bool] = mapped_column(default=False)
    ack_gap_ms: Mapped[int | None]


class NodeTest(Base):
    """A self-test of a node; the work is job.id = job_id."""

    __tablename__ = "node_test"

    id: Mapped[str] = mapped_column(String(26), primary_key=True)
    job_id: Mapped[str] = mapped_column(String(26), index=True)
    node_id: Mapped[str] = mapped_column(ForeignKey("node.id", ondelete="CASCADE"), index=True)
    with_object: Mapped[bool] = mapped_column(default=False)  # the administrator agreed to a test object on the PACS
    state: Mapped[str] = mapped_column(String(10), default="queued")
    steps: Mapped[list[dict[str, Any]]] = mapped_column(JsonWithMessages, default=list)
    study_instance_uid: Mapped[str] = mapped_column(String(64), default="")  # of the test object
    created_by: Mapped[str] = mapped_column(String(128))
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]


class NetworkOperation(Base):
    """One operation with a peer, outgoing or incoming (NET-9): an entry of the transfer log. It contains no patient
    data."""

    __tablename__ = "network_operation"
    __table_args__ = (
        Index("ix_network_operation_peer_at", "peer", "at"),
        Index("ix_network_operation_facility_at", "facility_id", "at"),
    )

    id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=True)
    at: Mapped[datetime] = mapped_column(index=True)  # when it ended
    kind: Mapped[str] = mapped_column(String(16))  # echo, store, find, move, get, commit, query, retrieve, ...
    role: Mapped[str] = mapped_column(String(3))  # scp: the peer asked us; scu: requested by this station
    peer: Mapped[str] = mapped_column(String(64))  # the node's name, else its AE title or host
    title: Mapped[str] = mapped_column(String(16), default="")  # the peer's AE title
    called: Mapped[str] = mapped_column(String(16), default="")  # the title that was called
    address: Mapped[str] = mapped_column(String(64), default="")
    node_id: Mapped[str | None] = mapped_column(String(26))
    facility_id: Mapped[str | None] = mapped_column(String(26))
    result: Mapped[str] = mapped_column(String(10))  # success, warning, failure, refused, cancelled
    status: Mapped[int | None]  # DIMSE or HTTP status
    objects: Mapped[int] = mapped_column(default=0)
    warned: Mapped[int] = mapped_column(default=0)
    failed: Mapped[int] = mapped_column(default=0)
    bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    seconds: Mapped[float] = mapped_column(default=0.0)
    words: Mapped[Phrase] = mapped_column(default=NOTHING)
    correlation_id: Mapped[str] = mapped_column(String(32), default="")


class Commitment(Base):
    """One transaction of Storage Commitment (PS3.4 Annex J). role scp: a node requests commitment, and the job job_id
    reports to it; role scu: this station requests it from a node, for a transfer.

    state: queued (to be reported, or to be asked), waiting (asked; the answer is due by due_at), done, failed."""

    __tablename__ = "commitment"
    __table_args__ = (Index("ix_commitment_open", "state", "due_at"),)

    id: Mapped[str] = mapped_column(String(26), primary_key=True)
    role: Mapped[str] = mapped_column(String(3))
    transaction_uid: Mapped[str] = mapped_column(String(64), index=True)
    node_id: Mapped[str] = mapped_column(ForeignKey("node.id", ondelete="CASCADE"), index=True)
    facility_id: Mapped[str | None] = mapped_column(String(26))
    transfer_id: Mapped[str | None] = mapped_column(String(26), index=True)
    job_id: Mapped[str] = mapped_column(String(26), default="")
    state: Mapped[str] = mapped_column(String(8), default="queued")
    attempts: Mapped[int] = mapped_column(default=0)
    total: Mapped[int] = mapped_column(default=0)
    committed: Mapped[int] = mapped_column(default=0)
    failed: Mapped[int] = mapped_column(default=0)
    error: Mapped[Phrase | None]
    created_by: Mapped[str] = mapped_column(String(128))
    created_at: Mapped[datetime]
    due_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class CommitmentInstance(Base):
    __tablename__ = "commitment_instance"
    __table_args__ = (Index("ix_commitment_instance_state", "commitment_id", "state"),)

    id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=True)
    commitment_id: Mapped[str] = mapped_column(ForeignKey("commitment.id", ondelete="CASCADE"))
    sop_class_uid: Mapped[str] = mapped_column(String(64))
    sop_instance_uid: Mapped[str] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(9), default="waiting")  # waiting, committed, failed
    reason: Mapped[int | None]  # Failure Reason (PS3.3 C.14.1.1)
