"""Every select() about certificates and sealed secrets."""

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.kit.errors import NotFound
from app.trust.models import Certificate, SealedSecret


def certificate(session: Session, certificate_id: str) -> Certificate:
    found = session.get(Certificate, certificate_id)
    if found is None:
        raise NotFound("There is no such certificate.", hint="Look under Settings, Certificates.")
    return found


def of_kind(session: Session, kind: str) -> list[Certificate]:
    """Newest first."""
    return list(
        session.scalars(
            select(Certificate).where(Certificate.kind == kind).order_by(Certificate.created_at.desc(), Certificate.id)
        )
    )


def all_certificates(session: Session) -> list[Certificate]:
    return list(session.scalars(select(Certificate).order_by(func.lower(Certificate.name), Certificate.id)))


def active(session: Session) -> Certificate | None:
    return session.scalar(select(Certificate).where(Certificate.active.is_(True)).limit(1))


def with_fingerprint(session: Session, kind: str, fingerprint: str) -> Certificate | None:
    return session.scalar(
        select(Certificate).where(Certificate.kind == kind, Certificate.fingerprint == fingerprint).limit(1)
    )


def trusted(session: Session, fingerprint: str) -> Certificate | None:
    """An authority that is trusted: imported, or the own one."""
    query = select(Certificate).where(
        Certificate.fingerprint == fingerprint, Certificate.kind.in_(("trusted", "authority"))
    )
    return session.scalar(query.limit(1))


def ending_before(session: Session, moment: datetime) -> list[Certificate]:
    return list(
        session.scalars(select(Certificate).where(Certificate.not_after < moment).order_by(Certificate.not_after))
    )


def secret(session: Session, name: str) -> SealedSecret | None:
    return session.get(SealedSecret, name)
