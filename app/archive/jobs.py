"""Background entry points: `archive.prepare`, `archive.remove_files`, `archive.carry_out`."""

import zlib
from hashlib import sha256
from io import BytesIO
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from app.archive import cached, content, differences, differing, queries, rows, service
from app.archive.arriving import Source
from app.archive.errors import Damaged
from app.archive.ingest import Archive
from app.archive.models import (
    OTHER_FACILITY,
    STUDY_REPLACED,
    DeletedFile,
    Instance,
    InstanceHeader,
    ObjectConflict,
    Series,
    Study,
)
from app.archive.transaction import lock_index
from app.dicom import uids
from app.dicom.header import Header, scan_bytes
from app.jobs.context import JobContext, PermanentFault
from app.kit.errors import NotFound
from app.kit.phrases import of_fault
from app.security import SYSTEM

_CHUNK = 50


def prepare(context: JobContext, payload: dict[str, Any]) -> dict[str, Any]:
    """Makes the DICOM JSON of a settled study, so that the first who asks for its metadata need not wait."""
    made = 0
    with context.database.read() as session:
        study = session.scalar(select(Study).where(Study.study_instance_uid == payload["study_instance_uid"]))
        if study is None:
            return {"made": 0}
        pks = list(
            session.scalars(
                select(Instance.id).join(Series, Series.id == Instance.series_pk).where(Series.study_pk == study.id)
            )
        )
    for start in range(0, len(pks), _CHUNK):
        context.progress(start, len(pks))
        with context.database.read() as session:
            rows = session.execute(
                select(Instance, InstanceHeader.raw)
                .join(InstanceHeader, InstanceHeader.instance_pk == Instance.id)
                .where(Instance.id.in_(pks[start : start + _CHUNK]), InstanceHeader.json.is_(None))
            ).all()
        done = {one.id: packed for one, raw in rows if (packed := _json(context.archive, raw, one))}
        with context.database.write() as session:
            for header in session.scalars(select(InstanceHeader).where(InstanceHeader.instance_pk.in_(done))):
                header.json = done[header.instance_pk]
        made += len(done)
    context.progress(len(pks), len(pks))
    return {"made": made}


def _json(archive: Archive, raw: bytes, instance: Instance) -> bytes:
    """Compressed. Empty where the file changed or is gone: what is kept now would stay incomplete once it is repaired."""
    try:
        return zlib.compress(content.json_of(archive, raw, instance, complete=True), 1)
    except (Damaged, NotFound):
        return b""


def remove_files(context: JobContext, payload: dict[str, Any]) -> dict[str, Any]:
    """Removes the files of deleted rows and what was made from them. A path that has a row again (the object came anew)
    stays; its pictures are made again when they are asked for."""
    archive: Archive = context.archive
    removed = 0
    while True:
        context.check_cancelled()
        with context.database.write() as session:
            lock_index(session)
            batch = list(session.scalars(select(DeletedFile).order_by(DeletedFile.id).limit(200)))
            if not batch:
                return {"removed": removed}
            again = dict(
                session.execute(
                    select(Instance.sop_instance_uid, Instance.path).where(
                        Instance.sop_instance_uid.in_([row.sop_instance_uid for row in batch])
                    )
                ).all()
            )
            for row in batch:
                if again.get(row.sop_instance_uid) != row.path:
                    archive.store.remove(row.path)
                    removed += 1
                if row.sha256:
                    cached.discard(context.config.cache, row.sha256)
            session.execute(delete(DeletedFile).where(DeletedFile.id.in_([row.id for row in batch])))


def apply_decision(context: JobContext, payload: dict[str, Any]) -> dict[str, Any]:
    """Carries a decision on a conflict out. Each step can be done again, so a crash costs nothing."""
    archive: Archive = context.archive
    with context.database.read() as session:
        conflict = session.get(ObjectConflict, payload["conflict_id"])
    if conflict is None:
        raise PermanentFault("Conflict not found.")
    aside = archive.store.full_path(conflict.path)
    if not aside.exists():
        return {"outcome": "done before"}
    decision, outcome = payload["decision"], "kept-first"
    if decision != "keep-first":
        data = _held_file(archive, conflict)
        if decision == "overwrite":
            with context.database.write() as session:
                _move_colliding(session, conflict, scan_bytes(data))
        else:
            data = _with_new_uids(data, conflict)
        # It still comes from its sender; who decided is recorded in the audit trail.
        source = Source("job", actor_name=conflict.source, facility_id=conflict.facility_id)
        incoming = archive.receive(source)
        incoming.write(data)
        result = archive.ingest(incoming)
        if result.status not in ("stored", "duplicate"):
            raise PermanentFault(result.reason or "The object is in conflict again.")
        outcome = result.sop_instance_uid
        if decision == "overwrite":
            _compare_anew(context, outcome)
    aside.unlink(missing_ok=True)
    return {"outcome": outcome}


def _held_file(archive: Archive, conflict: ObjectConflict) -> bytes:
    """The file of an object on hold, which must be the one that was received: its checksum would be made anew."""
    try:
        with differing.open_held_file(archive, conflict) as file:
            return file.read()
    except Damaged as fault:
        raise PermanentFault(of_fault(fault)) from None


def _compare_anew(context: JobContext, sop_instance_uid: str) -> None:
    """The other versions of an object that was replaced wait against the new one, and what was on hold because the study
    was another patient's waits with the reason that holds now."""
    archive: Archive = context.archive
    with context.database.read() as session:
        stored = queries.find_counterpart(session, sop_instance_uid, "", "")
        if stored is None:
            return  # deleted meanwhile
        study = queries.study_of(session, stored).study_instance_uid
        found = []
        for one in queries.open_versions(session, SYSTEM, [sop_instance_uid]):
            names = differences.of_held_file(session, archive.store, one.path)
            same_study = one.study_instance_uid == study and not {"PatientID", "IssuerOfPatientID"} & set(names)
            again = same_study and one.reason in ("other patient", "other study")
            found.append((one.id, names, "other content" if again else one.reason))
        for one in queries.open_of_other_patient(session, study, sop_instance_uid):
            names = differences.of_held_file(session, archive.store, one.path)
            if {"PatientID", "IssuerOfPatientID"} & set(names):
                continue
            same = session.scalar(select(Instance.id).where(Instance.sop_instance_uid == one.sop_instance_uid))
            found.append((one.id, names, "other content" if same is not None else STUDY_REPLACED))
    with context.database.write() as session:
        for conflict_id, names, reason in found:
            queries.set_differences(session, conflict_id, names, reason=reason)


def _move_colliding(session: Session, conflict: ObjectConflict, header: Header) -> None:
    """Removes what is stored in the place of the later object: the object with its UID, its series where that is part
    of another study, or the whole study of the other patient or facility."""
    study = session.scalar(select(Study).where(Study.study_instance_uid == header.study_instance_uid))
    if study is not None and (
        # After the first of several objects of the study it is this patient's already.
        (
            conflict.reason == "other patient"
            and rows.describe(header).is_other_patient(study.patient_id, study.issuer_of_patient_id)
        )
        or (conflict.reason == OTHER_FACILITY and study.facility_id != conflict.facility_id)
    ):
        service.delete_study(session, SYSTEM, study.study_instance_uid)
        session.flush()
    if session.scalar(select(Instance.id).where(Instance.sop_instance_uid == header.sop_instance_uid)) is not None:
        service.delete_instance(session, SYSTEM, header.sop_instance_uid)
        session.flush()
    owner = session.scalar(
        select(Study.study_instance_uid)
        .join(Series, Series.study_pk == Study.id)
        .where(Series.series_instance_uid == header.series_instance_uid)
    )
    if owner is not None and owner != header.study_instance_uid:
        service.delete_series(session, SYSTEM, header.series_instance_uid)


def _with_new_uids(data: bytes, conflict: ObjectConflict) -> bytes:
    """The object under new UIDs: of the instance only where study and series are its own, else of all three. Objects of the
    same study, patient and facility get the same new Study and Series Instance UID."""
    from pydicom.uid import UID

    from app.dicom.reading import dcmread

    dataset = dcmread(BytesIO(data), force=True)

    def derived(uid: str) -> str:
        words = f"{uid}\\{dataset.get('PatientID', '')}\\{conflict.facility_id}\\{conflict.reason}"
        return f"2.25.{int.from_bytes(sha256(words.encode()).digest()[:16], 'big')}"

    if conflict.reason != "other content":
        dataset.StudyInstanceUID = derived(str(dataset.StudyInstanceUID))
        dataset.SeriesInstanceUID = derived(str(dataset.SeriesInstanceUID))
    dataset.SOPInstanceUID = (
        f"2.25.{int.from_bytes(sha256((conflict.id + conflict.sha256).encode()).digest()[:16], 'big')}"
    )
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    if "TransferSyntaxUID" not in dataset.file_meta:
        implicit, little = dataset.original_encoding
        known = uids.IMPLICIT_LE if implicit else uids.EXPLICIT_LE if little else uids.EXPLICIT_BE
        dataset.file_meta.TransferSyntaxUID = UID(known)
    out = BytesIO()
    dataset.save_as(out, enforce_file_format=True)
    return out.getvalue()
