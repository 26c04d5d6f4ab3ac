"""Prints: order, list, download, cancel, retry, delete (DESIGN part 2)."""

import hashlib
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Query, Request, Response
from fastapi.responses import FileResponse
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.archive import queries as archive_queries
from app.http import ReadSession, WriteSession, allow, i18n, services
from app.kit import queue_priority
from app.kit.errors import Invalid, NotFound
from app.kit.numbers import MOST, parse_decimal, parse_integer
from app.printing import batch, preview, service
from app.printing.batch import PrintBatch
from app.printing.order import OrderItem, PrintOrder
from app.security import Actor, Verb

router = APIRouter(tags=["prints"])
Printer = Annotated[Actor, Depends(allow(Verb.STUDY_PRINT))]
Owner = Annotated[Actor, Depends(allow(Verb.JOB_OWN))]
Viewer = Annotated[Actor, Depends(allow(Verb.STUDY_VIEW))]
Administrator = Annotated[Actor, Depends(allow(Verb.JOB_ALL))]

PICTURE = "/api/v1/prints/preview/picture"


class PrintChange(BaseModel):
    model_config = ConfigDict(extra="forbid")

    priority: int = Field(
        strict=True, ge=queue_priority.LOWEST, le=queue_priority.HIGHEST, description=queue_priority.MEANING
    )


@router.post("/prints", status_code=202)
def create_print(
    request: Request, response: Response, actor: Printer, order: Annotated[PrintOrder, Body()]
) -> dict[str, Any]:
    """Orders a print. The file is made in the background; `Location` is its resource."""
    here = services(request)
    (row,), _ = batch.order(here.database, actor, here.config, PrintBatch(prints=[order]))
    response.headers["Location"] = f"/api/v1/prints/{row.request.id}"
    return service.as_json(row)


@router.post("/prints/batch", status_code=202)
def create_prints(request: Request, actor: Printer, order: Annotated[PrintBatch, Body()]) -> dict[str, Any]:
    """Orders several prints at once: all are queued or none. `repeated` is true when `key` was used before and nothing
    new was queued; `prints-refused` lists each print that cannot be printed."""
    here = services(request)
    rows, repeated = batch.order(here.database, actor, here.config, order)
    return i18n.translate_answer(request, {"items": [service.as_json(row) for row in rows], "repeated": repeated})


@router.get("/prints")
def list_prints(
    actor: Owner,
    session: ReadSession,
    state: str | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    cursor: str | None = None,
) -> dict[str, Any]:
    """Lists the prints that the caller may see, newest first."""
    rows, total = service.list_prints(session, actor, state=state, limit=limit, before=cursor)
    following = rows[-1].request.id if len(rows) == limit else None
    return {"items": [service.as_json(row) for row in rows], "total": total, "next": following}


@router.post("/prints/preview")
def preview_pages(
    request: Request,
    actor: Printer,
    order: Annotated[PrintOrder, Body()],
    page: Annotated[int, Query(ge=1, description="the first page to draw")] = 1,
    pages: Annotated[int, Query(ge=1, le=24, description="how many pages to draw")] = 1,
) -> dict[str, Any]:
    """Returns the pages as they will be printed, as SVG in millimetres."""
    room = services(request)
    made = preview.pages(room.database, room.archive, actor, order, range(page, page + pages), PICTURE)
    answer = {
        "pages": made.pages,
        "images": made.images,
        "width": made.width,
        "height": made.height,
        "svg": made.drawn,
        "notices": made.notices,
    }
    return i18n.translate_answer(request, answer)


@router.get("/prints/preview/picture", response_class=Response)
def preview_picture(
    request: Request,
    actor: Viewer,
    session: ReadSession,
    sop: Annotated[str, Query(max_length=64)],
    frame: Annotated[int, Query(ge=1, le=MOST)] = 1,
    window: Annotated[str, Query(max_length=64, pattern=r"^-?[\d.e+-]+,[\d.e+-]+$")] = "0,0",
    invert: bool = False,
    rotate: Annotated[int, Query(ge=0, le=270, multiple_of=90)] = 0,
    flip: bool = False,
    presentation_state_uid: Annotated[str | None, Query(max_length=64)] = None,
    part: Annotated[str, Query(max_length=64, pattern=r"^(\d+,\d+,\d+,\d+)?$")] = "",
    size: Annotated[int, Query(ge=16, le=2048)] = 640,
) -> Response:
    """Returns one picture of a preview as JPEG. window: center,width; part: x,y,width,height in pixels as seen."""
    stored = archive_queries.instance(
        session, actor, sop
    )  # the right to see it is checked before the cache is believed
    how = hashlib.sha256(request.url.query.encode()).hexdigest()[:16]
    headers = {"ETag": f'"{stored.sha256[:32]}-{how}"', "Cache-Control": "private, max-age=0, must-revalidate"}
    if headers["ETag"] in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    read = [parse_decimal(part) for part in window.split(",")]
    if len(read) != 2 or read[0] is None or read[1] is None:
        raise Invalid("A window must be specified as center,width.", field="window")
    center, width = read[0], read[1]
    try:
        item = OrderItem.model_validate(
            {
                "sop_instance_uid": sop,
                "frame": frame,
                "window": (center, width) if width else None,
                "invert": invert,
                "rotate": rotate,
                "flip_horizontal": flip,
                "presentation_state_uid": presentation_state_uid or None,
            }
        )
    except ValidationError:
        raise Invalid("The description of the image is not valid.", hint="Reload the preview.") from None
    box = [parse_integer(edge) for edge in part.split(",")] if part else [0, 0, 0, 0]
    if len(box) != 4 or None in box:
        raise Invalid("A region must be specified as x,y,width,height.", field="part")
    x, y, across, down = (edge or 0 for edge in box)
    room = services(request)
    made = preview.picture(room.database, room.archive, actor, item, (x, y, across, down) if part else None, size)
    return Response(made, media_type="image/jpeg", headers=headers)


@router.get("/prints/preview/image")
def preview_image(
    request: Request,
    actor: Printer,
    sop: Annotated[str, Query(max_length=64)],
    frame: Annotated[int, Query(ge=1, le=MOST)] = 1,
) -> dict[str, Any]:
    """Returns size, pixel spacing and default window of a frame, for editing its window, zoom and crop."""
    room = services(request)
    return asdict(preview.image_facts(room.database, room.archive, actor, sop, frame))


@router.get("/prints/{print_id}")
def show_print(request: Request, print_id: str, actor: Owner, session: ReadSession) -> dict[str, Any]:
    """Returns a print: state, progress, and the address of its file."""
    return i18n.translate_answer(request, service.as_json(service.get(session, actor, print_id)))


@router.get("/prints/{print_id}/pdf", response_class=FileResponse)
def print_pdf(request: Request, print_id: str, actor: Printer, session: WriteSession) -> FileResponse:
    """Downloads the finished PDF/A-3b. Answers 409 until it is done."""
    row, path = service.open_file(session, actor, services(request).config, print_id)
    if not service.is_pdf(row.request):
        raise NotFound("This print is not a PDF.", hint="Its image files are available at /file.")
    return _file(request, print_id, path, "application/pdf")


@router.get("/prints/{print_id}/file", response_class=FileResponse)
def print_file(request: Request, print_id: str, actor: Printer, session: WriteSession) -> FileResponse:
    """Downloads the PDF or the zip archive of image files. Answers 409 until it is done."""
    row, path = service.open_file(session, actor, services(request).config, print_id)
    return _file(request, print_id, path, "application/pdf" if service.is_pdf(row.request) else "application/zip")


def _file(request: Request, print_id: str, path: Path, media_type: str) -> FileResponse:
    return FileResponse(
        path,
        media_type=media_type,
        filename=f"filmroom-{print_id}{path.suffix}",
        content_disposition_type="attachment" if "download" in request.query_params else "inline",
        headers={"Cache-Control": "private, no-store"},
    )


@router.patch("/prints/{print_id}")
def change_print(print_id: str, actor: Administrator, session: WriteSession, change: PrintChange) -> dict[str, Any]:
    """Changes the priority of a queued print."""
    return service.as_json(service.set_priority(session, actor, print_id, change.priority))


@router.post("/prints/{print_id}/cancel")
def cancel_print(print_id: str, actor: Owner, session: WriteSession) -> dict[str, Any]:
    """Cancels a print that has not ended."""
    return service.as_json(service.cancel(session, actor, print_id))


@router.post("/prints/{print_id}/retry", status_code=202)
def retry_print(
    request: Request, response: Response, print_id: str, actor: Printer, session: WriteSession
) -> dict[str, Any]:
    """Repeats a print that has failed, was cancelled, or is done."""
    row = service.retry(session, actor, services(request).config, print_id)
    response.headers["Location"] = f"/api/v1/prints/{print_id}"
    return service.as_json(row)


@router.delete("/prints/{print_id}", status_code=204)
def delete_print(request: Request, print_id: str, actor: Owner, session: WriteSession) -> None:
    """Deletes a print with its file."""
    service.delete(session, actor, services(request).config, print_id)
