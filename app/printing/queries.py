"""Every select() of printing."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, case, func, or_, select
from sqlalchemy.orm import Session

from app.archive.models import Instance, Series, Study
from app.jobs import Job
from app.kit import queue_priority
from app.kit.ids import first_id
from app.printing.models import PrintRequest
from app.security import Actor

_CHUNK = 400  # values bound in one IN: well below SQLite's limit


@dataclass(frozen=True, slots=True)
class PrintableInstance:
    """An instance with what it belongs to."""

    instance: Instance
    series: Series
    study: Study


@dataclass(frozen=True, slots=True)
class PrintRow:
    """A print request and its job (None once the job's row has been pruned)."""

    request: PrintRequest
    job: Job | None

    @property
    def state(self) -> str:
        """queued, running, done, failed or cancelled. A file that is here is done, whatever the job's row says."""
        if self.request.state:
            return self.request.state
        return self.job.state if self.job else "failed"

    @property
    def progress(self) -> tuple[int, int]:
        if self.state == "done" or self.job is None:
            return self.request.pages, self.request.pages
        return self.job.progress_done, self.job.progress_total or self.request.pages

    @property
    def error(self) -> str | None:
        return self.job.error if self.job and self.state != "done" else None

    @property
    def priority(self) -> int:
        return self.job.priority if self.job else queue_priority.NORMAL


def instances(session: Session, uids: Sequence[str]) -> dict[str, PrintableInstance]:
    """The instances with these UIDs; in their order; what is not here is missing."""
    found: dict[str, PrintableInstance] = {}
    for start in range(0, len(uids), _CHUNK):
        wanted = Instance.sop_instance_uid.in_(uids[start : start + _CHUNK])
        for row in session.execute(_joined().where(wanted)):
            found[row.Instance.sop_instance_uid] = PrintableInstance(row.Instance, row.Series, row.Study)
    return {uid: found[uid] for uid in uids if uid in found}


def numbered_throughout(session: Session, series_pks: Collection[int]) -> dict[int, int]:
    """Series.id -> number of images, of those series whose instance numbers are 1, 2, 3 ... without a gap."""
    found: dict[int, int] = {}
    wanted = sorted(series_pks)
    number = Instance.instance_number
    for start in range(0, len(wanted), _CHUNK):
        query = (
            select(Instance.series_pk, func.count())
            .where(Instance.series_pk.in_(wanted[start : start + _CHUNK]))
            .group_by(Instance.series_pk)
            .having(
                func.min(number) == 1, func.max(number) == func.count(), func.count(number.distinct()) == func.count()
            )
        )
        found |= {row[0]: row[1] for row in session.execute(query)}
    return found


Owner = tuple[int, str | None, str, str]


def owner_of(study: Study) -> Owner:
    """Study, facility and patient of an image."""
    return study.id, study.facility_id, study.patient_id, study.patient_name


def owners(session: Session, uids: Collection[str]) -> dict[str, Owner]:
    """`owner_of` for each of these instances that is there; without reading the rows as a whole."""
    wanted, found = sorted(uids), {}
    columns = (Instance.sop_instance_uid, Study.id, Study.facility_id, Study.patient_id, Study.patient_name)
    for start in range(0, len(wanted), _CHUNK):
        chunk = Instance.sop_instance_uid.in_(wanted[start : start + _CHUNK])
        for uid, *owner in session.execute(_joined().with_only_columns(*columns).where(chunk)):
            found[uid] = tuple(owner)
    return found


def images_of(
    session: Session, *, study_uid: str | None = None, series_uid: str | None = None
) -> list[PrintableInstance]:
    """The images of a study or series in display order: series number, instance number, arrival."""
    query = _joined().where(Instance.number_of_frames > 0)
    if study_uid is not None:
        query = query.where(Study.study_instance_uid == study_uid)
    if series_uid is not None:
        query = query.where(Series.series_instance_uid == series_uid)
    order = (
        Series.series_number.is_(None),
        Series.series_number,
        Series.id,
        Instance.instance_number.is_(None),
        Instance.instance_number,
        Instance.id,
    )
    return [PrintableInstance(row.Instance, row.Series, row.Study) for row in session.execute(query.order_by(*order))]


def has_images(session: Session, study_pk: int) -> bool:
    query = select(Instance.id).where(Instance.study_pk == study_pk, Instance.number_of_frames > 0).limit(1)
    return session.scalar(query) is not None


def undrawable_classes(session: Session, *, study_uid: str | None = None, series_uid: str | None = None) -> list[str]:
    """SOP Class UIDs of the objects of a study or series that have no frames, each once."""
    query = _joined().where(Instance.number_of_frames < 1)
    if study_uid is not None:
        query = query.where(Study.study_instance_uid == study_uid)
    if series_uid is not None:
        query = query.where(Series.series_instance_uid == series_uid)
    return list(session.scalars(query.with_only_columns(Instance.sop_class_uid).distinct()))


def studies(session: Session, uids: Sequence[str]) -> dict[str, Study]:
    """The studies with these UIDs (at most a page of the queue); what is not here is missing."""
    found = session.scalars(select(Study).where(Study.study_instance_uid.in_(uids)))
    return {one.study_instance_uid: one for one in found}


def study(session: Session, uid: str) -> Study | None:
    return session.scalar(select(Study).where(Study.study_instance_uid == uid))


def series_and_study(session: Session, uid: str) -> tuple[Series, Study] | None:
    row = session.execute(
        select(Series, Study).join(Study, Series.study_pk == Study.id).where(Series.series_instance_uid == uid)
    ).first()
    return (row.Series, row.Study) if row else None


def _joined() -> Any:
    return (
        select(Instance, Series, Study)
        .join(Series, Instance.series_pk == Series.id)
        .join(Study, Instance.study_pk == Study.id)
    )


# The queue -------------------------------------------------------------------------------------------------------


_UNFINISHED = ("queued", "running")


def _state() -> ColumnElement[str]:
    return case((PrintRequest.state != "", PrintRequest.state), else_=func.coalesce(Job.state, "failed"))


def _visible(actor: Actor) -> ColumnElement[bool] | None:
    """Facility isolation (SEC-10): what belongs to no facility is seen by who sees all, and by who made it."""
    if actor.sees_all:
        return None
    own = PrintRequest.owner_id == (actor.user_id or "")
    mixed = and_(PrintRequest.facility_id.is_(None), own)
    return or_(PrintRequest.facility_id == actor.facility_id, mixed) if actor.facility_id else mixed


def unfinished(session: Session, actor: Actor) -> int:
    """How many prints of this user wait or are being made."""
    query = (
        select(func.count())
        .select_from(PrintRequest)
        .join(Job, Job.id == PrintRequest.job_id)
        .where(PrintRequest.owner_id == (actor.user_id or ""), PrintRequest.state == "", Job.state.in_(_UNFINISHED))
    )
    return session.scalar(query) or 0


def of_batch(session: Session, actor: Actor, key: str, since: datetime) -> list[PrintRow]:
    """The prints that this user ordered under this key since then, in the order in which they were queued."""
    query = _rows(actor).where(
        PrintRequest.owner_id == (actor.user_id or ""),
        PrintRequest.id >= first_id(since),
        PrintRequest.options["batch"]["key"].as_string() == key,
    )
    rows = session.execute(query.order_by(PrintRequest.created_at, PrintRequest.id))
    return [PrintRow(row.PrintRequest, row.Job) for row in rows]


def marks_of_jobs(session: Session, actor: Actor, kind: str, key: str, since: datetime) -> list[dict[str, str]]:
    """The marks of the prints that this user ordered under this key since then, also of prints deleted since."""
    query = select(Job.payload).where(
        Job.owner_id == (actor.user_id or ""),
        Job.kind == kind,
        Job.id >= first_id(since),
        Job.payload["batch"]["key"].as_string() == key,
    )
    return [payload["batch"] for payload in session.scalars(query)]


def request(session: Session, actor: Actor, print_id: str) -> PrintRow | None:
    query = _rows(actor).where(PrintRequest.id == print_id)
    row = session.execute(query).first()
    return PrintRow(row.PrintRequest, row.Job) if row else None


def requests(
    session: Session, actor: Actor, *, state: str | None = None, limit: int = 50, before: str | None = None
) -> tuple[list[PrintRow], int]:
    """Newest first, and how many there are. before: the last id of the page before."""
    query = _rows(actor)
    if state:
        query = query.where(_state() == state)
    total = session.scalar(select(func.count()).select_from(query.with_only_columns(PrintRequest.id).subquery())) or 0
    if before:
        query = query.where(PrintRequest.id < before)
    rows = session.execute(query.order_by(PrintRequest.id.desc()).limit(limit))
    return [PrintRow(row.PrintRequest, row.Job) for row in rows], total


def files(session: Session) -> set[str]:
    return set(session.scalars(select(PrintRequest.file).where(PrintRequest.file != "")))


def counts(session: Session, actor: Actor) -> dict[str, int]:
    """How many are in each state."""
    # Grouped by the label: PostgreSQL takes the same expression with other parameters for another one.
    query = _rows(actor).with_only_columns(_state().label("shown"), func.count().label("many")).group_by("shown")
    return {row.shown: row.many for row in session.execute(query)}


def _rows(actor: Actor) -> Any:
    query = select(PrintRequest, Job).outerjoin(Job, Job.id == PrintRequest.job_id)
    seen = _visible(actor)
    return query if seen is None else query.where(seen)
