"""DICOM nodes: made, changed, removed, tested."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from app.http import ReadSession, WriteSession, allow, services
from app.peers import queries, service
from app.peers.service import NodeValues
from app.security import Actor, Verb

router = APIRouter(tags=["nodes"])
Reader = Annotated[Actor, Depends(allow(Verb.NODE_READ))]
Editor = Annotated[Actor, Depends(allow(Verb.NODE_EDIT))]
Tester = Annotated[Actor, Depends(allow(Verb.NODE_ECHO))]


class NodeBody(BaseModel):
    """A node. Changing one leaves what is not given."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = Field(None, description="What people see; 1 to 64 characters, unique")
    ae_title: str | None = Field(None, description="What the other side calls itself, 1 to 16 characters")
    host: str | None = Field(None, description="Name or IP address")
    port: int | None = Field(None, description="TCP port, 1 to 65535")
    enabled: bool | None = Field(None, description="Whether anything is sent to it or taken from it")
    facility_id: str | None = Field(None, description="What it sends belongs to this facility; empty: to none")
    capabilities: list[str] | None = Field(None, description=", ".join(service.CAPABILITIES))
    accept: bool | None = Field(None, description="Whether it may send to us")
    transfer_syntax: str | None = Field(None, description="stored (else uncompressed), or always uncompressed")

    def values(self) -> NodeValues:
        return NodeValues(**self.model_dump())


@router.get("/nodes")
def list_nodes(actor: Reader, session: ReadSession) -> dict[str, Any]:
    """The nodes that the caller may know of."""
    items = [service.node_json(node) for node in queries.nodes(session, actor)]
    return {"items": items, "total": len(items), "next": None}


@router.post("/nodes", status_code=201)
def create_node(body: NodeBody, response: Response, actor: Editor, session: WriteSession) -> dict[str, Any]:
    """A new node: name, AE title, host and port."""
    node = service.create_node(session, actor, body.values())
    response.headers["Location"] = f"/api/v1/nodes/{node.id}"
    return service.node_json(node)


@router.get("/nodes/{name}")
def get_node(name: str, actor: Reader, session: ReadSession) -> dict[str, Any]:
    """By name or id."""
    return service.node_json(queries.node(session, actor, name))


@router.put("/nodes/{name}")
@router.patch("/nodes/{name}")
def update_node(name: str, body: NodeBody, actor: Editor, session: WriteSession) -> dict[str, Any]:
    """Changes what is given and leaves the rest."""
    return service.node_json(service.update_node(session, actor, name, body.values()))


@router.delete("/nodes/{name}", status_code=204)
def delete_node(name: str, actor: Editor, session: WriteSession) -> None:
    """Deletes a node that no transfer names."""
    service.delete_node(session, actor, name)


@router.post("/nodes/{name}/echo")
def echo_node(name: str, request: Request, actor: Tester) -> dict[str, Any]:
    """C-ECHO to the node. Always 200: a node that does not answer is a result, not a fault of the request."""
    here = services(request)
    found = service.probe_node(here.database, actor, name, here.config.aet)
    steps = [{"step": s.name, "ok": s.ok, "message": s.words, "seconds": s.seconds} for s in found.steps]
    return {"ok": found.ok, "message": found.message, "seconds": found.seconds, "steps": steps, "offers": found.offers}
