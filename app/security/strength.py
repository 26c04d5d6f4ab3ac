"""A user cannot grant more than the own permissions: who looks after users or roles without being an administrator
cannot make, change or take over what is stronger than their own role."""

from sqlalchemy.orm import Session

from app.kit.errors import Forbidden, Invalid
from app.kit.phrases import phrase
from app.security.actor import Actor
from app.security.identity import verbs_of
from app.security.models import Role, User
from app.security.verbs import Verb


def _sees_all(session: Session, actor: Actor) -> bool:
    """By the actor's role. `Actor.sees_all` is also true while isolation is off, which may be turned on again."""
    if actor.kind == "system":
        return True
    own = session.get(Role, actor.role)
    return own is not None and own.sees_all


def require_verbs(session: Session, actor: Actor, verbs: frozenset[Verb], sees_all: bool) -> None:
    """Raises Forbidden when these permissions are more than the actor's own."""
    beyond = sorted(str(verb) for verb in verbs - actor.verbs)
    if beyond:
        raise Forbidden(
            phrase("You do not have these permissions: {names}.", names=", ".join(beyond)),
            hint="Ask an administrator.",
            verb=str(Verb.USER_ADMIN),
        )
    if sees_all and not _sees_all(session, actor):
        raise Forbidden(
            "You do not have access to all facilities.",
            hint="Ask an administrator.",
            verb=str(Verb.USER_ADMIN),
        )


def require_role(session: Session, actor: Actor, name: str) -> None:
    """Raises Forbidden when a role is stronger than the actor, Invalid when there is none of this name."""
    role = session.get(Role, name)
    if role is None:
        raise Invalid("Role not found.", field="role")
    require_verbs(session, actor, verbs_of(role.verbs), role.sees_all)


def require_rank(session: Session, actor: Actor, facility_id: str | None) -> None:
    """Raises Forbidden when the facility is not the actor's own, unless the actor's role sees all of them."""
    if not _sees_all(session, actor) and facility_id is not None and facility_id != actor.facility_id:
        raise Forbidden(
            "You can only manage users of your own facility.",
            hint="Ask an administrator.",
            verb=str(Verb.USER_ADMIN),
        )


def require_user(session: Session, actor: Actor, user: User) -> None:
    """Raises Forbidden when a user may do more than the actor, or belongs to another facility."""
    if user.id == actor.user_id and actor.kind == "user":
        return
    require_role(session, actor, user.role)
    require_rank(session, actor, user.facility_id)
