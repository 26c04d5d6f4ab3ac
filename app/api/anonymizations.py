"""Anonymized copies: create, list, download (DESIGN part 2)."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import FileResponse

from app.deid import queries, service
from app.http import ReadSession, WriteSession, allow, i18n, services
from app.security import Actor, Verb

router = APIRouter(tags=["anonymizations"])
Anonymizer = Annotated[Actor, Depends(allow(Verb.STUDY_ANONYMIZE))]
Administrator = Annotated[Actor, Depends(allow(Verb.CROSSREF_READ))]


@router.post("/anonymizations", status_code=202)
def create_anonymization(
    order: service.AnonymizationOrder, response: Response, actor: Anonymizer, session: WriteSession
) -> dict[str, Any]:
    """Orders an anonymized copy of a study. It is made in the background; `Location` is its resource."""
    row = service.request(session, actor, order)
    response.headers["Location"] = f"/api/v1/anonymizations/{row.made.id}"
    return service.as_json(row)


@router.get("/anonymizations")
def list_anonymizations(
    actor: Anonymizer,
    session: ReadSession,
    study_instance_uid: str | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    cursor: str | None = None,
) -> dict[str, Any]:
    """Lists anonymized copies, newest first, without their reports."""
    rows, total = queries.anonymizations(
        session, actor, study_instance_uid=study_instance_uid, limit=limit, before=cursor
    )
    items = [{key: value for key, value in service.as_json(row).items() if key != "report"} for row in rows]
    return {"items": items, "total": total, "next": rows[-1].made.id if len(rows) == limit else None}


@router.get("/anonymizations/{anonymization_id}")
def show_anonymization(
    request: Request, anonymization_id: str, actor: Anonymizer, session: ReadSession
) -> dict[str, Any]:
    """Returns the state of a copy and, when it is done, the report of the changes."""
    return i18n.translate_answer(request, service.as_json(queries.anonymization(session, actor, anonymization_id)))


@router.get("/anonymizations/{anonymization_id}/archive", response_class=FileResponse)
def anonymized_files(request: Request, anonymization_id: str, actor: Anonymizer, session: WriteSession) -> FileResponse:
    """Downloads the copy as a zip archive of DICOM files. Answers 409 until it is done."""
    row, path = service.open_file(session, actor, services(request).config, anonymization_id)
    return FileResponse(
        path,
        media_type="application/zip",
        filename=f"anonymized-{row.made.id}.zip",
        headers={"Cache-Control": "private, no-store"},
    )


@router.get("/anonymizations/{anonymization_id}/uids")
def cross_reference(
    request: Request, anonymization_id: str, actor: Administrator, session: WriteSession
) -> dict[str, Any]:
    """Lists the old and the new UIDs. Each reading is audited."""
    pairs = service.cross_reference(session, actor, services(request).config, anonymization_id)
    return {"items": [{"old": old, "new": new} for old, new in pairs], "total": len(pairs), "next": None}


@router.delete("/anonymizations/{anonymization_id}", status_code=204)
def delete_anonymization(request: Request, anonymization_id: str, actor: Anonymizer, session: WriteSession) -> None:
    """Deletes a copy with its file."""
    service.delete(session, actor, services(request).config, anonymization_id)
