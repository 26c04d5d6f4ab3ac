"""Tables: node, caller, node_test, transfer, transfer_instance, derived_object, transfer_slot, network_operation,
commitment, commitment_instance, certificate, sealed_secret."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, String, Text, UniqueConstraint, false, text
from sqlalchemy.orm import Mapped, mapped_column

import app.peers.qr_models  # noqa: F401 more tables of this room
from app.db.base import Base, BigKey


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
    last_fault: Mapped[str | None]
    last_seen_at: Mapped[datetime | None]  # as a caller
    changed_by: Mapped[str] = mapped_column(String(128), default="")
    changed_at: Mapped[datetime]
    origin: Mapped[str] = mapped_column(String(16), default="", server_default="")  # "file": from --nodes, read-only
    ack_gap_ms: Mapped[int | None]  # median wait of a sender for delayed acknowledgements, as last seen
    ack_gap_at: Mapped[datetime | None]


class Caller(Base):
    """Who called and is worth a look: no known node (kind unknown), or one between two facilities (kind clash)."""

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
    words: Mapped[str] = mapped_column(String(256), default="")  # why it was refused, or what clashes
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
    steps: Mapped[list[dict[str, Any]]] = mapped_column(JSON, default=list)
    study_instance_uid: Mapped[str] = mapped_column(String(64), default="")  # of the test object
    created_by: Mapped[str] = mapped_column(String(128))
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]


_ACTIVE = text("state in ('queued', 'running')")


class Transfer(Base):
    """One destination and one study, for one source (a person, or a route): what goes, and how far it is (FWD-2).

    state: queued, running, done, failed (a dead letter), cancelled. priority: 9 first. run_after: not before; a pause
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
    priority: Mapped[int] = mapped_column(default=5)
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
    error: Mapped[str | None]
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
    message: Mapped[str | None] = mapped_column(String(256))  # the peer's own words


class DerivedObject(Base):
    """What leaves in place of a stored object, for as long as its holder (a run of a route) needs it. Old and new UIDs
    stand side by side here: it is read by the lanes alone and never shown (ANON-3)."""

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


class NetworkOperation(Base):
    """One operation with a peer, ours or its (NET-9): an entry of the transfer log. Nothing of a patient stands in it."""

    __tablename__ = "network_operation"
    __table_args__ = (
        Index("ix_network_operation_peer_at", "peer", "at"),
        Index("ix_network_operation_facility_at", "facility_id", "at"),
    )

    id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=True)
    at: Mapped[datetime] = mapped_column(index=True)  # when it ended
    kind: Mapped[str] = mapped_column(String(16))  # echo, store, find, move, get, commit, query, retrieve, ...
    role: Mapped[str] = mapped_column(String(3))  # scp: the peer asked us; scu: we asked it
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
    words: Mapped[str] = mapped_column(String(400), default="")
    correlation_id: Mapped[str] = mapped_column(String(32), default="")


class Commitment(Base):
    """One transaction of Storage Commitment (PS3.4 Annex J). role scp: a node asks us to commit, and is told by the
    job job_id; role scu: we ask a node, for a transfer of ours.

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
    error: Mapped[str | None]
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


class Certificate(Base):
    """A certificate of DICOM TLS. kind: own (with its key), trusted (an authority, or one of a peer itself), authority
    (ours for the local network, with its key); or crl: a list of revoked certificates in chain, how many in subject,
    the fingerprint of its authority in names. active: the own one that callers are shown."""

    __tablename__ = "certificate"
    __table_args__ = (Index("ix_certificate_kind_fingerprint", "kind", "fingerprint", unique=True),)

    id: Mapped[str] = mapped_column(String(26), primary_key=True)
    kind: Mapped[str] = mapped_column(String(10))
    name: Mapped[str] = mapped_column(String(64))
    chain: Mapped[str] = mapped_column(Text)  # PEM, its own first
    sealed_key: Mapped[str | None] = mapped_column(Text)
    subject: Mapped[str] = mapped_column(String(256))
    issuer: Mapped[str] = mapped_column(String(256))
    fingerprint: Mapped[str] = mapped_column(String(95))  # SHA-256
    names: Mapped[list[str]]
    not_before: Mapped[datetime]
    not_after: Mapped[datetime]
    active: Mapped[bool] = mapped_column(default=False)
    told: Mapped[int] = mapped_column(default=0)  # the last warning of its end: days before; 0 none yet
    created_by: Mapped[str] = mapped_column(String(128))
    created_at: Mapped[datetime]


class SealedSecret(Base):
    """A password that is no node's, such as the proxy's, sealed by the installation's keys."""

    __tablename__ = "sealed_secret"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    sealed: Mapped[str] = mapped_column(Text)
    changed_by: Mapped[str] = mapped_column(String(128))
    changed_at: Mapped[datetime]
