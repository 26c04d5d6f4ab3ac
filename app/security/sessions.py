"""Browser sessions: opened at login, locked when idle, ended by logout, by an administrator or by time."""

import hashlib
import secrets
from datetime import datetime, timedelta

from sqlalchemy import delete
from sqlalchemy.orm import Session

from app import audit
from app.kit.clock import now
from app.kit.errors import NotFound
from app.kit.ids import new_id
from app.security import queries
from app.security.actor import Actor, require
from app.security.changes import announce
from app.security.models import User, WebSession
from app.security.settings import SecuritySettings
from app.security.verbs import Verb


def digest_of(secret: str) -> str:
    """Digest of a cookie or token for its row."""
    return hashlib.sha256(secret.encode()).hexdigest()


def open_session(session: Session, user: User, address: str, agent: str) -> str:
    """A new session for a user who has just proved who they are; answers the cookie's secret, kept nowhere else."""
    secret = secrets.token_urlsafe(32)
    moment = now()
    session.add(
        WebSession(
            digest=digest_of(secret),
            id=new_id(),
            user_id=user.id,
            csrf=secrets.token_urlsafe(24),
            created_at=moment,
            last_input_at=moment,
            address=address[:64],
            agent=agent[:256],
        )
    )
    return secret


def is_expired(row: WebSession, policy: SecuritySettings) -> bool:
    return now() - row.created_at > timedelta(hours=policy.session_hours)


def touch(session: Session, session_id: str, moment: datetime) -> None:
    """Notes that a person did something. A locked session stays as it is."""
    row = queries.session_by_id(session, session_id)
    if row is not None and not row.locked and row.last_input_at < moment:
        row.last_input_at = moment


def lock(session: Session, actor: Actor, session_id: str) -> None:
    row = queries.session_by_id(session, session_id)
    if row is not None and row.user_id == actor.user_id:
        row.locked = True
        announce(session)


def unlock(session: Session, actor: Actor, session_id: str) -> None:
    """The interface has checked the password (`login.prove`) before it calls this."""
    row = queries.session_by_id(session, session_id)
    if row is None or row.user_id != actor.user_id:
        raise NotFound("This session has ended.", hint="Sign in again.")
    row.locked, row.last_input_at = False, now()
    announce(session)
    audit.by(session, actor, "session.unlock", "session", row.id)


def close(session: Session, actor: Actor, session_id: str) -> None:
    """Ends a session: one's own by logout, another's by an administrator."""
    row = queries.session_by_id(session, session_id)
    if row is None:
        raise NotFound("Session not found.", hint="It may have ended already.")
    if row.user_id != actor.user_id:
        require(actor, Verb.SESSION_ADMIN)
    owner = session.get(User, row.user_id)
    session.delete(row)
    announce(session)
    audit.by(session, actor, "session.close", "session", row.id, detail={"user": owner.name if owner else ""})


def close_all_of(session: Session, user_id: str, besides: str = "") -> int:
    """Ends every session of a user. besides: the id of one that goes on."""
    ended = session.execute(
        delete(WebSession).where(WebSession.user_id == user_id, WebSession.id != besides).returning(WebSession.id)
    ).all()
    announce(session)
    return len(ended)


def list_sessions(session: Session, actor: Actor) -> list[tuple[WebSession, User]]:
    """All sessions for user administrators, own sessions for the others."""
    return queries.sessions(session, None if Verb.SESSION_ADMIN in actor.verbs else actor.user_id)


def remove_stale(session: Session, policy: SecuritySettings) -> int:
    """Deletes the rows of expired sessions; the server calls it at its start and once an hour."""
    limit = now() - timedelta(hours=policy.session_hours)
    return len(session.execute(delete(WebSession).where(WebSession.created_at < limit).returning(WebSession.id)).all())
