"""A batch that PostgreSQL ends for the sake of another transaction (40P01, 40001) is repeated as it was: its sender hears
success, and the object is stored once."""

import threading
from pathlib import Path

import pytest
from pydicom.uid import generate_uid
from sqlalchemy import select, text

from app.archive import Archive
from app.archive.models import Instance
from app.db.locks import Lock
from tests.archive.conftest import Put
from tests.archive.make import ct_bytes


def _file(study: str, series: str, number: int) -> bytes:
    return ct_bytes(f"{series[:60]}.{number}", study, series)


def test_a_batch_that_lost_a_deadlock_is_repeated(archive: Archive, put: Put) -> None:
    """Another program of the database takes the study's row, waits for ours, and then asks for the lock that ours holds."""
    if archive.database.dialect == "sqlite":
        pytest.skip("one writer")
    study, series = str(generate_uid()), str(generate_uid())
    assert put(_file(study, series, 1)).status == "stored"
    holding, ingesting = threading.Event(), threading.Event()

    def stranger() -> None:
        with archive.database.engine.begin() as connection:
            connection.execute(text("SET LOCAL deadlock_timeout = '60s'"))  # ours notices the deadlock and loses
            connection.execute(text("SELECT id FROM study FOR UPDATE"))
            holding.set()
            assert ingesting.wait(20)
            connection.execute(text(Lock.INDEX.sql))

    thread = threading.Thread(target=stranger)
    thread.start()
    assert holding.wait(20)
    outcomes = []
    sender = threading.Thread(target=lambda: outcomes.append(put(_file(study, series, 2)).status))
    sender.start()
    _until_waiting(archive)
    ingesting.set()
    thread.join(30), sender.join(30)
    assert outcomes == ["stored"]
    with archive.database.read() as session:
        paths = list(session.scalars(select(Instance.path)))
    assert len(paths) == 2 and all(archive.store.full_path(path).exists() for path in paths)
    assert [p for p in (Path(archive.store.root) / ".incoming").rglob("*") if p.is_file() and p.name != "lock"] == []


def _until_waiting(archive: Archive) -> None:
    """Until a transaction that holds the index's lock waits for a row."""
    holds = "SELECT count(*) FROM pg_locks a JOIN pg_locks b USING (pid) WHERE a.locktype = 'advisory' AND a.granted"
    with archive.database.engine.connect() as connection:
        for _ in range(400):
            if connection.scalar(text(f"{holds} AND NOT b.granted")):
                return
            connection.rollback()
            threading.Event().wait(0.05)
    raise AssertionError("nobody waits")
