"""Studies, series, instances and patients: lists, one of each, the viewer's manifest, a zip of files, deletion."""

from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.archive import browse, queries
from app.archive import service as archive
from app.archive.queries import StudyFilter
from app.archive.search.study_list import Sort
from app.db import Session
from app.http import ReadSession, WriteSession, allow, i18n, services
from app.http.bodies import streamed
from app.http.study_access import pictures, read_named_study
from app.kit.errors import Invalid
from app.media import exports
from app.security import Actor, Verb
from app.viewing import service as viewing
from app.viewing.traces import record

router = APIRouter(tags=["archive"])
Searcher = Annotated[Actor, Depends(allow(Verb.STUDY_SEARCH))]
Viewer = Annotated[Actor, Depends(allow(Verb.STUDY_VIEW))]
Deleter = Annotated[Actor, Depends(allow(Verb.STUDY_DELETE))]
Limit = Annotated[int, Query(ge=1, le=500)]


def _range(text: str, name: str) -> tuple[str, str] | None:
    """`20240101`, `20240101-20240131`, `20240101-`, `-20240131`; also with dashes inside dates as browsers send them."""
    if not text:
        return None
    compact = text.replace("..", "/").replace("-", "") if text.count("-") > 1 else text.replace("-", "/")
    low, slash, high = compact.partition("/")
    bounds = (low, high) if slash else (low, low)
    if not all(b == "" or (len(b) == 8 and b.isascii() and b.isdigit()) for b in bounds):
        raise Invalid("Enter a date as YYYYMMDD or a range as YYYYMMDD-YYYYMMDD.", field=name)
    return bounds


@router.get("/studies")
def list_studies(
    actor: Searcher,
    session: ReadSession,
    text: str = "",
    patient_name: str = "",
    patient_id: str = "",
    birth_date: str = "",
    accession_number: str = "",
    study_id: str = "",
    study_date: str = "",
    modality: Annotated[list[str] | None, Query()] = None,
    description: str = "",
    referring_physician: str = "",
    study_instance_uid: Annotated[list[str] | None, Query()] = None,
    state: str = "",
    facility_id: str = "",
    sort: Sort = "-date",
    limit: Limit = 50,
    cursor: str | None = None,
) -> dict[str, Any]:
    """Lists the studies that the caller may see. Filters by field take `*` and `?`; `text` is the one search box: name, ID,
    accession number or words of the description."""
    wanted = StudyFilter(
        everything=text,
        patient_name=patient_name,
        patient_id=patient_id,
        birth_date=birth_date.replace("-", ""),
        accession_number=accession_number,
        study_id=study_id,
        study_date=_range(study_date, "study_date"),
        modalities=[m for one in modality or () for m in one.split(",") if m],
        description=description,
        referring_physician=referring_physician,
        study_uids=study_instance_uid or (),
        state=state,
        facility_id=facility_id,
    )
    page = queries.search_studies(session, actor, wanted, sort, limit, cursor)
    return {
        "items": [browse.study_entry(one) for one in page.items],
        "total": page.total,
        "total_capped": page.total_capped,
        "searched_back_to": page.searched_back_to,
        "next": page.next,
    }


@router.get("/studies/{uid}")
def show_study(uid: str, actor: Searcher, session: ReadSession) -> dict[str, Any]:
    """Returns a study with its series."""
    study = queries.study(session, actor, uid)
    series = [browse.series_entry(one, study) for one in queries.series_of(session, study)]
    return {**browse.study_entry(study), "series": series}


@router.get("/series")
def list_series(
    actor: Searcher,
    session: ReadSession,
    study_instance_uid: str = "",
    modality: str = "",
    limit: Limit = 50,
    cursor: str | None = None,
) -> dict[str, Any]:
    """Lists series by their attributes."""
    return browse.list_series(session, actor, study_instance_uid, modality, limit, cursor)


@router.get("/series/{uid}")
def show_series(uid: str, actor: Searcher, session: ReadSession) -> dict[str, Any]:
    """Returns a series."""
    series = queries.series(session, actor, uid)
    return browse.series_entry(series, queries.study_of(session, series))


@router.get("/instances")
def list_instances(
    actor: Searcher,
    session: ReadSession,
    study_instance_uid: str = "",
    series_instance_uid: str = "",
    sop_class_uid: str = "",
    limit: Limit = 50,
    cursor: str | None = None,
) -> dict[str, Any]:
    """Lists instances by their attributes."""
    return browse.list_instances(session, actor, study_instance_uid, series_instance_uid, sop_class_uid, limit, cursor)


@router.get("/instances/{uid}")
def show_instance(uid: str, actor: Searcher, session: ReadSession) -> dict[str, Any]:
    """Returns an instance with its file and transfer syntax."""
    one = queries.instance(session, actor, uid)
    return browse.instance_entry(one, queries.series_by_pk(session, one.series_pk), queries.study_of(session, one))


@router.get("/patients")
def list_patients(
    actor: Searcher,
    session: ReadSession,
    text: str = "",
    patient_id: str = "",
    limit: Limit = 50,
    cursor: str | None = None,
) -> dict[str, Any]:
    """Lists the patients whose studies the caller may see, by name."""
    return browse.list_patients(session, actor, text, patient_id, limit, cursor)


@router.get("/studies/{uid}/manifest")
async def manifest(request: Request, actor: Viewer, uid: str, series: str = "") -> Response:
    """Returns the geometry, windows and spacing of a study for a viewer. `series`: only this one."""
    made = await read_named_study(
        request, actor, Verb.STUDY_VIEW, uid, lambda session, _: viewing.study_manifest(session, actor, uid, series)
    )
    i18n.set_language(i18n.language_of(request))
    for one in (one for listed in made["series"] for one in listed["instances"]):
        for notice in one.get("notices", ()):
            notice["text"] = i18n.translate(notice["text"])
    return JSONResponse(made, headers={"Cache-Control": "private, no-cache"})


@router.get("/studies/{uid}/archive")
async def study_zip(request: Request, actor: Annotated[Actor, Depends(allow(Verb.STUDY_EXPORT))], uid: str) -> Response:
    """Downloads the files of a study as they were received, as a zip archive."""
    here = services(request)

    def plan(session: Session, _: Any) -> Iterator[bytes]:
        return exports.study_zip(here.archive, exports.members(session, actor, uid))

    pieces = await read_named_study(request, actor, Verb.STUDY_EXPORT, uid, plan, "zip")
    headers = {"Cache-Control": "no-store", "Content-Disposition": f'attachment; filename="{uid}.zip"'}
    return await streamed(pieces, "application/zip", headers)


def _deleted(session: Session, actor: Actor, thing: str, uid: str, study: Any, reason: str = "") -> None:
    detail: dict[str, object] = {"study_instance_uid": study.study_instance_uid}
    if reason:
        detail["reason"] = reason
    record(session, actor, Verb.STUDY_DELETE, thing, uid, study.facility_id, detail)


@router.delete("/studies/{uid}", status_code=204)
def delete_study(
    request: Request,
    uid: str,
    actor: Deleter,
    session: WriteSession,
    reason: Annotated[str, Query(max_length=256)] = "",
) -> None:
    """Deletes a study; its files are deleted by a job. `reason` is kept in the audit trail."""
    study = queries.study(session, actor, uid)
    digests = [one.sha256 for one in queries.instances_of_study(session, study)]
    _deleted(session, actor, "study", uid, study, reason)
    archive.delete_study(session, actor, uid)
    pictures(request).discard(*digests)


@router.delete("/series/{uid}", status_code=204)
def delete_series(request: Request, uid: str, actor: Deleter, session: WriteSession, reason: str = "") -> None:
    """Deletes a series with its instances; the files are deleted by a job."""
    series = queries.series(session, actor, uid)
    digests = [one.sha256 for one in queries.instances_of(session, series)]
    _deleted(session, actor, "series", uid, queries.study_of(session, series), reason)
    archive.delete_series(session, actor, uid)
    pictures(request).discard(*digests)


@router.delete("/instances/{uid}", status_code=204)
def delete_instance(request: Request, uid: str, actor: Deleter, session: WriteSession, reason: str = "") -> None:
    """Deletes an instance; its file is deleted by a job."""
    one = queries.instance(session, actor, uid)
    _deleted(session, actor, "instance", uid, queries.study_of(session, one), reason)
    archive.delete_instance(session, actor, uid)
    pictures(request).discard(one.sha256)
