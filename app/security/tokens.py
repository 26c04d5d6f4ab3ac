"""API tokens: a program's key, narrowed to scopes, shown once."""

import secrets
from collections.abc import Iterable
from datetime import timedelta

from sqlalchemy import delete as delete_rows
from sqlalchemy.orm import Session

from app import audit
from app.kit.clock import now
from app.kit.errors import Forbidden, Invalid, NotFound
from app.kit.ids import new_id
from app.kit.phrases import phrase
from app.security import queries
from app.security.actor import Actor, can, require
from app.security.changes import announce
from app.security.identity import SCOPE_WORDS, verbs_of
from app.security.models import ApiToken, User
from app.security.sessions import digest_of
from app.security.verbs import Verb

PREFIX = "frt_"  # so that scanners find one that was committed by mistake


def create(
    session: Session, actor: Actor, name: str, scopes: Iterable[str], days: int | None = None
) -> tuple[ApiToken, str]:
    """The row and the token itself, which is kept nowhere.

    scopes: verbs the actor has, or `metrics`; days: how long it is good, None for no end."""
    if actor.kind == "token":
        raise Forbidden("Tokens cannot create tokens.", hint="Sign in with your password.", verb="token.create")
    wanted = sorted(set(scopes))
    unknown = [scope for scope in wanted if not verbs_of([scope])]
    if unknown or not wanted:
        raise Invalid(
            phrase("Unknown scopes: {names}.", names=", ".join(unknown) or phrase("none given")), field="scopes"
        )
    beyond = [scope for scope in wanted if not verbs_of([scope]) <= actor.verbs]
    if beyond:
        raise Forbidden(
            phrase("You do not have these permissions: {names}.", names=", ".join(beyond)),
            field="scopes",
            verb="token.create",
        )
    if not 0 < len(name.strip()) <= 128:
        raise Invalid("Enter a token name of at most 128 characters.", field="name")
    assert actor.user_id is not None
    token = PREFIX + secrets.token_urlsafe(32)
    row = ApiToken(
        id=new_id(),
        digest=digest_of(token),
        user_id=actor.user_id,
        name=name.strip(),
        scopes=wanted,
        created_at=now(),
        expires_at=now() + timedelta(days=days) if days else None,
    )
    session.add(row)
    _record(session, actor, "token.create", row)
    return row, token


def list_tokens(session: Session, actor: Actor) -> list[ApiToken]:
    """One's own."""
    return queries.tokens(session, actor.user_id or "")


def list_all(session: Session, actor: Actor, user_id: str | None = None) -> list[tuple[ApiToken, User]]:
    """All tokens with their owners for user administrators, own tokens for the others. user_id: only one user's."""
    if not can(actor, Verb.USER_ADMIN):
        if user_id not in (None, actor.user_id):
            require(actor, Verb.USER_ADMIN)
        user_id = actor.user_id
    return queries.tokens_with_owners(session, user_id)


def delete(session: Session, actor: Actor, token_id: str, user_id: str | None = None) -> None:
    """Ends a token: one's own, or anybody's for those who look after users. user_id: it must be this user's."""
    row = session.get(ApiToken, token_id)
    if row is None or (row.user_id != actor.user_id and not can(actor, Verb.USER_ADMIN)):
        raise NotFound("Token not found.")
    if user_id is not None and row.user_id != user_id:
        raise NotFound("Token not found.")
    owner = session.get(User, row.user_id)
    session.delete(row)
    announce(session)
    _record(session, actor, "token.delete", row, owner.name if owner else "")


def end_all_of(session: Session, user_id: str) -> int:
    """Ends every token of a user; the caller writes the audit row of what it is part of."""
    ended = session.execute(delete_rows(ApiToken).where(ApiToken.user_id == user_id).returning(ApiToken.id)).all()
    announce(session)
    return len(ended)


def scopes_of(actor: Actor) -> list[str]:
    """Scopes that this actor can grant to a token."""
    words = [word for word, verb in SCOPE_WORDS.items() if verb in actor.verbs]
    return sorted(words + [str(verb) for verb in actor.verbs])


def _record(session: Session, actor: Actor, verb: str, row: ApiToken, owner: str = "") -> None:
    audit.by(
        session,
        actor,
        verb,
        "token",
        row.id,
        detail={"name": row.name, "scopes": row.scopes, "user": owner or actor.name},
    )
