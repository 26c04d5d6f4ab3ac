"""Enrolling and dropping the second factor (RFC 6238)."""

import time

from sqlalchemy.orm import Session

from app import audit
from app.kit.errors import Conflict, Forbidden, Invalid, NotFound
from app.security import passwords, sessions, totp
from app.security.actor import Actor, require
from app.security.changes import announce
from app.security.models import User
from app.security.secrets import Secrets
from app.security.verbs import Verb


def _own(session: Session, actor: Actor) -> User:
    user = session.get(User, actor.user_id) if actor.user_id else None
    if user is None:
        raise NotFound("There is no such user.")
    if actor.kind == "token":
        raise Forbidden("A token cannot change the second factor.", hint="Sign in with your password.")
    return user


def begin(session: Session, actor: Actor, secrets: Secrets, password: str) -> tuple[str, str]:
    """(secret, otpauth address) for the QR code; nothing changes until `confirm`. The password proves who sits there."""
    user = _own(session, actor)
    if user.totp_secret:
        raise Conflict("You have a second factor already.", hint="Remove it first.")
    _check_password(user, password)
    secret = totp.new_secret()
    user.totp_pending = secrets.seal(secret)
    return secret, totp.address(secret, user.name)


def confirm(session: Session, actor: Actor, secrets: Secrets, code: str) -> list[str]:
    """Turns it on once a code proves that the authenticator has the secret; answers the recovery codes, shown once."""
    user = _own(session, actor)
    if not user.totp_pending:
        raise Conflict("There is nothing to confirm.", hint="Begin again.")
    secret = secrets.unseal(user.totp_pending)
    step = totp.matching_step(secret, code, time.time(), 0)
    if step is None:
        raise Invalid(
            "This code does not fit.", hint="Check the clock of your phone; then type the newest code.", field="code"
        )
    codes = totp.new_recovery_codes()
    user.totp_secret, user.totp_pending, user.totp_last_step = user.totp_pending, None, step
    user.recovery_codes = [totp.recovery_digest(code) for code in codes]
    _record(session, actor, user, "second-factor.on")
    return codes


def remove(session: Session, actor: Actor, password: str) -> None:
    """Off again, with the password."""
    user = _own(session, actor)
    _check_password(user, password)
    _clear(user)
    _record(session, actor, user, "second-factor.off")


def reset(session: Session, actor: Actor, user_id: str) -> None:
    """An administrator drops the second factor of someone who lost it; the user's sessions end."""
    require(actor, Verb.USER_ADMIN)
    user = session.get(User, user_id)
    if user is None:
        raise NotFound("There is no such user.")
    _clear(user)
    sessions.close_all_of(session, user.id)
    _record(session, actor, user, "second-factor.off")


def _check_password(user: User, password: str) -> None:
    if not passwords.verify_password(user.password_hash, password):
        raise Invalid("The password is wrong.", hint="Capitals count.", field="password")


def _clear(user: User) -> None:
    user.totp_secret = user.totp_pending = None
    user.totp_last_step, user.recovery_codes = 0, []


def _record(session: Session, actor: Actor, user: User, verb: str) -> None:
    announce(session)
    audit.record(session, actor_name=actor.name, verb=verb, thing="user", thing_id=user.id, address=actor.address)
