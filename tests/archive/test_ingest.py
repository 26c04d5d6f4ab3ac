"""Every real file we have comes in, or is refused with a reason; what is in can be read back byte for byte."""

import hashlib
from pathlib import Path

import pydicom
from sqlalchemy import func, select

from app.archive import Archive, content, queries
from app.archive.models import Instance, Study
from app.security import SYSTEM
from tests.archive.conftest import Put


def _files(folder: Path) -> list[Path]:
    package = Path(pydicom.__file__).parent / "data" / "test_files"
    return sorted(p for f in (folder, package) for p in f.rglob("*") if p.is_file())


def test_every_real_file_is_stored_or_refused_with_a_reason(archive: Archive, put: Put, shared_data: Path) -> None:
    counted: dict[str, int] = {}
    for path in _files(shared_data):
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
    assert counted["stored"] > 380
    assert counted["duplicate"] > 20
    with archive.database.read() as session:
        assert session.scalar(select(func.count()).select_from(Instance)) == counted["stored"]
        assert session.scalar(select(func.sum(Study.instance_count))) == counted["stored"]
        page = queries.search_studies(session, SYSTEM)
        assert page.total == session.scalar(select(func.count()).select_from(Study))
    assert not [p for p in (archive.config.store / ".incoming").rglob("*") if p.is_file() and p.name != "lock"]
