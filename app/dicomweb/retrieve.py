"""WADO-RS (PS3.18 10.4): instances as files, metadata, bulk data."""

from collections.abc import Iterator, Sequence
from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from app.archive import content, queries
from app.archive.frames import Located, locate_objects
from app.archive.models import Instance, Study
from app.db import Session
from app.dicom import dicomjson, uids
from app.dicomweb import accept, described, respond
from app.dicomweb.common import instances, one_instance
from app.dicomweb.respond import Part
from app.http import allow, services
from app.http.bodies import ranged, streamed
from app.http.study_access import read_named_study as look
from app.kit.errors import NotAcceptable, NotFound
from app.media import transcoding
from app.security import Actor, Verb
from app.viewing.frames import Frames

router = APIRouter(prefix=respond.PREFIX)
Viewer = Annotated[Actor, Depends(allow(Verb.STUDY_VIEW))]
Taker = Annotated[Actor, Depends(allow(Verb.STUDY_EXPORT))]
_PIXELS = frozenset(("7FE00010", "7FE00008", "7FE00009"))


@router.get("/studies/{study}", openapi_extra=described.RETRIEVE)
async def study_objects(request: Request, actor: Taker, study: str) -> Response:
    return await _objects(request, actor, study)


@router.get("/studies/{study}/series/{series}", openapi_extra=described.RETRIEVE)
async def series_objects(request: Request, actor: Taker, study: str, series: str) -> Response:
    return await _objects(request, actor, study, series)


@router.get("/studies/{study}/series/{series}/instances/{instance}", openapi_extra=described.RETRIEVE)
async def one_object(request: Request, actor: Taker, study: str, series: str, instance: str) -> Response:
    return await _objects(request, actor, study, series, instance)


async def _objects(request: Request, actor: Actor, study: str, series: str = "", instance: str = "") -> Response:
    ranges = respond.accepted_types(request)
    single = bool(instance)

    def plan(session: Session, found: Study) -> list[tuple[Located, accept.ChosenFormat | None]]:
        wanted = [one_instance(session, found, series, instance)] if single else instances(session, found, series)
        return [(one, _choice(session, ranges, one.instance, single)) for one in locate_objects(session, wanted)]

    planned = await look(request, actor, Verb.STUDY_EXPORT, study, plan, "WADO-RS")
    chosen = [(one, choice) for one, choice in planned if choice is not None]
    if not chosen:
        stored = dict.fromkeys(one.instance.transfer_syntax_uid for one, _ in planned)
        raise accept.refusal(f'{accept.RELATED}; type="{accept.DICOM}"; transfer-syntax={uid}' for uid in stored)
    archive = services(request).archive
    if single and not chosen[0][1].multipart:
        return await _file(request, chosen[0][0], chosen[0][1].syntax)

    def parts() -> Iterator[Part]:
        for one, choice in chosen:
            head = (("Content-Type", f"{accept.DICOM}; transfer-syntax={choice.syntax}"),)
            yield head, transcoding.object_as(archive, one, choice.syntax)

    answer = await respond.related(accept.DICOM, parts(), {"Cache-Control": "no-store"})
    answer.status_code = 200 if len(chosen) == len(planned) else 206  # 10.4.3.2: some could not be given as asked
    return answer


def _choice(
    session: Session, ranges: Sequence[accept.MediaRange], instance: Instance, single: bool
) -> accept.ChosenFormat | None:
    """How this object goes out; the header is read only when it matters what it could be turned into."""
    stored = instance.transfer_syntax_uid
    best = next((r for r in ranges if r.matches(accept.DICOM)), None)
    as_stored = best is not None and (
        best.syntax in ("*", stored) or (not best.syntax and (best.kind == "*/*" or stored == uids.EXPLICIT_LE))
    )
    can_make = (
        frozenset[str]() if as_stored else transcoding.available_syntaxes(content.header(session, instance), instance)
    )
    try:
        return accept.instances(ranges, stored, can_make, single)
    except NotAcceptable:
        return None


async def _file(request: Request, located: Located, syntax: str) -> Response:
    archive, instance = services(request).archive, located.instance
    headers = respond.cached(f"{instance.sha256[:32]}-{syntax}")
    media_type = f"{accept.DICOM}; transfer-syntax={syntax}"
    if respond.not_modified(request, f"{instance.sha256[:32]}-{syntax}"):
        return Response(status_code=304, headers=headers)
    if syntax != instance.transfer_syntax_uid or not instance.data_set_offset:
        return await streamed(transcoding.object_as(archive, located, syntax), media_type, headers)
    await run_in_threadpool(content.require_complete, archive, instance)
    return await ranged(
        request, lambda at, n: content.iter_region(archive, instance, at, n), instance.bytes, media_type, headers
    )


@router.get("/studies/{study}/metadata", openapi_extra=described.RETRIEVE)
async def study_metadata(request: Request, actor: Viewer, study: str) -> Response:
    return await _metadata(request, actor, study)


@router.get("/studies/{study}/series/{series}/metadata", openapi_extra=described.RETRIEVE)
async def series_metadata(request: Request, actor: Viewer, study: str, series: str) -> Response:
    return await _metadata(request, actor, study, series)


@router.get("/studies/{study}/series/{series}/instances/{instance}/metadata", openapi_extra=described.RETRIEVE)
async def instance_metadata(request: Request, actor: Viewer, study: str, series: str, instance: str) -> Response:
    return await _metadata(request, actor, study, series, instance)


async def _metadata(request: Request, actor: Actor, study: str, series: str = "", instance: str = "") -> Response:
    choice = accept.metadata(respond.accepted_types(request))
    base = respond.base_url(request)

    def plan(session: Session, found: Study) -> tuple[list[Instance], dict[int, str]]:
        wanted = [one_instance(session, found, series, instance)] if instance else instances(session, found, series)
        names = queries.series_by_pks(session, sorted({one.series_pk for one in wanted}))
        return wanted, {pk: one.series_instance_uid for pk, one in names.items()}

    wanted, names = await look(request, actor, Verb.STUDY_VIEW, study, plan, "WADO-RS")

    def encoded(step: int = 200) -> Iterator[bytes]:
        """A session per few hundred objects: a slow reader must not hold one for its whole answer."""
        for at in range(0, len(wanted), step):
            some = wanted[at : at + step]
            with services(request).database.read() as session:
                made = list(content.encoded_json_of(session, some))
            for one, model in zip(some, made, strict=False):
                url = respond.instance_url(base, study, names[one.series_pk], one.sop_instance_uid)
                yield dicomjson.with_bulk_address(model, url)

    return await respond.models(choice, encoded(), {"Cache-Control": "private, no-cache"})


@router.get(
    "/studies/{study}/series/{series}/instances/{instance}/bulkdata/{path:path}", openapi_extra=described.RETRIEVE
)
async def bulk_data(request: Request, actor: Viewer, study: str, series: str, instance: str, path: str) -> Response:
    """One large value, little endian, as one body or one part. Encapsulated pixel data: one part per frame."""
    choice = accept.pick(respond.accepted_types(request), [(accept.OCTETS, True), (accept.OCTETS, False)])

    def find(session: Session, found: Study) -> tuple[Located, bytes | tuple[int, int] | None]:
        one = one_instance(session, found, series, instance)
        located = locate_objects(session, [one])[0]
        return located, None if path.upper() in _PIXELS else _value(session, one, path)

    located, value = await look(request, actor, Verb.STUDY_VIEW, study, find, "WADO-RS")
    archive, one = services(request).archive, located.instance
    if value is None:
        value = _pixels(located)
    if value is None:
        return await respond.related(accept.OCTETS, _frame_parts(request, located))

    def region(at: int, length: int) -> Iterator[bytes]:
        if isinstance(value, bytes):
            return iter([value[at : at + length]])
        return content.iter_region(archive, one, value[0] + at, length)

    size = len(value) if isinstance(value, bytes) else value[1]
    headers = respond.cached(f"{one.sha256[:32]}-{path.replace('/', '.')}")
    if choice.multipart:
        return await respond.related(accept.OCTETS, [((("Content-Type", accept.OCTETS),), region(0, size))], headers)
    return await ranged(request, region, size, accept.OCTETS, headers)


def _pixels(located: Located) -> tuple[int, int] | None:
    """Where native pixel data lies as little endian bytes; None when it must be given frame by frame."""
    one = located.instance
    if one.pixel_offset is None:
        raise NotFound("This object has no pixel data.")
    syntax = uids.transfer_syntax(one.transfer_syntax_uid)
    if one.pixel_bytes is None or one.pixel_bytes < 0 or syntax.deflated or not syntax.little:
        return None
    return one.pixel_offset, one.pixel_bytes


def _frame_parts(request: Request, located: Located) -> Iterator[Part]:
    one = located.instance
    kind = accept.media_type_of(one.transfer_syntax_uid)
    head = (("Content-Type", f"{kind}; transfer-syntax={one.transfer_syntax_uid}"),)
    with Frames(services(request).archive, located) as frames:
        for n in range(1, max(one.number_of_frames, 1) + 1):
            yield head, frames.read_pieces(n)


def _value(session: Session, instance: Instance, path: str) -> bytes | tuple[int, int]:
    try:
        return content.bulk_value(session, instance, path)
    except KeyError:
        raise NotFound("This object does not contain this value.") from None
