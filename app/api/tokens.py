"""API tokens: those of the user, or of all users for administrators."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field

from app.http import ReadSession, WriteSession, allow
from app.security import Actor, Verb, tokens, users
from app.security.models import ApiToken, User

router = APIRouter(tags=["tokens"])
Self = Annotated[Actor, Depends(allow(Verb.SELF))]


class NewToken(BaseModel):
    name: str = Field(max_length=128)
    scopes: list[str] = Field(description="Verbs you have yourself, or `metrics`")
    days: int | None = Field(None, ge=1, le=3650, description="Days it is good for; without: until it is deleted")


def as_json(row: ApiToken, owner: User) -> dict[str, Any]:
    return {
        "id": row.id,
        "user": owner.name,
        "user_id": row.user_id,
        "name": row.name,
        "scopes": row.scopes,
        "created_at": row.created_at,
        "expires_at": row.expires_at,
        "last_used_at": row.last_used_at,
    }


@router.get("/tokens")
def list_tokens(
    actor: Self, session: ReadSession, user: Annotated[str | None, Query(description="Only one user's, by id")] = None
) -> dict[str, Any]:
    """Lists all tokens for administrators, otherwise the caller's own, without their secrets."""
    items = [as_json(row, owner) for row, owner in tokens.list_all(session, actor, user)]
    return {"items": items, "total": len(items), "next": None, "scopes": tokens.scopes_of(actor)}


@router.post("/tokens", status_code=201)
def create_token(body: NewToken, actor: Self, session: WriteSession) -> dict[str, Any]:
    """Creates a token. Only this response contains the token itself."""
    row, token = tokens.create(session, actor, body.name, body.scopes, body.days)
    return as_json(row, users.get(session, actor, row.user_id)) | {"token": token}


@router.delete("/tokens/{token_id}", status_code=204)
def delete_token(token_id: str, actor: Self, session: WriteSession) -> None:
    """Deletes a token; it is refused at once."""
    tokens.delete(session, actor, token_id)
