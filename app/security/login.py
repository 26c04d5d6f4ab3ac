"""Authentication. These verbs take the database and not a session: an Argon2 hash takes 50 ms, which no
transaction may last, and a failure must be written down although the request fails.

Every try is counted as a failure before anything is hashed or compared, and taken back when it was right: tries sent at
the same moment gain nothing."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag

from app import audit, settings
from app.audit.tally import AuditedAction, AuditTally
from app.db import Database
from app.kit.clock import now
from app.kit.errors import AppError, Invalid, NotFound, Unauthorized
from app.security import passwords, queries, sessions, totp
from app.security.actor import Actor
from app.security.errors import SecondFactorRequired, Throttled
from app.security.models import User
from app.security.secrets import Secrets
from app.security.settings import SecuritySettings
from app.security.throttle import FailureThrottle, pause_after, refuse_login

log = logging.getLogger(__name__)
_TICKET_SECONDS = 180
_WRONG = "Incorrect user name or password."


@dataclass(frozen=True, slots=True)
class Confirmed:
    """Proof that a signed-in user has just given the password again; only `Login.confirm_password` makes it."""

    user_id: str


@dataclass(frozen=True, slots=True)
class _Attempt:
    """One counted try. user: None for an unknown name; failures: the count of the user with this try."""

    name: str
    address: str
    how: str
    user: User | None
    at: float
    failures: int = 0


class Login:
    """Objects needed for authentication: the database, the key of sealed secrets, the pauses of this process."""

    def __init__(self, database: Database, secrets: Secrets, tally: AuditTally) -> None:
        self.database = database
        self.secrets = secrets
        self.tally = tally
        self.throttle = FailureThrottle()

    def verify(self, name: str, password: str, code: str, address: str, *, how: str = "session") -> User:
        """The user with this name, password and second factor.

        how: session, unlock or basic, for the audit trail; `basic` is refused to users with a second factor.
        Raises Unauthorized, SecondFactorRequired or Throttled; failures are counted and audited."""
        key = name.strip().lower()[:128]
        with self.database.read() as session:
            found = queries.user_named(session, key)
        attempt = self._begin(key, found, address, how)
        user = attempt.user
        if user is None:
            passwords.waste_time(password)
            raise self._failed(attempt, "unknown user")
        if not passwords.verify_password(user.password_hash, password):
            raise self._failed(attempt, "wrong password")
        if user.disabled:
            raise self._failed(attempt, "disabled")
        if user.totp_secret and how == "basic":
            self._take_back(attempt)
            raise SecondFactorRequired(
                "This account uses a second factor; the password alone is not sufficient.", hint="Use an API token."
            )
        if user.totp_secret and not code.strip():
            self._take_back(attempt)
            raise self._code_missing(user)
        if user.totp_secret and not self._spend_code(user.id, code):
            raise self._failed(attempt, "wrong code")
        self._succeeded(attempt, user, password)
        return user

    def _code_missing(self, user: User) -> SecondFactorRequired:
        fault = SecondFactorRequired("The authenticator code is missing.", hint="Enter the six digits.")
        fault.ticket = self._ticket(user)
        return fault

    def _ticket(self, user: User) -> str:
        """For the second step of the login page: proves for three minutes that name and password were correct."""
        until = int(now().timestamp()) + _TICKET_SECONDS
        return self.secrets.seal(f"{user.id}|{until}|{sessions.digest_of(user.password_hash)}")

    def prove_by_ticket(self, ticket: str, code: str, address: str) -> User:
        """The second step: a ticket and the code. Raises as `verify` does."""
        try:
            user_id, until, digest = self.secrets.unseal(ticket).split("|")
        except (ValueError, InvalidTag):
            raise Unauthorized("This sign-in was cancelled.", hint="Start over.") from None
        with self.database.read() as session:
            user = session.get(User, user_id)
        if user is None or user.disabled or sessions.digest_of(user.password_hash) != digest:
            raise Unauthorized("This sign-in was cancelled.", hint="Start over.")
        if int(until) < now().timestamp():
            raise Unauthorized("The code has expired.", hint="Start over.")
        if not code.strip():
            raise self._code_missing(user)
        attempt = self._begin(user.name.lower(), user, address, "session")
        if not self._spend_code(user.id, code):
            raise self._failed(attempt, "wrong code")
        self._succeeded(attempt, user, None)
        return user

    def confirm_password(self, actor: Actor, password: str, *, field: str = "password") -> Confirmed:
        """A signed-in user gives the password again (change of password, second factor). Counted and slowed as a sign-in
        is. field: the form's name of the password. Raises Invalid or Throttled."""
        fault = Invalid("Incorrect password.", hint="Passwords are case-sensitive.", field=field)
        self._confirm(
            actor, lambda user: passwords.verify_password(user.password_hash, password), "wrong password", fault
        )
        return Confirmed(actor.user_id or "")

    def confirm_new_factor(self, actor: Actor, code: str) -> None:
        """The first code of an authenticator that is being enrolled; counted too. Raises Invalid or Throttled."""

        def fits(user: User) -> bool:
            if not user.totp_pending:
                return True  # nothing to guess at: the verb reports it
            return totp.matching_step(self.secrets.unseal(user.totp_pending), code, time.time(), 0) is not None

        hint = "Check the clock of your phone and enter the current code."
        self._confirm(actor, fits, "wrong code", Invalid("Incorrect code.", hint=hint, field="code"))

    def _confirm(self, actor: Actor, fits: Callable[[User], bool], why: str, fault: AppError) -> None:
        with self.database.read() as session:
            user = session.get(User, actor.user_id) if actor.user_id else None
        if user is None:
            raise NotFound("User not found.")
        attempt = self._begin(user.name.lower(), user, actor.address, "confirmation")
        if not fits(user):
            self._failed(attempt, why)
            raise fault
        self._take_back(attempt)

    def open_session_for(self, user: User, address: str, agent: str) -> str:
        """A session for an authenticated user; answers the cookie's secret."""
        with self.database.read() as session:
            policy = settings.load(session, SecuritySettings)
        with self.database.write() as session:
            sessions.remove_stale(session, policy)
            return sessions.open_session(session, user, address, agent)

    def open_first_session(self, user: User, address: str, agent: str) -> str:
        """The session of the administrator whom the link of the first start created."""
        with self.database.write() as session:
            session.get_one(User, user.id).last_login_at = now()
            audit.by(
                session, audit.Named(user.name, address=address), "login", "user", user.id, detail={"how": "setup"}
            )
        return self.open_session_for(user, address, agent)

    def open_session(self, name: str, password: str, code: str, address: str, agent: str) -> str:
        """Proves and opens a browser session; answers the cookie's secret."""
        return self.open_session_for(self.verify(name, password, code, address), address, agent)

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

    def refuse_setup_code(self, address: str) -> None:
        """A wrong code of the first start's link. Counted for its address; raises Throttled after many."""
        attempt = self._begin("", None, address, "setup")
        self._failed(attempt, "wrong setup code")

    def count_unstorable(self, address: str, how: str) -> None:
        """A try whose name, password or code has a character that none can have (`kit/texts.py`). Counted for its
        address; raises Throttled after many."""
        self._failed(self._begin("", None, address, how), "characters that cannot be stored")

    # counting

    def _begin(self, name: str, user: User | None, address: str, how: str) -> _Attempt:
        """Counts a failure in advance. Raises Throttled while a pause lasts."""
        try:
            at = self.throttle.count_attempt(name, address, known=user is not None)
            if user is None:
                return _Attempt(name, address, how, None, at)
            with self.database.write() as session:
                row = session.get(User, user.id)
                if row is None:
                    return _Attempt(name, address, how, None, at)
                if row.locked_until is not None and row.locked_until > now():
                    self.throttle.take_back(address, at)
                    refuse_login((row.locked_until - now()).total_seconds())
                row.failed_logins += 1
                pause = pause_after(row.failed_logins)
                row.locked_until = now() + pause if pause else None
            return _Attempt(name, address, how, row, at, row.failed_logins)
        except Throttled:
            self._record_attempt(name, user, address, how, "paused")
            raise

    def _take_back(self, attempt: _Attempt) -> None:
        """The try was right as far as it went. Earlier failures stay counted: who knows the password must not be able to
        wipe out the count of wrong codes."""
        self.throttle.take_back(attempt.address, attempt.at)
        if attempt.user is None:
            return
        with self.database.write() as session:
            row = session.get(User, attempt.user.id)
            if row is not None and row.failed_logins > 0:
                if row.failed_logins == attempt.failures:  # no other attempt was made meanwhile
                    row.locked_until = None
                row.failed_logins -= 1

    def _failed(self, attempt: _Attempt, why: str) -> Unauthorized:
        self._record_attempt(attempt.name, attempt.user, attempt.address, attempt.how, why)
        log.warning("a sign-in failed: %s", why)
        return Unauthorized(_WRONG, hint="Check both; passwords are case-sensitive.")

    def _record_attempt(self, name: str, user: User | None, address: str, how: str, why: str) -> None:
        self.tally.count(
            AuditedAction(
                name,
                "login",
                "failed",
                thing="user",
                thing_id=user.id if user else "",
                address=address,
                detail={"how": how, "why": why},
            )
        )

    def _succeeded(self, attempt: _Attempt, user: User, password: str | None) -> None:
        outdated = password is not None and passwords.needs_rehash(user.password_hash)
        rehashed = passwords.hash_password(password or "") if outdated else None
        self.throttle.take_back(attempt.address, attempt.at)
        with self.database.write() as session:
            row = session.get(User, user.id)
            if row is not None:
                row.failed_logins, row.locked_until, row.last_login_at = 0, None, now()
                if rehashed and row.password_hash == user.password_hash:
                    row.password_hash = rehashed
            if attempt.how != "unlock":  # an unlock has its own row
                audit.by(
                    session,
                    audit.Named(user.name, address=attempt.address),
                    "login",
                    "user",
                    user.id,
                    detail={"how": attempt.how},
                )
