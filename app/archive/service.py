"""Verbs on what is stored: settle, delete, conflicts. Interfaces and jobs call them inside their own transaction; files follow
by durable jobs, so that nothing is ever half there."""

from collections import Counter as Counted
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import delete, func, insert, literal, select, text, update
from sqlalchemy.orm import Session

from app import audit, events, jobs
from app.archive import holds, queries
from app.archive.models import (
    RECEIVING,
    SETTLED,
    Counter,
    DeletedFile,
    Instance,
    InstanceHeader,
    ObjectConflict,
    Patient,
    Series,
    Study,
    StudyModality,
)
from app.archive.rows import modality_bit
from app.archive.transaction import lock_index
from app.kit.clock import now
from app.kit.errors import Conflict as AlreadyDone
from app.kit.errors import Invalid
from app.kit.phrases import phrase
from app.security import Actor, Verb, require

_REMOVE, _PREPARE = 4, 3  # priorities of jobs: after the decisions on conflicts, whose is normal (5)
QUIET = 10.0  # seconds without a new object after which a study is settled (FWD-1)

Decision = Literal["keep-first", "overwrite", "save-as-new"]
_STATES: dict[str, str] = {"keep-first": "kept-first", "overwrite": "overwritten", "save-as-new": "saved-as-new"}


def settle(session: Session, quiet: float = QUIET, limit: int = 200) -> int:
    """Marks studies that got nothing new for `quiet` seconds as settled, appends `study.settled` with what is new since the
    last such event of the study, and has their DICOM JSON made. Returns how many. Safe in several workers at once."""
    lock_index(session)  # what arrives meanwhile would find the study receiving, and leave it settled
    before = now() - timedelta(seconds=quiet)
    ready = session.scalars(
        select(Study).where(Study.state == RECEIVING, Study.last_received_at < before).order_by(Study.id).limit(limit)
    )
    count = 0
    for study in ready:
        study.state = SETTLED
        new, first, last = _new_since_settled(session, study)
        study.settled_to = last or study.settled_to
        payload = {"study_instance_uid": study.study_instance_uid, "instances": study.instance_count, "new": new}
        payload |= {"first": first, "last": last}
        events.append(session, "study.settled", payload, facility_id=study.facility_id)
        jobs.enqueue(
            session,
            "archive.prepare",
            {"study_instance_uid": study.study_instance_uid},
            facility_id=study.facility_id,
            priority=_PREPARE,
            total=study.instance_count,
        )
        count += 1
    return count


def _new_since_settled(session: Session, study: Study) -> tuple[int, int, int]:
    """How many objects came since the study settled last, and the lowest and highest instance.id of them (0: none)."""
    row = session.execute(
        select(func.count(), func.min(Instance.id), func.max(Instance.id))
        .join(Series, Series.id == Instance.series_pk)
        .where(Series.study_pk == study.id, Instance.id > study.settled_to)
    ).one()
    return row[0], row[1] or 0, row[2] or 0


def heal_clock(session: Session, moment: datetime) -> None:
    """See app.jobs.heal_clock: a study that seems to arrive in the future would not settle until then."""
    ahead = (Study.state == RECEIVING, Study.last_received_at > moment + jobs.CLOCK_SLACK)
    if session.scalar(select(Study.id).where(*ahead).limit(1)) is not None:
        lock_index(session)
        session.execute(update(Study).where(*ahead).values(last_received_at=moment))


def next_settling(session: Session, quiet: float = QUIET) -> datetime | None:
    """The moment when the next study will have been quiet for `quiet` seconds, if nothing arrives; None: no study is
    being received."""
    oldest = session.scalar(select(func.min(Study.last_received_at)).where(Study.state == RECEIVING))
    return None if oldest is None else oldest + timedelta(seconds=quiet)


def is_receiving(session: Session, study_instance_uid: str) -> bool:
    """Whether a study has not settled since its last object came; False for a study that is not here."""
    query = select(Study.id).where(Study.study_instance_uid == study_instance_uid, Study.state == RECEIVING)
    return session.scalar(query) is not None


# -- delete ------------------------------------------------------------------------------------------------------


def delete_study(session: Session, actor: Actor, uid: str) -> None:
    """Removes a study: the rows now, its files by a job right after. The caller writes the audit row."""
    require(actor, Verb.STUDY_DELETE)
    lock_index(session)
    study = queries.study(session, actor, uid)
    _refuse_locked(study)
    holds.refuse_held(session, study.study_instance_uid)
    _forget_instances(session, Instance.study_pk == study.id, Series.study_pk == study.id)
    session.execute(delete(Series).where(Series.study_pk == study.id))
    _forget_study(session, study)
    _remove_files_soon(session, actor)


def delete_series(session: Session, actor: Actor, uid: str) -> None:
    """Removes a series; its study too when nothing else is in it."""
    require(actor, Verb.STUDY_DELETE)
    lock_index(session)
    series = queries.series(session, actor, uid)
    study = queries.study_of(session, series)
    _refuse_locked(study)
    holds.refuse_held(session, study.study_instance_uid)
    _forget_instances(session, Instance.series_pk == series.id, Series.id == series.id)
    session.execute(delete(Series).where(Series.id == series.id))
    _recount(session, study)
    _remove_files_soon(session, actor)


def delete_instance(session: Session, actor: Actor, uid: str) -> None:
    """Removes one object; its series and study too when nothing else is in them."""
    require(actor, Verb.STUDY_DELETE)
    lock_index(session)
    instance = queries.instance(session, actor, uid)
    study, series = queries.study_of(session, instance), queries.series_by_pk(session, instance.series_pk)
    _refuse_locked(study)
    holds.refuse_held(session, study.study_instance_uid)
    _forget_instances(session, Instance.id == instance.id, Series.id == series.id)
    count, size = _counts(session, Instance.series_pk == series.id)
    if count:
        series.instance_count, series.bytes = count, size
    else:
        session.execute(delete(Series).where(Series.id == series.id))
    _recount(session, study)
    _remove_files_soon(session, actor)


def delete_instances(session: Session, actor: Actor, study_uid: str, pks: Sequence[int]) -> None:
    """Removes some objects of a study by their numbers; series and study too when nothing else is in them. Those that are
    gone already are passed over."""
    require(actor, Verb.STUDY_DELETE)
    lock_index(session)
    study = queries.study(session, actor, study_uid)
    _refuse_locked(study)
    holds.refuse_held(session, study.study_instance_uid)
    for start in range(0, len(pks), 500):
        some = pks[start : start + 500]
        _forget_instances(session, Instance.id.in_(some), Series.study_pk == study.id)
    for series in queries.series_of(session, study):
        count, size = _counts(session, Instance.series_pk == series.id)
        if count:
            series.instance_count, series.bytes = count, size
        else:
            session.execute(delete(Series).where(Series.id == series.id))
    _recount(session, study)
    _remove_files_soon(session, actor)


def _refuse_locked(study: Study) -> None:
    if study.locked:
        raise AlreadyDone("This study is locked against deletion.", hint="Unlock it first.")


def _forget_instances(session: Session, which: object, of_series: object) -> None:
    """Instance and header rows go, their files are noted for removal. of_series narrows the walk to an index."""
    chosen = select(Instance.id).join(Series, Series.id == Instance.series_pk).where(of_series, which)  # type: ignore[arg-type]
    paths = (
        select(Instance.path, Instance.sop_instance_uid, Instance.sha256, literal(now()))
        .join(Series, Series.id == Instance.series_pk)
        .where(of_series, which)  # type: ignore[arg-type]
    )
    session.execute(insert(DeletedFile).from_select(["path", "sop_instance_uid", "sha256", "deleted_at"], paths))
    session.execute(delete(InstanceHeader).where(InstanceHeader.instance_pk.in_(chosen)))
    session.execute(delete(Instance).where(Instance.id.in_(chosen)))


def _counts(session: Session, which: object) -> tuple[int, int]:
    row = session.execute(
        select(func.count(), func.coalesce(func.sum(Instance.bytes), 0)).where(which)  # type: ignore[arg-type]
    ).one()
    return int(row[0]), int(row[1])


def _recount(session: Session, study: Study) -> None:
    """A study's counts and modalities after something of it went; the study goes when it is empty."""
    session.flush()
    row = session.execute(
        select(
            func.count(),
            func.coalesce(func.sum(Series.instance_count), 0),
            func.coalesce(func.sum(Series.bytes), 0),
        ).where(Series.study_pk == study.id)
    ).one()
    if not row[0]:
        _forget_study(session, study)
        return
    study.series_count, study.instance_count, study.bytes = int(row[0]), int(row[1]), int(row[2])
    present = sorted(
        filter(None, session.scalars(select(Series.modality).where(Series.study_pk == study.id).distinct()))
    )
    session.execute(
        delete(StudyModality).where(StudyModality.study_pk == study.id, StudyModality.modality.not_in(present))
    )
    study.modalities = "\\".join(present)[:256]
    study.modmask = 0
    for modality in present:
        study.modmask |= modality_bit(modality)
    payload = {"study_instance_uid": study.study_instance_uid, "instances": study.instance_count}
    events.append(session, "study.changed", payload, facility_id=study.facility_id)


def _forget_study(session: Session, study: Study) -> None:
    session.execute(delete(StudyModality).where(StudyModality.study_pk == study.id))
    session.execute(delete(Study).where(Study.id == study.id))
    session.expunge(study)
    name = f"studies:{study.facility_id or ''}"
    session.execute(update(Counter).where(Counter.name == name).values(value=Counter.value - 1))
    if session.scalar(select(Study.id).where(Study.patient_pk == study.patient_pk).limit(1)) is None:
        session.execute(delete(Patient).where(Patient.id == study.patient_pk))
        if session.get_bind().dialect.name == "sqlite":
            for table in ("patient_words", "patient_parts"):
                session.execute(text(f"DELETE FROM {table} WHERE rowid = :pk"), {"pk": study.patient_pk})
    events.append(
        session, "study.deleted", {"study_instance_uid": study.study_instance_uid}, facility_id=study.facility_id
    )


def _remove_files_soon(session: Session, actor: Actor) -> None:
    jobs.enqueue(session, "archive.remove_files", {}, actor_name=actor.name, owner_id=actor.user_id, priority=_REMOVE)


# -- conflicts ---------------------------------------------------------------------------------------------------


def list_conflicts(session: Session, actor: Actor, *, state: str = "open", limit: int = 200) -> list[ObjectConflict]:
    """Objects on hold that wait for a decision, newest first (ARC-3)."""
    require(actor, Verb.CONFLICT_DECIDE)
    found = queries.conflicts(session, actor, state=state, limit=limit)
    for one in found:
        audit.record_study(one.study_instance_uid, one.event_facility_id)
    return found


def decide_conflicts(
    session: Session, actor: Actor, conflict_ids: Sequence[str], decision: Decision
) -> list[ObjectConflict]:
    """The same decision for several. Those that are decided already are left as they are. Raises Conflict, and decides
    nothing, where two of them are versions of one object and both would be taken in, one over the other."""
    chosen = [queries.conflict(session, actor, one) for one in dict.fromkeys(conflict_ids)]
    if decision != "keep-first":
        lock_index(session)  # a version that arrives meanwhile counts
        waiting = Counted(one.sop_instance_uid for one in _versions(session, actor, chosen))
        _refuse_several(max((waiting[one.sop_instance_uid] for one in chosen if one.state == "open"), default=0))
    return [decide_conflict(session, actor, one.id, decision) for one in chosen if one.state == "open"]


def _versions(session: Session, actor: Actor, chosen: Sequence[ObjectConflict]) -> list[ObjectConflict]:
    uids = list({one.sop_instance_uid for one in chosen})
    found: list[ObjectConflict] = []
    for start in range(0, len(uids), 500):
        found += queries.open_versions(session, actor, uids[start : start + 500])
    return found


def _refuse_several(versions: int) -> None:
    if versions > 1:
        raise AlreadyDone(
            phrase("This object has {number} later versions: select one.", number=versions),
            hint="Nothing was changed. Resolve these versions one by one; in REST use chosen.",
        )


def decide_conflict(
    session: Session, actor: Actor, conflict_id: str, decision: Decision, *, chosen: bool = True
) -> ObjectConflict:
    """Decides one: keep the first, overwrite it, or save the later one under new UIDs. The files follow by a job. Other
    later versions of the object stay open. chosen: a user saw that there are others; without, they must be none.
    Raises NotFound, Conflict when it is decided already, Invalid for an unknown decision."""
    require(actor, Verb.CONFLICT_DECIDE)
    if decision not in _STATES:
        raise Invalid(phrase("Choose one of {known}.", known=", ".join(_STATES)), field="decision")
    found = queries.conflict(session, actor, conflict_id)
    if not chosen and decision != "keep-first" and found.state == "open":
        lock_index(session)
        _refuse_several(len(_versions(session, actor, [found])))
    moment = now()
    changed = session.execute(
        update(ObjectConflict)
        .where(ObjectConflict.id == conflict_id, ObjectConflict.state == "open")
        .values(state=_STATES[decision], decided_by=actor.name, decided_at=moment)
        .returning(ObjectConflict.id)
    ).first()
    if changed is None:
        raise AlreadyDone("This conflict is already resolved.")
    session.refresh(found)
    jobs.enqueue(
        session,
        "archive.carry_out",
        {"conflict_id": conflict_id, "decision": decision},
        actor_name=actor.name,
        owner_id=actor.user_id,
        facility_id=found.event_facility_id,
    )
    payload = {"conflict_id": conflict_id, "study_instance_uid": found.study_instance_uid, "decision": decision}
    events.append(session, "conflict.decided", payload, facility_id=found.event_facility_id)
    return found
