"""Every select of this package."""

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.db.base import Base
from app.security.models import ApiToken, Facility, PasswordHistory, Role, User, WebSession


def user_named(session: Session, name: str) -> User | None:
    return session.scalar(select(User).where(func.lower(User.name) == name.strip().lower()))


def users(session: Session) -> list[User]:
    return list(session.scalars(select(User).order_by(User.name)))


def has_users(session: Session) -> bool:
    return session.scalar(select(User.id).limit(1)) is not None


def enabled_administrators(session: Session, without: str = "") -> int:
    query = select(func.count()).where(User.role == "administrator", User.disabled.is_(False), User.id != without)
    return session.scalar(query) or 0


def home_facility(session: Session) -> str | None:
    return session.scalar(select(Facility.id).where(Facility.home).limit(1))


def users_of_facility(session: Session, facility_id: str) -> int:
    return session.scalar(select(func.count()).where(User.facility_id == facility_id)) or 0


def users_of_role(session: Session, role: str) -> int:
    return session.scalar(select(func.count()).where(User.role == role)) or 0


def earlier_passwords(session: Session, user_id: str, count: int) -> list[str]:
    query = (
        select(PasswordHistory.password_hash)
        .where(PasswordHistory.user_id == user_id)
        .order_by(PasswordHistory.created_at.desc(), PasswordHistory.id.desc())
        .limit(count)
    )
    return list(session.scalars(query))


def roles(session: Session) -> list[Role]:
    return list(session.scalars(select(Role).order_by(Role.built_in.desc(), Role.name)))


def facilities(session: Session) -> list[Facility]:
    return list(session.scalars(select(Facility).order_by(Facility.name)))


def facility_titled(session: Session, ae_title: str) -> Facility | None:
    return session.scalar(select(Facility).where(Facility.ae_title == ae_title))


def session_with(session: Session, digest: str) -> tuple[WebSession, User, Role] | None:
    row = session.execute(
        select(WebSession, User, Role)
        .join(User, User.id == WebSession.user_id)
        .join(Role, Role.name == User.role)
        .where(WebSession.digest == digest)
    ).first()
    return (row[0], row[1], row[2]) if row else None


def sessions(session: Session, user_id: str | None = None) -> list[tuple[WebSession, User]]:
    query = select(WebSession, User).join(User, User.id == WebSession.user_id).order_by(WebSession.created_at.desc())
    if user_id is not None:
        query = query.where(WebSession.user_id == user_id)
    return [(row[0], row[1]) for row in session.execute(query)]


def session_by_id(session: Session, session_id: str) -> WebSession | None:
    return session.scalar(select(WebSession).where(WebSession.id == session_id))


def token_with(session: Session, digest: str) -> tuple[ApiToken, User, Role] | None:
    row = session.execute(
        select(ApiToken, User, Role)
        .join(User, User.id == ApiToken.user_id)
        .join(Role, Role.name == User.role)
        .where(ApiToken.digest == digest)
    ).first()
    return (row[0], row[1], row[2]) if row else None


def tokens(session: Session, user_id: str) -> list[ApiToken]:
    return list(session.scalars(select(ApiToken).where(ApiToken.user_id == user_id).order_by(ApiToken.id.desc())))


def tokens_with_owners(session: Session, user_id: str | None) -> list[tuple[ApiToken, User]]:
    query = select(ApiToken, User).join(User, User.id == ApiToken.user_id).order_by(ApiToken.id.desc())
    if user_id is not None:
        query = query.where(ApiToken.user_id == user_id)
    return [(row[0], row[1]) for row in session.execute(query)]


def is_referred_to(session: Session, table: str, key: str) -> bool:
    """True when a row of any package points at this one by foreign key."""
    for other in Base.metadata.tables.values():
        for column in other.columns:
            if any(foreign.column.table.name == table for foreign in column.foreign_keys) and session.scalar(
                select(column).where(column == key).limit(1)
            ):
                return True
    return False


def names_by_id(session: Session, ids: Sequence[str]) -> dict[str, str]:
    """Those of the users that are still here, for the trail's reader."""
    rows = session.execute(select(User.id, User.name).where(User.id.in_(ids)))
    return {row.id: row.name for row in rows}
