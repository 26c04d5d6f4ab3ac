"""The study search (ARC-5): filter, page, cursor. See `plans` for how it is answered quickly."""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.archive.models import RECEIVING, Counter, Study
from app.archive.search import plans, walks
from app.archive.search.plans import CAPPED, ORDERS, CompiledFilter, SqlRunner, WalkRange
from app.dicom import names
from app.kit.errors import BadRequest
from app.kit.phrases import phrase
from app.kit.texts import clean_text, is_storable
from app.security import Actor

Sort = Literal["-date", "date", "name", "-name", "patient_id", "-patient_id", "-received", "received"]


@dataclass(frozen=True, slots=True)
class StudyFilter:
    """What a study must have; an empty field asks nothing. Names, ids and descriptions take `*` and `?` and ignore case
    and accents; without a wildcard the whole value must match (a name: one of its component groups)."""

    text: str = ""  # one box for a person, see plans.add_text
    everything: str = ""  # the same with words of the study description
    patient_name: str = ""
    patient_id: str = ""
    birth_date: str = ""  # YYYYMMDD, or a range with a hyphen
    accession_number: str = ""
    study_id: str = ""
    study_date: tuple[str, str] | None = None  # from, to as YYYYMMDD, both inclusive, either may be ""
    study_time: tuple[str, str] | None = None  # from, to as HHMMSS
    modalities: Sequence[str] = ()  # any of these
    description: str = ""
    referring_physician: str = ""
    facility_id: str = ""
    study_uids: Sequence[str] = ()
    state: str = ""


@dataclass(slots=True)
class StudyPage:
    """A page of the list. next: the cursor of the following one; total_capped: there are or may be more than `total`;
    searched_back_to: YYYYMMDD when the time limit ended a search by date there."""

    items: list[Study] = field(default_factory=list)
    total: int = 0
    total_capped: bool = False
    next: str | None = None
    searched_back_to: str | None = None


def search_studies(
    session: Session,
    actor: Actor,
    wanted: StudyFilter | None = None,
    sort: Sort = "-date",
    limit: int = 50,
    cursor: str | None = None,
) -> StudyPage:
    """One page of the studies this actor may see. limit: 1 to 1000. Raises BadRequest for an unknown sort, a bad date or a
    cursor of another list."""
    order = ORDERS.get(sort)
    if order is None:
        raise BadRequest(phrase("Unknown sort order. Known: {known}.", known=", ".join(ORDERS)))
    limit = max(1, min(limit, 1000))
    place = _read_cursor(cursor, sort) if cursor else None
    runner = SqlRunner(session)
    try:
        asked = compile_filter(runner, actor, _clean(wanted or StudyFilter()))
        plain = len(asked.conditions) == (asked.facility is not None) and not asked.empty
        known = _counted(session, asked) if plain and place is None else None
        after = (_key_from(place.key, order.column, runner.postgresql), place.id) if place else None
        answer = walks.run(runner, asked, order, after, limit + 1, count=place is None and known is None)
    finally:
        runner.close()
    page = StudyPage(total=answer.total, total_capped=answer.capped)
    if known is not None:
        page.total, page.total_capped = known, False
    if place is not None:
        page.total, page.total_capped = place.total, place.capped
    if answer.stopped_at and order.column == "dt":
        page.searched_back_to = f"{int(answer.stopped_at[0]):014d}"[:8]
    page.items = _in_order(session, [pk for _, pk in answer.keys[:limit]])
    if len(answer.keys) > limit:
        page.next = _write_cursor(sort, *answer.keys[limit - 1], page)
    elif answer.stopped_at:
        page.next = _write_cursor(sort, *answer.stopped_at, page)  # goes on looking from there
    return page


def _clean(wanted: StudyFilter) -> StudyFilter:
    """Control characters can match nothing, and PostgreSQL and FTS5 refuse NUL."""
    changes: dict[str, Any] = {}
    for each in fields(wanted):
        value = getattr(wanted, each.name)
        if isinstance(value, str):
            changes[each.name] = clean_text(value, 400)
        elif value:
            changes[each.name] = tuple(clean_text(one, 400) for one in value)
    return replace(wanted, **changes)


def compile_filter(runner: SqlRunner, actor: Actor, wanted: StudyFilter) -> CompiledFilter:
    """The filter as conditions and drivers, the most selective first."""
    asked = CompiledFilter()
    _facility(asked, actor, wanted)
    _dates(asked, wanted)
    if wanted.study_uids:
        marks = ", ".join("?" * len(wanted.study_uids))
        uids = (f"SELECT id FROM study WHERE study_instance_uid IN ({marks})", list(wanted.study_uids))
        asked.add(f"s.study_instance_uid IN ({marks})", *wanted.study_uids, ids=uids)
    if wanted.accession_number.strip("*"):
        plans.match_condition(asked, "accession_number", wanted.accession_number)
    if wanted.patient_id.strip("*"):
        plans.add_patient_id(asked, runner, names.fold(wanted.patient_id))
    if wanted.text.strip():
        plans.add_text(asked, runner, wanted.text)
    if wanted.everything.strip():
        plans.add_text(asked, runner, wanted.everything, described=True)
    if wanted.patient_name.strip("*^= "):
        plans.add_name(asked, runner, wanted.patient_name)
    if wanted.birth_date:
        _birth(asked, wanted.birth_date)
    if wanted.description.strip("*"):
        plans.add_listed(asked, runner, "description_fold", names.fold(wanted.description))
    if wanted.modalities:
        plans.add_modalities(asked, wanted.modalities)
    if wanted.study_id.strip("*"):
        plans.match_condition(asked, "study_id", wanted.study_id)
    if wanted.referring_physician.strip("*"):
        plans.add_listed(asked, runner, "referring_fold", names.fold(wanted.referring_physician))
    if wanted.state:
        receiving = (f"SELECT id FROM study WHERE state = '{RECEIVING}'", list[Any]())
        asked.add("s.state = ?", wanted.state, ids=receiving if wanted.state == RECEIVING else None)
    if asked.dates != (0, 0):
        asked.drivers.append(("SELECT id FROM study WHERE dt >= ? AND dt <= ?", list(asked.dates)))
    return asked


def add_facility(asked: CompiledFilter, facility: str) -> None:
    """Only this one's studies."""
    asked.facility = facility
    asked.add("s.facility_id = ?", facility, covered=True)


def add_dates(asked: CompiledFilter, first: int, last: int) -> None:
    """Study date and time as the sort key, both inclusive; to be called after `add_facility`."""
    asked.dates = (first, last)
    asked.add("s.dt >= ? AND s.dt <= ?", first, last, covered=True)
    if asked.facility is None:
        asked.ranges.append(WalkRange("ix_study_dt", "s.dt >= ? AND s.dt <= ?", [first, last]))
    else:
        test = "s.facility_id = ? AND s.dt >= ? AND s.dt <= ?"
        asked.ranges.append(WalkRange("ix_study_facility_dt", test, [asked.facility, first, last]))


def _facility(asked: CompiledFilter, actor: Actor, wanted: StudyFilter) -> None:
    if not actor.sees_all:
        add_facility(asked, actor.facility_id or "")
        asked.empty = not actor.facility_id or wanted.facility_id not in ("", actor.facility_id)
    elif wanted.facility_id:
        add_facility(asked, wanted.facility_id)


def _dates(asked: CompiledFilter, wanted: StudyFilter) -> None:
    if wanted.study_date and any(wanted.study_date):
        first, last = (_day(day) for day in wanted.study_date)
        add_dates(asked, int(first or "1") * 1_000_000, int(last or "99999999") * 1_000_000 + 235_960)
    if wanted.study_time and any(wanted.study_time):
        first, last = wanted.study_time
        asked.add("s.study_time >= ? AND s.study_time <= ?", first or "0", (last or "24") + "~")


def _day(text: str) -> str:
    if text and not (len(text) == 8 and text.isascii() and text.isdigit()):
        raise BadRequest("A date does not have the form YYYYMMDD.")
    return text


def _birth(asked: CompiledFilter, text: str) -> None:
    first, dash, last = text.partition("-")
    if not dash:
        last = first
    bounds = [_day(first) or "0", _day(last) or "99999999"]
    ids = ("SELECT id FROM study WHERE birth_date >= ? AND birth_date <= ?", bounds)
    asked.add("s.birth_date >= ? AND s.birth_date <= ? AND length(s.birth_date) = 8", *bounds, ids=ids)


def _counted(session: Session, asked: CompiledFilter) -> int:
    """The unfiltered total, from the counters."""
    total = select(func.coalesce(func.sum(Counter.value), 0))
    if asked.facility is None:
        return int(session.scalar(total.where(Counter.name.like("studies:%"))) or 0)
    return int(session.scalar(total.where(Counter.name == f"studies:{asked.facility}")) or 0)


def _in_order(session: Session, pks: list[int]) -> list[Study]:
    found = {row.id: row for row in session.scalars(select(Study).where(Study.id.in_(pks)))} if pks else {}
    return [found[pk] for pk in pks if pk in found]


@dataclass(frozen=True, slots=True)
class _Place:
    key: Any
    id: int
    total: int
    capped: bool


def _write_cursor(sort: str, key: Any, last: int, page: StudyPage) -> str:
    value = key.isoformat() if isinstance(key, datetime) else key
    text = json.dumps([sort, value, last, page.total, page.total_capped])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _read_cursor(cursor: str, sort: str) -> _Place:
    try:
        kind, key, last, total, capped = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if kind != sort or type(last) is not int or type(total) is not int or type(capped) is not bool:
            raise ValueError
        if not isinstance(key, int if ORDERS[sort].column == "dt" else str):
            raise ValueError
        if abs(last) >= 2**63 or (isinstance(key, int) and abs(key) >= 2**63):
            raise ValueError
        if ORDERS[sort].column == "received_at":
            moment = datetime.fromisoformat(str(key))
            (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
        if not is_storable(str(key)):
            raise ValueError
    except (ValueError, TypeError, OverflowError, RecursionError):  # the last: JSON nested a thousand deep
        raise BadRequest("The cursor does not belong to this list.", hint="Restart from the first page.") from None
    return _Place(key, last, total, capped)


def _key_from(key: Any, column: str, postgresql: bool) -> Any:
    """The sort key as the database gives it."""
    if column != "received_at" or not postgresql:
        return key
    moment = datetime.fromisoformat(key)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


__all__ = ["CAPPED", "Sort", "StudyFilter", "StudyPage", "compile_filter", "search_studies"]
