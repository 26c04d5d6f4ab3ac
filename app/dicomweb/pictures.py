"""The parameters of rendered resources (PS3.18 8.3.5) and the answer that shows one object."""

from pydicom.dataset import Dataset
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from app.archive import content
from app.archive.errors import NoFrame
from app.archive.frames import Located
from app.dicomweb import accept, respond
from app.http import services
from app.http.bodies import streamed
from app.http.study_access import frame_warning
from app.http.study_access import pictures as cache
from app.imaging import Crop, RenderParams
from app.imaging.errors import ImagingError
from app.kit.errors import BadRequest
from app.kit.numbers import parse_decimal, parse_integer
from app.viewing import content_tree, report
from app.viewing.manifest import kind_of
from app.viewing.pictures import Format
from app.viewing.service import document, representative_frame
from app.viewing.states import State

STILL: dict[str, Format] = {"image/jpeg": "jpeg", "image/png": "png"}
UNSHOWABLE = (ImagingError, NoFrame)
_FUNCTIONS = {"linear": "LINEAR", "linear-exact": "LINEAR_EXACT", "sigmoid": "SIGMOID"}


def parameters(request: Request) -> tuple[RenderParams, int]:
    """viewport, window and quality; annotation and iccprofile do not change the picture.

    Raises BadRequest for values the standard does not allow."""
    query = request.query_params
    window, function = _window(query.get("window", ""))
    size, crop = _viewport(query.get("viewport", ""))
    quality = parse_integer(query.get("quality", "90"), 1, 100)
    if quality is None:
        raise BadRequest("quality must be a whole number from 1 to 100.")
    params = RenderParams(window=window, voi_function=function, size=size, crop=crop)  # type: ignore[arg-type]
    return params, quality


def _window(text: str) -> tuple[tuple[float, float] | None, str | None]:
    """center,width,function (8.3.5.1.4)."""
    if not text:
        return None, None
    parts = text.split(",")
    function = _FUNCTIONS.get(parts[2].strip().lower()) if len(parts) == 3 else None
    numbers = [_number(part) for part in parts[:2]]
    if len(parts) not in (2, 3) or (len(parts) == 3 and function is None) or None in numbers:
        raise BadRequest("window must be center,width,function with linear, linear-exact or sigmoid as function.")
    center, width = numbers[0] or 0.0, numbers[1] or 0.0
    if width <= 0:
        raise BadRequest("The window width must be greater than 0.")
    return (center, width), function


def _viewport(text: str) -> tuple[tuple[int, int] | None, Crop | None]:
    """vw,vh[,sx,sy,sw,sh] (8.3.5.1.3): the size to fit into, and the part of the image. Negative sw or sh would mirror:
    their size counts."""
    if not text:
        return None, None
    parts = [part.strip() for part in text.split(",")]
    numbers = [parse_decimal(part) if part else None for part in parts]
    if len(parts) not in (2, 4, 6) or any(part and n is None for part, n in zip(parts, numbers, strict=True)):
        raise BadRequest("viewport must be vw,vh or vw,vh,sx,sy,sw,sh.")
    width, height = numbers[0] or 0, numbers[1] or 0
    if not (1 <= width <= 16384 and 1 <= height <= 16384):
        raise BadRequest("A viewport must have 1 to 16384 pixels per side.")
    size = (int(height), int(width))
    if len(parts) < 6 or not numbers[4] or not numbers[5]:
        return size, None
    return size, Crop(numbers[3] or 0.0, numbers[2] or 0.0, abs(numbers[5]), abs(numbers[4]))


def _number(text: str) -> float | None:
    return parse_decimal(text)


def thumbnail_size(request: Request) -> int:
    size, _ = _viewport(request.query_params.get("viewport", ""))
    return min(max(size), 1024) if size else 200


async def rendered_response(
    request: Request, located: Located, header: Dataset, n: int | None, state: State | None = None
) -> Response:
    """One object, or frame n of it, for people: a picture, a loop, a document, a report. state: a presentation state the
    picture is seen by."""
    kind = kind_of(located.instance)
    if n is None and kind == "pdf":
        return await document_answer(request, located, header)
    if n is None and kind == "sr":
        return await _report(request, located)
    offers = [*STILL, *(["image/gif"] if n is None and state is None else [])]
    choice = accept.pick(respond.accepted_types(request), [(k, False) for k in offers] + [(k, True) for k in offers])
    params, quality = parameters(request)
    store = cache(request)
    warning: dict[str, str] = {}
    if choice.kind == "image/gif":
        data = await run_in_threadpool(store.animated, located, header, params)
    else:
        shown = n or representative_frame(header, located.instance)
        data = await run_in_threadpool(
            store.rendered, located, header, shown, params, STILL[choice.kind], quality, state
        )
        warning = await run_in_threadpool(frame_warning, request, located, header, shown)
    if choice.multipart:
        return await respond.related(choice.kind, [((("Content-Type", choice.kind),), iter([data]))], warning)
    return Response(data, media_type=choice.kind, headers={"Cache-Control": "private, no-cache", **warning})


async def document_answer(request: Request, located: Located, header: Dataset) -> Response:
    """An encapsulated document as itself."""
    here = services(request)

    def find() -> tuple[str, bytes | tuple[int, int]]:
        with here.database.read() as session:
            return document(session, header, located.instance)

    media_type, value = await run_in_threadpool(find)
    accept.pick(respond.accepted_types(request), [(media_type, False)])
    headers = {"Cache-Control": "private, no-cache", "Content-Disposition": "inline"}
    if isinstance(value, bytes):
        return Response(value, media_type=media_type, headers=headers)
    pieces = content.iter_region(here.archive, located.instance, *value)
    return await streamed(pieces, media_type, {**headers, "Content-Length": str(value[1])})


async def _report(request: Request, located: Located) -> Response:
    accept.pick(respond.accepted_types(request), [("text/html", False)])

    def find() -> str:
        with services(request).database.read() as session:
            return report.html(content_tree.tree(content.header(session, located.instance)))

    return Response(
        await run_in_threadpool(find), media_type="text/html; charset=utf-8", headers={"Cache-Control": "no-store"}
    )
