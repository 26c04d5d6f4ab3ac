"""Conflicts: what arrived with other content under a UID that is here already, for administrators to decide (ARC-3)."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import RedirectResponse, Response

from app import audit
from app.archive import differing, queries, service
from app.archive.models import OTHER_FACILITY, STUDY_REPLACED, ObjectConflict, Study
from app.archive.service import Decision
from app.http import ReadSession, WriteSession, allow, render
from app.http.i18n import format_date, ngettext, translate
from app.http.i18n import gettext as _
from app.kit.errors import NotFound
from app.pages.rows import names_of
from app.pages.shell import fields
from app.security import Actor, Verb
from app.viewing import traces

router = APIRouter(include_in_schema=False)
_MOST_READ = 60  # objects whose values are read for one page
_MOST_VALUES = 60  # rows of a group's table
_MOST_OWN = 20  # rows of one object's table
_PICTURE = 1024  # pixels, of a picture's longer side
Decider = Annotated[Actor, Depends(allow(Verb.CONFLICT_DECIDE))]


@dataclass(frozen=True, slots=True)
class ConflictRow:
    """One object on hold. patient, examination: of the study that is here, empty when it is gone."""

    id: str
    study: str
    patient: str
    examination: str
    object: str
    reason: str
    source: str
    bytes: int
    received: datetime
    overwriting: str  # what Overwrite would do
    subject: str  # patient and study in words, what a confirmation names
    versions: int = 1  # open later versions of this object on the page
    warnings: Sequence[str] = ()  # what is odd about it
    values: Sequence["DifferingValue"] = ()  # its own differences against the stored object


@dataclass(frozen=True, slots=True)
class DifferingValue:
    """One attribute with the values of the stored and of the later object, None where it is not there; objects: of how
    many objects of the group this is so."""

    tag: str
    name: str
    stored: str | None
    later: str | None
    objects: int


@dataclass(frozen=True, slots=True)
class ConflictGroup:
    """The open conflicts of one study with one reason: what is decided together. first: one of them, for the values
    that all share; unread: how many objects' values were not compared here (the first _MOST_READ are); several: later
    versions of one object where it has more than one, which cannot be taken in together, else 0; objects: how many
    different ones."""

    first: ConflictRow
    rows: list[ConflictRow]
    values: list[DifferingValue]
    unread: int
    several: int
    objects: int


@dataclass(frozen=True, slots=True)
class ConflictsPage:
    """done: what the last decision did, in words."""

    groups: list[ConflictGroup]
    total: int
    done: str


def _row(conflict: ObjectConflict, study: Study | None) -> ConflictRow:
    reasons = {
        "other content": _("Same object, different content"),
        "other patient": _("Same study, different patient"),
        "other study": _("Same series or object in another study"),
        STUDY_REPLACED: _("The study now belongs to the same patient"),
        OTHER_FACILITY: _("UIDs in use at another facility"),
    }
    overwriting = {
        "other patient": _("Replace deletes the stored study of the other patient with all its objects and stores this object."),
        "other study": _("Replace deletes the object or series stored under these UIDs in the other study and stores this object."),
        STUDY_REPLACED: _("Replace stores this object in the study; nothing is deleted."),
        OTHER_FACILITY: _("Replace deletes the objects of the other facility stored under these UIDs and stores this object."),
    }  # fmt: skip
    reason = reasons.get(conflict.reason, conflict.reason)
    if conflict.reason == "other content" and "TransferSyntaxUID" in conflict.differences:
        reason = _("Same object, different transfer syntax")
    patient = names_of(study.patient_name)[0] if study else ""
    examination = ", ".join(filter(None, (study.description, format_date(study.study_date)))) if study else ""
    return ConflictRow(
        id=conflict.id,
        study=conflict.study_instance_uid,
        patient=patient,
        examination=examination,
        subject=", ".join(filter(None, (patient, examination))) or conflict.study_instance_uid,
        object=conflict.sop_instance_uid,
        reason=reason,
        source=conflict.source,
        bytes=conflict.bytes,
        received=conflict.received_at,
        overwriting=overwriting.get(conflict.reason, _("Replace deletes the stored object and stores this one.")),
    )


@router.get("/conflicts")
def conflicts(request: Request, actor: Decider, session: ReadSession, decided: str = "", count: int = 1) -> Response:
    """The open ones by study and reason, newest first, with the values in which both objects differ. decided: a conflict
    that was decided just now, with `count` - 1 others."""
    found = service.list_conflicts(session, actor)
    studies = queries.studies_by_uid(session, actor, [one.study_instance_uid for one in found])
    groups: dict[tuple[str, str], list[tuple[ObjectConflict, ConflictRow]]] = {}
    for one in found:
        row = _row(one, studies.get(one.study_instance_uid))
        groups.setdefault((row.study, row.reason), []).append((one, row))
    left = _MOST_READ
    shown = []
    for members in groups.values():
        shown.append(_group(session, actor, members, left))
        left = max(0, left - len(members))
    done = _decision_summary(session, actor, decided, count) if decided else ""
    return render(request, "conflicts/page.html", fields(ConflictsPage(shown, len(found), done)))


def _decision_summary(session: ReadSession, actor: Actor, conflict_id: str, count: int) -> str:
    """The decision, the patient and the next step; empty where there is no such decision."""
    try:
        conflict = queries.conflict(session, actor, conflict_id)
    except NotFound:
        return ""
    words = {
        "kept-first": ngettext(
            "The stored object is kept; the later one is deleted.",
            "The stored objects are kept; %(n)d later objects are deleted.",
            count,
        ),
        "overwritten": ngettext(
            "The later object replaces the stored one.", "%(n)d later objects replace the stored ones.", count
        ),
        "saved-as-new": ngettext(
            "The later object is saved under new UIDs.", "%(n)d later objects are saved under new UIDs.", count
        ),
    }
    if conflict.state not in words:
        return ""
    studies = queries.studies_by_uid(session, actor, [conflict.study_instance_uid])
    sentences = [words[conflict.state] % {"n": count}]
    if left := len(queries.open_versions(session, actor, [conflict.sop_instance_uid])):
        still = ngettext(
            "%(n)d other version of this object remains unresolved.",
            "%(n)d other versions of this object remain unresolved.",
            left,
        )
        sentences.append(still % {"n": left})
    return f"{_row(conflict, studies.get(conflict.study_instance_uid)).subject}: {' '.join(sentences)}"


def _group(
    session: ReadSession, actor: Actor, members: list[tuple[ObjectConflict, ConflictRow]], most: int
) -> ConflictGroup:
    """most: objects that may be read."""
    counts: dict[tuple[str, str, str | None, str | None], int] = {}
    versions = Counter(row.object for _conflict, row in members)
    rows = []
    for at, (conflict, row) in enumerate(members):
        own = []
        for one in differing.differing_values(session, actor, conflict) if at < most else ():
            key = (one.tag, one.name, one.stored, one.later)
            counts[key] = counts.get(key, 0) + 1
            own.append(DifferingValue(*key, 1))
        odd = [translate(one) for one in differing.warnings(session, conflict)] if at < most else []
        rows.append(replace(row, versions=versions[row.object], warnings=odd, values=own[:_MOST_OWN]))
    values = [DifferingValue(*key, counts[key]) for key in sorted(counts, key=lambda key: key[0])]
    most_versions = max(versions.values())
    several = most_versions if most_versions > 1 else 0
    return ConflictGroup(
        rows[0], rows, values[:_MOST_VALUES], max(0, len(members) - most), several, objects=len(versions)
    )


@router.get("/conflicts/{conflict_id}/picture")
def picture(conflict_id: str, actor: Decider, session: WriteSession) -> Response:
    """The first frame of an object on hold, as a JPEG."""
    from app.imaging import preview_jpeg  # numpy and the decoders: only where something is drawn

    conflict = queries.conflict(session, actor, conflict_id)
    traces.record(
        session,
        actor,
        Verb.STUDY_VIEW,
        "study",
        conflict.study_instance_uid,
        conflict.event_facility_id,
        {"object": conflict.sop_instance_uid},
    )
    found = differing.first_frame(session, conflict)
    return Response(
        preview_jpeg(found.frame, found.header, _PICTURE),
        media_type="image/jpeg",
        headers={"Cache-Control": "no-store"},
    )


@router.post("/conflicts/together")
def decide_together(
    request: Request,
    actor: Decider,
    session: WriteSession,
    decision: Annotated[Decision, Form()],
    conflict: Annotated[list[str], Form(max_length=200)],
) -> Response:
    """The same decision for the conflicts of a study in one group; those decided meanwhile are left unchanged."""
    decided = service.decide_conflicts(session, actor, conflict, decision)
    for one in decided:
        _trace(session, actor, one, decision)
    return RedirectResponse(
        f"/conflicts?decided={decided[0].id}&count={len(decided)}" if decided else "/conflicts", 303
    )


@router.post("/conflicts/{conflict_id}")
def decide(
    request: Request, conflict_id: str, actor: Decider, session: WriteSession, decision: Annotated[Decision, Form()]
) -> Response:
    """keep-first, overwrite or save-as-new; the files follow by a job."""
    decided = service.decide_conflict(session, actor, conflict_id, decision)
    _trace(session, actor, decided, decision)
    return RedirectResponse(f"/conflicts?decided={decided.id}", 303)


def _trace(session: WriteSession, actor: Actor, decided: ObjectConflict, decision: Decision) -> None:
    audit.by(
        session,
        actor,
        str(Verb.CONFLICT_DECIDE),
        "study",
        decided.study_instance_uid,
        facility_id=decided.event_facility_id,
        detail={"decision": decision, "object": decided.sop_instance_uid},
    )
