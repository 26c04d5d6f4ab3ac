"""Roles: named sets of verbs. The four of SEC-9 are always there."""

from collections.abc import Iterable

from sqlalchemy.orm import Session

from app import audit
from app.kit.errors import Conflict, Invalid, NotFound
from app.kit.phrases import phrase
from app.security import queries, strength
from app.security.actor import Actor, require
from app.security.changes import announce
from app.security.identity import verbs_of
from app.security.models import Role
from app.security.verbs import DEFAULT_ROLES, Verb

ADMINISTRATOR = "administrator"
FACILITY_USER = "facility"
# The built-in names as pages translate them (http/i18n.py: say).
BUILT_IN = (phrase("administrator"), phrase("radiologist"), phrase("technician"), phrase("facility"))


def seed(session: Session) -> None:
    """Makes the built-in roles that are missing; the administrator's verbs follow the code. Safe at every start."""
    for name, (verbs, sees_all) in DEFAULT_ROLES.items():
        role = session.get(Role, name)
        if role is None:
            session.add(Role(name=name, verbs=sorted(map(str, verbs)), sees_all=sees_all, built_in=True))
        elif name == ADMINISTRATOR and set(role.verbs) != set(map(str, verbs)):
            role.verbs = sorted(map(str, verbs))
    session.flush()


def list_roles(session: Session, actor: Actor) -> list[Role]:
    require(actor, Verb.USER_ADMIN)
    return queries.roles(session)


def get(session: Session, actor: Actor, name: str) -> Role:
    require(actor, Verb.USER_ADMIN)
    role = session.get(Role, name)
    if role is None:
        raise NotFound("Role not found.")
    return role


def _known(verbs: Iterable[str]) -> list[str]:
    wanted = set(verbs)
    unknown = sorted(wanted - {str(verb) for verb in Verb})
    if unknown:
        raise Invalid(phrase("Unknown permissions: {names}.", names=", ".join(unknown)), field="verbs")
    return sorted(wanted)


def save(session: Session, actor: Actor, name: str, verbs: Iterable[str], sees_all: bool, *, new: bool) -> Role:
    """Makes or changes a role. The administrator's cannot be changed: an administrator must always remain."""
    require(actor, Verb.USER_ADMIN)
    name = name.strip()
    if not 0 < len(name) <= 64:
        raise Invalid("Enter a role name of at most 64 characters.", field="name")
    role = session.get(Role, name)
    if new and role is not None:
        raise Conflict("A role with this name already exists.", field="name")
    if not new and role is None:
        raise NotFound("Role not found.")
    if name == ADMINISTRATOR:
        raise Conflict("The administrator's role always has every permission.", hint="Create a role with another name.")
    wanted = _known(verbs)
    if role is not None:
        strength.require_verbs(session, actor, verbs_of(role.verbs), role.sees_all)
    strength.require_verbs(session, actor, verbs_of(wanted), sees_all)
    before = {"verbs": role.verbs, "sees_all": role.sees_all} if role else None
    if role is None:
        role = Role(name=name, verbs=wanted, sees_all=sees_all, built_in=False)
        session.add(role)
    role.verbs, role.sees_all = wanted, sees_all
    announce(session)
    audit.by(
        session,
        actor,
        "role.edit",
        "role",
        name,
        detail={"before": before, "after": {"verbs": wanted, "sees_all": sees_all}},
    )
    return role


def delete(session: Session, actor: Actor, name: str) -> None:
    role = get(session, actor, name)
    if role.built_in:
        raise Conflict("Built-in roles cannot be deleted.", hint="Only roles created by users can be deleted.")
    if queries.users_of_role(session, name):
        raise Conflict("This role still has users.", hint="Assign them another role first.")
    strength.require_verbs(session, actor, verbs_of(role.verbs), role.sees_all)
    session.delete(role)
    announce(session)
    audit.by(session, actor, "role.delete", "role", name)
