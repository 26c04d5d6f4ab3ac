"""Conflicts: what arrived with other content under a UID that is here already, for administrators to decide (ARC-3)."""

import contextlib
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import RedirectResponse, Response

from app import audit
from app.archive import differing, queries, service
from app.archive.models import OTHER_FACILITY, Conflict, Study
from app.archive.service import Decision
from app.http import ReadSession, WriteSession, allow, render
from app.http.i18n import format_date
from app.http.i18n import gettext as _
from app.kit.errors import Conflict as AlreadyDone
from app.pages.rows import names_of
from app.pages.shell import fields
from app.security import Actor, Verb

router = APIRouter(include_in_schema=False)
_MOST_READ = 60  # objects whose values are read for one page
_MOST_VALUES = 60  # rows of a group's table
Decider = Annotated[Actor, Depends(allow(Verb.CONFLICT_DECIDE))]


@dataclass(frozen=True, slots=True)
class ConflictRow:
    """One object kept aside. patient, examination: of the study that is here, empty when it is gone."""

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
    """The open conflicts of one study with one reason: what is decided together. first: one of them, which says what all
    of them share; unread: how many objects' values were not compared here (the first _MOST_READ are)."""

    first: ConflictRow
    rows: list[ConflictRow]
    values: list[DifferingValue]
    unread: int


@dataclass(frozen=True, slots=True)
class ConflictsPage:
    groups: list[ConflictGroup]
    total: int


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
        source=conflict.source,
        bytes=conflict.bytes,
        received=conflict.received_at,
        overwriting=overwriting.get(conflict.reason, _("Overwrite deletes the stored object and takes this one.")),
    )


@router.get("/conflicts")
def conflicts(request: Request, actor: Decider, session: ReadSession) -> Response:
    """The open ones by study and reason, newest first, with the values in which both objects differ."""
    found = service.list_conflicts(session, actor)
    studies = queries.studies_by_uid(session, actor, [one.study_instance_uid for one in found])
    groups: dict[tuple[str, str], list[tuple[Conflict, ConflictRow]]] = {}
    for one in found:
        row = _row(one, studies.get(one.study_instance_uid))
        groups.setdefault((row.study, row.reason), []).append((one, row))
    left = _MOST_READ
    shown = []
    for members in groups.values():
        shown.append(_group(session, actor, members, left))
        left = max(0, left - len(members))
    return render(request, "conflicts/page.html", fields(ConflictsPage(shown, len(found))))


def _group(session: ReadSession, actor: Actor, members: list[tuple[Conflict, ConflictRow]], most: int) -> ConflictGroup:
    """most: objects that may be read."""
    counts: dict[tuple[str, str, str | None, str | None], int] = {}
    for conflict, _row in members[:most]:
        for one in differing.values(session, actor, conflict):
            key = (one.tag, one.name, one.stored, one.later)
            counts[key] = counts.get(key, 0) + 1
    values = [DifferingValue(*key, counts[key]) for key in sorted(counts, key=lambda key: key[0])]
    rows = [row for _conflict, row in members]
    return ConflictGroup(rows[0], rows, values[:_MOST_VALUES], max(0, len(members) - most))


@router.post("/conflicts/together")
def decide_together(
    request: Request,
    actor: Decider,
    session: WriteSession,
    decision: Annotated[Decision, Form()],
    conflict: Annotated[list[str], Form(max_length=200)],
) -> Response:
    """The same decision for the conflicts of a study that stand together; those that somebody has decided meanwhile are
    left as they are."""
    for conflict_id in conflict:
        with contextlib.suppress(AlreadyDone):
            _decide(session, actor, conflict_id, decision)
    return RedirectResponse("/conflicts", 303)


@router.post("/conflicts/{conflict_id}")
def decide(
    request: Request, conflict_id: str, actor: Decider, session: WriteSession, decision: Annotated[Decision, Form()]
) -> Response:
    """keep-first, overwrite or save-as-new; the files follow by a job."""
    _decide(session, actor, conflict_id, decision)
    return RedirectResponse("/conflicts", 303)


def _decide(session: WriteSession, actor: Actor, conflict_id: str, decision: Decision) -> None:
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
