"""Objects on hold because other objects are stored under their UIDs: list, decide (ARC-3)."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel

from app.archive import service
from app.archive.models import ObjectConflict
from app.http import ReadSession, WriteSession, allow
from app.security import Actor, Verb
from app.viewing.traces import record

router = APIRouter(tags=["conflicts"])
Decider = Annotated[Actor, Depends(allow(Verb.CONFLICT_DECIDE))]


class DecisionBody(BaseModel):
    """chosen: this version is meant, although other later versions of the same object wait."""

    decision: Literal["keep-first", "overwrite", "save-as-new"]
    chosen: bool = False


def as_json(conflict: ObjectConflict) -> dict[str, Any]:
    return {
        "id": conflict.id,
        "study_instance_uid": conflict.study_instance_uid,
        "sop_instance_uid": conflict.sop_instance_uid,
        "reason": conflict.reason,
        "differences": conflict.differences,
        "bytes": conflict.bytes,
        "source": conflict.source,
        "state": conflict.state,
        "decided_by": conflict.decided_by,
        "decided_at": conflict.decided_at.isoformat() if conflict.decided_at else None,
        "received_at": conflict.received_at.isoformat(),
    }


@router.get("/conflicts")
def list_conflicts(
    actor: Decider, session: ReadSession, state: str = "open", limit: Annotated[int, Query(ge=1, le=500)] = 200
) -> dict[str, Any]:
    """Lists objects whose UID is known with other content and that wait for a decision."""
    items = [as_json(one) for one in service.list_conflicts(session, actor, state=state, limit=limit)]
    return {"items": items, "total": len(items), "next": None}


@router.post("/conflicts/{conflict_id}/decision")
def decide(conflict_id: str, body: DecisionBody, actor: Decider, session: WriteSession) -> dict[str, Any]:
    """Decides a conflict: keep the stored object, replace it, or save the later one with new UIDs. A job changes the files.
    Where several later versions of one object wait, the one to take in is named by `chosen`; the others stay open."""
    decided = service.decide_conflict(session, actor, conflict_id, body.decision, chosen=body.chosen)
    detail: dict[str, object] = {"decision": body.decision, "study_instance_uid": decided.study_instance_uid}
    record(session, actor, Verb.CONFLICT_DECIDE, "conflict", conflict_id, decided.event_facility_id, detail)
    return as_json(decided)
