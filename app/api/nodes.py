"""DICOM nodes: made, changed, removed, tested."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from app.forward import queue_list
from app.http import ReadSession, WriteSession, allow, services
from app.http.i18n import say, told
from app.kit.clock import now
from app.nodes import options, selftest, service
from app.nodes import queries as node_queries
from app.nodes.options import NodeValues
from app.security import Actor, Verb

router = APIRouter(tags=["nodes"])
Reader = Annotated[Actor, Depends(allow(Verb.NODE_READ))]
Editor = Annotated[Actor, Depends(allow(Verb.NODE_EDIT))]
Tester = Annotated[Actor, Depends(allow(Verb.NODE_ECHO))]


class NodeBody(BaseModel):
    """A node. Changing one leaves what is not given. Passwords and tokens are kept sealed and never shown again."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = Field(None, description="What people see; 1 to 64 characters, unique")
    protocol: str | None = Field(None, description=f"{', '.join(options.PROTOCOLS)}; dicom unless said")
    ae_title: str | None = Field(None, description="dicom: what the other side calls itself, 1 to 16 characters")
    host: str | None = Field(None, description="dicom: name or IP address")
    port: int | None = Field(None, description="dicom: TCP port, 1 to 65535")
    url: str | None = Field(
        None, description="dicomweb: the address of the service, such as https://pacs.example/dicom-web"
    )
    username: str | None = Field(None, description="dicomweb: user for HTTP Basic")
    password: str | None = Field(None, description="dicomweb: its password; empty to forget it")
    token: str | None = Field(
        None, description="dicomweb: bearer token, instead of user and password; empty to forget it"
    )
    path: str | None = Field(None, description="folder: a whole path on the server")
    enabled: bool | None = Field(None, description="Whether anything is sent to it or taken from it")
    facility_id: str | None = Field(None, description="What it sends belongs to this facility; empty: to none")
    capabilities: list[str] | None = Field(None, description=", ".join(options.CAPABILITIES))
    accept: bool | None = Field(None, description="Whether it may send to us")
    may_query: bool | None = Field(None, description="Whether it may search here and fetch")
    transfer_syntax: str | None = Field(
        None, description=f"How objects go out, preferred: {', '.join(options.SYNTAXES)}; stored is: else uncompressed"
    )
    retrieve_by: str | None = Field(None, description="How we fetch from it: move or get")
    tls: bool | None = Field(None, description="DICOM TLS")
    tls_profile: str | None = Field(None, description="bcp195, non-downgrading or modified; empty: as the settings say")
    client_certificate: str | None = Field(
        None,
        description="Name of the certificate of ours that we show to it where it asks; empty: the one in use, none to DICOMweb",
    )
    tls_check: str | None = Field(
        None, description="What of its certificate must be right: name (chain and host name), ca (chain), fingerprint"
    )
    tls_fingerprint: str | None = Field(None, description="SHA-256 fingerprint of its certificate")
    tls_caller: str | None = Field(
        None, description="What it must show when it calls: empty (nothing), trusted, fingerprint, authority"
    )
    tls_authority: str | None = Field(
        None, description="SHA-256 fingerprint of the trusted certificate that signs its certificate"
    )
    use_proxy: bool | None = Field(None, description="Whether the network proxy of the settings is used for it")
    max_pdu: int | None = Field(None, description="Largest PDU both ways, in bytes; null: as the settings say")
    connect_timeout: int | None = Field(None, description="Seconds to reach it; null: as the settings say")
    network_timeout: int | None = Field(None, description="Seconds it may take to answer; null: as the settings say")
    character_set: str | None = Field(
        None, description="Specific Character Set that queries to it are written in; empty: UTF-8 where needed"
    )
    parallel: int | None = Field(None, description="Associations at a time when sending, 1 to 16")
    bandwidth_kib: int | None = Field(None, description="KiB a second when sending; 0: no limit")
    priority: int | None = Field(None, description="Queue priority, 0 to 9; 9 is sent first")
    window: str | None = Field(
        None, description="Hours of the server's time in which is sent, 22:00-06:00; empty: always"
    )
    paused: bool | None = Field(None, description="Nothing is sent; it waits")
    lacks_only: bool | None = Field(None, description="Send only what it lacks, found out by a query")
    commitment: bool | None = Field(None, description="Delivered only when it has committed to storage")
    retries: int | None = Field(
        None, description="How often a failed delivery is tried again; null: as the settings say"
    )
    retry_forever: bool | None = Field(None, description="Retry until delivered, at longer intervals")
    local_title: str | None = Field(None, description="What we call ourselves towards it; empty: our own title")
    comment: str | None = Field(None, description="What people want to remember")

    def values(self) -> NodeValues:
        """null where the settings can say is told apart from not given."""
        given = self.model_dump()
        for name in ("max_pdu", "connect_timeout", "network_timeout", "retries"):
            if name in self.model_fields_set and given[name] is None:
                given[name] = options.BY_SETTING
        return NodeValues(**given)


@router.get("/nodes")
def list_nodes(actor: Reader, session: ReadSession) -> dict[str, Any]:
    """Lists the nodes that the caller may see. `sending` is the current rate in bytes per second."""
    rates = queue_list.rates(session, actor, now())
    items = [
        service.node_json(node) | {"sending": rates.get(node.id, 0)} for node in node_queries.nodes(session, actor)
    ]
    return {"items": items, "total": len(items), "next": None}


@router.post("/nodes", status_code=201)
def create_node(
    body: NodeBody, request: Request, response: Response, actor: Editor, session: WriteSession
) -> dict[str, Any]:
    """Creates a node: name, AE title, host and port; for DICOMweb name and url; for a folder name and path."""
    node = service.create_node(session, actor, body.values(), services(request).config)
    response.headers["Location"] = f"/api/v1/nodes/{node.id}"
    return service.node_json(node)


@router.get("/nodes/{name}")
def get_node(name: str, actor: Reader, session: ReadSession) -> dict[str, Any]:
    """Returns a node by name or id. `sending` is the current rate in bytes per second."""
    node = node_queries.node(session, actor, name)
    return service.node_json(node) | {"sending": queue_list.rates(session, actor, now()).get(node.id, 0)}


@router.put("/nodes/{name}")
@router.patch("/nodes/{name}")
def update_node(name: str, body: NodeBody, request: Request, actor: Editor, session: WriteSession) -> dict[str, Any]:
    """Changes the given values of a node."""
    node = service.update_node(session, actor, name, body.values(), services(request).config)
    return service.node_json(node)


@router.delete("/nodes/{name}", status_code=204)
def delete_node(name: str, actor: Editor, session: WriteSession) -> None:
    """Deletes a node without transfers."""
    service.delete_node(session, actor, name)


@router.post("/nodes/{name}/pause")
def pause_node(name: str, actor: Editor, session: WriteSession) -> dict[str, Any]:
    """Pauses sending to a node; queued transfers are kept. An object on its way is finished."""
    return service.node_json(service.pause_node(session, actor, name, True))


@router.post("/nodes/{name}/resume")
def resume_node(name: str, actor: Editor, session: WriteSession) -> dict[str, Any]:
    """Resumes sending to a node."""
    return service.node_json(service.pause_node(session, actor, name, False))


@router.post("/nodes/{name}/echo")
def echo_node(name: str, request: Request, actor: Tester) -> dict[str, Any]:
    """Tests a node with a C-ECHO, a DICOMweb search, or a file that is written and deleted. Always 200: a node that does not answer is a result, not a fault of the request."""
    here = services(request)
    found = service.probe_node(here.database, actor, name, here.config)
    steps = [{"step": s.name, "ok": s.ok, "message": s.words, "seconds": s.seconds} for s in found.steps]
    return {"ok": found.ok, "message": found.message, "seconds": found.seconds, "steps": steps, "offers": found.offers}


class TestBody(BaseModel):
    """How far a self-test goes."""

    model_config = ConfigDict(extra="forbid")

    with_object: bool = Field(
        False,
        description="Also stores a picture of the patient FILMROOM^TEST there, which stays on the node, and fetches it back;"
        " in a folder it is removed again",
    )


@router.post("/nodes/{name}/tests", status_code=202)
def start_test(name: str, body: TestBody, response: Response, actor: Tester, session: WriteSession) -> dict[str, Any]:
    """Starts a self-test: reach, associate, echo, find; with a test object also store, find it, fetch it back by C-MOVE and
    C-GET, and storage commitment, as far as the node offers them; of DICOMweb QIDO-RS, STOW-RS and WADO-RS; in a folder
    a file is written, read back and removed. What comes back is removed here again."""
    test = selftest.start_test(session, actor, name, body.with_object)
    response.headers["Location"] = f"/api/v1/nodes/{test.node_id}/tests/{test.id}"
    return selftest.test_json(session, test)


@router.get("/nodes/{name}/tests/{test_id}")
def get_test(name: str, test_id: str, request: Request, actor: Reader, session: ReadSession) -> dict[str, Any]:
    """Returns the state of a self-test and its steps with messages, hints and durations."""
    found = selftest.test_json(session, selftest.get(session, actor, test_id))
    found["steps"] = [told(request, step) | {"hint": say(step["hint"])} for step in found["steps"]]
    return told(request, found)
