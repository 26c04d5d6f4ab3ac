"""Accounts: made, changed, disabled and deleted by administrators; their own password by everyone."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from app import audit, settings
from app.db import Database
from app.kit.clock import now
from app.kit.errors import Conflict, Invalid, NotFound
from app.kit.ids import new_id
from app.kit.phrases import phrase
from app.security import passwords, queries, sessions, strength, tokens
from app.security.actor import SYSTEM, Actor, require
from app.security.changes import announce
from app.security.login import Confirmed
from app.security.models import Facility, PasswordHistory, Role, User
from app.security.roles import ADMINISTRATOR, FACILITY_USER
from app.security.settings import SecuritySettings
from app.security.verbs import Verb

LANGUAGES = ("", "en", "es")
THEMES = ("", "light", "dark", "contrast")
_NAME_SIGNS = set("._-@+")


def _check_name(session: Session, name: str) -> str:
    name = name.strip()
    if not 0 < len(name) <= 64 or not all(c.isalnum() or c in _NAME_SIGNS for c in name):
        raise Invalid(
            "A user name must have 1 to 64 letters, digits or any of . _ - @ +",
            hint="Spaces and colons are not allowed.",
            field="name",
        )
    if queries.user_named(session, name) is not None:
        raise Conflict("A user with this name already exists.", hint="Choose another value.", field="name")
    return name


def _check_facility(session: Session, role: str, facility_id: str | None) -> str | None:
    """The facility a user of this role belongs to. Users without access to all facilities belong to the installation
    unless another is given."""
    found = session.get(Role, role)
    if found is None:
        raise Invalid("Role not found.", field="role")
    if facility_id is None and not found.sees_all and role != FACILITY_USER:
        return queries.home_facility(session)
    if facility_id is not None and session.get(Facility, facility_id) is None:
        raise Invalid("There is no such facility.", field="facility_id")
    return facility_id


@dataclass(frozen=True, slots=True)
class NewPassword:
    """A password that was checked against the policy and hashed; only `new_password` makes it."""

    hashed: str


def new_password(database: Database, password: str, name: str, user_id: str = "") -> NewPassword:
    """Checks a password against the policy (and the history of a user who exists) and hashes it. It takes the database
    because hashing takes longer than a transaction may last: call it before the transaction that keeps the password.
    Raises Invalid."""
    with database.read() as session:
        policy = settings.load(session, SecuritySettings)
        earlier = queries.earlier_passwords(session, user_id, policy.password_history) if user_id else []
    passwords.check(password, name, policy.password_length)
    if any(passwords.verify_password(old, password) for old in earlier):
        raise Invalid(
            phrase(
                "This password was used before; the last {count} cannot be used again.", count=policy.password_history
            ),
            field="password",
        )
    return NewPassword(passwords.hash_password(password))


def _set_password(session: Session, user: User, password: NewPassword, *, temporary: bool) -> None:
    """Keeps the hash, and in the history too."""
    user.password_hash = password.hashed
    user.password_changed_at = now()
    user.must_change_password = temporary
    user.failed_logins, user.locked_until = 0, None
    session.add(
        PasswordHistory(
            id=new_id(), user_id=user.id, password_hash=user.password_hash, created_at=user.password_changed_at
        )
    )


def create(
    session: Session,
    actor: Actor,
    *,
    name: str,
    password: NewPassword,
    role: str,
    facility_id: str | None = None,
    display_name: str = "",
    email: str = "",
    temporary: bool = True,
) -> User:
    """A new account. temporary: the password must be changed at the first login."""
    require(actor, Verb.USER_ADMIN)
    name = _check_name(session, name)
    facility_id = _check_facility(session, role, facility_id)
    strength.require_role(session, actor, role)
    strength.require_rank(session, actor, facility_id)
    moment = now()
    user = User(
        id=new_id(),
        name=name,
        display_name=display_name.strip()[:128],
        email=email.strip()[:256],
        password_hash="",
        password_changed_at=moment,
        role=role,
        facility_id=facility_id,
        recovery_codes=[],
        preferences={},
        created_at=moment,
    )
    session.add(user)
    session.flush()
    _set_password(session, user, password, temporary=temporary)
    audit.by(
        session, actor, "user.create", "user", user.id, detail={"name": name, "role": role, "facility_id": facility_id}
    )
    return user


def get(session: Session, actor: Actor, user_id: str) -> User:
    """A user by id or name; everyone may look at oneself."""
    user = session.get(User, user_id) or queries.user_named(session, user_id)
    if user is None or user.id != actor.user_id:
        require(actor, Verb.USER_ADMIN)
    if user is None:
        raise NotFound("User not found.")
    return user


def _manageable(session: Session, actor: Actor, user_id: str) -> User:
    """A user whom this actor may change: not one with more permissions than the actor."""
    require(actor, Verb.USER_ADMIN)
    user = get(session, actor, user_id)
    strength.require_user(session, actor, user)
    return user


def list_users(session: Session, actor: Actor) -> Sequence[User]:
    require(actor, Verb.USER_ADMIN)
    return queries.users(session)


_EDITABLE = ("display_name", "email", "role", "facility_id", "disabled")


def change(session: Session, actor: Actor, user_id: str, values: dict[str, object]) -> User:
    """Changes some of: display_name, email, role, facility_id, disabled. Disabling ends the user's sessions and
    tokens at once."""
    user = _manageable(session, actor, user_id)
    new = {key: values[key] for key in _EDITABLE if key in values}
    role, place = new.get("role", user.role), new.get("facility_id", user.facility_id)
    place = _check_facility(session, str(role), str(place) if place else None)
    if "facility_id" in new or place != user.facility_id:
        new["facility_id"] = place  # an empty one means none
    strength.require_role(session, actor, str(role))
    strength.require_rank(session, actor, place)
    leaves = bool(new.get("disabled", user.disabled)) or new.get("role", user.role) != ADMINISTRATOR
    if (
        user.role == ADMINISTRATOR
        and not user.disabled
        and leaves
        and not queries.enabled_administrators(session, user.id)
    ):
        raise Conflict("This is the last administrator.", hint="Create another administrator first.")
    before = {key: getattr(user, key) for key in new}
    for key, value in new.items():
        setattr(user, key, value)
    if user.disabled:
        sessions.close_all_of(session, user.id)
        tokens.end_all_of(session, user.id)
    announce(session)
    changed = {key: [before[key], new[key]] for key in new if before[key] != new[key]}
    audit.by(session, actor, "user.edit", "user", user.id, detail=changed)
    return user


def delete(session: Session, actor: Actor, user_id: str) -> None:
    """The account goes; its name stays in the audit trail."""
    user = _manageable(session, actor, user_id)
    if user.id == actor.user_id:
        raise Conflict("You cannot delete your own account.", hint="Ask another administrator.")
    if user.role == ADMINISTRATOR and not user.disabled and not queries.enabled_administrators(session, user.id):
        raise Conflict("This is the last administrator.", hint="Create another administrator first.")
    audit.by(session, actor, "user.delete", "user", user.id, detail={"name": user.name})
    sessions.close_all_of(session, user.id)
    session.delete(user)


def reset_password(session: Session, actor: Actor, user_id: str, password: NewPassword) -> User:
    """An administrator gives a temporary password; the user's sessions and tokens end and a second factor stays."""
    user = _manageable(session, actor, user_id)
    _set_password(session, user, password, temporary=True)
    sessions.close_all_of(session, user.id)
    ended = tokens.end_all_of(session, user.id)
    audit.by(session, actor, "user.password", "user", user.id, detail={"tokens_ended": ended})
    return user


def change_own_password(
    session: Session, actor: Actor, proof: Confirmed, new: NewPassword, session_id: str = ""
) -> User:
    """One's own password; all other sessions of the user end. proof: the former password was given."""
    user = session.get(User, proof.user_id)
    if user is None or user.id != actor.user_id:
        raise NotFound("User not found.")
    _set_password(session, user, new, temporary=False)
    sessions.close_all_of(session, user.id, besides=session_id)
    audit.by(session, actor, "user.password", "user", user.id)
    return user


def set_preferences(session: Session, actor: Actor, values: dict[str, object]) -> User:
    """language and theme (empty: the browser's), display_name, and any further preferences by name."""
    user = session.get(User, actor.user_id) if actor.user_id else None
    if user is None:
        raise NotFound("User not found.")
    values = dict(values)
    for key, allowed in (("language", LANGUAGES), ("theme", THEMES)):
        if key in values:
            if values[key] not in allowed:
                raise Invalid(
                    phrase("Allowed values: {known}.", known=", ".join(a or "empty" for a in allowed)), field=key
                )
            setattr(user, key, values.pop(key))
    if "display_name" in values:
        user.display_name = str(values.pop("display_name")).strip()[:128]
    kept = {**user.preferences, **{str(k)[:64]: v for k, v in values.items()}}
    if not _is_json(kept):
        raise Invalid("Infinity and NaN cannot be stored.", field="preferences")
    if len(str(kept)) > 16_384:
        raise Invalid("These preferences are too large.", field="preferences")
    user.preferences = kept
    announce(session)
    return user


def _is_json(value: object) -> bool:
    """Whether a value can be written as JSON, which knows neither infinity nor NaN (RFC 8259 6)."""
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        return False
    return True


def create_first_administrator(session: Session, name: str, password: NewPassword, display_name: str = "") -> User:
    """The account an installation begins with; only while there is none."""
    if queries.has_users(session):
        raise Conflict("This installation already has an administrator.", hint="Sign in.")
    return create(
        session, SYSTEM, name=name, password=password, role=ADMINISTRATOR, display_name=display_name, temporary=False
    )
