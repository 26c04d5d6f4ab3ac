"""POST /api/v1/imports: files, zips and single objects come in, each with its own result."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from app import settings
from app.archive import Source
from app.http import allow, i18n, services
from app.http.bodies import read_body, read_multipart
from app.kit.errors import BadRequest, Unsupported
from app.kit.multipart import Begin, Data, End, parse_header
from app.media import traces
from app.media.intake import Intake, Result, Upload
from app.media.settings import ImportSettings
from app.media.unzip import UnzipLimits
from app.security import Actor, Verb, facilities

router = APIRouter(tags=["imports"])
_BODIES = frozenset(
    ("application/dicom", "application/zip", "application/x-zip-compressed", "application/octet-stream")
)


@router.post("/imports")
async def create_import(request: Request, actor: Annotated[Actor, Depends(allow(Verb.STUDY_IMPORT))]) -> dict[str, Any]:
    """Imports files: multipart/form-data (field `files`), or one body application/dicom or application/zip."""
    kind = parse_header(request.headers.get("content-type", ""))[0]
    if kind != "multipart/form-data" and kind not in _BODIES:
        raise Unsupported(
            "Send files as multipart/form-data, or a single file as application/dicom or application/zip.",
            hint="Use the field `files`.",
        )
    here = services(request)

    def begin() -> Intake:
        with here.database.read() as session:
            limits = UnzipLimits.of(settings.load(session, ImportSettings))
            facility_id = actor.facility_id or facilities.home_id(session)
        source = Source(
            kind="upload",
            address=actor.address,
            actor_name=actor.name,
            facility_id=facility_id,
            sees_all=actor.sees_all,
        )
        return Intake(here.archive, source, limits, here.config.cache / "uploads")

    intake = await run_in_threadpool(begin)
    try:
        if kind == "multipart/form-data":
            await _form(request, intake)
        else:
            await _body(request, intake)
        results = await run_in_threadpool(intake.results)
    finally:
        await run_in_threadpool(intake.close)
        await run_in_threadpool(_trace, request, actor, intake)
    if not results:
        raise BadRequest("The request contains no files.", hint="Send the files in the field `files`.")
    return {"results": [i18n.translate_answer(request, one.public()) for one in results]}


def _trace(request: Request, actor: Actor, intake: Intake) -> None:
    """Written too when the sender went away in the middle: what was stored by then stays stored."""
    done: list[Result] = intake.finished_results()
    if done:
        with services(request).database.write() as session:
            traces.imported(session, actor, done, "upload")


async def _form(request: Request, intake: Intake) -> None:
    current: Upload | None = None
    try:
        async for events in read_multipart(request):
            current = await run_in_threadpool(_receive_part, intake, events, current)
    finally:
        if current is not None:
            await run_in_threadpool(current.abandon)


def _receive_part(intake: Intake, events: list[Begin | Data | End], current: Upload | None) -> Upload | None:
    for event in events:
        if isinstance(event, Begin):
            _, disposition = parse_header(event.headers.get("content-disposition", ""))
            # fields beside the files (a form's own) have no file name
            current = intake.file(disposition["filename"]) if disposition.get("filename") else None
        elif current is not None and isinstance(event, Data):
            current.write(event.data)
        elif current is not None:
            current.finish()
            current = None
    return current


async def _body(request: Request, intake: Intake) -> None:
    upload = intake.file("")
    try:
        async for chunk in read_body(request):
            await run_in_threadpool(upload.write, chunk)
    except BaseException:
        await run_in_threadpool(upload.abandon)
        raise
    await run_in_threadpool(upload.finish)
