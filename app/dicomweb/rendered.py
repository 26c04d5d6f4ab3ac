"""WADO-RS rendered and thumbnail resources (PS3.18 10.4.1.1.3, 10.4.1.1.4; 8.3.5 for the parameters)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends
from pydicom.dataset import Dataset
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from app.archive import content
from app.archive.drawn import drawn_header
from app.archive.frames import Located, locate_objects
from app.archive.models import Study
from app.db import Session
from app.dicomweb import accept, described, pictures, respond
from app.dicomweb.common import instances, one_instance
from app.dicomweb.frames import numbers
from app.dicomweb.respond import Part
from app.http import allow, services
from app.http.study_access import frame_warning
from app.http.study_access import pictures as cache
from app.http.study_access import read_named_study as look
from app.imaging.presentation import DoesNotApply
from app.kit.errors import NotFound
from app.security import Actor, Verb
from app.viewing import states
from app.viewing.manifest import kind_of
from app.viewing.service import representative_frame
from app.viewing.states import State

router = APIRouter(prefix=respond.PREFIX)
Viewer = Annotated[Actor, Depends(allow(Verb.STUDY_VIEW))]


@dataclass(frozen=True, slots=True)
class Shown:
    """One object, its header, and the presentation state it is seen by. frame: the one the state is about."""

    located: Located
    header: Dataset
    state: State | None = None
    frame: int | None = None


@router.get("/studies/{study}/rendered", openapi_extra=described.RENDERED)
async def rendered_study(request: Request, actor: Viewer, study: str) -> Response:
    return await _rendered_series(request, actor, study, "")


@router.get("/studies/{study}/series/{series}/rendered", openapi_extra=described.RENDERED)
async def rendered_series(request: Request, actor: Viewer, study: str, series: str) -> Response:
    return await _rendered_series(request, actor, study, series)


@router.get("/studies/{study}/series/{series}/instances/{instance}/rendered", openapi_extra=described.RENDERED)
async def rendered_instance(request: Request, actor: Viewer, study: str, series: str, instance: str) -> Response:
    shown = await _rendered_object(request, actor, study, series, instance)
    return await pictures.rendered_response(request, shown.located, shown.header, shown.frame, shown.state)


@router.get(
    "/studies/{study}/series/{series}/instances/{instance}/frames/{frames}/rendered", openapi_extra=described.RENDERED
)
async def rendered_frames(
    request: Request, actor: Viewer, study: str, series: str, instance: str, frames: str
) -> Response:
    shown = await _rendered_object(request, actor, study, series, instance)
    wanted = numbers(frames, max(shown.located.instance.number_of_frames, 1))
    if len(wanted) == 1:
        return await pictures.rendered_response(request, shown.located, shown.header, wanted[0], shown.state)
    return await _parts(request, [(shown.located, n) for n in wanted], shown.state)


@router.get("/studies/{study}/thumbnail", openapi_extra=described.THUMBNAIL)
async def study_thumbnail(request: Request, actor: Viewer, study: str) -> Response:
    return await _thumbnail(request, actor, study, "", "", "")


@router.get("/studies/{study}/series/{series}/thumbnail", openapi_extra=described.THUMBNAIL)
async def series_thumbnail(request: Request, actor: Viewer, study: str, series: str) -> Response:
    return await _thumbnail(request, actor, study, series, "", "")


@router.get("/studies/{study}/series/{series}/instances/{instance}/thumbnail", openapi_extra=described.THUMBNAIL)
async def instance_thumbnail(request: Request, actor: Viewer, study: str, series: str, instance: str) -> Response:
    return await _thumbnail(request, actor, study, series, instance, "")


@router.get(
    "/studies/{study}/series/{series}/instances/{instance}/frames/{frames}/thumbnail", openapi_extra=described.THUMBNAIL
)
async def frame_thumbnail(
    request: Request, actor: Viewer, study: str, series: str, instance: str, frames: str
) -> Response:
    return await _thumbnail(request, actor, study, series, instance, frames)


async def _rendered_object(request: Request, actor: Actor, study: str, series: str, instance: str) -> Shown:
    """The object; for a presentation state the first image it is about, seen by it. presentationUID (as in WADO-URI,
    PS3.18 9.1.2.2.12) applies a state of the same study to an image."""
    archive, query = services(request).archive, request.query_params

    def find(session: Session, found: Study) -> Shown:
        one = one_instance(session, found, series, instance)
        state, frame = None, None
        if states.is_state(one):
            state = states.load(archive, session, one)
            one, frame = states.first_image(session, found, state)
        elif wanted := query.get("presentationUID", ""):
            state = states.find(archive, session, found, wanted, query.get("presentationSeriesUID", ""))
        return Shown(locate_objects(session, [one])[0], drawn_header(session, one), state, frame)

    return await look(request, actor, Verb.STUDY_VIEW, study, find, "rendered")


async def _rendered_series(request: Request, actor: Actor, study: str, series: str) -> Response:
    """Every image of a study or series as a part; of a multi-frame one its representative frame."""

    archive, query = services(request).archive, request.query_params

    def find(session: Session, found: Study) -> tuple[list[tuple[Located, int]], State | None]:
        wanted, within = query.get("presentationUID", ""), query.get("presentationSeriesUID", "")
        state = states.find(archive, session, found, wanted, within) if wanted else None
        images = [one for one in instances(session, found, series) if kind_of(one) == "image"]
        if not images:
            raise NotFound("No images to display.")
        shown = [
            (one, representative_frame(content.header(session, one.instance), one.instance))
            for one in locate_objects(session, images)
        ]
        return shown, state

    shown, state = await look(request, actor, Verb.STUDY_VIEW, study, find, "rendered")
    return await _parts(request, shown, state)


async def _parts(request: Request, shown: list[tuple[Located, int]], state: State | None = None) -> Response:
    choice = accept.pick(
        respond.accepted_types(request), [(kind, multi) for multi in (True, False) for kind in pictures.STILL]
    )
    params, quality = pictures.parameters(request)
    store, here = cache(request), services(request)

    def parts() -> Iterator[Part]:
        """One object that cannot be drawn does not affect the others; where all files changed or are gone, an error is
        returned."""
        fault: NotFound | None = None
        sent = False
        for located, n in shown:
            try:
                with (
                    here.database.read() as session
                ):  # one after the other: large overlays and profiles are not held for all
                    header = drawn_header(session, located.instance)
                try:
                    made = store.rendered(located, header, n, params, pictures.STILL[choice.kind], quality, state)
                except DoesNotApply:  # the state is about others: this one is as it is without it
                    made = store.rendered(located, header, n, params, pictures.STILL[choice.kind], quality)
            except pictures.UNSHOWABLE:
                continue
            except NotFound as missing:
                fault = missing
                continue
            sent = True
            yield (("Content-Type", choice.kind),), iter([made])
        if fault is not None and not sent:
            raise fault

    return await respond.related(choice.kind, parts(), {"Cache-Control": "no-store"})


async def _thumbnail(request: Request, actor: Actor, study: str, series: str, instance: str, frames: str) -> Response:
    accept.pick(respond.accepted_types(request), [("image/jpeg", False), ("image/jpeg", True)])

    def find(session: Session, found: Study) -> Shown:
        wanted = [one_instance(session, found, series, instance)] if instance else instances(session, found, series)
        images = [one for one in wanted if kind_of(one) == "image"]
        if not images:
            raise NotFound("No image to display.")
        one = images[len(images) // 2]
        return Shown(locate_objects(session, [one])[0], drawn_header(session, one))

    shown = await look(request, actor, Verb.STUDY_VIEW, study, find, "thumbnail")
    located, header = shown.located, shown.header
    count = max(located.instance.number_of_frames, 1)
    n = numbers(frames, count)[0] if frames else representative_frame(header, located.instance)
    size = pictures.thumbnail_size(request)
    data = await run_in_threadpool(cache(request).preview, located, header, n, size)
    warning = await run_in_threadpool(frame_warning, request, located, header, n)
    headers = respond.cached(f"{located.instance.sha256[:32]}-{n}-t{size}")
    return Response(data, headers={**headers, **warning}, media_type="image/jpeg")
