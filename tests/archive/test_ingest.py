"""Every real file we have comes in, or is refused with a reason; what is in can be read back byte for byte."""

import hashlib
from datetime import timedelta
from pathlib import Path

from sqlalchemy import func, select

from app.archive import Archive, Source, arrivals, browse, content, queries
from app.archive.models import SEVERAL, Instance, Study
from app.db import Database
from app.kit.clock import now
from app.security import SYSTEM
from tests.archive.conftest import Put
from tests.archive.make import ct_bytes
from tests.support import samples
from tests.support.store_files import files_in


def test_every_real_file_is_stored_or_refused_with_a_reason(archive: Archive, put: Put, shared_data: Path) -> None:
    counted: dict[str, int] = {}
    for path in files_in(shared_data):
        outcome = put(path)
        counted[outcome.status] = counted.get(outcome.status, 0) + 1
        if outcome.status == "refused":
            assert outcome.reason.endswith("."), path
            continue
        if outcome.status != "stored":
            continue
        with archive.database.read() as session:
            instance = queries.instance(session, SYSTEM, outcome.sop_instance_uid)
            assert hashlib.sha256(b"".join(content.iter_object(archive, instance))).hexdigest() == instance.sha256
            assert hashlib.sha256(path.read_bytes()).hexdigest() == instance.sha256
            header = content.header(session, instance)
            assert header.SOPInstanceUID == outcome.sop_instance_uid
    assert counted["stored"] > (380 if samples.is_whole(shared_data) else 180)
    assert counted["duplicate"] > 20
    with archive.database.read() as session:
        assert session.scalar(select(func.count()).select_from(Instance)) == counted["stored"]
        assert session.scalar(select(func.sum(Study.instance_count))) == counted["stored"]
        page = queries.search_studies(session, SYSTEM)
        assert page.total == session.scalar(select(func.count()).select_from(Study))
    assert not [p for p in (archive.config.store / ".incoming").rglob("*") if p.is_file() and p.name != "lock"]


def test_a_study_of_two_senders_names_neither(archive: Archive, database: Database, put: Put) -> None:
    """The list says "several"; each object keeps its own sender, which counts in the rates."""
    for number, sender in enumerate(("CT_1", "CT_1", "CT_2"), 1):
        assert put(ct_bytes(f"1.2.3.1.1.{number}"), Source("dimse", calling_ae=sender)).status == "stored"
    with database.read() as session:
        study = session.scalars(select(Study)).one()
        assert study.source == SEVERAL and browse.study_entry(study)["source"] == "several"
        since = now() - timedelta(minutes=5)
        counts = arrivals.per_minute(session, SYSTEM, since)
    assert {name: sum(one.instances for one in counts if one.source == name) for name in ("CT_1", "CT_2")} == {
        "CT_1": 2,
        "CT_2": 1,
    }
