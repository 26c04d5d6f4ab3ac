"""Tables: patient, study, study_modality, series, instance, instance_header, arrival_source, conflict, counter.

Patient columns are copied onto study so that a list of a million studies is one walk of one index (DESIGN 3.5)."""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index, LargeBinary, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base, BigKey
from app.kit.phrases import Phrase

RECEIVING, SETTLED = "receiving", "settled"
SEVERAL = "\\"  # source of a study whose objects came from several senders; no AE title has a backslash (PS3.5 6.2)
STUDY_REPLACED = (
    "study replaced"  # of a conflict: on hold for another patient's study, which this patient's has replaced
)
OTHER_FACILITY = "other facility"  # reason of a conflict that only people who see all facilities may know of


# Byte order, so that plain indexes serve prefixes on PostgreSQL too, whatever the cluster's locale.
Bytewise = String(400).with_variant(String(400, collation="C"), "postgresql")


class Patient(Base):
    __tablename__ = "patient"

    id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=True)
    identity: Mapped[str] = mapped_column(
        String(200), unique=True
    )  # facility, id and issuer; or the study's UID where there is no id
    patient_id: Mapped[str] = mapped_column(String(64), default="")
    issuer_of_patient_id: Mapped[str] = mapped_column(String(64), default="")
    patient_name: Mapped[str] = mapped_column(String(400), default="")
    birth_date: Mapped[str] = mapped_column(String(32), default="")
    sex: Mapped[str] = mapped_column(String(16), default="")
    fold: Mapped[str] = mapped_column(Bytewise, default="")  # the name's groups, each folded, `=` between
    pid_fold: Mapped[str] = mapped_column(Bytewise, default="")
    facility_id: Mapped[str | None] = mapped_column(ForeignKey("facility.id"))
    birth_time: Mapped[str] = mapped_column(String(16), default="")
    ethnic_group: Mapped[str] = mapped_column(String(64), default="")
    comments: Mapped[str] = mapped_column(String(1024), default="")
    other_patient_ids: Mapped[str] = mapped_column(String(400), default="")
    other_patient_names: Mapped[str] = mapped_column(String(400), default="")
    created_at: Mapped[datetime]


_RECEIVING = text(f"state = '{RECEIVING}'")


class Study(Base):
    """Its indexes are those of the list (DESIGN 3.5): each holds all that a walk tests, so rows are read last."""

    __tablename__ = "study"
    __table_args__ = (
        Index("ix_study_dt", "dt", "id", "facility_id", "modmask", "fold", "pid_fold"),
        Index("ix_study_facility_dt", "facility_id", "dt", "id", "modmask", "fold", "pid_fold"),
        Index("ix_study_fold", "fold", "id", "dt", "facility_id", "modmask", "pid_fold"),
        Index("ix_study_pid", "pid_fold", "id", "dt", "facility_id", "modmask", "fold"),
        Index("ix_study_description", "description_fold", "id"),
        Index("ix_study_referring", "referring_fold", "id"),
        Index("ix_study_birth", "birth_date", "id"),
        Index("ix_study_study_id", "study_id", "id"),
        Index("ix_study_accession", "accession_number", "id"),
        Index("ix_study_received", "received_at", "id", "facility_id"),
        Index("ix_study_receiving", "id", sqlite_where=_RECEIVING, postgresql_where=_RECEIVING),
    )

    id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=True)
    patient_pk: Mapped[int] = mapped_column(ForeignKey("patient.id"), index=True)
    study_instance_uid: Mapped[str] = mapped_column(String(64), unique=True)
    facility_id: Mapped[str | None] = mapped_column(ForeignKey("facility.id"))
    study_date: Mapped[str] = mapped_column(String(32), default="")
    study_time: Mapped[str] = mapped_column(String(16), default="")
    dt: Mapped[int] = mapped_column(
        BigInteger, default=0
    )  # YYYYMMDDhhmmss of date and time, 0 where there is none: the sort key
    accession_number: Mapped[str] = mapped_column(Bytewise, default="")
    study_id: Mapped[str] = mapped_column(Bytewise, default="")
    description: Mapped[str] = mapped_column(String(256), default="")
    description_fold: Mapped[str] = mapped_column(Bytewise, default="")
    referring_physician: Mapped[str] = mapped_column(String(400), default="")
    referring_fold: Mapped[str] = mapped_column(Bytewise, default="")
    physicians_of_record: Mapped[str] = mapped_column(String(400), default="")
    reading_physicians: Mapped[str] = mapped_column(String(400), default="")
    admitting_diagnoses: Mapped[str] = mapped_column(String(256), default="")
    patient_age: Mapped[str] = mapped_column(String(16), default="")
    patient_size: Mapped[str] = mapped_column(String(16), default="")
    patient_weight: Mapped[str] = mapped_column(String(16), default="")
    occupation: Mapped[str] = mapped_column(String(64), default="")
    patient_history: Mapped[str] = mapped_column(String(1024), default="")
    timezone_offset: Mapped[str] = mapped_column(String(8), default="")
    character_set: Mapped[str] = mapped_column(String(128), default="")
    sop_classes: Mapped[str] = mapped_column(String(1024), default="")  # SOP Classes in Study, separated by a backslash
    modalities: Mapped[str] = mapped_column(String(256), default="")  # sorted, separated by a backslash as in DICOM
    modmask: Mapped[int] = mapped_column(BigInteger, default=0)
    patient_name: Mapped[str] = mapped_column(String(400), default="")
    patient_id: Mapped[str] = mapped_column(String(64), default="")
    issuer_of_patient_id: Mapped[str] = mapped_column(String(64), default="")
    birth_date: Mapped[str] = mapped_column(String(32), default="")
    sex: Mapped[str] = mapped_column(String(16), default="")
    fold: Mapped[str] = mapped_column(Bytewise, default="")
    pid_fold: Mapped[str] = mapped_column(Bytewise, default="")
    series_count: Mapped[int] = mapped_column(default=0)
    instance_count: Mapped[int] = mapped_column(default=0)
    bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    state: Mapped[str] = mapped_column(String(10), default=RECEIVING)
    settled_to: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    # the highest instance.id that an event study.settled of this study covered
    source: Mapped[str] = mapped_column(String(64), default="")  # calling AE title, who uploaded it, or SEVERAL
    received_at: Mapped[datetime]
    last_received_at: Mapped[datetime]
    locked: Mapped[bool] = mapped_column(default=False)


class StudyModality(Base):
    __tablename__ = "study_modality"
    __table_args__ = (Index("ix_study_modality_dt", "modality", "dt", "study_pk"),)

    study_pk: Mapped[int] = mapped_column(ForeignKey("study.id", ondelete="CASCADE"), primary_key=True)
    modality: Mapped[str] = mapped_column(String(16), primary_key=True)
    dt: Mapped[int] = mapped_column(BigInteger, default=0)


class Series(Base):
    __tablename__ = "series"

    id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=True)
    study_pk: Mapped[int] = mapped_column(ForeignKey("study.id", ondelete="CASCADE"), index=True)
    series_instance_uid: Mapped[str] = mapped_column(String(64), unique=True)
    modality: Mapped[str] = mapped_column(String(16), default="")
    series_number: Mapped[int | None]
    description: Mapped[str] = mapped_column(String(256), default="")
    body_part: Mapped[str] = mapped_column(String(64), default="")
    laterality: Mapped[str] = mapped_column(String(16), default="")
    protocol_name: Mapped[str] = mapped_column(String(256), default="")
    manufacturer: Mapped[str] = mapped_column(String(128), default="")
    model_name: Mapped[str] = mapped_column(String(128), default="")
    station_name: Mapped[str] = mapped_column(String(64), default="")
    institution: Mapped[str] = mapped_column(String(128), default="")
    series_date: Mapped[str] = mapped_column(String(32), default="")
    series_time: Mapped[str] = mapped_column(String(16), default="")
    pps_start_date: Mapped[str] = mapped_column(String(32), default="")
    pps_start_time: Mapped[str] = mapped_column(String(16), default="")
    scheduled_step_id: Mapped[str] = mapped_column(String(64), default="")
    requested_procedure_id: Mapped[str] = mapped_column(String(64), default="")
    performing_physician: Mapped[str] = mapped_column(String(400), default="")
    operators: Mapped[str] = mapped_column(String(400), default="")
    frame_of_reference_uid: Mapped[str] = mapped_column(String(64), default="")
    timezone_offset: Mapped[str] = mapped_column(String(8), default="")
    instance_count: Mapped[int] = mapped_column(default=0)
    bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    received_at: Mapped[datetime]


class Instance(Base):
    __tablename__ = "instance"
    # AUTOINCREMENT: events and runs of routes name objects by their numbers, so SQLite must not use a number twice.
    __table_args__ = (
        Index("ix_instance_series_order", "series_pk", "instance_number", "id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=True)
    series_pk: Mapped[int] = mapped_column(ForeignKey("series.id", ondelete="CASCADE"))
    study_pk: Mapped[int] = mapped_column(BigInteger)
    # no foreign key and no index: the series has both, and each index costs every object that comes in
    sop_instance_uid: Mapped[str] = mapped_column(String(64), unique=True)
    sop_class_uid: Mapped[str] = mapped_column(String(64))
    transfer_syntax_uid: Mapped[str] = mapped_column(String(64))
    instance_number: Mapped[int | None]
    rows: Mapped[int] = mapped_column(default=0)
    columns: Mapped[int] = mapped_column(default=0)
    samples: Mapped[int] = mapped_column(default=0)
    bits_allocated: Mapped[int] = mapped_column(default=0)
    number_of_frames: Mapped[int] = mapped_column(default=0)  # 0: no image
    photometric: Mapped[str] = mapped_column(String(24), default="")
    content_date: Mapped[str] = mapped_column(String(32), default="")
    content_time: Mapped[str] = mapped_column(String(16), default="")
    path: Mapped[str] = mapped_column(String(1024))  # below the store's root, with /
    bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(String(64))
    character_set: Mapped[str] = mapped_column(String(128), default="")
    data_set_offset: Mapped[int]  # first byte after the file meta information
    pixel_offset: Mapped[int | None] = mapped_column(BigInteger)
    # first byte of the pixel data's value in the file; of a deflated object in the inflated data set
    pixel_bytes: Mapped[int | None] = mapped_column(BigInteger)  # None: no pixels; -1: undefined length (encapsulated)
    warnings: Mapped[list[Phrase]] = mapped_column(default=list)
    received_at: Mapped[datetime]
    source_pk: Mapped[
        int | None
    ]  # arrival_source.id; without an index for the reason above; None: it came before there was this


class ArrivalSource(Base):
    """Sources of objects, one row for each way: what a rule may ask, and whom a route must not send it back to."""

    __tablename__ = "arrival_source"
    __table_args__ = (UniqueConstraint("kind", "calling_ae", "called_ae", "node_id"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    kind: Mapped[str] = mapped_column(String(16))  # as in arriving.Source
    calling_ae: Mapped[str] = mapped_column(String(16), default="")
    called_ae: Mapped[str] = mapped_column(String(16), default="")
    node_id: Mapped[str] = mapped_column(String(26), default="")  # "": no known node


class InstanceHeader(Base):
    """Beside the instance, so that its row stays narrow."""

    __tablename__ = "instance_header"

    instance_pk: Mapped[int] = mapped_column(ForeignKey("instance.id", ondelete="CASCADE"), primary_key=True)
    raw: Mapped[bytes] = mapped_column(
        LargeBinary
    )  # file meta and data set up to the pixels (and what follows them), zlib level 1
    json: Mapped[bytes | None] = mapped_column(LargeBinary)  # DICOM JSON, zlib; made on first reading
    frames: Mapped[bytes | None] = mapped_column(LargeBinary)  # encapsulated: where each frame's fragments lie


class ObjectConflict(Base):
    """Different content under a UID that is already here: on hold until a user decides (ARC-3)."""

    __tablename__ = "conflict"

    id: Mapped[str] = mapped_column(String(26), primary_key=True)
    study_instance_uid: Mapped[str] = mapped_column(String(64), index=True)
    sop_instance_uid: Mapped[str] = mapped_column(String(64), index=True)
    facility_id: Mapped[str | None] = mapped_column(String(26))
    reason: Mapped[str] = mapped_column(
        String(64)
    )  # other content, other patient, other facility, other study, study replaced
    differences: Mapped[list[str]] = mapped_column(default=list)  # keywords that differ, never values
    path: Mapped[str] = mapped_column(String(1024))
    sha256: Mapped[str] = mapped_column(String(64))
    bytes: Mapped[int] = mapped_column(BigInteger)
    source: Mapped[str] = mapped_column(String(64), default="")
    state: Mapped[str] = mapped_column(String(16), default="open")  # open, kept-first, overwritten, saved-as-new
    decided_by: Mapped[str | None] = mapped_column(String(128))
    decided_at: Mapped[datetime | None]
    received_at: Mapped[datetime]

    @property
    def event_facility_id(self) -> str | None:
        """The facility whose users may see it; None: only those who see all facilities, since it meets another's
        object."""
        return None if self.reason == OTHER_FACILITY else self.facility_id


class DeletedFile(Base):
    """A file whose rows are gone: removed by the job `archive.remove_files`, tried again until it is."""

    __tablename__ = "deleted_file"

    id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=True)
    path: Mapped[str] = mapped_column(String(1024))
    sop_instance_uid: Mapped[str] = mapped_column(String(64), default="")
    sha256: Mapped[str] = mapped_column(String(64), default="", server_default="")
    deleted_at: Mapped[datetime]


class StudyHold(Base):
    """A study that something is still to be done with (it is on its way to a node): it is not deleted until then.
    holder: whose work that is, as transfer:<id>; the packages above put the row in and take it away (archive/holds.py)."""

    __tablename__ = "study_hold"

    study_instance_uid: Mapped[str] = mapped_column(String(64), primary_key=True)
    holder: Mapped[str] = mapped_column(String(64), primary_key=True)


class Counter(Base):
    """Totals that must not be counted: studies per facility."""

    __tablename__ = "counter"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    value: Mapped[int] = mapped_column(BigInteger, default=0)
