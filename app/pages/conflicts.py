"""Conflicts: what arrived with other content under a UID that is here already, for administrators to decide (ARC-3)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import RedirectResponse, Response

from app import audit
from app.archive import queries, service
from app.archive.models import OTHER_FACILITY, Conflict, Study
from app.archive.service import Decision
from app.http import ReadSession, WriteSession, allow, render
from app.http.i18n import format_date
from app.http.i18n import gettext as _
from app.pages.rows import names_of
from app.pages.shell import fields
from app.security import Actor, Verb

router = APIRouter(include_in_schema=False)
Decider = Annotated[Actor, Depends(allow(Verb.CONFLICT_DECIDE))]


@dataclass(frozen=True, slots=True)
class ConflictRow:
    """One object kept aside. patient, examination: of the study that is here, empty when it is gone;
    differences: keywords of the attributes that differ, never their values."""

    id: str
    study: str
    patient: str
    examination: str
    object: str
    reason: str
    differences: list[str]
    source: str
    bytes: int
    received: datetime
    overwriting: str  # what Overwrite would do


@dataclass(frozen=True, slots=True)
class ConflictsPage:
    conflicts: list[ConflictRow]


def _row(conflict: Conflict, study: Study | None) -> ConflictRow:
    reasons = {
        "other content": _("Same object, other content"),
        "other patient": _("Same study, another patient"),
        "other study": _("Same series or object in another study"),
        OTHER_FACILITY: _("UIDs in use at another facility"),
    }
    overwriting = {
        "other patient": _("Overwrite deletes the stored study of the other patient with all its objects, and takes this object."),
        "other study": _("Overwrite deletes the object or series stored under these UIDs in the other study, and takes this object."),
        OTHER_FACILITY: _("Overwrite deletes what the other facility stores under these UIDs, with all its objects, and takes this object."),
    }  # fmt: skip
    reason = reasons.get(conflict.reason, conflict.reason)
    if conflict.reason == "other content" and "TransferSyntaxUID" in conflict.differences:
        reason = _("Same object, sent in another transfer syntax")
    return ConflictRow(
        id=conflict.id,
        study=conflict.study_instance_uid,
        patient=names_of(study.patient_name)[0] if study else "",
        examination=", ".join(filter(None, (study.description, format_date(study.study_date)))) if study else "",
        object=conflict.sop_instance_uid,
        reason=reason,
        differences=conflict.differences,
        source=conflict.source,
        bytes=conflict.bytes,
        received=conflict.received_at,
        overwriting=overwriting.get(conflict.reason, _("Overwrite deletes the stored object and takes this one.")),
    )


@router.get("/conflicts")
def conflicts(request: Request, actor: Decider, session: ReadSession) -> Response:
    """The open ones, newest first."""
    found = service.list_conflicts(session, actor)
    studies = queries.studies_by_uid(session, actor, [one.study_instance_uid for one in found])
    context = ConflictsPage([_row(one, studies.get(one.study_instance_uid)) for one in found])
    return render(request, "conflicts/page.html", fields(context))


@router.post("/conflicts/{conflict_id}")
def decide(
    request: Request, conflict_id: str, actor: Decider, session: WriteSession, decision: Annotated[Decision, Form()]
) -> Response:
    """keep-first, overwrite or save-as-new; the files follow by a job."""
    decided = service.decide_conflict(session, actor, conflict_id, decision)
    audit.record(
        session,
        actor_name=actor.name,
        verb=str(Verb.CONFLICT_DECIDE),
        thing="study",
        thing_id=decided.study_instance_uid,
        facility_id=decided.told_facility_id,
        address=actor.address,
        detail={"decision": decision, "object": decided.sop_instance_uid},
    )
    return RedirectResponse("/conflicts", 303)
