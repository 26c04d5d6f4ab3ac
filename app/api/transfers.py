"""Transfers: a study on its way to a node."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator

from app.forward import queries as transfer_queries
from app.forward import transfer_json, transfers
from app.http import ReadSession, WriteSession, allow, i18n
from app.kit import queue_priority
from app.kit.numbers import LARGEST
from app.kit.phrases import phrase
from app.nodes import queries as node_queries
from app.security import Actor, Verb

router = APIRouter(tags=["transfers"])
Sender = Annotated[Actor, Depends(allow(Verb.STUDY_SEND))]


class TransferBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    study_instance_uid: str = Field(max_length=64)
    node: str = Field(max_length=64, description="Name or id of the node")
    sop_instance_uids: list[str] | None = Field(
        None, max_length=100_000, description="Only these objects of the study; left out: all it has now"
    )
    priority: int | None = Field(
        None,
        strict=True,
        ge=queue_priority.LOWEST,
        le=queue_priority.HIGHEST,
        description=f"{queue_priority.MEANING}. Default: the priority of the node",
    )


class PriorityBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    priority: int = Field(
        strict=True, ge=queue_priority.LOWEST, le=queue_priority.HIGHEST, description=queue_priority.MEANING
    )


class ManyBody(BaseModel):
    """Exactly one of them."""

    model_config = ConfigDict(extra="forbid")

    ids: list[str] | None = Field(None, max_length=10_000, description="These transfers")
    node: str | None = Field(None, max_length=64, description="All failed ones of this node")
    all: bool = Field(False, description="All failed ones that the caller sees")

    @model_validator(mode="after")
    def _require_one_choice(self) -> "ManyBody":
        if (self.ids is not None) + (self.node is not None) + self.all != 1:
            raise ValueError(phrase("give exactly one of ids, node, all"))
        return self


@router.post("/transfers", status_code=202)
def create_transfer(body: TransferBody, response: Response, actor: Sender, session: WriteSession) -> dict[str, Any]:
    """Queues a study for a node. `Location` is the resource of the transfer."""
    made = transfers.create_transfer(
        session, actor, body.study_instance_uid, body.node, body.sop_instance_uids, body.priority
    )
    response.headers["Location"] = f"/api/v1/transfers/{made.id}"
    return _transfer_json(session, actor, made.id)


@router.get("/transfers")
def list_transfers(
    actor: Sender,
    session: ReadSession,
    study_instance_uid: str | None = None,
    state: str | None = None,
    node: str | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    cursor: str | None = None,
) -> dict[str, Any]:
    """Lists transfers, newest first."""
    node_id = node_queries.node(session, actor, node).id if node else None
    found, total = transfer_queries.transfers(
        session, actor, study=study_instance_uid, state=state, node_id=node_id, limit=limit, before=cursor
    )
    items = [transfer_json.transfer_json(row, name) for row, name in found]
    return {"items": items, "total": total, "next": found[-1][0].id if len(found) == limit else None}


@router.get("/transfers/{transfer_id}")
def get_transfer(request: Request, transfer_id: str, actor: Sender, session: ReadSession) -> dict[str, Any]:
    """Returns a transfer: state, counts, and the message of the peer."""
    return i18n.translate_answer(request, _transfer_json(session, actor, transfer_id))


@router.get("/transfers/{transfer_id}/instances")
def list_instances(
    transfer_id: str,
    actor: Sender,
    session: ReadSession,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: Annotated[int, Query(ge=0, le=LARGEST)] = 0,
) -> dict[str, Any]:
    """Lists the objects with status and message of the peer, failed ones first."""
    transfer = transfer_queries.transfer(session, actor, transfer_id)
    rows = transfer_queries.instances(session, transfer.id, limit, cursor)
    following = str(cursor + limit) if len(rows) == limit else None
    return {"items": [transfer_json.instance_json(row) for row in rows], "total": transfer.total, "next": following}


@router.post("/transfers/{transfer_id}/retry", status_code=202)
def retry_transfer(transfer_id: str, response: Response, actor: Sender, session: WriteSession) -> dict[str, Any]:
    """Sends the objects again that have not arrived."""
    transfers.retry_transfer(session, actor, transfer_id)
    response.headers["Location"] = f"/api/v1/transfers/{transfer_id}"
    return _transfer_json(session, actor, transfer_id)


@router.post("/transfers/{transfer_id}/cancel")
@router.delete("/transfers/{transfer_id}")
def cancel_transfer(transfer_id: str, actor: Sender, session: WriteSession) -> dict[str, Any]:
    """Cancels a transfer; objects that have arrived are kept by the node."""
    transfers.cancel_transfer(session, actor, transfer_id)
    return _transfer_json(session, actor, transfer_id)


@router.patch("/transfers/{transfer_id}")
def change_transfer(transfer_id: str, body: PriorityBody, actor: Sender, session: WriteSession) -> dict[str, Any]:
    """Changes the priority of a transfer."""
    transfers.set_priority(session, actor, transfer_id, body.priority)
    return _transfer_json(session, actor, transfer_id)


@router.post("/transfers/{transfer_id}/drop")
def drop_transfer(transfer_id: str, actor: Sender, session: WriteSession) -> dict[str, Any]:
    """Drops a failed transfer; objects that have arrived are kept by the node."""
    transfers.drop_transfer(session, actor, transfer_id)
    return _transfer_json(session, actor, transfer_id)


@router.post("/transfers/retry")
def retry_many(body: ManyBody, actor: Sender, session: WriteSession) -> dict[str, int]:
    """Retries failed and waiting transfers now: the given ones, all of a node, or all."""
    return {"retried": transfers.retry_many(session, actor, ids=body.ids, node_name=body.node)}


@router.post("/transfers/drop")
def drop_many(body: ManyBody, actor: Sender, session: WriteSession) -> dict[str, int]:
    """Drops failed transfers: the given ones, all of a node, or all."""
    return {"dropped": transfers.drop_many(session, actor, ids=body.ids, node_name=body.node)}


def _transfer_json(session: ReadSession, actor: Actor, transfer_id: str) -> dict[str, Any]:
    transfer = transfer_queries.transfer(session, actor, transfer_id)
    return transfer_json.transfer_json(transfer, node_queries.node_name(session, transfer.node_id))
