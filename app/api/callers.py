"""Callers that are not nodes, and calls between two facilities."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from app.http import ReadSession, WriteSession, allow
from app.http.i18n import translate
from app.nodes import callers
from app.nodes.models import Caller
from app.security import Actor, Verb

router = APIRouter(tags=["nodes"])
Reader = Annotated[Actor, Depends(allow(Verb.NODE_READ))]
Editor = Annotated[Actor, Depends(allow(Verb.NODE_EDIT))]


def _caller_json(caller: Caller) -> dict[str, Any]:
    found = callers.caller_json(caller)
    return found | {"reason": translate(found["reason"])}


@router.get("/nodes/callers")
def list_callers(
    actor: Reader,
    session: ReadSession,
    ignored: Annotated[bool, Query(description="Also those that are ignored")] = False,
    kind: Annotated[
        str, Query(description="unknown: no node; clash: between two facilities", pattern="^(unknown|clash)?$")
    ] = "",
) -> dict[str, Any]:
    """Lists systems that have called and are not nodes, last caller first. The newest 200 are kept."""
    items = [_caller_json(one) for one in callers.list_callers(session, actor, ignored, kind)]
    return {"items": items, "total": len(items), "next": None}


@router.put("/nodes/callers/{caller_id}")
def ignore_caller(
    caller_id: str,
    actor: Editor,
    session: WriteSession,
    ignored: Annotated[bool, Query(description="Leave it out of the list, or take it in again")] = True,
) -> dict[str, Any]:
    """Hides a caller from the list. It is accepted or refused as before."""
    return _caller_json(callers.ignore_caller(session, actor, caller_id, ignored))


@router.delete("/nodes/callers/{caller_id}", status_code=204)
def forget_caller(caller_id: str, actor: Editor, session: WriteSession) -> None:
    """Removes a caller from the list until it calls again."""
    callers.forget_caller(session, actor, caller_id)
