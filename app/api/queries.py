"""Queries to other archives: asked in the background; answers merged, with where each study is and what is here."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from app.http import ReadSession, WriteSession, allow, i18n, services
from app.kit.errors import Invalid
from app.kit.numbers import LARGEST
from app.retrieve import queries as retrieve_queries
from app.retrieve import query_jobs, remote_queries
from app.retrieve.remote_queries import Wish
from app.security import Actor, Verb

router = APIRouter(tags=["queries"])
Asker = Annotated[Actor, Depends(allow(Verb.QUERY_RETRIEVE))]
_LEVELS = {"patient": "PATIENT", "study": "STUDY", "series": "SERIES", "image": "IMAGE", "instance": "IMAGE"}
# REST name of a key -> DICOM keyword.
_FIELDS = {
    "patient_name": "PatientName",
    "patient_id": "PatientID",
    "birth_date": "PatientBirthDate",
    "sex": "PatientSex",
    "accession_number": "AccessionNumber",
    "study_date": "StudyDate",
    "study_time": "StudyTime",
    "study_id": "StudyID",
    "description": "StudyDescription",
    "referring_physician": "ReferringPhysicianName",
    "study_instance_uid": "StudyInstanceUID",
    "series_instance_uid": "SeriesInstanceUID",
    "sop_instance_uid": "SOPInstanceUID",
}


class QueryBody(BaseModel):
    """Which nodes are asked for what. Values take `*` and `?`; dates YYYYMMDD or a range with a hyphen."""

    model_config = ConfigDict(extra="forbid")

    nodes: list[str] = Field(max_length=32, description="Names or ids of the nodes to ask")
    level: str = Field("study", description="patient, study, series or image")
    patient_name: str | None = Field(None, description="As DICOM writes it: Family^Given")
    patient_id: str | None = None
    birth_date: str | None = None
    sex: str | None = None
    accession_number: str | None = None
    study_date: str | None = Field(None, description="YYYYMMDD, or YYYYMMDD-YYYYMMDD, or one end left out")
    study_time: str | None = None
    study_id: str | None = None
    description: str | None = None
    referring_physician: str | None = None
    study_instance_uid: str | None = None
    series_instance_uid: str | None = None
    sop_instance_uid: str | None = None
    modalities: list[str] = Field(default=[], max_length=16, description="Any of these")
    keys: dict[str, str] = Field(default={}, max_length=64, description="Further keys by their DICOM keyword")

    def to_request(self) -> Wish:
        level = _LEVELS.get(self.level.lower())
        if level is None:
            raise Invalid("The level must be patient, study, series or image.", field="level")
        named = {keyword: getattr(self, name) for name, keyword in _FIELDS.items() if getattr(self, name)}
        if level == "SERIES" and self.description:
            named["SeriesDescription"] = named.pop("StudyDescription")
        return Wish(tuple(self.nodes), level, self.keys | named, tuple(m.upper() for m in self.modalities))


@router.post("/queries", status_code=202)
def create_query(body: QueryBody, response: Response, actor: Asker, session: WriteSession) -> dict[str, Any]:
    """Searches the given nodes in parallel. `Location` is the resource with the answers."""
    made = remote_queries.create_query(session, actor, body.to_request())
    response.headers["Location"] = f"/api/v1/queries/{made.id}"
    return remote_queries.query_json(session, made)


@router.get("/queries")
def list_queries(
    request: Request,
    actor: Asker,
    session: ReadSession,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: str | None = None,
) -> dict[str, Any]:
    """Lists the caller's queries of the last day, newest first."""
    found, total = retrieve_queries.queries_of(session, actor, limit, cursor)
    items = [i18n.translate_answer(request, remote_queries.query_json(session, one)) for one in found]
    return {"items": items, "total": total, "next": found[-1].id if len(found) == limit else None}


@router.get("/queries/{query_id}")
def get_query(
    request: Request,
    query_id: str,
    actor: Asker,
    session: ReadSession,
    sort: Annotated[
        str, Query(description="date, name, patient_id, images or where; a minus in front: downwards")
    ] = "-date",
    here: Annotated[str, Query(description="only those of which all, part or none is here")] = "",
    limit: Annotated[int, Query(ge=0, le=1000)] = 100,
    cursor: Annotated[int, Query(ge=0, le=LARGEST)] = 0,
) -> dict[str, Any]:
    """Returns the state of every node and the answers so far, merged by study."""
    query = retrieve_queries.query(session, actor, query_id)
    found = remote_queries.sort_matches(remote_queries.matches(session, actor, query), sort, here)
    items = [remote_queries.match_json(match) for match in found[cursor : cursor + limit]]
    following = str(cursor + limit) if limit and cursor + limit < len(found) else None
    shown = i18n.translate_answer(request, remote_queries.query_json(session, query))
    return shown | {"items": items, "total": len(found), "next": following}


@router.get("/queries/{query_id}/studies/{study_uid}/series")
def list_series(request: Request, query_id: str, study_uid: str, actor: Asker) -> dict[str, Any]:
    """Requests the series of a study from the nodes that have it."""
    return _child_matches(request, actor, query_id, "SERIES", {"StudyInstanceUID": study_uid})


@router.get("/queries/{query_id}/studies/{study_uid}/series/{series_uid}/instances")
def list_instances(request: Request, query_id: str, study_uid: str, series_uid: str, actor: Asker) -> dict[str, Any]:
    """Requests the objects of a series from the nodes that have the study."""
    keys = {"StudyInstanceUID": study_uid, "SeriesInstanceUID": series_uid}
    return _child_matches(request, actor, query_id, "IMAGE", keys)


def _child_matches(request: Request, actor: Actor, query_id: str, level: str, keys: dict[str, str]) -> dict[str, Any]:
    here = services(request)
    found, faults = query_jobs.query_children(here.database, here.config, actor, query_id, level, keys)
    items = [remote_queries.match_json(match) for match in found]
    faults_json = [{"node": node, "error": i18n.translate(words)} for node, words in faults]
    return {"items": items, "total": len(items), "next": None, "faults": faults_json}


@router.post("/queries/{query_id}/cancel")
@router.delete("/queries/{query_id}")
def cancel_query(query_id: str, actor: Asker, session: WriteSession) -> dict[str, Any]:
    """Cancels a query (C-CANCEL); answers so far are kept."""
    return remote_queries.query_json(session, remote_queries.cancel_query(session, actor, query_id))
