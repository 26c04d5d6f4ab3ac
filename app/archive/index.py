"""The rows of a batch of objects: decided and written in one transaction of the index."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from app.archive.arriving import ArrivingObject, Source, StoredVersion
from app.archive.models import OTHER_FACILITY, SEVERAL
from app.archive.rows import modality_bit
from app.archive.search.ddl import fts_text
from app.archive.transaction import Transaction
from app.kit.clock import now
from app.kit.phrases import NOTHING, Phrase, packed, phrase


@dataclass(slots=True)
class _KnownRow:
    """A study or series row as far as the batch needs it."""

    id: int
    facility_id: str | None
    patient_id: str
    issuer: str
    modalities: str
    modmask: int
    dt: int
    sop_classes: str
    state: str = "receiving"
    study_pk: int = 0
    source: str = ""  # of a study, as its column says
    several: bool = False  # its objects turned out to come from several
    new_instances: int = 0
    new_bytes: int = 0
    new_series: int = 0
    widened: bool = False
    first: int = 0  # instance.id of the first and last new object
    last: int = 0


class Files(Protocol):
    """File operations of a batch while the index is locked, before the commit."""

    def place_file(self, entry: ArrivingObject) -> None: ...
    def hold_file(self, entry: ArrivingObject) -> tuple[str, str]: ...
    def same_content(self, entry: ArrivingObject, there: StoredVersion) -> bool: ...
    def restore(self, entry: ArrivingObject, there: StoredVersion) -> None: ...


class IndexBatch:
    """Decides and writes the rows of a batch, in order."""

    def __init__(self, transaction: Transaction, files: Files) -> None:
        self.sql = transaction
        self.files = files
        self.at = transaction.moment(now())
        self.studies: dict[str, _KnownRow | None] = {}
        self.series: dict[str, _KnownRow | None] = {}
        self.existing: dict[str, StoredVersion] = {}
        self.sources: dict[tuple[str, str, str, str], int] = {}

    def write(self, entries: Sequence[ArrivingObject]) -> None:
        uids = list({e.header.sop_instance_uid for e in entries})
        marks = ", ".join("?" * len(uids))
        self.existing = {
            row[0]: StoredVersion(*row[1:])
            for row in self.sql.rows(
                "SELECT i.sop_instance_uid, i.sha256, i.path, s.study_instance_uid, i.transfer_syntax_uid, "
                "i.data_set_offset, i.bytes, s.facility_id FROM instance i "
                f"JOIN study s ON s.id = i.study_pk WHERE i.sop_instance_uid IN ({marks})",
                uids,
            )
        }
        for entry in entries:
            self._index_entry(entry)
        self._finish()
        self.sql.write_events()

    def _index_entry(self, entry: ArrivingObject) -> None:
        h = entry.header
        there = self.existing.get(h.sop_instance_uid)
        study, series = self._study(h.study_instance_uid), self._series(h.series_instance_uid)
        if any(known is not None and _is_foreign(entry, known.facility_id) for known in (there, study, series)):
            self._record_conflict(entry, OTHER_FACILITY)
        elif there is not None:
            self._index_duplicate(entry, there)
        elif study is not None and entry.rows.is_other_patient(study.patient_id, study.issuer):
            self._record_conflict(entry, "other patient")
        elif series is not None and (study is None or series.study_pk != study.id):
            self._record_conflict(entry, "other study", _OTHER_SERIES)
        else:
            study = study or self._new_study(entry)
            self._new_instance(entry, study, series or self._new_series(entry, study))
            entry.decide("stored")

    def _index_duplicate(self, entry: ArrivingObject, there: StoredVersion) -> None:
        """An object whose UID is here already: the same once more, whatever its encoding, or other content."""
        h = entry.header
        if there.sha256 == entry.sha256:
            self._identical(entry, there)
        elif entry.compared.get(there.sha256) or self.files.same_content(entry, there):
            entry.decide("duplicate")
        elif there.study_instance_uid != h.study_instance_uid:
            self._record_conflict(entry, "other study")
        elif there.sha256 not in entry.compared:
            entry.undecided = there
        else:
            other = there.transfer_syntax_uid != h.transfer_syntax_uid
            self._record_conflict(entry, "other content", _OTHER_SYNTAX if other else NOTHING)

    def _identical(self, entry: ArrivingObject, there: StoredVersion) -> None:
        """The same bytes once more. The sender may delete its own, so the stored file is read first and must be whole."""
        if there.sha256 not in entry.compared:
            entry.undecided = there
            return
        if not entry.compared[there.sha256]:
            self.files.restore(entry, there)
        entry.decide("duplicate")

    def _study(self, uid: str) -> _KnownRow | None:
        if uid not in self.studies:
            found = self.sql.rows(
                "SELECT id, facility_id, patient_id, issuer_of_patient_id, modalities, modmask, dt, sop_classes, state, "
                "source FROM study WHERE study_instance_uid = ?",
                (uid,),
            )
            self.studies[uid] = known = _KnownRow(*found[0][:9]) if found else None
            if known:
                known.source = found[0][9]
        return self.studies[uid]

    def _series(self, uid: str) -> _KnownRow | None:
        if uid not in self.series:
            found = self.sql.rows(
                "SELECT e.id, e.study_pk, s.facility_id FROM series e JOIN study s ON s.id = e.study_pk "
                "WHERE e.series_instance_uid = ?",
                (uid,),
            )
            self.series[uid] = _series_row(*found[0]) if found else None
        return self.series[uid]

    def _patient(self, entry: ArrivingObject) -> int:
        facility = entry.source.facility_id
        identity = f"{facility or ''}\\{entry.rows.identity_without_facility}"
        found = self.sql.rows("SELECT id, fold, pid_fold FROM patient WHERE identity = ?", (identity,))
        if found:
            self._another_name(int(found[0][0]), found[0][1], found[0][2], entry.rows.patient["fold"])
            return int(found[0][0])
        row = entry.rows.patient | {"identity": identity, "facility_id": facility, "created_at": self.at}
        pk = self.sql.insert("patient", row)
        self._index_words(pk, row["fold"], row["pid_fold"])
        return pk

    def _index_words(self, pk: int, fold: str, pid_fold: str) -> None:
        if not self.sql.postgresql:
            text = fts_text(fold, pid_fold)
            self.sql.run("INSERT INTO patient_words (rowid, words) VALUES (?, ?)", (pk, text))
            self.sql.run("INSERT INTO patient_parts (rowid, parts) VALUES (?, ?)", (pk, text))

    def _another_name(self, pk: int, known: str, pid_fold: str, fold: str) -> None:
        """The same patient under another name (married, corrected, misspelt): found by both."""
        if not fold or fold in known:
            return
        folds = f"{fold}={known}"[:400]
        self.sql.run("UPDATE patient SET fold = ? WHERE id = ?", (folds, pk))
        if not self.sql.postgresql:
            for table in ("patient_words", "patient_parts"):
                self.sql.run(f"DELETE FROM {table} WHERE rowid = ?", (pk,))
        self._index_words(pk, folds, pid_fold)

    def _new_study(self, entry: ArrivingObject) -> _KnownRow:
        facility = entry.source.facility_id
        row = entry.rows.study | {
            "patient_pk": self._patient(entry), "facility_id": facility, "series_count": 0, "instance_count": 0, "bytes": 0,
            "state": "receiving", "source": entry.source.label, "received_at": self.at, "last_received_at": self.at,
            "locked": False,
        }  # fmt: skip
        pk = self.sql.insert("study", row)
        if row["modalities"]:
            self.sql.run(
                "INSERT INTO study_modality (study_pk, modality, dt) VALUES (?, ?, ?)",
                (pk, row["modalities"], row["dt"]),
            )
        self.sql.count(f"studies:{facility or ''}", 1)
        known = _KnownRow(
            pk, facility, row["patient_id"], row["issuer_of_patient_id"], row["modalities"], row["modmask"], row["dt"],
            row["sop_classes"], source=row["source"],
        )  # fmt: skip
        self.studies[entry.header.study_instance_uid] = known
        return known

    def _new_series(self, entry: ArrivingObject, study: _KnownRow) -> _KnownRow:
        row = entry.rows.series | {"study_pk": study.id, "instance_count": 0, "bytes": 0, "received_at": self.at}
        known = _series_row(self.sql.insert("series", row), study.id, study.facility_id)
        self.series[entry.header.series_instance_uid] = known
        study.new_series += 1
        return known

    def _source_id(self, source: Source) -> int:
        """The number of this way in."""
        key = (source.kind[:16], source.calling_ae[:16], source.called_ae[:16], source.node_id)
        if key not in self.sources:
            found = self.sql.rows(
                "SELECT id FROM arrival_source WHERE kind = ? AND calling_ae = ? AND called_ae = ? AND node_id = ?", key
            )
            row = dict(zip(("kind", "calling_ae", "called_ae", "node_id"), key, strict=True))
            self.sources[key] = found[0][0] if found else self.sql.insert("arrival_source", row)
        return self.sources[key]

    def _new_instance(self, entry: ArrivingObject, study: _KnownRow, series: _KnownRow) -> None:
        size, h = entry.incoming.size, entry.header
        row = entry.rows.instance | {
            "series_pk": series.id, "study_pk": study.id, "path": entry.path, "bytes": size, "sha256": entry.sha256,
            "warnings": json.dumps(packed(h.warnings)), "received_at": self.at, "source_pk": self._source_id(entry.source),
        }  # fmt: skip
        pk = self.sql.insert("instance", row)
        self.sql.run(
            "INSERT INTO instance_header (instance_pk, raw, frames) VALUES (?, ?, ?)", (pk, h.kept, entry.frames)
        )
        self.files.place_file(entry)
        self.existing[h.sop_instance_uid] = StoredVersion(
            entry.sha256,
            entry.path,
            h.study_instance_uid,
            h.transfer_syntax_uid,
            h.data_set_offset,
            size,
            study.facility_id,
        )
        study.first, study.last = study.first or pk, pk
        for known in (study, series):
            known.new_instances += 1
            known.new_bytes += size
        if study.source not in (entry.source.label, SEVERAL):
            study.source, study.several = SEVERAL, True
        self._add_study_values(entry, study)

    def _add_study_values(self, entry: ArrivingObject, study: _KnownRow) -> None:
        """A modality or SOP class that the study did not have yet."""
        modality, sop_class = entry.rows.modality, entry.header.sop_class_uid
        present = study.modalities.split("\\") if study.modalities else []
        if modality and modality not in present and len(study.modalities) + len(modality) < 255:
            study.modalities = "\\".join(sorted([*present, modality]))
            study.modmask |= modality_bit(modality)
            study.widened = True
            self.sql.run(
                "INSERT INTO study_modality (study_pk, modality, dt) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                (study.id, modality, study.dt),
            )
        classes = study.sop_classes.split("\\") if study.sop_classes else []
        if sop_class not in classes and len(study.sop_classes) + len(sop_class) < 1023:
            study.sop_classes, study.widened = "\\".join([*classes, sop_class]), True

    def _record_conflict(self, entry: ArrivingObject, reason: str, words: Phrase = NOTHING) -> None:
        h = entry.header
        same = self.sql.rows(
            "SELECT id, differences FROM conflict WHERE sop_instance_uid = ? AND sha256 = ? AND state = 'open' "
            "AND COALESCE(facility_id, '') = ?",  # another facility's waits for a decision of its own
            (h.sop_instance_uid, entry.sha256, entry.source.facility_id or ""),
        )
        if same and same[0][1] in ("[]", []):
            entry.conflict_id = same[0][0]  # a crash came before they were found
        if not same:
            entry.conflict_id, path = self.files.hold_file(entry)
            facility = entry.source.facility_id
            self.sql.add(
                "conflict",
                {
                    "id": entry.conflict_id, "study_instance_uid": h.study_instance_uid,
                    "sop_instance_uid": h.sop_instance_uid, "facility_id": facility, "reason": reason,
                    "differences": "[]", "path": path, "sha256": entry.sha256, "bytes": entry.incoming.size,
                    "source": entry.source.label, "state": "open", "received_at": self.at,
                },
            )  # fmt: skip
            self.sql.add_event(
                "conflict.opened",
                None if reason == OTHER_FACILITY else facility,
                {"conflict_id": entry.conflict_id, "study_instance_uid": h.study_instance_uid, "reason": reason},
            )
        if entry.source.elsewhere:
            reason, words = OTHER_FACILITY, NOTHING  # to its sender, like what meets another facility
        entry.decide(
            "conflict", words or _REASONS[reason], _COMMENTS.get(words, _COMMENTS[reason]), reason == "other content"
        )

    def _finish(self) -> None:
        """Counts, and one event per study."""
        for series in self.series.values():
            if series and series.new_instances:
                self.sql.run(
                    "UPDATE series SET instance_count = instance_count + ?, bytes = bytes + ? WHERE id = ?",
                    (series.new_instances, series.new_bytes, series.id),
                )
        for uid, study in self.studies.items():
            if study and study.new_instances:
                self.sql.run(
                    "UPDATE study SET instance_count = instance_count + ?, bytes = bytes + ?, "
                    "series_count = series_count + ?, last_received_at = ? WHERE id = ?",
                    (study.new_instances, study.new_bytes, study.new_series, self.at, study.id),
                )
                if study.state != "receiving":
                    self.sql.run("UPDATE study SET state = 'receiving' WHERE id = ?", (study.id,))
                if study.several:
                    self.sql.run("UPDATE study SET source = ? WHERE id = ?", (study.source, study.id))
                if study.widened:  # named apart: to name an indexed column is to rewrite its indexes
                    self.sql.run(
                        "UPDATE study SET modalities = ?, modmask = ?, sop_classes = ? WHERE id = ?",
                        (study.modalities, study.modmask, study.sop_classes, study.id),
                    )
                numbers = {"first": study.first, "last": study.last}
                payload = {"study_instance_uid": uid, "instances": study.new_instances, **numbers}
                self.sql.add_event("study.arriving", study.facility_id, payload)


def _series_row(pk: int, study_pk: int, facility_id: str | None) -> _KnownRow:
    return _KnownRow(pk, facility_id, "", "", "", 0, 0, "", "", study_pk)


def _is_foreign(entry: ArrivingObject, facility_id: str | None) -> bool:
    """Whether something here is of a facility whose objects the sender may not know of (SEC-10)."""
    own_facility = entry.source.facility_id
    return own_facility is not None and own_facility != facility_id and not entry.source.sees_all


_OTHER_SYNTAX = phrase("This object is stored in another transfer syntax; the new object is on hold.")
_OTHER_SERIES = phrase("The series belongs to another stored study; this object is on hold.")
_REASONS = {
    "other content": phrase("A different object with this SOP Instance UID is stored; the new object is on hold."),
    "other study": phrase("The SOP or Series Instance UID belongs to another stored study; this object is on hold."),
    "other patient": phrase("The study is stored for another patient; this object is on hold."),
    OTHER_FACILITY: phrase("The object is on hold until an administrator resolves the conflict."),
}
_COMMENTS = {  # at most 64 characters each
    "other content": "Kept aside: other content under a known SOP Instance UID",
    _OTHER_SERIES: "Kept aside: its series belongs to another study",
    "other study": "Kept aside: its SOP Instance UID belongs to another study",
    "other patient": "Kept aside: its study belongs to another patient",
    OTHER_FACILITY: "On hold until an administrator decides",
}
