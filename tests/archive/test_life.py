"""Settling, deleting, and what a crash leaves behind."""

import shutil
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, text, update

from app import events
from app.archive import Archive, Source, cached, content, jobs, queries, service
from app.archive.models import Counter, DeletedFile, Instance, InstanceHeader, Patient, Study
from app.kit.clock import now
from app.kit.errors import Conflict, NotFound
from app.security import SYSTEM
from tests.archive.conftest import Put
from tests.archive.make import ct_bytes
from tests.support.archive_jobs import leftovers, run_job
from tests.upgrade import objects


def test_a_quiet_study_settles_and_gets_its_json(archive: Archive, put: Put) -> None:
    put(ct_bytes())
    put(ct_bytes("1.2.4.1.1", "1.2.4", "1.2.4.1", PatientID="P2"))
    with archive.database.write() as session:
        assert service.settle(session) == 0
        session.execute(
            update(Study)
            .where(Study.study_instance_uid == "1.2.3.1")
            .values(last_received_at=now() - timedelta(seconds=11))
        )
        assert service.settle(session) == 1
    with archive.database.read() as session:
        assert queries.study(session, SYSTEM, "1.2.3.1").state == "settled"
        assert [e.payload for e in events.after(session, 0) if e.topic == "study.settled"] == [
            {"study_instance_uid": "1.2.3.1", "instances": 1, "new": 1, "first": 1, "last": 1}
        ]
    assert run_job(archive, jobs.prepare, {"study_instance_uid": "1.2.3.1"}) == {"made": 1}
    with archive.database.read() as session:
        instance = queries.instance(session, SYSTEM, "1.2.3.1.1.1")
        row = session.get(InstanceHeader, instance.id)
        assert row is not None and row.json is not None
        assert content.dicom_json(session, instance)["00100010"] == {"vr": "PN", "Value": [{"Alphabetic": "Doe^Jane"}]}
    put(ct_bytes("1.2.3.1.1.2"))
    with archive.database.read() as session:
        assert queries.study(session, SYSTEM, "1.2.3.1").state == "receiving"


def test_what_was_read_from_a_damaged_file_is_not_kept(archive: Archive, put: Put) -> None:
    """The header of this object is read from the file; without it the metadata lack a sequence."""
    whole = objects.crowded(50_001)
    study = put(whole).study_instance_uid
    with archive.database.read() as session:
        path = archive.store.full_path(session.scalars(select(Instance)).one().path)
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert run_job(archive, jobs.prepare, {"study_instance_uid": study}) == {"made": 0}
    assert put(whole).status == "duplicate"  # which repairs it
    with archive.database.read() as session:
        model = content.dicom_json(session, session.scalars(select(Instance)).one())
    assert len(model["52009230"]["Value"]) == 50_001
    assert run_job(archive, jobs.prepare, {"study_instance_uid": study}) == {"made": 1}


def test_what_comes_after_settling_is_announced_alone_and_numbers_are_not_used_twice(
    archive: Archive, put: Put
) -> None:
    def settle() -> dict[str, Any]:
        with archive.database.write() as session:
            session.execute(update(Study).values(last_received_at=now() - timedelta(seconds=11)))
            service.settle(session)
        with archive.database.read() as session:
            (*_, last) = [one.payload for one in events.after(session, 0) if one.topic == "study.settled"]
            return last

    put(ct_bytes())
    put(ct_bytes("1.2.3.1.1.2"))
    assert settle() == {"study_instance_uid": "1.2.3.1", "instances": 2, "new": 2, "first": 1, "last": 2}
    with archive.database.write() as session:
        service.delete_instance(session, SYSTEM, "1.2.3.1.1.2")
    put(ct_bytes("1.2.3.1.1.3"))
    put(ct_bytes("1.2.3.1.1.4"))
    assert settle() == {"study_instance_uid": "1.2.3.1", "instances": 3, "new": 2, "first": 3, "last": 4}
    with archive.database.write() as session:
        service.delete_study(session, SYSTEM, "1.2.3.1")
    put(ct_bytes())
    assert settle() == {"study_instance_uid": "1.2.3.1", "instances": 1, "new": 1, "first": 5, "last": 5}


def _counts(archive: Archive) -> tuple[int, ...]:
    with archive.database.read() as session:
        found = [
            session.scalar(select(func.count()).select_from(m)) or 0 for m in (Patient, Study, Instance, InstanceHeader)
        ]
        return (*found, session.scalar(select(func.sum(Counter.value))) or 0)


def test_deleting_an_object_a_series_a_study(archive: Archive, put: Put) -> None:
    for n in range(3):
        put(ct_bytes(f"1.2.3.1.1.{n}"))
    put(ct_bytes("1.2.3.1.2.1", series="1.2.3.1.2", Modality="PT"))
    assert _counts(archive) == (1, 1, 4, 4, 1)
    with archive.database.write() as session:
        service.delete_instance(session, SYSTEM, "1.2.3.1.1.0")
    with archive.database.read() as session:
        study = queries.study(session, SYSTEM, "1.2.3.1")
        assert (study.instance_count, study.series_count, study.modalities) == (3, 2, "CT\\PT")
    with archive.database.write() as session:
        service.delete_series(session, SYSTEM, "1.2.3.1.2")
    with archive.database.read() as session:
        study = queries.study(session, SYSTEM, "1.2.3.1")
        assert (study.instance_count, study.series_count, study.modalities) == (2, 1, "CT")
    assert put(ct_bytes("1.2.3.1.1.0")).status == "stored"  # comes again before its old file went
    assert run_job(archive, jobs.remove_files, {}) == {"removed": 1}
    assert len(list(archive.config.store.rglob("*.dcm"))) == 3
    with archive.database.write() as session:
        service.delete_study(session, SYSTEM, "1.2.3.1")
    assert _counts(archive) == (0, 0, 0, 0, 0)
    run_job(archive, jobs.remove_files, {})
    assert [p.name for p in archive.config.store.iterdir() if not p.name.startswith(".")] == []
    with archive.database.read() as session:
        assert session.scalar(select(func.count()).select_from(DeletedFile)) == 0
        if archive.database.dialect == "sqlite":
            assert session.scalar(text("SELECT count(*) FROM patient_words")) == 0
    with pytest.raises(NotFound), archive.database.read() as session:
        queries.study(session, SYSTEM, "1.2.3.1")


def test_what_was_made_from_an_object_goes_with_it(archive: Archive, put: Put) -> None:
    """However it was deleted: by a person, a route after delivery, or the decision on a conflict."""
    put(ct_bytes())
    put(ct_bytes("1.2.4.1.1.1", study="1.2.4.1", series="1.2.4.1.1"))
    with archive.database.read() as session:
        digests = dict(session.execute(select(Instance.sop_instance_uid, Instance.sha256)).all())
    cache = archive.config.cache
    for digest in digests.values():
        folder = cached.folder_of(cache, digest)
        folder.mkdir(parents=True)
        (folder / "preview").write_bytes(b"a face")
    with archive.database.write() as session:
        service.delete_study(session, SYSTEM, "1.2.3.1")
    run_job(archive, jobs.remove_files, {})
    assert not cached.folder_of(cache, digests["1.2.3.1.1.1"]).exists()
    assert (cached.folder_of(cache, digests["1.2.4.1.1.1"]) / "preview").exists()


def test_a_locked_study_stays(archive: Archive, put: Put) -> None:
    put(ct_bytes())
    with archive.database.write() as session:
        session.execute(update(Study).values(locked=True))
    with pytest.raises(Conflict), archive.database.write() as session:
        service.delete_study(session, SYSTEM, "1.2.3.1")


def test_ten_senders_at_once(archive: Archive, put: Put) -> None:
    failed: list[object] = []

    def send(number: int) -> None:
        for n in range(12):
            study = f"1.2.9.{number % 3}"  # some share a study
            outcome = put(ct_bytes(f"{study}.{number}.{n}", study, f"{study}.{number}", PatientID=f"P{number % 3}"))
            if outcome.status != "stored":
                failed.append(outcome)

    threads = [threading.Thread(target=send, args=(n,)) for n in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert _counts(archive) == (3, 3, 120, 120, 3)
    with archive.database.read() as session:
        assert session.scalar(select(func.sum(Study.series_count))) == 10
        arriving = [e.payload["instances"] for e in events.after(session, 0) if e.topic == "study.arriving"]
    assert sum(arriving) == 120
    assert leftovers(archive) == []


CHILD = """
import sys, threading
from app import config as boot
from app.archive import Archive, Source
from app.db import open_database
from app.db.models import load_all
from tests.archive.make import ct_bytes
load_all()
config = boot.load({"data": sys.argv[1], "database_url": sys.argv[2]}, environ={})
archive = Archive(config, open_database(config))
archive.sweep()
tell = threading.Lock()
def send(lane):
    number = 0
    while True:
        study = f"1.2.{sys.argv[3]}.{lane}.{number // 5}"
        sop = f"{study}.1.{number}"
        incoming = archive.receive(Source("test"))
        data = ct_bytes(sop, study, f"{study}.1", PatientID=f"K{lane}", PatientComments=str(number) * 300)
        incoming.write(data[:700]); incoming.write(data[700:])
        assert archive.ingest(incoming).status == "stored"
        with tell:
            print(sop, flush=True)
        number += 1
for lane in range(4):
    threading.Thread(target=send, args=(lane,), daemon=True).start()
threading.Event().wait()
"""


@pytest.mark.slow
def test_kill_at_any_moment_loses_nothing_and_leaves_nothing(archive: Archive) -> None:
    acknowledged: list[str] = []
    for turn in range(10):
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(archive.config.data), archive.config.database_url, str(turn)],
            stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2],
        )  # fmt: skip
        assert child.stdout is not None
        for _ in range(3 + 7 * turn):
            acknowledged.append(child.stdout.readline().strip())
        child.kill()
        acknowledged += [line.strip() for line in child.stdout if line.endswith("\n")]
        child.wait()
        child.stdout.close()
    archive.sweep()
    _everything_is_whole(archive, acknowledged)


def _everything_is_whole(archive: Archive, acknowledged: list[str]) -> None:
    with archive.database.read() as session:
        rows = {row.sop_instance_uid: row for row in session.scalars(select(Instance))}
        assert set(acknowledged) <= set(rows)
        for uid, row in rows.items():
            lane, number = uid.split(".")[3], uid.split(".")[-1]
            expected = ct_bytes(
                uid, uid.rsplit(".", 2)[0], uid.rsplit(".", 1)[0], PatientID=f"K{lane}", PatientComments=number * 300
            )
            assert b"".join(content.iter_object(archive, row)) == expected
        assert session.scalar(select(func.sum(Study.instance_count))) == len(rows)
    on_disk = {str(p.relative_to(archive.config.store)) for p in archive.config.store.rglob("*") if p.is_file()}
    assert {p for p in on_disk if not p.endswith("/lock")} == {row.path for row in rows.values()}


def test_a_leftover_is_finished_when_its_row_is_there(archive: Archive, put: Put) -> None:
    """The state after a power cut that lost the final name (its directory was not written yet)."""
    data = ct_bytes()
    put(data)
    gone = archive.config.store / ".incoming" / "dead"
    gone.mkdir()
    (gone / "x").write_bytes(data)
    (gone / "half").write_bytes(data[:500])
    (gone / "never").write_bytes(ct_bytes("1.2.3.1.1.7"))
    shutil.copy(gone / "never", gone / "lock2")
    with archive.database.read() as session:
        path = archive.store.full_path(queries.instance(session, SYSTEM, "1.2.3.1.1.1").path)
    path.unlink()
    assert archive.sweep() == 4
    assert path.read_bytes() == data
    assert not gone.exists()
    assert len(list(archive.config.store.rglob("*.dcm"))) == 1


def test_discard_leaves_nothing(archive: Archive) -> None:
    incoming = archive.receive(Source("test"))
    incoming.write(b"half of some")
    archive.discard(incoming)
    assert leftovers(archive) == []
