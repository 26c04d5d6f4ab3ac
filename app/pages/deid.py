"""A copy without identity: how far it is, and what was changed."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from app.archive import queries as archive_queries
from app.archive.models import Study
from app.deid import queries
from app.deid.queries import AnonymizationRow
from app.http import ReadSession, allow, render
from app.http.i18n import format_date, format_person, translate
from app.http.i18n import gettext as _
from app.pages.shell import fields
from app.security import Actor, Verb

SHOWN = 100  # copies on a page
router = APIRouter(include_in_schema=False)
Anonymizer = Annotated[Actor, Depends(allow(Verb.STUDY_ANONYMIZE))]


@dataclass(frozen=True, slots=True)
class CopyPage:
    """One copy. attributes: the report's lines; warnings: what to look at before the copy leaves."""

    id: str
    state: str
    error: str
    profile: str
    to_archive: bool
    created_by: str
    created_at: datetime
    done: int
    total: int
    bytes: int
    instances: int
    uids_replaced: int
    private_removed: int
    method: list[dict[str, Any]]
    warnings: list[dict[str, Any]]
    skipped: list[dict[str, Any]]
    attributes: list[dict[str, Any]]
    words: dict[str, str]


def _words() -> dict[str, str]:
    """Actions as people read them."""
    return {
        "X": _("removed"),
        "Z": _("emptied"),
        "D": _("replaced by a dummy"),
        "P": _("replaced by a pseudonym"),
        "U": _("replaced by a new UID"),
        "U*": _("kept with new UIDs inside"),
        "C": _("cleaned or shifted"),
    }


def _translated(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The report's sentences in the reader's language; it keeps them in English."""
    return [{"text": translate(line.get("text") or line["reason"]), "count": line["count"]} for line in lines]


def _page(row: AnonymizationRow) -> CopyPage:
    made, summary = row.made, row.made.report or {}
    done, total = row.progress
    return CopyPage(
        id=made.id,
        state=row.state,
        error=translate(row.error),
        profile=made.profile,
        to_archive=made.to_archive,
        created_by=made.created_by,
        created_at=made.created_at,
        done=done,
        total=total,
        bytes=made.bytes,
        instances=summary.get("instances", 0),
        uids_replaced=summary.get("uids_replaced", 0),
        private_removed=summary.get("private_removed", 0),
        method=summary.get("method", []),
        warnings=_translated(summary.get("warnings", [])),
        skipped=_translated(summary.get("skipped", [])),
        attributes=summary.get("attributes", []),
        words=_words(),
    )


@dataclass(frozen=True, slots=True)
class CopyLine:
    """One copy in the list. patient, study: of the original, empty when it is no longer stored; kind: of the state's icon."""

    id: str
    patient: str
    patient_id: str
    study: str
    profile: str
    kind: str
    word: str
    error: str
    bytes: int
    created_by: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class CopiesPage:
    """The latest copies. older: the address of the next page, empty at the end."""

    lines: list[CopyLine]
    total: int
    older: str


_KINDS = {"queued": "wait", "running": "running", "done": "ok", "failed": "bad", "cancelled": "paused"}


def _line(row: AnonymizationRow, study: Study | None) -> CopyLine:
    words = {
        "queued": _("Waiting"),
        "running": _("Creating the copy"),
        "done": _("Done"),
        "failed": _("Failed"),
        "cancelled": _("Cancelled"),
    }
    made = row.made
    return CopyLine(
        id=made.id,
        patient=(format_person(study.patient_name) or _("No name")) if study else "",
        patient_id=study.patient_id if study else "",
        study=", ".join(part for part in (study.description, format_date(study.study_date)) if part) if study else "",
        profile=made.profile,
        kind=_KINDS[row.state],
        word=words[row.state],
        error=translate(row.error),
        bytes=made.bytes,
        created_by=made.created_by,
        created_at=made.created_at,
    )


@router.get("/anonymizations")
def list_copies(
    request: Request, actor: Anonymizer, session: ReadSession, before: Annotated[str, Query(max_length=26)] = ""
) -> Response:
    """The anonymized copies, newest first. before: the last id of the page before."""
    rows, total = queries.anonymizations(session, actor, study_instance_uid=None, limit=SHOWN, before=before or None)
    studies = archive_queries.studies_by_uid(session, actor, list({row.made.study_instance_uid for row in rows}))
    lines = [_line(row, studies.get(row.made.study_instance_uid)) for row in rows]
    older = f"/anonymizations?before={rows[-1].made.id}" if len(rows) == SHOWN else ""
    return render(request, "deid/copies.html", fields(CopiesPage(lines, total, older)))


@router.get("/anonymizations/{anonymization_id}")
def show_copy(request: Request, anonymization_id: str, actor: Anonymizer, session: ReadSession) -> Response:
    """The report, or the state until it is done."""
    return render(request, "deid/copy.html", fields(_page(queries.anonymization(session, actor, anonymization_id))))
