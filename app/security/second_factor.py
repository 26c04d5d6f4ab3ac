"""Enrolling and dropping the second factor (RFC 6238)."""

import time

from sqlalchemy.orm import Session

from app import audit
from app.kit.errors import Conflict, Forbidden, Invalid, NotFound
from app.security import sessions, strength, totp
from app.security.actor import Actor, require
from app.security.changes import announce
from app.security.login import Confirmed
from app.security.models import User
from app.security.secrets import Secrets
from app.security.verbs import Verb


def _own_account(session: Session, actor: Actor) -> User:
    user = session.get(User, actor.user_id) if actor.user_id else None
    if user is None:
        raise NotFound("User not found.")
    if actor.kind == "token":
        raise Forbidden("A token cannot change the second factor.", hint="Sign in with your password.")
    return user


def _require_proof(session: Session, actor: Actor, proof: Confirmed) -> User:
    user = _own_account(session, actor)
    if proof.user_id != user.id:
        raise Forbidden("The password belongs to another user.")
    return user


def begin(session: Session, actor: Actor, secrets: Secrets, proof: Confirmed) -> tuple[str, str]:
    """(secret, otpauth address) for the QR code; nothing changes until `confirm`. proof: the password was given again."""
    user = _require_proof(session, actor, proof)
    if user.totp_secret:
        raise Conflict("The second factor is already enabled.", hint="Remove it first.")
    secret = totp.new_secret()
    user.totp_pending = secrets.seal(secret)
    return secret, totp.address(secret, user.name)


def confirm(session: Session, actor: Actor, secrets: Secrets, code: str) -> list[str]:
    """Turns it on once a code proves that the authenticator has the secret; answers the recovery codes, shown once.
    `Login.confirm_new_factor` has counted the try before."""
    user = _own_account(session, actor)
    if not user.totp_pending:
        raise Conflict("There is nothing to confirm.", hint="Start over.")
    secret = secrets.unseal(user.totp_pending)
    step = totp.matching_step(secret, code, time.time(), 0)
    if step is None:
        raise Invalid("Incorrect code.", hint="Check the clock of your phone and enter the current code.", field="code")
    codes = totp.new_recovery_codes()
    user.totp_secret, user.totp_pending, user.totp_last_step = user.totp_pending, None, step
    user.recovery_codes = [totp.recovery_digest(code) for code in codes]
    _record(session, actor, user, "second-factor.on")
    return codes


def remove(session: Session, actor: Actor, proof: Confirmed) -> None:
    """Off again. proof: the password was given again."""
    user = _require_proof(session, actor, proof)
    _clear(user)
    _record(session, actor, user, "second-factor.off")


def reset(session: Session, actor: Actor, user_id: str) -> None:
    """An administrator drops the second factor of someone who lost it; the user's sessions end."""
    require(actor, Verb.USER_ADMIN)
    user = session.get(User, user_id)
    if user is None:
        raise NotFound("User not found.")
    strength.require_user(session, actor, user)
    _clear(user)
    sessions.close_all_of(session, user.id)
    _record(session, actor, user, "second-factor.off")


def _clear(user: User) -> None:
    user.totp_secret = user.totp_pending = None
    user.totp_last_step, user.recovery_codes = 0, []


def _record(session: Session, actor: Actor, user: User, verb: str) -> None:
    announce(session)
    audit.by(session, actor, verb, "user", user.id)
