"""Storage commitment: requests received from nodes, and requests sent to nodes."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request

from app.http import ReadSession, allow, i18n
from app.kit.numbers import LARGEST
from app.network.commitment_data import REASONS
from app.nodes import queries as node_queries
from app.nodes.models import Commitment, CommitmentInstance
from app.security import Actor, Verb

router = APIRouter(tags=["commitments"])
Sender = Annotated[Actor, Depends(allow(Verb.STUDY_SEND))]


@router.get("/commitments")
def list_commitments(
    request: Request,
    actor: Sender,
    session: ReadSession,
    role: Annotated[Literal["scp", "scu"] | None, Query(description="scp: we were asked; scu: we asked")] = None,
    state: Literal["queued", "waiting", "done", "failed"] | None = None,
    transfer: str | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    cursor: str | None = None,
) -> dict[str, Any]:
    """Lists requests for storage commitment, newest first."""
    found, total = node_queries.commitments(
        session, actor, role=role, state=state, transfer_id=transfer, limit=limit, before=cursor
    )
    items = [i18n.translate_answer(request, _commitment_json(row, name)) for row, name in found]
    return {"items": items, "total": total, "next": found[-1][0].id if len(found) == limit else None}


@router.get("/commitments/{commitment_id}")
def get_commitment(request: Request, commitment_id: str, actor: Sender, session: ReadSession) -> dict[str, Any]:
    """Returns a request for storage commitment with its state and counts."""
    row = node_queries.commitment_seen(session, actor, commitment_id)
    return i18n.translate_answer(request, _commitment_json(row, node_queries.node_name(session, row.node_id)))


@router.get("/commitments/{commitment_id}/instances")
def list_commitment_instances(
    request: Request,
    commitment_id: str,
    actor: Sender,
    session: ReadSession,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: Annotated[int, Query(ge=0, le=LARGEST)] = 0,
) -> dict[str, Any]:
    """Lists the objects of a request. `reason` is a Failure Reason of PS3.3 C.14.1.1."""
    row = node_queries.commitment_seen(session, actor, commitment_id)
    rows = node_queries.commitment_instances(session, row.id, limit, cursor)
    items = [i18n.translate_answer(request, _instance_json(one)) for one in rows]
    following = str(cursor + limit) if len(rows) == limit else None
    return {"items": items, "total": row.total, "next": following}


def _commitment_json(row: Commitment, node_name: str) -> dict[str, object]:
    """A request as REST shows it."""
    return {
        "id": row.id,
        "role": row.role,
        "state": row.state,
        "node": node_name,
        "transaction_uid": row.transaction_uid,
        "transfer": row.transfer_id,
        "total": row.total,
        "committed": row.committed,
        "failed": row.failed,
        "attempts": row.attempts,
        "error": row.error,
        "created_by": row.created_by,
        "created_at": row.created_at.isoformat(),
        "due_at": row.due_at and row.due_at.isoformat(),
        "finished_at": row.finished_at and row.finished_at.isoformat(),
    }


def _instance_json(one: CommitmentInstance) -> dict[str, object]:
    return {
        "sop_class_uid": one.sop_class_uid,
        "sop_instance_uid": one.sop_instance_uid,
        "state": one.state,
        "reason": None if one.reason is None else f"{one.reason:04X}",
        "message": None if one.reason is None else REASONS.get(one.reason),
    }
