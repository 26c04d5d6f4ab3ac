"""From a cookie, a Basic header or a token to an Identity, quickly: a request for one frame must not cost a query.

What was looked up is believed for a second, and at once forgotten when this process changes an account (changes.py).
A verified Basic password is remembered for five minutes under an HMAC, so that only the first request pays for Argon2."""

import hashlib
import hmac
import secrets as random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from app import settings
from app.audit.tally import AuditTally
from app.db import Database
from app.kit.clock import monotonic, now
from app.kit.errors import AppError
from app.security import changes, queries, sessions
from app.security.identity import Identity, actor_of, password_is_old
from app.security.login import Login
from app.security.models import ApiToken, Role, User
from app.security.secrets import Secrets
from app.security.settings import SecuritySettings

FRESH = 1.0  # seconds a looked-up identity is believed
BASIC = 300.0  # seconds a verified Basic password is remembered
_NOTED_EVERY = timedelta(seconds=20)  # how often input is written to the session's row
_KEPT = 4096
_STRIPES = 64


@dataclass(slots=True)
class _Known:
    identity: Identity | None
    until: float
    generation: int
    idle_limit: datetime | None = None  # sessions: the moment it locks
    idle_minutes: int = 15


class Gate:
    """One process's interface keeper. Thread-safe enough: every entry is replaced whole."""

    def __init__(self, database: Database, secrets: Secrets) -> None:
        self.database = database
        self.tally = AuditTally(database)
        self.login = Login(database, secrets, self.tally)
        self._known: dict[str, _Known] = {}
        self._basic: dict[bytes, tuple[str, str, float]] = {}  # HMAC -> user id, password hash, until
        self._basic_key = random.token_bytes(32)
        self._proving = [threading.Lock() for _ in range(_STRIPES)]  # the same pair is proven once at a time
        self._inputs: dict[str, datetime] = {}  # session id -> last input seen by this process
        self._noted: dict[str, datetime] = {}
        self._notes = ThreadPoolExecutor(1, "session-notes")

    def close(self) -> None:
        self._notes.shutdown(wait=True)
        self.tally.close()

    # sessions

    def cached_identity(self, kind: str, secret: str) -> tuple[bool, Identity | None]:
        """(known, identity) without touching the database; (False, None) when `identify_session` or `identify_token` must be asked."""
        known = self._known.get(f"{kind}:{sessions.digest_of(secret)}")
        if known is None or known.until < monotonic() or known.generation != changes.generation():
            return False, None
        return True, self._with_lock(known)

    def identify_session(self, secret: str) -> Identity | None:
        """The identity of this cookie; None when the session has expired or ended, or the account is disabled."""

        def load(session: Session, policy: SecuritySettings) -> _Known:
            digest = sessions.digest_of(secret)
            found = queries.session_with(session, digest)
            if found is None or found[1].disabled or sessions.is_expired(found[0], policy):
                return self._entry(None)
            row, user, role = found
            identity = replace(self._identity(user, role, policy), session_id=row.id, csrf=row.csrf, locked=row.locked)
            return replace(
                self._entry(identity),
                idle_limit=row.last_input_at + timedelta(minutes=policy.idle_minutes),
                idle_minutes=policy.idle_minutes,
            )

        return self._cached_lookup("session", secret, load)

    def saw_input(self, identity: Identity) -> None:
        """A person did something: the lock moves away. Written down now and then, in the background."""
        if identity.locked or not identity.session_id:
            return
        moment = now()
        self._inputs[identity.session_id] = moment
        noted = self._noted.get(identity.session_id)
        if noted is None or moment - noted > _NOTED_EVERY:
            _trim(self._inputs)
            _trim(self._noted)
            self._noted[identity.session_id] = moment
            self._notes.submit(self._record_activity, identity.session_id, moment)

    def _record_activity(self, session_id: str, moment: datetime) -> None:
        try:
            with self.database.write() as session:
                sessions.touch(session, session_id, moment)
        except AppError:
            self._noted.pop(session_id, None)  # the database is away: the next input notes it again

    def _with_lock(self, known: _Known) -> Identity | None:
        identity = known.identity
        if identity is None or known.idle_limit is None or identity.locked:
            return identity
        limit = known.idle_limit
        last = self._inputs.get(identity.session_id)
        if last is not None:
            limit = max(limit, last + timedelta(minutes=known.idle_minutes))
        return replace(identity, locked=True) if now() > limit else identity

    # programs

    def identify_token(self, secret: str) -> Identity | None:
        """The identity of this API token, restricted to its scopes."""

        def load(session: Session, policy: SecuritySettings) -> _Known:
            found = queries.token_with(session, sessions.digest_of(secret))
            if found is None or found[1].disabled or (found[0].expires_at and found[0].expires_at < now()):
                return self._entry(None)
            row, user, role = found
            actor = actor_of(user, role, policy, kind="token", scopes=row.scopes)
            if row.last_used_at is None or now() - row.last_used_at > timedelta(minutes=1):
                self._notes.submit(self._record_token_use, row.id)
            return self._entry(replace(self._identity(user, role, policy), actor=actor, how="token"))

        return self._cached_lookup("token", secret, load)

    def _record_token_use(self, token_id: str) -> None:
        with self.database.write() as session:
            row = session.get(ApiToken, token_id)
            if row is not None:
                row.last_used_at = now()

    def peek_basic(self, name: str, password: str) -> Identity | None:
        """The identity when this pair was verified lately and nothing has changed since."""
        remembered = self._basic.get(self._basic_digest(name, password))
        if remembered is None or remembered[2] < monotonic():
            return None
        known = self._known.get(f"user:{remembered[0]}:{remembered[1]}")
        if known is None or known.until < monotonic() or known.generation != changes.generation():
            return None
        return known.identity

    def verify_basic(self, name: str, password: str, address: str) -> Identity | None:
        """Verifies a Basic pair, by memory when it was verified lately. Raises what `Login.verify` raises."""
        digest = self._basic_digest(name, password)
        with self._proving[digest[0] % _STRIPES]:  # a program's first requests come together: one of them hashes
            identity = self._remembered(digest)
            if identity is not None:
                return identity
            user = self.login.verify(name, password, "", address, how="basic")
            with self.database.read() as session:
                fresh = session.get(User, user.id)  # proving may have renewed the hash
            if fresh is None:
                return None
            _trim(self._basic)
            self._basic[digest] = (fresh.id, fresh.password_hash, monotonic() + BASIC)
            return self._user(fresh.id, fresh.password_hash)

    def _remembered(self, digest: bytes) -> Identity | None:
        remembered = self._basic.get(digest)
        if remembered is None or remembered[2] < monotonic():
            return None
        return self._user(remembered[0], remembered[1])

    def _user(self, user_id: str, password_hash: str) -> Identity | None:
        """The user while the verified password is still theirs and no second factor was added."""

        def load(session: Session, policy: SecuritySettings) -> _Known:
            user = session.get(User, user_id)
            if user is None or user.disabled or user.password_hash != password_hash or user.totp_secret:
                return self._entry(None)
            role = session.get(Role, user.role)
            return self._entry(replace(self._identity(user, role, policy), how="basic") if role else None)

        return self._cached_lookup("user", f"{user_id}:{password_hash}", load, plain=True)

    def _basic_digest(self, name: str, password: str) -> bytes:
        pair = f"{name.strip().lower()}\0{password}".encode()
        return hmac.new(self._basic_key, pair, hashlib.sha256).digest()

    # common

    def _cached_lookup(
        self, kind: str, secret: str, look: Callable[[Session, SecuritySettings], _Known], *, plain: bool = False
    ) -> Identity | None:
        name = f"{kind}:{secret if plain else sessions.digest_of(secret)}"
        generation = changes.generation()  # taken before the look: a change meanwhile makes the entry stale
        with self.database.read() as session:
            known = look(session, settings.load(session, SecuritySettings))
        known.generation = generation
        _trim(self._known)
        self._known[name] = known
        return self._with_lock(known)

    @staticmethod
    def _entry(identity: Identity | None) -> _Known:
        return _Known(identity, monotonic() + FRESH, 0)

    @staticmethod
    def _identity(user: User, role: Role, policy: SecuritySettings) -> Identity:
        return Identity(
            actor=actor_of(user, role, policy),
            how="session",
            display_name=user.display_name or user.name,
            must_change_password=password_is_old(user, policy),
            has_second_factor=bool(user.totp_secret),
            theme=user.theme,
            language=user.language,
        )


def _trim(kept: dict[Any, Any]) -> None:
    """Keeps a memory from growing without bound: the oldest entries go."""
    while len(kept) >= _KEPT:
        kept.pop(next(iter(kept)), None)
