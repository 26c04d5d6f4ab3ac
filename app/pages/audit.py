"""The audit trail as people read it: who did what, when, to which study; by patient, person, deed and period."""

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from app import audit
from app.archive import queries
from app.archive.models import Study
from app.audit import AuditEvent
from app.dicom.dates import parse_date
from app.http import ReadSession, allow, render
from app.http.i18n import format_date, format_moment, format_time
from app.http.i18n import gettext as _
from app.kit.clock import local, moment_of
from app.kit.numbers import LARGEST
from app.pages import listing
from app.pages.deeds import decision_words, target_words, verb_choices, verb_words
from app.pages.rows import names_of
from app.pages.shell import fields
from app.security import Actor, Verb
from app.security import queries as security

router = APIRouter(include_in_schema=False)
Auditor = Annotated[Actor, Depends(allow(Verb.AUDIT_READ))]
_PAGE = 50


@dataclass(frozen=True, slots=True)
class AuditLine:
    """One entry. thing: what it was done to, in words; study: its UID where it was a study, for the link; times: how many
    more of the same were counted together, during: from when to when; more: where it went, how many pages."""

    at: datetime
    who: str
    what: str
    code: str
    outcome: str
    thing: str
    study: str
    thing_id: str
    more: str
    times: int
    during: str
    address: str
    correlation_id: str


@dataclass(frozen=True, slots=True)
class AuditPage:
    """filter: as typed; verbs: (code, words); study: the one that `thing` names, in words; next, csv: addresses;
    bad_period: what was typed as a period and is none."""

    section: str
    lines: list[AuditLine]
    total: int
    next: str
    csv: str
    filter: dict[str, str]
    verbs: list[tuple[str, str]]
    study: str
    bad_period: bool


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """The fields of the page. patient: name or ID; thing: an identifier, e.g. a Study Instance UID; period: a day, month,
    year or two of them with .. between."""

    patient: str = ""
    user: str = ""
    verb: str = ""
    outcome: str = ""
    period: str = ""
    thing: str = ""

    def pairs(self) -> dict[str, str]:
        return {name: value for name in self.__dataclass_fields__ if (value := getattr(self, name))}


def _wanted(request: Request) -> AuditFilter:
    asked = request.query_params
    return AuditFilter(**{name: asked.get(name, "").strip()[:128] for name in AuditFilter.__dataclass_fields__})


def period_of(text: str) -> tuple[datetime, datetime] | None:
    """The first moment of a period and the first after it, in the server's zone; None for a text that is not a
    period."""
    days = listing.between(text)
    if days is None:
        return None
    first, last = (parse_date(day) for day in days)
    if first is None or last is None:
        return None
    try:
        since = moment_of(first, time())
        return since, moment_of(last + timedelta(days=1), time())
    except (OverflowError, ValueError):  # the first and last days of the calendar, in some zones
        return None


def arguments(session: ReadSession, actor: Actor, wanted: AuditFilter) -> dict[str, Any]:
    """Arguments of `audit.list_events`."""
    since, until = period_of(wanted.period) or (None, None)
    return {
        "actor_name": wanted.user or None,
        "verb": wanted.verb or None,
        "outcome": wanted.outcome or None,
        "thing_id": wanted.thing or None,
        "thing_ids": queries.studies_of_person(session, actor, wanted.patient) if wanted.patient else None,
        "since": since,
        "until": until,
        "facility_id": None if actor.sees_all else actor.facility_id or "",
    }


@router.get("/settings/audit")
def show_audit(
    request: Request,
    actor: Auditor,
    session: ReadSession,
    cursor: Annotated[int | None, Query(ge=1, le=LARGEST)] = None,
) -> Response:
    """Newest first, fifty a page."""
    wanted = _wanted(request)
    asked = arguments(session, actor, wanted)
    events, total = audit.list_events(session, before=cursor, limit=_PAGE, **asked)
    uids = [event.thing_id for event in events if event.thing == "study"] + [wanted.thing]
    studies = queries.studies_by_uid(session, actor, uids)
    people = security.names_by_id(session, [event.thing_id for event in events if event.thing == "user"])
    typed = wanted.pairs()
    page = AuditPage(
        section="audit",
        lines=[_line(event, studies, people) for event in events],
        total=total,
        next=f"/settings/audit?{urlencode({**typed, 'cursor': events[-1].id})}" if len(events) == _PAGE else "",
        csv=_csv_address(wanted, asked),
        filter={name: getattr(wanted, name) for name in AuditFilter.__dataclass_fields__},
        verbs=verb_choices(),
        study=_study_words(studies[wanted.thing]) if wanted.thing in studies else wanted.thing,
        bad_period=bool(wanted.period) and asked["since"] is None,
    )
    return render(request, "settings/audit.html", fields(page))


def _csv_address(wanted: AuditFilter, asked: dict[str, Any]) -> str:
    """The same rows as CSV; its own filter knows no names of patients but their studies."""
    pairs = [("user", wanted.user), ("verb", wanted.verb), ("outcome", wanted.outcome), ("thing_id", wanted.thing)]
    pairs += [(name, asked[name].isoformat()) for name in ("since", "until") if asked[name]]
    pairs += [("patient", wanted.patient)]
    return "/api/v1/audit?" + urlencode([("format", "csv"), *((name, value) for name, value in pairs if value)])


def _study_words(study: Study) -> str:
    return ", ".join(filter(None, (names_of(study.patient_name)[0], study.description, format_date(study.study_date))))


def _line(event: AuditEvent, studies: dict[str, Study], people: dict[str, str]) -> AuditLine:
    detail = event.detail or {}
    study = studies.get(event.thing_id) if event.thing == "study" else None
    count = detail.get("count")
    return AuditLine(
        at=event.at,
        who=event.actor_name,
        # Reading a list is not the action that its permission names.
        what=_("List viewed") if event.thing == "list" else verb_words(event.verb),
        code=event.verb,
        outcome=event.outcome,
        thing=_study_words(study) if study else _target_link(event),
        study=event.thing_id if event.thing == "study" else "",
        thing_id=people.get(event.thing_id, event.thing_id) if event.thing == "user" else event.thing_id,
        more=_detail_text(detail),
        times=count if isinstance(count, int) else 0,
        during=_during(event.at, detail.get("since")),
        address=event.address,
        correlation_id=event.correlation_id,
    )


def _during(until: datetime, since: object) -> str:
    """The period of a summary: "04:50-04:55", with the days where it is more than one. Empty for other entries."""
    try:
        start = datetime.fromisoformat(since) if isinstance(since, str) else None
    except ValueError:
        return ""
    if start is None:
        return ""
    if format_date(local(start)) == format_date(local(until)):
        return f"{format_time(start)}-{format_time(until)}"
    return f"{format_moment(start)} - {format_moment(until)}"


def _target_link(event: AuditEvent) -> str:
    """The target of the event: the page that shows a list by its name, other lists and refused calls by their
    address."""
    if event.thing == "route" and " /" in event.thing_id:
        return _("Address")
    names = {
        "/": _("Incoming & Print queue"),
        "/storage": _("Local storage"),
        "/query": _("Query/Retrieve"),
        "/prints": _("Print queue"),
        "/transfers": _("Transfers"),
        "/conflicts": _("Conflicts"),
        "/settings/audit": _("Audit"),
    }
    return names.get(event.thing_id.removeprefix("GET "), target_words(event.thing))


def _detail_text(detail: dict[str, Any]) -> str:
    """Where it went and how much it was; never a value that could be long."""
    parts = [decision_words(str(detail["decision"]))] if isinstance(detail.get("decision"), str) else []
    parts += [str(detail[key])[:64] for key in ("node", "destination", "name") if isinstance(detail.get(key), str)]
    if isinstance(detail.get("pages"), int):
        parts.append(_("%(n)d pages") % {"n": detail["pages"]} if detail["pages"] != 1 else _("1 page"))
    if isinstance(detail.get("instances"), int) and detail["instances"]:  # 0: the whole study, as it is then
        parts.append(_("%(n)d objects") % {"n": detail["instances"]} if detail["instances"] != 1 else _("1 object"))
    return ", ".join(one for one in parts if one)
