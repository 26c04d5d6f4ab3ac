"""DICOM nodes: made, changed, removed, tested."""

from typing import Annotated, Any, Optional

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field, Strict, create_model

from app.forward import queue_list
from app.http import ReadSession, WriteSession, allow, services
from app.http.i18n import translate, translate_answer
from app.kit.clock import now
from app.nodes import options, selftest, service
from app.nodes import queries as node_queries
from app.nodes.file_schema import schema_rules
from app.nodes.option_model import fields_of
from app.nodes.options import NodeOptions, NodeValues
from app.security import Actor, Verb

router = APIRouter(tags=["nodes"])
Reader = Annotated[Actor, Depends(allow(Verb.NODE_READ))]
Editor = Annotated[Actor, Depends(allow(Verb.NODE_EDIT))]
Tester = Annotated[Actor, Depends(allow(Verb.NODE_ECHO))]


def body_model(model: type[NodeOptions] = NodeOptions) -> type[BaseModel]:
    """The body of REST for a node: every field, optional, with its limits in the schema. The limits are checked by
    `options.faults`, as for forms, so that each field has its error in words."""
    found: dict[str, Any] = {}
    for name, one in fields_of(model).items():
        # Strict as in the node file: no "9", 9.0 or true for a number.
        kind: Any = list[str] if one.type is list else Annotated[one.type, Strict()]
        extra = schema_rules(one) | ({"enum": [*one.values, None]} if one.values and one.type is not list else {})
        field = Field(None, title=str(one.option.label), description=one.option.help, json_schema_extra=extra)
        found[name] = (Optional[kind], field)  # noqa: UP045 (a type known at run time only)
    return create_model("NodeFields", __config__=ConfigDict(extra="forbid"), **found)


_Fields = body_model()


class NodeBody(_Fields):  # type: ignore[valid-type, misc]  # made from the description of the options
    """A node. A change keeps what is not given. Passwords and tokens are stored encrypted and never shown again."""

    def values(self) -> NodeValues:
        """null means the value of the settings where there is one, otherwise unchanged."""
        given = self.model_dump()
        for name in options.NULLABLE:
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


class SelfTestBody(BaseModel):
    """How far a self-test goes."""

    model_config = ConfigDict(extra="forbid")

    with_object: bool = Field(
        False,
        description="Also stores a picture of the patient FILMROOM^TEST there, which stays on the node, and fetches it back;"
        " in a folder it is removed again",
    )


@router.post("/nodes/{name}/tests", status_code=202)
def start_test(
    name: str, body: SelfTestBody, response: Response, actor: Tester, session: WriteSession
) -> dict[str, Any]:
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
    found["steps"] = [translate_answer(request, step) | {"hint": translate(step["hint"])} for step in found["steps"]]
    return translate_answer(request, found)
