"""Look-ups by UID and in display order; the study search is in `search`. Facility isolation is inside (SEC-10)."""

from collections.abc import Collection, Sequence

from sqlalchemy import ColumnElement, func, select, true, update
from sqlalchemy.orm import Session

from app import audit
from app.archive.models import OTHER_FACILITY, Counter, Instance, InstanceHeader, ObjectConflict, Patient, Series, Study
from app.archive.search.plans import SqlRunner
from app.archive.search.study_list import StudyFilter, StudyPage, search_studies
from app.kit.errors import NotFound
from app.security import Actor

__all__ = [
    "StudyFilter",
    "StudyPage",
    "instance",
    "instances_of",
    "patient_of",
    "search_instances",
    "search_series",
    "search_studies",
    "series",
    "series_of",
    "studies_of_patient",
    "study",
    "totals",
]  # fmt: skip


def visible_to(actor: Actor) -> ColumnElement[bool]:
    """The condition on Study that keeps facilities apart."""
    if actor.sees_all:
        return true()
    return Study.facility_id == actor.facility_id if actor.facility_id else Study.id == -1


def study(session: Session, actor: Actor, uid: str) -> Study:
    """Raises NotFound when there is none this actor may see."""
    found = session.scalar(select(Study).where(Study.study_instance_uid == uid, visible_to(actor)))
    if found is None:
        raise NotFound("Study not found.")
    audit.record_study(found.study_instance_uid, found.facility_id)
    return found


def series(session: Session, actor: Actor, uid: str) -> Series:
    found = session.execute(
        select(Series, Study)
        .join(Study, Study.id == Series.study_pk)
        .where(Series.series_instance_uid == uid, visible_to(actor))
    ).first()
    if found is None:
        raise NotFound("Series not found.")
    audit.record_study(found[1].study_instance_uid, found[1].facility_id)
    return found[0]


def instance(session: Session, actor: Actor, uid: str) -> Instance:
    found = session.execute(
        select(Instance, Study)
        .join(Study, Study.id == Instance.study_pk)
        .where(Instance.sop_instance_uid == uid, visible_to(actor))
    ).first()
    if found is None:
        raise NotFound("Object not found.")
    audit.record_study(found[1].study_instance_uid, found[1].facility_id)
    return found[0]


def may_see(session: Session, actor: Actor, of: Instance) -> bool:
    """Whether this actor may see the study that the object belongs to."""
    return session.scalar(select(Study.id).where(Study.id == of.study_pk, visible_to(actor))) is not None


def study_of(session: Session, thing: Series | Instance) -> Study:
    """The study a series or instance belongs to; the caller may see it already."""
    found = session.get(Study, thing.study_pk)
    if found is None:
        raise NotFound("Study not found.")
    return found


def series_by_pk(session: Session, pk: int) -> Series:
    found = session.get(Series, pk)
    if found is None:
        raise NotFound("Series not found.")
    return found


def patient_of(session: Session, of: Study) -> Patient:
    found = session.get(Patient, of.patient_pk)
    if found is None:
        raise NotFound("Patient not found.")
    return found


def series_of(session: Session, of: Study) -> list[Series]:
    """By series number, then as received."""
    order = (Series.series_number.is_(None), Series.series_number, Series.id)
    return list(session.scalars(select(Series).where(Series.study_pk == of.id).order_by(*order)))


def instances_of(session: Session, of: Series) -> list[Instance]:
    """By instance number, then as received."""
    order = (Instance.instance_number.is_(None), Instance.instance_number, Instance.id)
    return list(session.scalars(select(Instance).where(Instance.series_pk == of.id).order_by(*order)))


def images_beside(session: Session, instance: Instance) -> list[Instance]:
    """The images of the series this one belongs to, itself among them, in display order."""
    order = (Instance.instance_number.is_(None), Instance.instance_number, Instance.id)
    query = select(Instance).where(Instance.series_pk == instance.series_pk, Instance.number_of_frames > 0)
    return list(session.scalars(query.order_by(*order)))


def instances_of_study(session: Session, of: Study) -> list[Instance]:
    """All of a study, series by series, in display order."""
    order = (
        Series.series_number.is_(None), Series.series_number, Series.id,
        Instance.instance_number.is_(None), Instance.instance_number, Instance.id,
    )  # fmt: skip
    query = select(Instance).join(Series, Series.id == Instance.series_pk).where(Instance.study_pk == of.id)
    return list(session.scalars(query.order_by(*order)))


def search_series(
    session: Session, actor: Actor, *conditions: ColumnElement[bool], study_uids: Sequence[str] = (),
    limit: int = 100, offset: int = 0,
) -> list[tuple[Series, Study]]:  # fmt: skip
    """Series with their studies. conditions: on Series and Study columns."""
    query = select(Series, Study).join(Study, Study.id == Series.study_pk).where(visible_to(actor), *conditions)
    if study_uids:
        query = query.where(Study.study_instance_uid.in_(study_uids))
    query = query.order_by(Study.dt.desc(), Study.id.desc(), Series.series_number, Series.id)
    return [(row[0], row[1]) for row in session.execute(query.limit(limit).offset(offset))]


def search_instances(
    session: Session, actor: Actor, *conditions: ColumnElement[bool], study_uids: Sequence[str] = (),
    series_uids: Sequence[str] = (), limit: int = 100, offset: int = 0,
) -> list[tuple[Instance, Series, Study]]:  # fmt: skip
    """Instances with their series and studies."""
    query = (
        select(Instance, Series, Study)
        .join(Series, Series.id == Instance.series_pk)
        .join(Study, Study.id == Instance.study_pk)
        .where(visible_to(actor), *conditions)
    )
    if study_uids:
        query = query.where(Study.study_instance_uid.in_(study_uids))
    if series_uids:
        query = query.where(Series.series_instance_uid.in_(series_uids))
    query = query.order_by(Study.id.desc(), Series.id, Instance.instance_number, Instance.id)
    return [(row[0], row[1], row[2]) for row in session.execute(query.limit(limit).offset(offset))]


def studies_of_patient(session: Session, actor: Actor, patient_id: str) -> list[Study]:
    query = (
        select(Study)
        .where(Study.patient_id == patient_id, visible_to(actor))
        .order_by(Study.dt.desc(), Study.id.desc())
    )
    return list(session.scalars(query))


def studies_by_uid(session: Session, actor: Actor, uids: Sequence[str]) -> dict[str, Study]:
    """Those of the studies that this actor may see, by Study Instance UID."""
    wanted = list(dict.fromkeys(uids))
    found = session.scalars(select(Study).where(Study.study_instance_uid.in_(wanted), visible_to(actor)))
    return {one.study_instance_uid: one for one in found}


def studies_of_person(session: Session, actor: Actor, words: str, most: int = 500) -> list[str]:
    """Study Instance UIDs of the patients whose name holds these words or whose ID this is; at most about `most`."""
    asked = (StudyFilter(text=words), StudyFilter(patient_id=words))
    pages = [search_studies(session, actor, one, limit=most) for one in asked]
    return sorted({study.study_instance_uid for page in pages for study in page.items})


def header_row(session: Session, of: Instance) -> InstanceHeader:
    found = session.get(InstanceHeader, of.id)
    if found is None:
        raise NotFound("Object not found.")
    return found


def instance_in(session: Session, of: Study, series_uid: str, uid: str) -> Instance | None:
    """An object of this study and series; of any of its series where none is named."""
    query = select(Instance).join(Series, Series.id == Instance.series_pk)
    query = query.where(Instance.sop_instance_uid == uid, Instance.study_pk == of.id)
    return session.scalar(query.where(Series.series_instance_uid == series_uid) if series_uid else query)


_PLACED = """SELECT i.id, i.sha256, i.path, s.facility_id FROM instance i
JOIN series e ON e.id = i.series_pk JOIN study s ON s.id = i.study_pk
WHERE i.sop_instance_uid = ? AND e.series_instance_uid = ? AND s.study_instance_uid = ?"""


def locate_object(
    session: Session, study_uid: str, series_uid: str, uid: str
) -> tuple[int, str, str, str | None] | None:
    """(key, checksum, path, facility) of an object named by its whole address, without a check of permissions; in plain
    SQL, since frames are asked for by the thousand. The first three identify the content."""
    runner = SqlRunner(session)
    try:
        rows = runner.rows(_PLACED, (uid, series_uid, study_uid))
    finally:
        runner.close()
    return (rows[0][0], rows[0][1], rows[0][2], rows[0][3]) if rows else None


def series_by_pks(session: Session, pks: Sequence[int]) -> dict[int, Series]:
    found = session.scalars(select(Series).where(Series.id.in_(pks)))
    return {one.id: one for one in found}


def header_rows(session: Session, ids: Sequence[int]) -> dict[int, InstanceHeader]:
    query = select(InstanceHeader).where(InstanceHeader.instance_pk.in_(ids))
    return {row.instance_pk: row for row in session.scalars(query)}


def frame_tables(session: Session, ids: Sequence[int]) -> dict[int, bytes]:
    """The packed frame tables of encapsulated objects, without their headers."""
    query = select(InstanceHeader.instance_pk, InstanceHeader.frames).where(InstanceHeader.instance_pk.in_(ids))
    return {pk: packed for pk, packed in session.execute(query) if packed is not None}


def raw_header_of(session: Session, of: Instance) -> bytes:
    raw = session.scalar(select(InstanceHeader.raw).where(InstanceHeader.instance_pk == of.id))
    if raw is None:
        raise NotFound("Object not found.")
    return raw


def find_counterpart(session: Session, sop_uid: str, series_uid: str, study_uid: str) -> Instance | None:
    """The stored object that conflicts with a new one: the one with its UID, else any of its series, else any of its
    study."""
    query = select(Instance)
    for ask in (
        query.where(Instance.sop_instance_uid == sop_uid),
        query.join(Series, Series.id == Instance.series_pk).where(Series.series_instance_uid == series_uid),
        query.join(Study, Study.id == Instance.study_pk).where(Study.study_instance_uid == study_uid),
    ):
        if (found := session.scalar(ask.limit(1))) is not None:
            return found
    return None


def set_differences(session: Session, conflict_id: str, names: list[str], **more: str) -> None:
    """more: other columns that change with them."""
    session.execute(update(ObjectConflict).where(ObjectConflict.id == conflict_id).values(differences=names, **more))


def visible_conflicts(actor: Actor) -> ColumnElement[bool]:
    """The condition on Conflict that keeps facilities apart: of an object that meets one of another facility only people
    who see all may know."""
    if actor.sees_all:
        return true()
    return (ObjectConflict.facility_id == (actor.facility_id or "-")) & (ObjectConflict.reason != OTHER_FACILITY)


def conflict(session: Session, actor: Actor, conflict_id: str) -> ObjectConflict:
    """Raises NotFound when there is none this actor may see."""
    found = session.scalar(select(ObjectConflict).where(ObjectConflict.id == conflict_id, visible_conflicts(actor)))
    if found is None:
        raise NotFound("Conflict not found.")
    return found


def conflicts(session: Session, actor: Actor, *, state: str = "open", limit: int = 200) -> list[ObjectConflict]:
    query = select(ObjectConflict).where(ObjectConflict.state == state, visible_conflicts(actor))
    return list(session.scalars(query.order_by(ObjectConflict.id.desc()).limit(limit)))


def open_versions(session: Session, actor: Actor, sop_instance_uids: Collection[str]) -> list[ObjectConflict]:
    """The open conflicts of these objects: of one object there can be several later versions."""
    query = select(ObjectConflict).where(
        ObjectConflict.sop_instance_uid.in_(sop_instance_uids), ObjectConflict.state == "open"
    )
    return list(session.scalars(query.where(visible_conflicts(actor)).order_by(ObjectConflict.id)))


def open_of_other_patient(session: Session, study_uid: str, but: str) -> list[ObjectConflict]:
    """The open conflicts of a study that was another patient's when they came, without those of the object `but`."""
    query = select(ObjectConflict).where(
        ObjectConflict.study_instance_uid == study_uid,
        ObjectConflict.state == "open",
        ObjectConflict.reason == "other patient",
        ObjectConflict.sop_instance_uid != but,
    )
    return list(session.scalars(query.order_by(ObjectConflict.id)))


def count_conflicts(session: Session, actor: Actor) -> int:
    """Open ones that this actor may see."""
    query = (
        select(func.count()).select_from(ObjectConflict).where(ObjectConflict.state == "open", visible_conflicts(actor))
    )
    return session.scalar(query) or 0


def totals(session: Session) -> dict[str, int]:
    """Totals of the archive: studies and instances, from the counters (nothing is counted)."""
    found: dict[str, int] = {}
    for counter in session.scalars(select(Counter).where(Counter.name.not_like(".%"))):
        kind = counter.name.partition(":")[0]
        found[kind] = found.get(kind, 0) + counter.value
    return found
