"""WADO-RS frames (PS3.18 10.4.1.1.6): as stored, as native little endian, or in another transfer syntax."""

from collections.abc import Iterator
from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from app.archive import Archive, content
from app.archive.frames import Located, locate_objects
from app.archive.models import Study
from app.db import Session
from app.dicomweb import accept, described, quick_frames, respond
from app.dicomweb.common import one_instance
from app.dicomweb.respond import Part
from app.http import allow, services
from app.http.bodies import ranged, streamed
from app.http.study_access import read_named_study as look
from app.http.study_access import specs
from app.imaging import PixelSpec
from app.kit.errors import BadRequest, NotFound
from app.kit.numbers import parse_integer
from app.kit.phrases import phrase
from app.security import Actor, Verb
from app.viewing.frames import Frames, frame_as

router = APIRouter(prefix=respond.PREFIX)
_MOST = 100_000
_ASKING_MORE = ("range", "if-none-match")


def numbers(text: str, count: int) -> list[int]:
    """`1,3,5` -> frame numbers, counted from 1. Raises BadRequest for a malformed list, NotFound for frames not
    there."""
    found: list[int] = []
    for part in text.split(","):
        number = parse_integer(part, 1)
        if number is None:
            raise BadRequest("Enter frames as a comma-separated list of numbers from 1.")
        found.append(number)
    if len(found) > _MOST:
        raise BadRequest("Too many frames for one request.")
    if max(found) > count:
        raise NotFound(
            phrase(
                "Frame {number} does not exist: the pixel data contains {count} frames.", number=max(found), count=count
            )
        )
    return found


@router.get("/studies/{study}/series/{series}/instances/{instance}/frames/{frames}", openapi_extra=described.RETRIEVE)
async def get_frames(
    request: Request,
    actor: Annotated[Actor, Depends(allow(Verb.STUDY_VIEW))],
    study: str,
    series: str,
    instance: str,
    frames: str,
) -> Response:
    ranges = respond.accepted_types(request)
    if _is_simple(request, frames):
        at_once = await run_in_threadpool(
            quick_frames.serve_frame, request, actor, ranges, study, series, instance, int(frames)
        )
        if at_once is not None:
            return at_once
    known = specs(request)

    def plan(session: Session, found: Study) -> tuple[Located, PixelSpec | None, frozenset[str]]:
        one = one_instance(session, found, series, instance)
        if one.pixel_offset is None:
            raise NotFound("This object has no pixel data.")
        return locate_objects(session, [one])[0], *known.of(session, one)

    located, spec, offered = await look(request, actor, Verb.STUDY_VIEW, study, plan, "WADO-RS")
    one = located.instance
    wanted = numbers(frames, max(one.number_of_frames, 1))
    choice = accept.frames(ranges, one.transfer_syntax_uid, offered, len(wanted) == 1)
    etag = f"{one.sha256[:32]}-{frames[:40]}-{choice.syntax}-{int(choice.multipart)}"
    headers = respond.cached(etag)
    if respond.not_modified(request, etag) and len(frames) <= 40:
        return Response(status_code=304, headers=headers)
    if choice.multipart:
        parts = _parts(services(request).archive, located, wanted, choice, spec)
        return await respond.related(choice.kind, parts, headers)
    return await _single_frame(request, located, wanted[0], choice, spec, headers)


def _is_simple(request: Request, frames: str) -> bool:
    """Whether one frame is asked for and nothing beside it, as viewers do."""
    more = any(name in request.headers for name in _ASKING_MORE)
    return not more and frames.isascii() and frames.isdigit() and len(frames) < 9


def _parts(
    archive: Archive, located: Located, wanted: list[int], choice: accept.ChosenFormat, spec: PixelSpec | None
) -> Iterator[Part]:
    """The frames as parts of one answer."""
    head = (("Content-Type", quick_frames.content_type(choice)),)
    with Frames(archive, located) as opened:
        for n in wanted:
            yield head, frame_as(opened, n, choice.syntax, spec)


async def _single_frame(
    request: Request,
    located: Located,
    n: int,
    choice: accept.ChosenFormat,
    spec: PixelSpec | None,
    headers: dict[str, str],
) -> Response:
    """One frame as the whole answer; by ranges where it lies in one piece."""
    archive, kind = services(request).archive, quick_frames.content_type(choice)
    place = _locate_frame(archive, located, n, choice.syntax)
    if place is not None:
        offset, size = place
        one = located.instance
        return await ranged(
            request, lambda at, length: content.iter_region(archive, one, offset + at, length), size, kind, headers
        )

    def read_single() -> Iterator[bytes]:
        with Frames(archive, located) as opened:
            yield from frame_as(opened, n, choice.syntax, spec)

    return await streamed(read_single(), kind, headers)


def _locate_frame(archive: Archive, located: Located, n: int, syntax: str) -> tuple[int, int] | None:
    """Where a frame lies in one piece, as it is to be sent; None when it does not."""
    stored = located.instance.transfer_syntax_uid
    if not quick_frames.as_it_lies(syntax, stored):
        return None
    with Frames(archive, located) as opened:
        return opened.locate_frame(n)
