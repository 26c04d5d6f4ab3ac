"""The study search (ARC-5)."""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from sqlalchemy import ColumnElement, and_, func, or_, select, text
from sqlalchemy.orm import Session

from app.archive import rows
from app.archive.models import Counter, Patient, Study, StudyModality
from app.dicom import names
from app.kit.errors import BadRequest
from app.security import Actor

CAPPED = 1000

Sort = Literal["-date", "date", "name", "patient_id", "-received"]


@dataclass(frozen=True, slots=True)
class StudyFilter:
    """What a study must have; an empty field asks nothing. Names, ids and descriptions take `*` and `?` and ignore case
    and accents."""

    text: str = (
        ""  # one box: each word begins a word of the name or patient id, or is part of one; or an accession number
    )
    patient_name: str = ""
    patient_id: str = ""
    birth_date: str = ""  # YYYYMMDD
    accession_number: str = ""
    study_id: str = ""
    study_date: tuple[str, str] | None = None  # from, to, both inclusive, either may be ""
    study_time: tuple[str, str] | None = None
    modalities: Sequence[str] = ()
    description: str = ""
    referring_physician: str = ""
    facility_id: str = ""
    study_uids: Sequence[str] = ()
    state: str = ""


@dataclass(slots=True)
class StudyPage:
    """A page of the list. next: the cursor of the following one; total_capped: there are more than `total`;
    searched_back_to: YYYYMMDD when the time limit ended the search there."""

    items: list[Study] = field(default_factory=list)
    total: int = 0
    total_capped: bool = False
    next: str | None = None
    searched_back_to: str | None = None


_ORDERS: dict[str, tuple[Any, bool]] = {
    "-date": (Study.dt, True),
    "date": (Study.dt, False),
    "name": (Study.fold, False),
    "patient_id": (Study.pid_fold, False),
    "-received": (Study.received_at, True),
}


def _pattern(wildcards: str) -> str:
    """A LIKE pattern with `!` as escape: `*` any, `?` one character."""
    escaped = wildcards.replace("!", "!!").replace("%", "!%").replace("_", "!_")
    return escaped.replace("*", "%").replace("?", "_")


def _matches(column: Any, wanted: str) -> ColumnElement[bool]:
    if "*" in wanted or "?" in wanted:
        found: ColumnElement[bool] = column.like(_pattern(wanted), escape="!")
        return found
    same: ColumnElement[bool] = column == wanted
    return same


def _words(session: Session, box: str) -> ColumnElement[bool]:
    words = names.spaced(names.fold(box)).split()[:8]
    patients = []
    for word in words:
        pattern = "%" + _pattern(word.replace("*", "").replace("?", "")) + "%"
        patients.append(or_(Study.fold.like(pattern, escape="!"), Study.pid_fold.like(pattern, escape="!")))
    accession = Study.accession_number.like(_pattern(box.strip()) + "%", escape="!")
    return or_(and_(*patients), accession) if patients else accession


def conditions(session: Session, actor: Actor, wanted: StudyFilter) -> list[ColumnElement[bool]]:
    """Every condition of the filter, in SQL."""
    found: list[ColumnElement[bool]] = []
    if not actor.sees_all:
        found.append(Study.facility_id == (actor.facility_id or "-"))
    if wanted.facility_id:
        found.append(Study.facility_id == wanted.facility_id)
    if wanted.text.strip():
        found.append(_words(session, wanted.text))
    if wanted.patient_name.strip("*"):
        found.append(_matches(Study.fold, names.fold(wanted.patient_name)))
    if wanted.patient_id.strip("*"):
        found.append(_matches(Study.pid_fold, names.fold(wanted.patient_id)))
    for column, value in (
        (Study.accession_number, wanted.accession_number),
        (Study.study_id, wanted.study_id),
        (Study.birth_date, wanted.birth_date),
    ):
        if value.strip("*"):
            found.append(_matches(column, value))
    if wanted.state:
        found.append(Study.state == wanted.state)
    for column, value in (
        (Study.description, wanted.description),
        (Study.referring_physician, wanted.referring_physician),
    ):
        if value.strip("*"):
            found.append(func.lower(column).like(_pattern(value.lower()), escape="!"))
    if wanted.study_date:
        first, last = wanted.study_date
        found.append(Study.dt >= (int(first) * 1000000 if first else 1))
        if last:
            found.append(Study.dt <= int(last) * 1000000 + 235960)
    if wanted.modalities:
        chosen = select(StudyModality.study_pk).where(StudyModality.modality.in_(wanted.modalities))
        found.append(Study.id.in_(chosen))
    if wanted.study_uids:
        found.append(Study.study_instance_uid.in_(wanted.study_uids))
    return found


def search_studies(
    session: Session,
    actor: Actor,
    wanted: StudyFilter | None = None,
    sort: Sort = "-date",
    limit: int = 50,
    cursor: str | None = None,
) -> StudyPage:
    """One page of the studies this actor may see. Raises BadRequest for an unknown sort or cursor."""
    if sort not in _ORDERS:
        raise BadRequest(f"Unknown sort; known are {', '.join(_ORDERS)}.")
    where = conditions(session, actor, wanted or StudyFilter())
    column, down = _ORDERS[sort]
    query = select(Study).where(*where)
    if cursor:
        key, last = _read_cursor(cursor, sort)
        if down:
            query = query.where(or_(column < key, and_(column == key, Study.id < last)))
        else:
            query = query.where(or_(column > key, and_(column == key, Study.id > last)))
    order = (column.desc(), Study.id.desc()) if down else (column, Study.id)
    items = list(session.scalars(query.order_by(*order).limit(limit + 1)))
    page = StudyPage(items=items[:limit])
    if len(items) > limit:
        page.next = _write_cursor(sort, getattr(items[limit - 1], column.key), items[limit - 1].id)
    page.total, page.total_capped = _total(session, actor, where, wanted)
    return page


def _total(
    session: Session, actor: Actor, where: list[ColumnElement[bool]], wanted: StudyFilter | None
) -> tuple[int, bool]:
    if not where:
        rows_ = session.execute(select(func.sum(Counter.value)).where(Counter.name.like("studies:%")))
        return int(rows_.scalar() or 0), False
    bounded = select(Study.id).where(*where).limit(CAPPED + 1).subquery()
    count = session.scalar(select(func.count()).select_from(bounded)) or 0
    return min(count, CAPPED), count > CAPPED


def _write_cursor(sort: str, key: Any, last: int) -> str:
    value = key if isinstance(key, int | str) else key.isoformat()
    return base64.urlsafe_b64encode(json.dumps([sort, value, last]).encode()).decode().rstrip("=")


def _read_cursor(cursor: str, sort: str) -> tuple[Any, int]:
    try:
        kind, key, last = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if kind != sort or not isinstance(last, int):
            raise ValueError
        if sort == "-received":
            from datetime import datetime

            key = datetime.fromisoformat(key)
        elif not isinstance(key, int if sort.endswith("date") else str):
            raise ValueError
    except ValueError:
        raise BadRequest("The cursor does not belong to this list.", hint="Start again from the first page.") from None
    return key, last


__all__ = ["CAPPED", "Patient", "Sort", "StudyFilter", "StudyPage", "rows", "search_studies", "text"]
