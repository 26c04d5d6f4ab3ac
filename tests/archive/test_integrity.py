"""A stored file that changed is noticed before it leaves as a whole."""

import os
import time
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import select

from app.archive import Source
from app.archive.content import open_object
from app.archive.errors import Damaged
from app.archive.models import Instance
from app.audit import AuditEvent
from app.config import Config
from app.db import Database, open_database
from app.events import Event
from tests.archive.make import ct_bytes
from tests.support.client import Web, open_web

OBJECT = "1.2.3.1.1.1"
ADDRESS = "/dicom-web/studies/1.2.3.1/series/1.2.3.1.1/instances/1.2.3.1.1.1"


@pytest.fixture
def house(sqlite_config: Config) -> Iterator[Web]:
    database = open_database(sqlite_config)
    with open_web(sqlite_config, database) as web:
        incoming = web.services.archive.receive(Source("test", facility_id=web.actor("bob").facility_id))
        incoming.write(ct_bytes())
        assert web.services.archive.ingest(incoming).status == "stored"
        yield web
    database.dispose()


def _instance(database: Database) -> Instance:
    with database.read() as session:
        return session.scalars(select(Instance)).one()


def _change(web: Web, how: str) -> None:
    path = web.services.archive.store.full(_instance(web.database).path)
    raw = bytearray(path.read_bytes())
    if how == "one byte":
        raw[-3] ^= 1
    else:
        raw = raw[:-8]
    path.write_bytes(raw)


def _until(found: Any, seconds: float = 10) -> None:
    until = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < until, "it was not recorded"
        time.sleep(0.02)


@pytest.mark.parametrize("how", ["one byte", "cut off"])
def test_a_changed_file_is_refused_and_recorded(house: Web, how: str, caplog: pytest.LogCaptureFixture) -> None:
    whole = {"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'}
    single = {"Accept": "application/dicom; transfer-syntax=*"}
    assert house.bob.get(f"/api/v1/instances/{OBJECT}/file").content == ct_bytes()
    _change(house, how)
    for address, headers in (
        (f"/api/v1/instances/{OBJECT}/file", {}),
        (ADDRESS, single),
        ("/dicom-web/studies/1.2.3.1", whole),
        (
            ADDRESS,
            {"Accept": "application/dicom; transfer-syntax=1.2.840.10008.1.2.5"},
        ),  # converted, it would look whole
    ):
        answer = house.bob.get(address, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (500, "damaged"), address
        assert answer.headers["content-type"].startswith("application/problem+json")
    with pytest.raises(Damaged):
        open_object(house.services.archive, _instance(house.database))

    def recorded() -> bool:
        with house.database.read() as session:
            trail = session.scalars(select(AuditEvent).where(AuditEvent.verb == "store.check")).all()
            told = session.scalars(select(Event).where(Event.topic == "instance.damaged")).all()
        return [one.thing_id for one in trail] == [OBJECT] and len(told) == 1

    _until(recorded)
    assert caplog.text.count("differs from what was stored") == 1
    assert house.bob.get(f"{ADDRESS}/metadata").status_code == 200


def test_a_file_that_was_copied_back_is_read_once_and_given(house: Web) -> None:
    path = house.services.archive.store.full(_instance(house.database).path)
    path.write_bytes(ct_bytes())
    os.utime(path, (time.time() + 60, time.time() + 60))
    for _ in range(2):
        assert house.bob.get(f"/api/v1/instances/{OBJECT}/file").content == ct_bytes()
