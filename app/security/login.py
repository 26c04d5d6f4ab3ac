"""Proving who somebody is. These verbs take the database and not a session: an Argon2 hash takes 50 ms, which no
transaction may last, and a failure must be written down although the request fails."""

import logging
import time

from cryptography.exceptions import InvalidTag

from app import audit, settings
from app.db import Database
from app.kit.clock import now
from app.kit.errors import Unauthorized
from app.security import passwords, queries, sessions, totp
from app.security.errors import SecondFactorRequired
from app.security.models import User
from app.security.secrets import Secrets
from app.security.settings import SecuritySettings
from app.security.throttle import Throttle, pause_after, refuse

log = logging.getLogger(__name__)
_TICKET_SECONDS = 180
_WRONG = "The user name or the password is wrong."


class Login:
    """What proving needs: the database, the key of sealed secrets, the pauses of this process."""

    def __init__(self, database: Database, secrets: Secrets) -> None:
        self.database = database
        self.secrets = secrets
        self.throttle = Throttle()

    def prove(self, name: str, password: str, code: str, address: str, *, how: str = "session") -> User:
        """The user with this name, password and second factor.

        how: session, unlock or basic, for the audit trail; `basic` is refused to users with a second factor.
        Raises Unauthorized, SecondFactorRequired or Throttled; failures are counted and audited."""
        key = name.strip().lower()[:128]
        self.throttle.check(key, address)
        with self.database.read() as session:
            user = queries.user_named(session, key)
        if user is None:
            passwords.waste_time(password)
            raise self._failed(key, None, address, how, "unknown user")
        if user.locked_until is not None and user.locked_until > now():
            refuse((user.locked_until - now()).total_seconds())
        if not passwords.verify_password(user.password_hash, password):
            raise self._failed(key, user, address, how, "wrong password")
        if user.disabled:
            raise self._failed(key, user, address, how, "disabled")
        if user.totp_secret and how == "basic":
            raise SecondFactorRequired(
                "This account has a second factor, so its password alone opens nothing.", hint="Use an API token."
            )
        if user.totp_secret and not code.strip():
            raise SecondFactorRequired("The code of your authenticator is missing.", hint="Type its six digits.")
        if user.totp_secret and not self._spend_code(user.id, code):
            raise self._failed(key, user, address, how, "wrong code")
        self._succeeded(user, password, address, how)
        return user

    def ticket(self, name: str, password: str) -> str:
        """For the second step of the login page: says that name and password were right, for three minutes.

        Call it only after `prove` asked for the code with this password."""
        with self.database.read() as session:
            user = queries.user_named(session, name)
        if user is None or not passwords.verify_password(user.password_hash, password):
            raise Unauthorized(_WRONG, hint="Begin again.")
        until = int(now().timestamp()) + _TICKET_SECONDS
        return self.secrets.seal(f"{user.id}|{until}|{sessions.digest_of(user.password_hash)}")

    def prove_by_ticket(self, ticket: str, code: str, address: str) -> User:
        """The second step: a ticket and the code. Raises as `prove` does."""
        try:
            user_id, until, digest = self.secrets.unseal(ticket).split("|")
        except (ValueError, InvalidTag):
            raise Unauthorized("This sign-in was broken off.", hint="Begin again.") from None
        with self.database.read() as session:
            user = session.get(User, user_id)
        if user is None or user.disabled or sessions.digest_of(user.password_hash) != digest:
            raise Unauthorized("This sign-in was broken off.", hint="Begin again.")
        if int(until) < now().timestamp():
            raise Unauthorized("The code came too late.", hint="Begin again.")
        self.throttle.check(user.name, address)
        if user.locked_until is not None and user.locked_until > now():
            refuse((user.locked_until - now()).total_seconds())
        if not code.strip():
            raise SecondFactorRequired("The code of your authenticator is missing.", hint="Type its six digits.")
        if not self._spend_code(user.id, code):
            raise self._failed(user.name, user, address, "session", "wrong code")
        self._succeeded(user, None, address, "session")
        return user

    def open_session_for(self, user: User, address: str, agent: str) -> str:
        """A session for somebody just proven; answers the cookie's secret."""
        with self.database.read() as session:
            policy = settings.load(session, SecuritySettings)
        with self.database.write() as session:
            sessions.remove_stale(session, policy)
            return sessions.open_session(session, user, address, agent)

    def open_session(self, name: str, password: str, code: str, address: str, agent: str) -> str:
        """Proves and opens a browser session; answers the cookie's secret."""
        return self.open_session_for(self.prove(name, password, code, address), address, agent)

    def _spend_code(self, user_id: str, code: str) -> bool:
        """True once per code: the step is noted, a recovery code is struck off, in one transaction."""
        with self.database.write() as session:
            user = session.get(User, user_id)
            if user is None or not user.totp_secret:
                return False
            secret = self.secrets.unseal(user.totp_secret)
            step = totp.matching_step(secret, code, time.time(), user.totp_last_step)
            if step is not None:
                user.totp_last_step = step
                return True
            digest = totp.recovery_digest(code)
            if digest in user.recovery_codes:
                user.recovery_codes = [d for d in user.recovery_codes if d != digest]
                return True
            return False

    def _failed(self, name: str, user: User | None, address: str, how: str, why: str) -> Unauthorized:
        self.throttle.failed(name, address, known=user is not None)
        with self.database.write() as session:
            if user is not None:
                row = session.get(User, user.id)
                if row is not None:
                    row.failed_logins += 1
                    pause = pause_after(row.failed_logins)
                    row.locked_until = now() + pause if pause else None
            audit.record(
                session,
                actor_name=name,
                verb="login",
                outcome="failed",
                thing="user",
                thing_id=user.id if user else "",
                address=address,
                detail={"how": how, "why": why},
            )
        log.warning("a sign-in failed: %s", why)
        return Unauthorized(_WRONG, hint="Check both; capitals count.")

    def _succeeded(self, user: User, password: str | None, address: str, how: str) -> None:
        outdated = password is not None and passwords.outdated(user.password_hash)
        rehashed = passwords.hash_password(password or "") if outdated else None
        with self.database.write() as session:
            row = session.get(User, user.id)
            if row is not None:
                row.failed_logins, row.locked_until, row.last_login_at = 0, None, now()
                row.password_hash = rehashed or row.password_hash
            if how != "unlock":  # an unlock has its own row
                audit.record(
                    session,
                    actor_name=user.name,
                    verb="login",
                    thing="user",
                    thing_id=user.id,
                    address=address,
                    detail={"how": how},
                )
