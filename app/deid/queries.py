"""Every select() of de-identification."""

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app import audit
from app.deid.models import Anonymization
from app.jobs import Job
from app.kit.errors import NotFound
from app.security import Actor, Verb, can, owns


@dataclass(frozen=True, slots=True)
class AnonymizationRow:
    """A copy and its job (None once the job's row has been pruned)."""

    made: Anonymization
    job: Job | None

    @property
    def state(self) -> str:
        """queued, running, done, failed or cancelled."""
        if self.made.state:
            return self.made.state
        return self.job.state if self.job else "failed"

    @property
    def progress(self) -> tuple[int, int]:
        return (self.job.progress_done, self.job.progress_total) if self.job else (0, 0)

    @property
    def error(self) -> str | None:
        return self.job.error if self.job and self.state != "done" else None


def anonymization(session: Session, actor: Actor, anonymization_id: str) -> AnonymizationRow:
    """Raises NotFound when there is none, or it is of another facility or person."""
    row = session.execute(
        select(Anonymization, Job)
        .outerjoin(Job, Job.id == Anonymization.job_id)
        .where(Anonymization.id == anonymization_id)
    ).first()
    if row is None or not _visible(actor, row[0]):
        raise NotFound("Copy not found.")
    audit.record_study(row[0].study_instance_uid, row[0].facility_id)
    return AnonymizationRow(row[0], row[1])


def _visible(actor: Actor, made: Anonymization) -> bool:
    if actor.sees_all:
        return True
    if actor.facility_id is None or made.facility_id != actor.facility_id:
        return False
    return owns(actor, made.owner_id) or can(actor, Verb.STUDY_ANONYMIZE)


def anonymizations(
    session: Session, actor: Actor, *, study_instance_uid: str | None, limit: int, before: str | None
) -> tuple[list[AnonymizationRow], int]:
    """Newest first, and how many there are. before: the last id of the page before."""
    query = select(Anonymization, Job).outerjoin(Job, Job.id == Anonymization.job_id)
    if not actor.sees_all:
        query = query.where(Anonymization.facility_id == (actor.facility_id or "-"))
    if study_instance_uid:
        query = query.where(Anonymization.study_instance_uid == study_instance_uid)
    total = session.scalar(select(func.count()).select_from(query.with_only_columns(Anonymization.id).subquery())) or 0
    if before:
        query = query.where(Anonymization.id < before)
    rows = session.execute(query.order_by(Anonymization.id.desc()).limit(limit)).all()
    return [AnonymizationRow(row[0], row[1]) for row in rows], total


def files(session: Session) -> set[str]:
    """Names of zips that rows speak of."""
    return set(session.scalars(select(Anonymization.file).where(Anonymization.file != "")))
