"""Objects for the viewer and for programs: frames, previews, pictures, files, documents."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from pydicom.dataset import Dataset
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.archive import content, queries
from app.archive.drawn import drawn_header
from app.archive.frames import Located, locate_objects
from app.archive.models import Instance
from app.db import Session
from app.dicom import uids
from app.http import allow, services
from app.http.bodies import ranged, streamed
from app.http.study_access import frame_warning, pictures, read_study, specs
from app.imaging import PixelSpec, RenderParams
from app.imaging.browser import Form
from app.kit.errors import Invalid, NotFound
from app.kit.numbers import parse_decimal
from app.security import Actor, Verb
from app.viewing import content_tree, report, service, states
from app.viewing.frames import Frames, frame_as, native_target, spec_of
from app.viewing.overlays import frame_planes
from app.viewing.pictures import Format
from app.viewing.states import State
from app.viewing.streaming import SpecOf, series_stream, viewer_frame

router = APIRouter(tags=["images"])
Viewer = Annotated[Actor, Depends(allow(Verb.STUDY_VIEW))]
_STREAM = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


async def _object(request: Request, actor: Actor, uid: str, verb: Verb = Verb.STUDY_VIEW) -> tuple[Located, Dataset]:
    def find(session: Session) -> tuple[tuple[Located, Dataset], Any]:
        located, header = service.located_instance(session, actor, uid)
        return (located, header), queries.study_of(session, located.instance)

    return await read_study(request, actor, verb, find)


def _spec_reader(request: Request) -> SpecOf:
    """How the pixels of an object are made, read when a frame of it is sent."""
    here, known = services(request), specs(request)

    def read(instance: Instance) -> PixelSpec | None:
        with here.database.read() as session:
            return known.of(session, instance)[0]

    return read


@router.get("/series/{uid}/frames")
async def series_frames(
    request: Request, actor: Viewer, uid: str, start: Annotated[int, Query(alias="from", ge=0)] = 0, instance: str = ""
) -> Response:
    """Returns every frame of a series as one stream: 16 bytes little endian (uint32 place of the instance in the manifest's
    series, uint32 frame number from 1, uint32 length, uint32 form), then the bytes; from frame `from` to the end, then the
    rest. instance: only the frames of that one.

    Forms: 0 as stored (native as little endian), 1 stored values as little endian integers of the width that length and
    number of pixels give, 2 as floats of 32 bits, 3 RGB of 8 bits by pixel. Only what browsers are known to decode
    rightly comes as stored."""

    def find(session: Session) -> tuple[Any, Any]:
        series, located = service.located_series(session, actor, uid)
        return located, queries.study_of(session, series)

    located = await read_study(request, actor, Verb.STUDY_VIEW, find)
    if instance and instance not in {one.instance.sop_instance_uid for one in located}:
        raise NotFound("Object not found in this series.")
    archive = services(request).archive
    return await streamed(
        series_stream(archive, located, _spec_reader(request), start, instance), "application/octet-stream", _STREAM
    )


@router.get("/instances/{uid}/frames/{n}")
async def one_frame(
    request: Request, actor: Viewer, uid: str, n: int, form: Literal["stored", "viewer"] = "stored"
) -> Response:
    """Returns frame n (from 1): native as little endian, encapsulated as stored. The manifest names the transfer syntax.

    form=viewer: as in the stream of the series; the header X-Frame-Form says in which of its forms."""
    located, header = await _object(request, actor, uid)
    one = located.instance
    if form == "viewer":
        made, body = await run_in_threadpool(_frame_for_viewer, request, located, n)
        return await streamed(body, "application/octet-stream", {**_STREAM, "X-Frame-Form": str(int(made))})

    def pieces() -> Iterator[bytes]:
        with Frames(services(request).archive, located) as frames:
            target = uids.EXPLICIT_LE if native_target(one) else one.transfer_syntax_uid
            yield from frame_as(frames, n, target, spec_of(header, one))

    return await streamed(
        pieces(), "application/octet-stream", {**_STREAM, "X-Transfer-Syntax": one.transfer_syntax_uid}
    )


def _frame_for_viewer(request: Request, located: Located, n: int) -> tuple[Form, Iterator[bytes]]:
    """The form of a frame and its bytes; the file stays open until these are read."""
    with ExitStack() as stack:
        frames = stack.enter_context(Frames(services(request).archive, located))
        form, _, pieces = viewer_frame(frames, n, _spec_reader(request))
        stack.pop_all()

    def body() -> Iterator[bytes]:
        with frames:
            yield from pieces

    return form, body()


@router.get("/instances/{uid}/frames/{n}/overlays")
async def frame_overlays(request: Request, actor: Viewer, uid: str, n: int) -> Response:
    """Returns the overlay planes of frame n (from 1): {"planes": [...]}, each {group, type, label, description, rows, columns, row, column,
    bits}. row and column: place of the plane's first pixel in the image, from 0, also negative. bits: base64 of the
    plane row by row, least significant bit first, rows not padded (PS3.3 C.9.2). Empty where nothing is to be drawn."""
    located, header = await _object(request, actor, uid)
    etag = f'"{located.instance.sha256[:32]}-{n}-overlays"'
    headers = {"ETag": etag, "Cache-Control": "private, max-age=0, must-revalidate", "Vary": "Authorization, Cookie"}
    if etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    found = await run_in_threadpool(frame_planes, services(request).archive, located, header, n)
    return JSONResponse({"planes": found}, headers=headers)


@router.get("/instances/{uid}/frames/{n}/appearance")
async def frame_appearance(request: Request, actor: Viewer, uid: str, n: int) -> dict[str, object]:
    """Returns how frame n is shown and measured: its entry of the manifest, and its look-up tables and the window it opens
    with (null where the VOI LUT is used), computed from the pixels where the header has neither."""
    located, header = await _object(request, actor, uid)
    return await run_in_threadpool(pictures(request).described, located, header, n)


@router.get("/instances/{uid}/frames/{n}/preview")
async def preview(
    request: Request, actor: Viewer, uid: str, n: int, size: Annotated[int, Query(ge=16, le=4096)] = 512
) -> Response:
    """Returns a JPEG of the frame, at most size x size, with the default window."""
    located, header = await _object(request, actor, uid)
    return await _preview(request, located, header, n, size)


async def _preview(request: Request, located: Located, header: Dataset, n: int, size: int) -> Response:
    etag = f'"{located.instance.sha256[:32]}-{n}-{size}"'
    headers = {"ETag": etag, "Cache-Control": "private, max-age=0, must-revalidate", "Vary": "Authorization, Cookie"}
    if etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    data = await run_in_threadpool(pictures(request).preview, located, header, n, size)
    headers |= await run_in_threadpool(frame_warning, request, located, header, n)
    return Response(data, media_type="image/jpeg", headers=headers)


@router.get("/instances/{uid}/frames/{n}/rendered")
async def rendered(
    request: Request,
    actor: Viewer,
    uid: str,
    n: int,
    window: str = "",
    size: int = 0,
    presentation: Annotated[str, Query(alias="presentationUID", max_length=64)] = "",
    presentation_series: Annotated[str, Query(alias="presentationSeriesUID", max_length=64)] = "",
) -> Response:
    """Returns the frame as a PNG in full size, or a JPEG when only that is accepted. window: centre,width; presentationUID: a
    presentation state of the same study that it is seen by (of the series presentationSeriesUID, where that is given);
    a window given here takes the place of the state's."""

    def find(session: Session) -> tuple[tuple[Located, Dataset, State | None], Any]:
        located, header = service.located_instance(session, actor, uid)
        study = queries.study_of(session, located.instance)
        archive = services(request).archive
        state = states.find(archive, session, study, presentation, presentation_series) if presentation else None
        return (located, header, state), study

    located, header, state = await read_study(request, actor, Verb.STUDY_VIEW, find)
    fmt: Format = "jpeg" if request.headers.get("accept", "").startswith("image/jpeg") else "png"
    params = RenderParams(window=_window(window), size=(size, size) if size else None)
    data = await run_in_threadpool(pictures(request).rendered, located, header, n, params, fmt, 90, state)
    headers = await run_in_threadpool(frame_warning, request, located, header, n)
    headers |= {"Cache-Control": "private, no-cache", "Vary": "Accept"}
    return Response(data, media_type=f"image/{fmt}", headers=headers)


def _window(text: str) -> tuple[float, float] | None:
    if not text:
        return None
    parts = [parse_decimal(part) for part in text.split(",")]
    if len(parts) != 2 or parts[0] is None or parts[1] is None:
        raise Invalid("A window must be specified as center,width.", field="window")
    return parts[0], parts[1]


@router.get("/series/{uid}/thumbnail")
async def series_thumbnail(
    request: Request, actor: Viewer, uid: str, size: Annotated[int, Query(ge=16, le=1024)] = 200
) -> Response:
    """Returns a JPEG of the image in the middle of the series."""

    def find(session: Session) -> tuple[tuple[Located, Dataset], Any]:
        series = queries.series(session, actor, uid)
        one = service.middle_of(session, series)
        if one is None:
            raise NotFound("This series contains no images.")
        return (
            locate_objects(session, [one])[0],
            drawn_header(session, one),
        ), queries.study_of(session, series)

    located, header = await read_study(request, actor, Verb.STUDY_VIEW, find)
    return await _preview(request, located, header, service.representative_frame(header, located.instance), size)


@router.get("/instances/{uid}/file")
async def file(request: Request, actor: Annotated[Actor, Depends(allow(Verb.STUDY_EXPORT))], uid: str) -> Response:
    """Downloads the object as it was received, byte for byte."""
    located, _ = await _object(request, actor, uid, Verb.STUDY_EXPORT)
    one = located.instance
    headers = {
        "ETag": f'"{one.sha256}"',
        "Cache-Control": "private, no-cache",
        "Content-Disposition": f'attachment; filename="{one.sop_instance_uid}.dcm"',
    }
    archive = services(request).archive
    await run_in_threadpool(content.require_complete, archive, one)
    return await ranged(
        request, lambda at, n: content.iter_region(archive, one, at, n), one.bytes, "application/dicom", headers
    )


@router.get("/instances/{uid}/document")
async def document(request: Request, actor: Viewer, uid: str) -> Response:
    """Downloads an encapsulated document. Only PDF opens in the browser; anything else is downloaded."""
    located, header = await _object(request, actor, uid)
    here = services(request)

    def find() -> tuple[str, bytes | tuple[int, int]]:
        with here.database.read() as session:
            return service.document(session, header, located.instance)

    media_type, value = await run_in_threadpool(find)
    pdf = media_type == "application/pdf"
    headers = {
        "Cache-Control": "private, no-cache",
        "Content-Disposition": f'{"inline" if pdf else "attachment"}; filename="{uid}{".pdf" if pdf else ""}"',
    }
    if not pdf:
        media_type = "application/octet-stream"

    def region(at: int, length: int) -> Iterator[bytes]:
        if isinstance(value, bytes):
            return iter([value[at : at + length]])
        return content.iter_region(here.archive, located.instance, value[0] + at, length)

    return await ranged(request, region, len(value) if isinstance(value, bytes) else value[1], media_type, headers)


@router.get("/instances/{uid}/report")
async def structured_report(request: Request, actor: Viewer, uid: str) -> dict[str, object]:
    """Returns the content tree of a structured report: name, value, items."""
    _, header = await _object(request, actor, uid)
    return await run_in_threadpool(lambda: report.as_data(content_tree.tree(header)))


@router.get("/instances/{uid}/attributes")
def attributes(request: Request, actor: Viewer, uid: str) -> dict[str, Any]:
    """Returns the header as DICOM JSON without large values."""
    with services(request).database.read() as session:
        model = content.dicom_json(session, queries.instance(session, actor, uid))
    return {tag: element for tag, element in model.items() if "BulkDataURI" not in element}
