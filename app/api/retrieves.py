"""Retrievals: studies, series or single objects fetched from other archives."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from app.http import ReadSession, WriteSession, allow, i18n
from app.nodes import queries as node_queries
from app.retrieve import queries as retrieve_queries
from app.retrieve import retrievals
from app.retrieve.retrievals import RetrievalOrder
from app.security import Actor, Verb

router = APIRouter(tags=["retrieves"])
Retriever = Annotated[Actor, Depends(allow(Verb.QUERY_RETRIEVE))]


class RetrieveBody(BaseModel):
    """Objects to retrieve and the node that has them; without series and objects the whole study."""

    model_config = ConfigDict(extra="forbid")

    node: str = Field(max_length=64, description="Name or id of the node that has it")
    study_instance_uid: str = Field(max_length=64)
    series_instance_uid: str = Field("", max_length=64)
    sop_instance_uids: list[str] = Field(default=[], max_length=10_000, description="Single objects of that series")
    method: str = Field("auto", description="auto, move (C-MOVE) or get (C-GET)")
    destination: str = Field("", max_length=64, description="Send it to this node instead of here (C-MOVE)")


@router.post("/retrieves", status_code=202)
def create_retrieve(body: RetrieveBody, response: Response, actor: Retriever, session: WriteSession) -> dict[str, Any]:
    """Queues a retrieval. `Location` is its resource."""
    order = RetrievalOrder(**(body.model_dump() | {"sop_instance_uids": tuple(body.sop_instance_uids)}))
    made = retrievals.create_retrieval(session, actor, order)
    response.headers["Location"] = f"/api/v1/retrieves/{made.id}"
    return _retrieval_json(session, actor, made.id)


@router.get("/retrieves")
def list_retrieves(
    request: Request,
    actor: Retriever,
    session: ReadSession,
    state: str | None = None,
    study_instance_uid: str | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    cursor: str | None = None,
) -> dict[str, Any]:
    """Lists the retrievals that the caller may see, newest first."""
    found, total = retrieve_queries.retrievals(
        session, actor, state=state, study=study_instance_uid, limit=limit, before=cursor
    )
    items = [i18n.translate_answer(request, retrievals.retrieval_json(session, row, name)) for row, name in found]
    return {"items": items, "total": total, "next": found[-1][0].id if len(found) == limit else None}


@router.get("/retrieves/{retrieve_id}")
def get_retrieve(request: Request, retrieve_id: str, actor: Retriever, session: ReadSession) -> dict[str, Any]:
    """Returns a retrieval: state, number of objects received, counts and error message of the peer."""
    return i18n.translate_answer(request, _retrieval_json(session, actor, retrieve_id))


@router.post("/retrieves/{retrieve_id}/cancel")
def cancel_retrieve(retrieve_id: str, actor: Retriever, session: WriteSession) -> dict[str, Any]:
    """Cancels a retrieval (C-CANCEL); received objects are kept."""
    retrievals.cancel_retrieval(session, actor, retrieve_id)
    return _retrieval_json(session, actor, retrieve_id)


@router.post("/retrieves/{retrieve_id}/retry", status_code=202)
def retry_retrieve(retrieve_id: str, response: Response, actor: Retriever, session: WriteSession) -> dict[str, Any]:
    """Retrieves the objects that are missing."""
    retrievals.retry_retrieval(session, actor, retrieve_id)
    response.headers["Location"] = f"/api/v1/retrieves/{retrieve_id}"
    return _retrieval_json(session, actor, retrieve_id)


@router.delete("/retrieves/{retrieve_id}", status_code=204)
def drop_retrieve(retrieve_id: str, actor: Retriever, session: WriteSession) -> None:
    """Removes a retrieval from the list; one in progress is cancelled first."""
    retrievals.drop_retrieval(session, actor, retrieve_id)


def _retrieval_json(session: ReadSession, actor: Actor, retrieve_id: str) -> dict[str, Any]:
    row = retrieve_queries.retrieval(session, actor, retrieve_id)
    return retrievals.retrieval_json(session, row, node_queries.node_name(session, row.node_id))
