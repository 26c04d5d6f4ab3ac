"""The verbs of de-identification: request, show, fetch, read the cross-reference, delete."""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.orm import Session

from app import audit, events, jobs
from app.archive import products
from app.archive import queries as archive
from app.config import Config
from app.db.keys import derive
from app.deid import queries, report
from app.deid.errors import NotReady
from app.deid.models import Anonymization
from app.deid.profile import resolve
from app.deid.queries import AnonymizationRow
from app.kit.clock import now
from app.kit.errors import Forbidden, Invalid
from app.kit.ids import new_id
from app.security import Actor, Verb, can, owns, require

KIND = "anonymize.study"
PRODUCTS = "anonymized"  # kind of app.archive.products
UID_KEY, CROSSREF_KEY = "de-identification pseudonyms", "de-identification cross-reference"


class AnonymizationOrder(BaseModel):
    """Parameters of the request. options: names of PS3.15 E.3 options on top of the profile; project: copies of one
    project fit together, those of two do not; to_archive: keep the copy here too, as a new study."""

    model_config = ConfigDict(extra="forbid")

    study_instance_uid: str = Field(max_length=64)
    profile: str = Field(default="basic", max_length=64)
    options: list[str] = Field(default_factory=list, max_length=10)
    project: str = Field(default="", max_length=64)
    to_archive: bool = False


def folder(config: Config) -> Path:
    """Where finished copies lie."""
    return products.folder(config, PRODUCTS)


def request(session: Session, actor: Actor, order: AnonymizationOrder) -> AnonymizationRow:
    """Accepts an order: a row, a job, an event and an audit entry, all or none.

    Raises UnknownProfile for what cannot be kept, NotFound for a study that is not here or not this actor's."""
    require(actor, Verb.STUDY_ANONYMIZE)
    profile = resolve(order.profile, order.options)
    if order.to_archive and profile.options.retain_uids:
        raise Invalid("A copy with the original UIDs cannot be stored beside the original.", field="to_archive")
    if order.to_archive:
        require(actor, Verb.STUDY_IMPORT)
    study = archive.study(session, actor, order.study_instance_uid)
    made = Anonymization(
        id=new_id(),
        job_id="",
        study_instance_uid=study.study_instance_uid,
        profile=order.profile,
        options=order.options,
        project=order.project,
        to_archive=order.to_archive,
        report={},
        created_by=actor.name,
        owner_id=actor.user_id,
        facility_id=study.facility_id,
        created_at=now(),
    )
    made.job_id = jobs.enqueue(
        session,
        KIND,
        {"anonymization_id": made.id},
        actor_name=actor.name,
        owner_id=actor.user_id,
        facility_id=study.facility_id,
        total=study.instance_count,
    )
    session.add(made)
    session.flush()
    detail = {"anonymization": made.id, "profile": made.profile, "options": made.options, "to_archive": made.to_archive}
    _trace(session, actor, made, Verb.STUDY_ANONYMIZE, detail, thing="study", thing_id=made.study_instance_uid)
    notify(session, made)
    return queries.anonymization(session, actor, made.id)


def open_file(session: Session, actor: Actor, config: Config, anonymization_id: str) -> tuple[AnonymizationRow, Path]:
    """The finished zip; its leaving is audited. Raises NotReady until it is done."""
    require(actor, Verb.STUDY_ANONYMIZE)
    row = queries.anonymization(session, actor, anonymization_id)
    path = products.path(config, PRODUCTS, row.made.file)
    if row.state != "done" or not row.made.file or not path.is_file():
        raise NotReady("The copy is not available.", hint="Check its state or create it again.", state=row.state)
    _trace(
        session, actor, row.made, Verb.STUDY_EXPORT, {"study": row.made.study_instance_uid, "profile": row.made.profile}
    )
    return row, path


def cross_reference(session: Session, actor: Actor, config: Config, anonymization_id: str) -> list[tuple[str, str]]:
    """Old and new UIDs, for administrators; each reading is audited (ANON-3)."""
    require(actor, Verb.CROSSREF_READ)
    made = queries.anonymization(session, actor, anonymization_id).made
    if made.uids is None:
        raise NotReady("The copy is not available.", hint="Check its state or create it again.")
    _trace(session, actor, made, Verb.CROSSREF_READ, {"study": made.study_instance_uid})
    return report.open_uids(derive(config, CROSSREF_KEY), made.uids)


def delete(session: Session, actor: Actor, config: Config, anonymization_id: str) -> None:
    """Removes the copy's zip and row; one's own, or anyone's for who may. What went to the archive stays there."""
    row = queries.anonymization(session, actor, anonymization_id)
    if not owns(actor, row.made.owner_id) and not can(actor, Verb.JOB_ALL):
        raise Forbidden("Only the user who created this copy or an administrator can delete it.")
    if row.state in ("queued", "running"):
        jobs.cancel(session, row.made.job_id)
    _trace(session, actor, row.made, "anonymization.delete", {"study": row.made.study_instance_uid})
    notify(session, row.made)
    if row.made.file:
        products.path(config, PRODUCTS, row.made.file).unlink(missing_ok=True)
    session.delete(row.made)


def notify(session: Session, made: Anonymization) -> None:
    """Notifies open pages. Ids only."""
    payload = {"id": made.id, "study_instance_uid": made.study_instance_uid}
    owner = made.owner_id if made.facility_id is None else None
    events.append(session, "anonymization.changed", payload, facility_id=made.facility_id, user_id=owner)


def as_json(row: AnonymizationRow) -> dict[str, Any]:
    """Representation of the resource at Location (DESIGN part 2)."""
    made, (done, total) = row.made, row.progress
    finished = row.state == "done"
    return {
        "id": made.id,
        "state": row.state,
        "progress": {"done": total if finished else done, "total": total},
        "error": row.error,
        "study_instance_uid": made.study_instance_uid,
        "profile": made.profile,
        "options": made.options,
        "project": made.project,
        "to_archive": made.to_archive,
        "report": made.report or None,
        "archive": f"/api/v1/anonymizations/{made.id}/archive" if finished else None,
        "bytes": made.bytes,
        "created_by": made.created_by,
        "created_at": made.created_at.isoformat(),
        "finished_at": made.finished_at and made.finished_at.isoformat(),
    }


def _trace(
    session: Session,
    actor: Actor,
    made: Anonymization,
    verb: str,
    detail: dict[str, Any],
    thing: str = "anonymization",
    thing_id: str = "",
) -> None:
    audit.by(session, actor, verb, thing, thing_id or made.id, facility_id=made.facility_id, detail=detail)
