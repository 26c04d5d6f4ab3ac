"""The same UID again (ARC-3): no-op, conflict, and each decision."""

import os
import threading
import time
from typing import Any

import pytest
from sqlalchemy import func, select

from app import events
from app.archive import Archive, IngestOutcome, Source, content, differing, jobs, queries, service
from app.archive.errors import Damaged
from app.archive.models import Instance, ObjectConflict, Study
from app.jobs.context import PermanentFault
from app.kit.errors import Conflict as Decided
from app.kit.errors import Forbidden
from app.security import SYSTEM, Actor
from tests.archive.conftest import Put
from tests.archive.make import ct, ct_bytes, part10
from tests.support.archive_jobs import leftovers, run_job


def _stored(archive: Archive) -> dict[str, bytes]:
    with archive.database.read() as session:
        return {
            row.sop_instance_uid: b"".join(content.iter_object(archive, row))
            for row in session.scalars(select(Instance))
        }


def test_identical_content_is_a_no_op(archive: Archive, put: Put) -> None:
    data = ct_bytes()
    assert put(data).status == "stored"
    assert put(data).status == "duplicate"
    assert len(_stored(archive)) == 1
    assert leftovers(archive) == []


def test_another_writers_file_meta_information_does_not_make_it_another_object(archive: Archive, put: Put) -> None:
    ds = ct()
    put(part10(ds))
    ds.file_meta.ImplementationVersionName = "SOMEBODY ELSE"
    assert put(part10(ds)).status == "duplicate"


def test_identical_objects_at_the_same_moment_are_stored_once(archive: Archive, put: Put) -> None:
    data = ct_bytes()
    outcomes: list[IngestOutcome] = []
    threads = [threading.Thread(target=lambda: outcomes.append(put(data))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(o.status for o in outcomes) == ["duplicate"] * 7 + ["stored"]
    assert list(_stored(archive).values()) == [data]


def test_different_content_is_kept_aside_and_the_first_stays(archive: Archive, put: Put) -> None:
    first, second = ct_bytes(), ct_bytes(StudyDescription="Changed")
    put(first)
    outcome = put(second)
    assert (outcome.status, bool(outcome.reason)) == ("conflict", True)
    assert put(second).status == "conflict"  # the same again: no second row
    assert _stored(archive)["1.2.3.1.1.1"] == first
    with archive.database.read() as session:
        conflict = session.scalars(select(ObjectConflict)).one()
        assert conflict.reason == "other content"
        assert archive.store.full_path(conflict.path).read_bytes() == second
        topics = [e.topic for e in events.after(session, 0)]
    assert topics.count("conflict.opened") == 1


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"PatientID": "P2", "sop": "1.2.3.1.1.2"}, "other patient"),
        ({"study": "1.2.3.9", "sop": "1.2.3.1.1.2"}, "other study"),
        ({"study": "1.2.3.9", "series": "1.2.3.9.1"}, "other study"),
    ],
)
def test_uids_that_belong_elsewhere_are_conflicts(
    archive: Archive, put: Put, change: dict[str, str], reason: str
) -> None:
    put(ct_bytes())
    assert put(ct_bytes(**change)).status == "conflict"
    with archive.database.read() as session:
        assert session.scalars(select(ObjectConflict.reason)).all() == [reason]


def test_a_new_object_of_a_known_study_is_no_conflict(archive: Archive, put: Put) -> None:
    put(ct_bytes())
    assert put(ct_bytes("1.2.3.1.1.2")).status == "stored"
    assert put(ct_bytes("1.2.3.1.2.1", series="1.2.3.1.2", Modality="PT")).status == "stored"
    with archive.database.read() as session:
        study = queries.study(session, SYSTEM, "1.2.3.1")
        assert (study.series_count, study.instance_count, study.modalities) == (2, 3, "CT\\PT")
        assert study.bytes == sum(map(len, _stored(archive).values()))


def test_overwriting_by_another_patient_renews_the_reason_of_the_other_objects(archive: Archive, put: Put) -> None:
    put(ct_bytes())
    for end in "234":
        put(ct_bytes(f"1.2.3.1.1.{end}", PatientID="P3" if end == "4" else "P2"))
    first, second, third = _open(archive)
    with archive.database.write() as session:
        service.decide_conflict(session, SYSTEM, first.id, "overwrite")
    _carry_out(archive, first.id)
    assert [(one.id, one.reason) for one in _open(archive)] == [
        (second.id, "study replaced"),
        (third.id, "other patient"),
    ]
    with archive.database.write() as session:
        service.decide_conflict(session, SYSTEM, second.id, "overwrite")
    _carry_out(archive, second.id)
    assert sorted(_stored(archive)) == ["1.2.3.1.1.2", "1.2.3.1.1.3"], "nothing of the study was deleted"


def _conflict(archive: Archive, put: Put, second: bytes) -> str:
    assert put(second).status == "conflict"
    with archive.database.read() as session:
        return session.scalars(select(ObjectConflict.id).where(ObjectConflict.state == "open")).one()


def _decide(archive: Archive, conflict: str, decision: Any) -> None:
    with archive.database.write() as session:
        service.decide_conflict(session, SYSTEM, conflict, decision)
    for _ in range(2):  # a job may run twice
        run_job(archive, jobs.apply_decision, {"conflict_id": conflict, "decision": decision})
        run_job(archive, jobs.remove_files, {})
    assert not list((archive.config.store / ".aside").iterdir())
    with pytest.raises(Decided), archive.database.write() as session:
        service.decide_conflict(session, SYSTEM, conflict, decision)


def test_keep_first(archive: Archive, put: Put) -> None:
    first = ct_bytes()
    put(first)
    _decide(archive, _conflict(archive, put, ct_bytes(StudyDescription="B")), "keep-first")
    assert list(_stored(archive).values()) == [first]


def test_overwrite(archive: Archive, put: Put) -> None:
    second = ct_bytes(StudyDescription="B")
    put(ct_bytes())
    put(ct_bytes("1.2.3.1.1.2"))
    _decide(archive, _conflict(archive, put, second), "overwrite")
    assert _stored(archive)["1.2.3.1.1.1"] == second
    with archive.database.read() as session:
        study = queries.study(session, SYSTEM, "1.2.3.1")
        assert (study.instance_count, study.source) == (2, "test"), "it still comes from its sender"


@pytest.mark.parametrize("decision", ["overwrite", "save-as-new"])
def test_a_version_whose_file_changed_is_neither_shown_nor_stored(archive: Archive, put: Put, decision: str) -> None:
    first = ct_bytes()
    put(first)
    chosen = _conflict(archive, put, ct_bytes(pixels=b"\x05\x00" * 16))
    with archive.database.read() as session:
        conflict = session.get_one(ObjectConflict, chosen)
        assert differing.first_frame(session, conflict).frame == b"\x05\x00" * 16
    path = archive.store.full_path(conflict.path)
    path.write_bytes(path.read_bytes()[:-1] + b"\x07")
    os.utime(path, (time.time() + 60,) * 2)
    with archive.database.read() as session, pytest.raises(Damaged):
        differing.first_frame(session, conflict)
    with pytest.raises(PermanentFault, match="damaged"):
        run_job(archive, jobs.apply_decision, {"conflict_id": chosen, "decision": decision})
    assert list(_stored(archive).values()) == [first]


def test_overwrite_by_another_patients_object_replaces_the_study(archive: Archive, put: Put) -> None:
    second = ct_bytes("1.2.3.1.1.2", PatientID="P2")
    put(ct_bytes())
    _decide(archive, _conflict(archive, put, second), "overwrite")
    assert list(_stored(archive).values()) == [second]
    assert len(list(archive.config.store.rglob("*.dcm"))) == 1


def test_save_as_new_keeps_both(archive: Archive, put: Put) -> None:
    first = ct_bytes()
    put(first)
    _decide(archive, _conflict(archive, put, ct_bytes(StudyDescription="B")), "save-as-new")
    stored = _stored(archive)
    assert stored.pop("1.2.3.1.1.1") == first
    assert len(stored) == 1
    with archive.database.read() as session:
        assert queries.study(session, SYSTEM, "1.2.3.1").instance_count == 2


def test_save_as_new_of_another_patient_makes_one_new_study(archive: Archive, put: Put) -> None:
    put(ct_bytes())
    for end in "23":
        _decide(archive, _conflict(archive, put, ct_bytes(f"1.2.3.1.1.{end}", PatientID="P2")), "save-as-new")
    with archive.database.read() as session:
        counts = dict(session.execute(select(Study.patient_id, Study.instance_count)).tuples().all())
    assert counts == {"P1": 1, "P2": 2}


def test_only_who_may_decides(archive: Archive, put: Put) -> None:
    put(ct_bytes())
    conflict = _conflict(archive, put, ct_bytes(StudyDescription="B"))
    nobody = Actor(name="charlie")
    with pytest.raises(Forbidden), archive.database.write() as session:
        service.decide_conflict(session, nobody, conflict, "overwrite")
    with pytest.raises(Forbidden), archive.database.read() as session:
        service.list_conflicts(session, nobody)


def test_facilities_do_not_mix(archive: Archive, put: Put) -> None:
    from app.kit.clock import now
    from app.security.models import Facility

    with archive.database.write() as session:
        for name in "ab":
            session.add(Facility(id=name * 26, name=name, created_at=now()))
    a, b = Source("test", facility_id="a" * 26), Source("test", facility_id="b" * 26)
    assert put(ct_bytes(), a).status == "stored"
    assert put(ct_bytes("1.2.3.1.1.2"), b).status == "conflict"
    assert put(ct_bytes("1.2.3.1.1.3")).status == "stored"  # no facility of its own: joins the study's
    assert put(ct_bytes("1.2.4.1.1", "1.2.4", "1.2.4.1"), b).status == "stored"
    with archive.database.read() as session:
        bob = Actor(name="bob", facility_id="b" * 26)
        assert [s.study_instance_uid for s in queries.search_studies(session, bob).items] == ["1.2.4"]
        assert queries.search_studies(session, bob).total == 1
        assert queries.search_studies(session, SYSTEM).total == 2
        assert session.scalar(select(func.count()).select_from(ObjectConflict)) == 1


def _differences(archive: Archive) -> list[str]:
    with archive.database.read() as session:
        return session.scalars(select(ObjectConflict.differences).order_by(ObjectConflict.id.desc()).limit(1)).one()


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"StudyDescription": "Changed"}, ["StudyDescription"]),
        ({"PatientName": "Roe^Jane", "Laterality": "L"}, ["PatientName", "Laterality"]),
        ({"pixels": b"\x01\x00" * 15 + b"\x02\x00"}, ["PixelData"]),
        ({"pixels": b"\x01\x00" * 12, "Rows": 3}, ["Rows", "PixelData"]),
        ({"pixels": None}, ["SamplesPerPixel", "PhotometricInterpretation", "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PixelData"]),
        ({"syntax": "1.2.840.10008.1.2", "Modality": "MR"}, ["TransferSyntaxUID", "Modality"]),
        ({"study": "1.2.3.9", "StudyDate": "20250101"}, ["StudyDate", "StudyInstanceUID"]),
    ],
)  # fmt: skip
def test_a_conflict_says_in_which_attributes(
    archive: Archive, put: Put, change: dict[str, Any], names: list[str]
) -> None:
    put(ct_bytes())
    outcome = put(ct_bytes(**change))
    assert (outcome.status, _differences(archive)) == ("conflict", names)
    assert ("transfer syntax" in outcome.reason) == ("syntax" in change)


def test_of_another_patients_object_only_what_belongs_to_the_study_is_told(archive: Archive, put: Put) -> None:
    put(ct_bytes())
    put(ct_bytes("1.2.3.1.1.2", PatientID="P2", PatientSex="M", InstanceNumber=2))
    assert _differences(archive) == ["PatientID", "PatientSex"]


def test_large_values_sequences_and_private_attributes_are_compared_too(archive: Archive, put: Put) -> None:
    from pydicom.dataset import Dataset
    from pydicom.sequence import Sequence

    def made(inside: str, large: bytes, private: str) -> bytes:
        item = Dataset()
        item.CodeValue = inside
        ds = ct(ProcedureCodeSequence=Sequence([item]), EncapsulatedDocument=large)
        ds.private_block(0x0009, "TEST", create=True).add_new(1, "LO", private)
        return part10(ds)

    put(made("a", b"x" * 600_000, "p"))
    put(made("b", b"x" * 599_999 + b"y", "q"))
    assert _differences(archive) == ["ProcedureCodeSequence", "(0009,1001)", "EncapsulatedDocument"]
    put(made("a", b"x" * 599_999 + b"y", "p"))
    assert _differences(archive) == ["EncapsulatedDocument"]


def test_only_so_many_names_are_told_and_no_value(archive: Archive, put: Put) -> None:
    put(part10(ct()))
    ds = ct(PatientComments="Secret")
    for n in range(300):
        ds.add_new(0x00210000 + 0x1000 + n, "LO", "Secret")
    ds.add_new(0x00210010, "LO", "TEST")
    put(part10(ds))
    found = _differences(archive)
    assert 30 < len(found) <= 40
    assert "Secret" not in str(found)


def test_differences_a_crash_left_unfound_are_found_when_the_object_comes_again(
    archive: Archive, put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(ct_bytes())
    with monkeypatch.context() as patch:
        patch.setattr(Archive, "_record_differences", lambda *_: None)
        put(ct_bytes(Modality="MR"))
    assert _differences(archive) == []
    put(ct_bytes(Modality="MR"))
    assert _differences(archive) == ["Modality"]
    with archive.database.read() as session:
        assert session.scalar(select(func.count()).select_from(ObjectConflict)) == 1


def _open(archive: Archive) -> list[ObjectConflict]:
    with archive.database.read() as session:
        return service.list_conflicts(session, SYSTEM)[::-1]


def _carry_out(archive: Archive, conflict: str) -> None:
    run_job(archive, jobs.apply_decision, {"conflict_id": conflict, "decision": "overwrite"})


def test_two_versions_of_one_object_are_never_taken_in_together(archive: Archive, put: Put) -> None:
    first, second, third = (ct_bytes(StudyDescription=words) for words in "ABC")
    for data in (first, second, third):
        put(data)
    ids = [one.id for one in _open(archive)]
    for decision in ("overwrite", "save-as-new"):
        with pytest.raises(Decided, match="2 later versions"), archive.database.write() as session:
            service.decide_conflicts(session, SYSTEM, ids[:1], decision)  # type: ignore[arg-type]
        with pytest.raises(Decided, match="2 later versions"), archive.database.write() as session:
            service.decide_conflict(session, SYSTEM, ids[0], decision, chosen=False)  # type: ignore[arg-type]
    assert [one.id for one in _open(archive)] == ids and list(_stored(archive).values()) == [first]
    with archive.database.write() as session:
        service.decide_conflict(session, SYSTEM, ids[0], "overwrite")
    _carry_out(archive, ids[0])
    assert list(_stored(archive).values()) == [second], "the one that was chosen"
    [left] = _open(archive)
    assert (left.id, archive.store.full_path(left.path).read_bytes()) == (ids[1], third)


def test_the_other_versions_wait_against_the_new_stored_one(archive: Archive, put: Put) -> None:
    for change in ({}, {"Modality": "MR"}, {"Modality": "MR", "Laterality": "L"}):
        put(ct_bytes(**change))
    first, second = _open(archive)
    with archive.database.write() as session:
        service.decide_conflict(session, SYSTEM, first.id, "overwrite")
    _carry_out(archive, first.id)
    assert _differences(archive) == ["Laterality"]
    assert [one.id for one in _open(archive)] == [second.id]


def test_overwriting_by_several_objects_of_another_patient_keeps_them_all(archive: Archive, put: Put) -> None:
    put(ct_bytes())
    for end in "234":
        put(ct_bytes(f"1.2.3.1.1.{end}", PatientID="P2"))
    ids = [one.id for one in _open(archive)]
    with archive.database.write() as session:
        assert len(service.decide_conflicts(session, SYSTEM, ids, "overwrite")) == 3
    for one in ids:
        _carry_out(archive, one)
    assert sorted(_stored(archive)) == ["1.2.3.1.1.2", "1.2.3.1.1.3", "1.2.3.1.1.4"]
