"""Tables of trust: certificate, sealed_secret."""

from datetime import datetime

from sqlalchemy import Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base


class Certificate(Base):
    """A certificate of DICOM TLS. kind: own (with its key), trusted (an authority, or one of a peer itself), authority
    (the own one for the local network, with its key); or crl: a list of revoked certificates in chain, how many in
    subject, the fingerprint of its authority in names. active: the own one that callers are shown."""

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
    """A password that does not belong to a node, such as the proxy's, encrypted with the installation's keys."""

    __tablename__ = "sealed_secret"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    sealed: Mapped[str] = mapped_column(Text)
    changed_by: Mapped[str] = mapped_column(String(128))
    changed_at: Mapped[datetime]
