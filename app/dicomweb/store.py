"""STOW-RS (PS3.18 10.5): instances come in as multipart/related application/dicom, one by one to the archive."""

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from app import settings
from app.archive import Source
from app.dicom import dicomxml, uids
from app.dicom.dicomjson import Model, attribute, dumps
from app.dicom.remarks import Remark
from app.dicomweb import accept, respond
from app.http import allow, services
from app.http.bodies import read_body, read_multipart
from app.kit.errors import AppError, BadRequest, TooLarge, Unsupported
from app.kit.multipart import Begin, Data, End, parse_header
from app.kit.phrases import phrase
from app.media import traces
from app.media.intake import Intake, Result, Upload
from app.media.settings import ImportSettings
from app.media.unzip import UnzipLimits
from app.security import Actor, Verb, facilities

router = APIRouter(prefix=respond.PREFIX)
Sender = Annotated[Actor, Depends(allow(Verb.STUDY_IMPORT))]

_NOT_UNDERSTOOD = 0xC000  # PS3.18 annex I.2.2
_DOES_NOT_MATCH = 0xB007  # warning: stored, but something in it breaks its SOP Class


@router.post("/studies")
async def store(request: Request, actor: Sender) -> Response:
    return await _store(request, actor, "")


@router.post("/studies/{study}")
async def store_in_study(request: Request, actor: Sender, study: str) -> Response:
    if not uids.is_safe(study):
        raise BadRequest("The address contains no Study Instance UID.")
    return await _store(request, actor, study)


async def _store(request: Request, actor: Actor, study: str) -> Response:
    choice = accept.pick(
        respond.accepted_types(request), [(accept.JSON, False), ("application/json", False), (accept.XML, False)]
    )
    kind, parameters = parse_header(request.headers.get("content-type", ""))
    several = kind == accept.RELATED
    if several:
        kind = parameters.get("type", accept.DICOM).lower()
    if kind != accept.DICOM:
        raise Unsupported(
            "Objects must be sent as application/dicom.",
            hint=phrase('Send {related}; type="{dicom}".', related=accept.RELATED, dicom=accept.DICOM),
        )
    here = services(request)

    def begin() -> Intake:
        with here.database.read() as session:
            limits = UnzipLimits.of(settings.load(session, ImportSettings))
            facility_id = actor.facility_id or facilities.home_id(session)
        source = Source(
            kind="stow",
            address=actor.address,
            actor_name=actor.name,
            facility_id=facility_id,
            sees_all=actor.sees_all,
        )
        return Intake(here.archive, source, limits, here.config.cache / "uploads", study)

    intake = await run_in_threadpool(begin)
    try:
        if several:
            await _parts(request, intake)
        else:
            await _body(request, intake)
        results = await run_in_threadpool(intake.results)
    except (BadRequest, TooLarge) as fault:
        results = await run_in_threadpool(_results_before, fault, intake)
    finally:
        await run_in_threadpool(intake.close)
        await run_in_threadpool(_trace, request, actor, intake)
    if not results:
        raise BadRequest("The request contains no objects.")
    return _answer(choice, results, respond.base_url(request))


def _results_before(fault: AppError, intake: Intake) -> list[Result]:
    """The results of a body that cannot be read to its end. What came before the fault is stored and stays stored, so the
    answer lists it, and the rest as a failure without an object (PS3.18 10.5.3). Raises the fault where nothing is stored."""
    results = intake.results()
    if not any(one.status in ("stored", "duplicate") for one in results):
        raise fault
    return [*results, Result("rest", "refused", reason=fault.detail)]


def _trace(request: Request, actor: Actor, intake: Intake) -> None:
    """Written too when the sender went away in the middle: what was stored by then stays stored."""
    done = intake.finished_results()
    if done:
        with services(request).database.write() as session:
            traces.imported(session, actor, done, "STOW-RS")


async def _parts(request: Request, intake: Intake) -> None:
    """Each part becomes an object; one that is not application/dicom is refused alone."""
    current: Upload | None = None
    number = 0
    try:
        async for events in read_multipart(request):
            current, number = await run_in_threadpool(_receive_part, intake, events, current, number)
        if current is not None:
            raise BadRequest("The multipart body ended inside a part.")
    finally:
        if current is not None:
            await run_in_threadpool(current.abandon)


def _receive_part(
    intake: Intake, events: list[Begin | Data | End], current: Upload | None, number: int
) -> tuple[Upload | None, int]:
    for event in events:
        if isinstance(event, Begin):
            number += 1
            kind = parse_header(event.headers.get("content-type", accept.DICOM))[0]
            current = intake.file(f"part {number}", allow_zip=False)
            if kind not in (accept.DICOM, "application/octet-stream"):
                current.refuse(phrase("The part is {kind}, not application/dicom.", kind=kind))
        elif current is not None and isinstance(event, Data):
            current.write(event.data)
        elif current is not None:
            current.finish()
            current = None
    return current, number


async def _body(request: Request, intake: Intake) -> None:
    upload = intake.file("body", allow_zip=False)
    try:
        async for chunk in read_body(request):
            await run_in_threadpool(upload.write, chunk)
    except BaseException:
        await run_in_threadpool(upload.abandon)
        raise
    await run_in_threadpool(upload.finish)


def _answer(choice: accept.ChosenFormat, results: list[Result], base: str) -> Response:
    model = response_model(results, base)
    stored = [one for one in results if one.status in ("stored", "duplicate")]
    clean = len(stored) == len(results) and not any(_breaks_its_class(one) for one in stored)
    status = 200 if clean else 202 if stored else 409
    body = dicomxml.from_model(model) if choice.kind == accept.XML else dumps(model)
    return Response(body, status, media_type=choice.kind)


def response_model(results: list[Result], base: str) -> Model:
    """The response of table 10.5.3-2: what is referenced, what failed, and failures that name no object."""
    referenced, failed, others = [], [], []
    for one in results:
        named = {"00081150": attribute("UI", one.sop_class_uid), "00081155": attribute("UI", one.sop_instance_uid)}
        if one.status in ("stored", "duplicate"):
            named["00081190"] = attribute(
                "UR", respond.instance_url(base, one.study_instance_uid, one.series_instance_uid, one.sop_instance_uid)
            )
            if _breaks_its_class(one):
                named = {**_comment(one), **named, "00081196": attribute("US", _DOES_NOT_MATCH)}
            referenced.append(named)
        elif one.sop_instance_uid:
            failed.append({**_comment(one), **named, "00081197": attribute("US", one.code or _NOT_UNDERSTOOD)})
        else:
            others.append({**_comment(one), "00081197": attribute("US", one.code or _NOT_UNDERSTOOD)})
    model: Model = {"00081190": attribute("UR")}
    studies = {one.study_instance_uid for one in results if one.status in ("stored", "duplicate")}
    if len(studies) == 1:
        model["00081190"] = attribute("UR", f"{base}/studies/{studies.pop()}")
    for tag, items in (("00081198", failed), ("00081199", referenced), ("0008119A", others)):
        if items:
            model[tag] = {"vr": "SQ", "Value": items}
    return model


def _breaks_its_class(one: Result) -> bool:
    """Whether something is wrong with a stored object beyond values that are merely read with a remark."""
    return any(not isinstance(warning, Remark) for warning in one.warnings)


def _comment(one: Result) -> Model:
    """The reason in words, as Error Comment (PS3.7 C.4.2, LO)."""
    faults = (str(warning) for warning in one.warnings if not isinstance(warning, Remark))
    words = one.comment or one.reason or next(faults, "")
    return {"00000902": attribute("LO", words if len(words) <= 64 else f"{words[:63]}…")} if words else {}
