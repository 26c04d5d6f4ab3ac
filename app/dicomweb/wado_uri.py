"""WADO-URI (PS3.18 9): one object by query parameters, for older clients."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends
from pydicom.dataset import Dataset
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response

from app.archive import content
from app.archive.drawn import drawn_header
from app.archive.frames import Located, locate_objects
from app.archive.models import Study
from app.db import Session
from app.dicomweb import accept, described
from app.dicomweb.common import one_instance
from app.http import allow, services
from app.http.bodies import streamed
from app.http.study_access import frame_warning
from app.http.study_access import pictures as cache
from app.http.study_access import read_named_study as look
from app.imaging import Crop, RenderParams
from app.kit.errors import BadRequest, NotAcceptable
from app.kit.numbers import parse_decimal, parse_integer
from app.kit.phrases import phrase
from app.media import transcoding
from app.security import Actor, Verb, require
from app.viewing import content_tree, report, states
from app.viewing.manifest import kind_of
from app.viewing.service import representative_frame
from app.viewing.states import State

router = APIRouter()
_PICTURES: dict[str, Literal["jpeg", "png"]] = {"image/jpeg": "jpeg", "image/png": "png"}
Found = tuple[Located, Dataset, State | None]


@router.get("/wado", openapi_extra=described.WADO)
async def wado(request: Request, actor: Annotated[Actor, Depends(allow(Verb.STUDY_VIEW))]) -> Response:
    query, archive = request.query_params, services(request).archive
    study, series, instance = _address(query)
    wanted = [kind.kind for kind in accept.parse(query.get("contentType", "*/*"))]

    def find(session: Session, found: Study) -> Found:
        one = one_instance(session, found, series, instance)
        wanted, within = query.get("presentationUID", ""), query.get("presentationSeriesUID", "")
        state = states.find(archive, session, found, wanted, within) if wanted else None
        return locate_objects(session, [one])[0], drawn_header(session, one), state

    located, header, state = await look(request, actor, Verb.STUDY_VIEW, study, find, "WADO-URI")
    kind = _kind(wanted, kind_of(located.instance))
    if kind == accept.DICOM:
        require(actor, Verb.STUDY_EXPORT)
        return await _object(request, located, header)
    if kind in _PICTURES:
        return await _picture(request, located, header, kind, state)
    return await _report(request, located)


def _address(query: QueryParams) -> tuple[str, str, str]:
    """The three UIDs; the rules of 9.1.2 about the rest."""
    if query.get("requestType") != "WADO":
        raise BadRequest("requestType must be WADO.")
    uids = tuple(query.get(name, "") for name in ("studyUID", "seriesUID", "objectUID"))
    if not all(uids):
        raise BadRequest("studyUID, seriesUID and objectUID are required.")
    if query.get("anonymize", "no") != "no":
        raise BadRequest("WADO-URI does not anonymize objects.", hint="Use POST /api/v1/anonymizations.")
    if "presentationUID" in query and not query.get("presentationSeriesUID"):
        raise BadRequest("presentationUID requires presentationSeriesUID.")
    if "presentationUID" in query and ("windowCenter" in query or "windowWidth" in query):
        raise BadRequest("A window cannot be combined with a presentation state.")
    return uids[0], uids[1], uids[2]


def _kind(wanted: list[str], what: str) -> str:
    """The first content type that can be given for this kind of object."""
    possible = {"image": [*_PICTURES, accept.DICOM], "sr": ["text/html", accept.DICOM]}.get(what, [accept.DICOM])
    for kind in wanted:
        for one in possible:
            if kind in ("*/*", one) or (kind.endswith("/*") and one.startswith(kind[:-1])):
                return one
    raise NotAcceptable(
        "This object is not available in the requested content type.",
        hint=phrase("Available: {known}", known=", ".join(possible)),
    )


async def _object(request: Request, located: Located, header: Dataset) -> Response:
    stored = located.instance.transfer_syntax_uid
    syntax = request.query_params.get("transferSyntax", "")
    can_make = transcoding.available_syntaxes(header, located.instance)
    # 9.4: explicit little endian unless asked otherwise; what cannot be turned into that goes out as it is
    target = syntax or (accept.EXPLICIT_LE if accept.EXPLICIT_LE in can_make else stored)
    if syntax == "*":
        target = stored
    if target != stored and target not in can_make:
        raise NotAcceptable(
            "The object is not available in the requested transfer syntax.",
            hint=phrase("Available: {stored}.", stored=stored),
        )
    return await streamed(
        transcoding.object_as(services(request).archive, located, target), accept.DICOM, {"Cache-Control": "no-store"}
    )


async def _picture(request: Request, located: Located, header: Dataset, kind: str, state: State | None) -> Response:
    query = request.query_params
    count = max(located.instance.number_of_frames, 1)
    n = _integer(query, "frameNumber", 1, count) or representative_frame(header, located.instance)
    quality = _integer(query, "imageQuality", 1, 100) or 90
    params = _params(query, located)
    data = await run_in_threadpool(cache(request).rendered, located, header, n, params, _PICTURES[kind], quality, state)
    warning = await run_in_threadpool(frame_warning, request, located, header, n)
    return Response(data, media_type=kind, headers={"Cache-Control": "private, no-cache", **warning})


def _params(query: QueryParams, located: Located) -> RenderParams:
    center, width = _decimal(query, "windowCenter"), _decimal(query, "windowWidth")
    if (center is None) != (width is None):
        raise BadRequest("windowCenter and windowWidth must be specified together.")
    window = (center, width) if center is not None and width is not None else None
    if window is not None and window[1] <= 0:
        raise BadRequest("windowWidth must be greater than 0.")
    rows, columns = _integer(query, "rows", 1, 16384), _integer(query, "columns", 1, 16384)
    size = (rows or columns or 1, columns or rows or 1) if rows or columns else None
    if size and not (rows and columns):
        size = (rows or 16384, columns or 16384)
    return RenderParams(window=window, size=size, crop=_region(query, located))


def _region(query: QueryParams, located: Located) -> Crop | None:
    """region=xmin,ymin,xmax,ymax, each from 0 to 1 (9.5.7)."""
    text = query.get("region")
    if text is None:
        return None
    edges = [edge for part in text.split(",") if (edge := parse_decimal(part)) is not None]
    if len(edges) != 4 or text.count(",") != 3:
        raise BadRequest("region must be xmin,ymin,xmax,ymax.")
    x0, y0, x1, y1 = edges
    if not (0 <= x0 < x1 <= 1 and 0 <= y0 < y1 <= 1):
        raise BadRequest("The values of region must be from 0 to 1.")
    rows, columns = located.instance.rows, located.instance.columns
    return Crop(y0 * rows, x0 * columns, (y1 - y0) * rows, (x1 - x0) * columns)


def _integer(query: QueryParams, name: str, low: int, high: int) -> int | None:
    text = query.get(name)
    if text is None:
        return None
    number = parse_integer(text, low, high)
    if number is None:
        raise BadRequest(phrase("{name} must be a whole number from {low} to {high}.", name=name, low=low, high=high))
    return number


def _decimal(query: QueryParams, name: str) -> float | None:
    text = query.get(name)
    if text is None:
        return None
    value = parse_decimal(text)
    if value is None:
        raise BadRequest(phrase("{name} must be a number.", name=name))
    return value


async def _report(request: Request, located: Located) -> Response:
    def find() -> str:
        with services(request).database.read() as session:
            return report.html(content_tree.tree(content.header(session, located.instance)))

    return Response(await run_in_threadpool(find), media_type="text/html; charset=utf-8")
