"""Lists of series, instances and patients for REST, page by page, and rows as plain data."""

from typing import Any

from sqlalchemy import exists, or_, select
from sqlalchemy.orm import Session

from app.archive import queries
from app.archive.models import SEVERAL, Instance, Patient, Series, Study
from app.archive.search import plans
from app.dicom import names
from app.kit.errors import BadRequest
from app.kit.numbers import parse_integer
from app.security import Actor


def study_entry(study: Study) -> dict[str, Any]:
    return {
        "study_instance_uid": study.study_instance_uid,
        "patient_name": study.patient_name,
        "patient_id": study.patient_id,
        "issuer_of_patient_id": study.issuer_of_patient_id,
        "birth_date": study.birth_date,
        "sex": study.sex,
        "study_date": study.study_date,
        "study_time": study.study_time,
        "study_id": study.study_id,
        "accession_number": study.accession_number,
        "description": study.description,
        "referring_physician": study.referring_physician,
        "modalities": study.modalities.split("\\") if study.modalities else [],
        "series_count": study.series_count,
        "instance_count": study.instance_count,
        "bytes": study.bytes,
        "state": study.state,
        "source": "several" if study.source == SEVERAL else study.source,
        "facility_id": study.facility_id,
        "locked": study.locked,
        "received_at": study.received_at.isoformat(),
        "last_received_at": study.last_received_at.isoformat(),
    }


def series_entry(series: Series, study: Study) -> dict[str, Any]:
    return {
        "series_instance_uid": series.series_instance_uid,
        "study_instance_uid": study.study_instance_uid,
        "series_number": series.series_number,
        "modality": series.modality,
        "description": series.description,
        "body_part": series.body_part,
        "laterality": series.laterality,
        "protocol_name": series.protocol_name,
        "series_date": series.series_date,
        "series_time": series.series_time,
        "instance_count": series.instance_count,
        "bytes": series.bytes,
        "received_at": series.received_at.isoformat(),
    }


def instance_entry(instance: Instance, series: Series, study: Study) -> dict[str, Any]:
    return {
        "sop_instance_uid": instance.sop_instance_uid,
        "sop_class_uid": instance.sop_class_uid,
        "series_instance_uid": series.series_instance_uid,
        "study_instance_uid": study.study_instance_uid,
        "transfer_syntax_uid": instance.transfer_syntax_uid,
        "instance_number": instance.instance_number,
        "number_of_frames": instance.number_of_frames,
        "rows": instance.rows,
        "columns": instance.columns,
        "bytes": instance.bytes,
        "sha256": instance.sha256,
        "warnings": instance.warnings,
        "received_at": instance.received_at.isoformat(),
    }


def _page(items: list[dict[str, Any]], ids: list[int], limit: int, total: int | None) -> dict[str, Any]:
    more = len(items) > limit
    return {"items": items[:limit], "total": total, "next": str(ids[limit - 1]) if more else None}


def _after(cursor: str | None) -> int:
    if cursor is None:
        return 0
    place = parse_integer(cursor, high=10**18)
    if place is None:
        raise BadRequest("The cursor does not belong to this list.", hint="Restart from the first page.")
    return place


def list_series(
    session: Session, actor: Actor, study_uid: str, modality: str, limit: int, cursor: str | None
) -> dict[str, Any]:
    """Series in the order they came, oldest first. total is None: millions of rows are not counted for a list."""
    query = select(Series, Study).join(Study, Study.id == Series.study_pk).where(queries.visible_to(actor))
    if study_uid:
        query = query.where(Study.study_instance_uid == study_uid)
    if modality:
        query = query.where(Series.modality == modality)
    query = query.where(Series.id > _after(cursor)).order_by(Series.id).limit(limit + 1)
    found = list(session.execute(query))
    total = queries.study(session, actor, study_uid).series_count if study_uid and not modality else None
    return _page([series_entry(s, st) for s, st in found], [s.id for s, _ in found], limit, total)


def list_instances(
    session: Session, actor: Actor, study_uid: str, series_uid: str, sop_class: str, limit: int, cursor: str | None
) -> dict[str, Any]:
    """Instances in the order they came."""
    query = (
        select(Instance, Series, Study)
        .join(Series, Series.id == Instance.series_pk)
        .join(Study, Study.id == Instance.study_pk)
        .where(queries.visible_to(actor))
    )
    if study_uid:
        query = query.where(Instance.study_pk == queries.study(session, actor, study_uid).id)
    if series_uid:
        query = query.where(Instance.series_pk == queries.series(session, actor, series_uid).id)
    if sop_class:
        query = query.where(Instance.sop_class_uid == sop_class)
    query = query.where(Instance.id > _after(cursor)).order_by(Instance.id).limit(limit + 1)
    found = list(session.execute(query))
    total = queries.series(session, actor, series_uid).instance_count if series_uid and not sop_class else None
    return _page([instance_entry(*row) for row in found], [row[0].id for row in found], limit, total)


def list_patients(
    session: Session, actor: Actor, text: str, patient_id: str, limit: int, cursor: str | None
) -> dict[str, Any]:
    """Patients who have a study this actor may see. text: each word begins a word of the name or the patient id;
    words beyond the first MOST_WORDS are left out, because SQLite takes conditions of 1,000 levels."""
    query = select(Patient).where(exists().where(Study.patient_pk == Patient.id, queries.visible_to(actor)))
    for word in dict.fromkeys(names.fold(text).split()[: plans.MOST_WORDS]):
        pattern = word.replace("!", "!!").replace("%", "!%").replace("_", "!_")
        query = query.where(
            or_(
                Patient.fold.like(f"{pattern}%", escape="!"),
                Patient.fold.like(f"% {pattern}%", escape="!"),
                Patient.pid_fold.like(f"{pattern}%", escape="!"),
            )
        )
    if patient_id:
        query = query.where(Patient.patient_id == patient_id)
    found = list(session.scalars(query.where(Patient.id > _after(cursor)).order_by(Patient.id).limit(limit + 1)))
    entries = [
        {
            "id": one.id,
            "patient_id": one.patient_id,
            "issuer_of_patient_id": one.issuer_of_patient_id,
            "patient_name": one.patient_name,
            "birth_date": one.birth_date,
            "sex": one.sex,
        }
        for one in found
    ]
    return _page(entries, [one.id for one in found], limit, None)
