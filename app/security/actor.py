"""The actor: a person, a program with a token, a remote node, or the system itself."""

from dataclasses import dataclass, field
from typing import Literal

from app.kit.errors import Forbidden, NotFound
from app.kit.phrases import phrase
from app.security.verbs import Verb


@dataclass(frozen=True, slots=True)
class Actor:
    """The caller of every verb.

    facility_id: the facility this actor belongs to; sees_all: facility isolation does not hold for it (SEC-10)."""

    name: str
    kind: Literal["user", "token", "node", "system"] = "user"
    user_id: str | None = None
    role: str = ""
    verbs: frozenset[Verb] = frozenset()
    facility_id: str | None = None
    sees_all: bool = False
    address: str = ""
    language: str = "en"
    preferences: dict[str, str] = field(default_factory=dict, hash=False, compare=False)


SYSTEM = Actor(name="system", kind="system", verbs=frozenset(Verb), sees_all=True)


def can(actor: Actor, verb: Verb) -> bool:
    return verb in actor.verbs


def owns(actor: Actor, owner_id: str | None) -> bool:
    """Whether something is this user's own. By the account's id: a name may later be another account's."""
    return owner_id is not None and owner_id == actor.user_id


def require(actor: Actor, verb: Verb) -> None:
    """Raises Forbidden when the actor may not do this at all."""
    if not can(actor, verb):
        raise Forbidden(
            "You do not have permission.", hint="Contact an administrator to request the permission.", verb=str(verb)
        )


def may_see(actor: Actor, facility_id: str | None) -> bool:
    """A thing without facility is seen only by roles that see all (SEC-10)."""
    return actor.sees_all or (facility_id is not None and facility_id == actor.facility_id)


def require_facility(actor: Actor, facility_id: str | None, what: str = "study") -> None:
    """A thing of another facility does not exist for this actor."""
    if not may_see(actor, facility_id):
        raise NotFound(phrase("Not found: {what}.", what=what))
