"""Identity of a request, and how it was authenticated."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Literal

from app.kit.clock import now
from app.security.actor import Actor
from app.security.models import Role, User
from app.security.settings import SecuritySettings
from app.security.verbs import Verb

SCOPE_WORDS = {"metrics": Verb.METRICS_READ}  # short words the contract promises for token scopes


@dataclass(frozen=True, slots=True)
class Identity:
    """An actor together with what the interfaces must know about its session.

    how: "session" (browser cookie; needs CSRF and can be locked), "basic" or "token"."""

    actor: Actor
    how: Literal["session", "basic", "token"]
    display_name: str
    session_id: str = ""
    csrf: str = ""
    locked: bool = False
    must_change_password: bool = False
    has_second_factor: bool = False
    theme: str = ""
    language: str = ""

    def seen_from(self, address: str) -> "Identity":
        return replace(self, actor=replace(self.actor, address=address))


def verbs_of(names: Iterable[str]) -> frozenset[Verb]:
    """The verbs with these names; names that no longer exist are left out."""
    known = {str(verb): verb for verb in Verb} | SCOPE_WORDS
    return frozenset(known[name] for name in names if name in known)


def actor_of(
    user: User,
    role: Role,
    policy: SecuritySettings,
    *,
    kind: Literal["user", "token"] = "user",
    scopes: Iterable[str] | None = None,
    address: str = "",
) -> Actor:
    """The actor a user is. scopes: what a token narrows it to."""
    verbs = verbs_of(role.verbs)
    if scopes is not None:
        verbs &= verbs_of(scopes)
    preferences: dict[str, Any] = user.preferences or {}
    return Actor(
        name=user.name,
        kind=kind,
        user_id=user.id,
        role=role.name,
        verbs=verbs,
        facility_id=user.facility_id,
        sees_all=role.sees_all or not policy.facility_isolation,
        address=address,
        language=user.language or "en",
        preferences={k: str(v) for k, v in preferences.items()},
    )


def password_is_old(user: User, policy: SecuritySettings) -> bool:
    """A temporary password, or one past its time."""
    if user.must_change_password:
        return True
    return policy.password_days > 0 and now() - user.password_changed_at > timedelta(days=policy.password_days)
