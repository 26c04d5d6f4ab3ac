"""Sessions: sign in, lock, unlock, sign out; administrators see and end them."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from app.http import ReadSession, WriteSession, allow, checks_permission_itself, cookies, public, services
from app.http.csrf import check_origin
from app.http.deps import client_address, identify, identity_for
from app.kit.errors import Conflict
from app.security import Actor, Verb, sessions

router = APIRouter(tags=["sessions"])
Self = Annotated[Actor, Depends(allow(Verb.SELF))]
SelfEvenLocked = Annotated[Actor, Depends(allow(Verb.SELF, locked_too=True))]


class SignIn(BaseModel):
    user: str = Field(max_length=256)
    password: str = Field(max_length=1024)
    code: str = Field("", max_length=64, description="Six digits of the authenticator, or a recovery code")


class Unlock(BaseModel):
    password: str = Field(max_length=1024)
    code: str = Field("", max_length=64)


@router.post("/sessions", status_code=201)
@public
async def open_session(request: Request, response: Response, body: SignIn) -> dict[str, object]:
    """Signs in and sets the session cookie. A missing second factor answers 401 with the problem `second-factor`."""
    check_origin(request)
    gate = services(request).gate
    agent = request.headers.get("user-agent", "")
    secret = await run_in_threadpool(
        gate.login.open_session, body.user, body.password, body.code, client_address(request), agent
    )
    identity = await run_in_threadpool(gate.identify_session, secret)
    assert identity is not None
    cookies.set_session(request, response, secret)
    return {
        "id": identity.session_id,
        "user": identity.actor.name,
        "role": identity.actor.role,
        "csrf_token": identity.csrf,
        "must_change_password": identity.must_change_password,
    }


@router.get("/sessions")
def list_sessions(actor: Self, session: ReadSession) -> dict[str, object]:
    """Lists all sessions for administrators, otherwise the caller's own."""
    items = [
        {
            "id": row.id,
            "user": user.name,
            "address": row.address,
            "agent": row.agent,
            "created_at": row.created_at,
            "last_input_at": row.last_input_at,
            "locked": row.locked,
        }
        for row, user in sessions.list_sessions(session, actor)
    ]
    return {"items": items, "total": len(items), "next": None}


@router.delete("/sessions/current", status_code=204)
async def close_current(request: Request, response: Response, actor: SelfEvenLocked) -> None:
    """Signs out."""
    identity = await identify(request)
    if identity and identity.session_id:
        await run_in_threadpool(_close, request, actor, identity.session_id)
    cookies.drop_session(request, response)


def _close(request: Request, actor: Actor, session_id: str) -> None:
    with services(request).database.change() as session:
        sessions.close(session, actor, session_id)


@router.post("/sessions/current/activity", status_code=204)
async def activity(request: Request, actor: Self) -> None:
    """Reports input of the user that sent no other request; at most one call per minute."""


@router.post("/sessions/current/lock", status_code=204)
def lock(request: Request, actor: SelfEvenLocked, session: WriteSession) -> None:
    """Locks the screen now."""
    sessions.lock(session, actor, request.state.identity.session_id)


@router.post("/sessions/current/unlock", status_code=204)
@checks_permission_itself(Verb.SELF)
async def unlock(request: Request, body: Unlock) -> None:
    """Unlocks the session with the password and, when set up, the code of the second factor."""
    identity = await identity_for(request, Verb.SELF, locked_too=True)
    if identity.how != "session":
        raise Conflict("Only browser sessions can be unlocked.")
    await run_in_threadpool(unlock_session, request, body.password, body.code)


def unlock_session(request: Request, password: str, code: str) -> None:
    identity = request.state.identity
    services(request).gate.login.verify(identity.actor.name, password, code, identity.actor.address, how="unlock")
    with services(request).database.change() as session:
        sessions.unlock(session, identity.actor, identity.session_id)


@router.delete("/sessions/{session_id}", status_code=204)
def close_session(session_id: str, actor: Self, session: WriteSession) -> None:
    """Ends a session; administrators can end any, others their own."""
    sessions.close(session, actor, session_id)
