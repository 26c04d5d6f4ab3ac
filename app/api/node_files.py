"""Nodes as a file: export, import and JSON schema."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request

from app.http import WriteSession, allow, services
from app.http.bodies import read_body
from app.http.i18n import translate_answer
from app.kit.errors import BadRequest, TooLarge
from app.kit.phrases import phrase
from app.nodes import exchange, file_schema
from app.security import Actor, Verb

router = APIRouter(tags=["nodes"])
Reader = Annotated[Actor, Depends(allow(Verb.NODE_READ))]
Editor = Annotated[Actor, Depends(allow(Verb.NODE_EDIT))]


async def _text(request: Request) -> str:
    """The body. Raises TooLarge before it is read to its end, BadRequest when it is cut off or not UTF-8."""
    body = bytearray()
    async for piece in read_body(request):
        body += piece
        if len(body) > exchange.LIMIT:
            raise TooLarge(
                phrase("The file is larger than {most} MB.", most=exchange.LIMIT >> 20),
                hint="Divide it into several files.",
            )
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        raise BadRequest("The file is not encoded as UTF-8.") from None


@router.get("/nodes/schema")
def show_schema(actor: Reader) -> dict[str, Any]:
    """Returns the JSON schema (2020-12) of the node file."""
    return file_schema.schema()


@router.get("/nodes/export")
def export_nodes(
    actor: Editor,
    session: WriteSession,
    secrets: Annotated[
        str, Query(pattern="^(none|sealed)$", description="none, or sealed for this installation")
    ] = "none",
) -> dict[str, Any]:
    """Returns every node with every option as a file. Passwords and tokens are left out, or sealed: then only this
    installation can open them again."""
    return exchange.export_nodes(session, actor, secrets == "sealed")


@router.post(
    "/nodes/import",
    openapi_extra={
        "requestBody": {"required": True, "content": {"application/json": {"schema": file_schema.schema()}}}
    },
)
def import_nodes(
    request: Request,
    actor: Editor,
    text: Annotated[str, Depends(_text)],
    dry_run: Annotated[bool, Query(description="Tells what would change, and changes nothing")] = False,
) -> dict[str, Any]:
    """Creates and changes nodes from a file of `/nodes/export`, or from a configuration of Orthanc (`DicomModalities`,
    `DicomWeb.Servers`). Nodes that it does not name stay. A file has at most
    2000 nodes and 4 MB. With one fault nothing is changed; each has its line and key."""
    here = services(request)
    report = exchange.import_file(here.database, actor, text, here.config, dry_run)
    answer = exchange.report_json(report, dry_run)
    answer["items"] = [
        one | {"notes": [translate_answer(request, {"message": note})["message"] for note in one["notes"]]}
        for one in answer["items"]
    ]
    answer["faults"] = [translate_answer(request, one) for one in answer["faults"]]
    return answer
