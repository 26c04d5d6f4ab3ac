"""The audit trail against those who can write to the database but do not have the key; and against those who fill it."""

import hashlib
import shutil
import threading
from collections.abc import Callable

import pytest
from sqlalchemy import delete, func, select, text, update
from sqlalchemy.orm import Session

from app import audit
from app.audit import head
from app.audit.models import AuditEvent, AuditHead
from app.audit.tally import AuditedAction, AuditTally
from app.audit.trail import digest_of
from app.config import Config
from app.db import Database, open_database
from tests.archive.make import ct_bytes
from tests.security.conftest import Attack
from tests.support.client import Web


@pytest.fixture
def opened(sqlite_config: Config) -> Database:
    """A trail of ten rows, begun and noted as a start does it."""
    database = open_database(sqlite_config)
    assert audit.begin(database, sqlite_config.keys) == ""
    _write(database, 10)
    assert audit.begin(database, sqlite_config.keys) == ""
    return database


def _write(database: Database, count: int) -> None:
    for number in range(count):
        with database.write() as session:
            audit.by(session, audit.Named("bob"), "study.view", "study", str(number))


def _recompute(session: Session, key: bytes | None = None, first: int = 1) -> None:
    """The chain made anew from a row on, as somebody without the key would."""
    rows = session.scalars(select(AuditEvent).order_by(AuditEvent.id)).all()
    last = head.START
    for row in rows:
        if row.id >= first:
            row.previous = last
            row.digest = digest_of(row, key)
        last = row.digest
    end = session.get(AuditHead, 1)
    if end is not None:
        end.rows, end.digest = len(rows), last


def _change(session: Session) -> None:
    session.execute(update(AuditEvent).where(AuditEvent.id == 4).values(actor_name="nobody"))


def _cut(session: Session, after: int = 7) -> None:
    session.execute(delete(AuditEvent).where(AuditEvent.id > after))


def _change_and_recompute(session: Session) -> None:
    _change(session)
    session.flush()
    _recompute(session)


def _cut_and_recompute(session: Session) -> None:
    _cut(session)
    _recompute(session, key=b"\0" * 32)


def _pretend_upgrade(session: Session) -> None:
    """All rows as an old version would have left them, and the head as its migration makes it."""
    _change(session)
    session.flush()
    _recompute(session)
    session.execute(update(AuditHead).values(keyed_after=10, mac=""))


def _no_head(session: Session) -> None:
    _cut(session)
    session.execute(delete(AuditHead))


def _old_head(session: Session) -> None:
    """The rows and the head of some time ago, put back."""
    kept = session.scalars(select(AuditEvent).order_by(AuditEvent.id)).all()[4]
    _cut(session, kept.id)
    mac = head.mac_of(head.key_of(session), 5, kept.digest, 0)
    session.execute(update(AuditHead).values(rows=5, digest=kept.digest, mac=mac))


ATTACKS: dict[str, Callable[[Session], object]] = {
    "a row changed": _change,
    "a row removed": lambda s: s.execute(delete(AuditEvent).where(AuditEvent.id == 4)),
    "the first row removed": lambda s: s.execute(delete(AuditEvent).where(AuditEvent.id == 1)),
    "the last row removed": lambda s: _cut(s, 9),
    "the end cut off": _cut,
    "everything removed": lambda s: _cut(s, 0),
    "two rows exchanged": lambda s: (
        s.execute(text("UPDATE audit_event SET id = 1000 WHERE id = 4")),
        s.execute(text("UPDATE audit_event SET id = 4 WHERE id = 5")),
        s.execute(text("UPDATE audit_event SET id = 5 WHERE id = 1000")),
    ),
    "a row changed and all computed anew": _change_and_recompute,
    "the end cut off and all computed anew": _cut_and_recompute,
    "made to look like an upgrade": _pretend_upgrade,
    "the head removed": _no_head,
    "an older state put back": _old_head,
    "the head's count": lambda s: s.execute(update(AuditHead).values(rows=3)),
    "the head unsigned": lambda s: s.execute(update(AuditHead).values(mac="")),
}


@pytest.mark.parametrize("name", list(ATTACKS))
@pytest.mark.parametrize("then", ["at once", "after more entries", "after a restart"])
def test_what_was_done_to_the_trail_is_found(
    opened: Database, sqlite_config: Config, attack: Attack, name: str, then: str
) -> None:
    with opened.write() as session:
        ATTACKS[name](session)
    if then == "after more entries":
        _write(opened, 12)
    if then == "after a restart":
        audit.begin(opened, sqlite_config.keys)
        _write(opened, 2)
    with opened.read() as session:
        found = audit.verify(session, sqlite_config.keys)
    assert not found.intact and found.reason
    if name == "a row changed":
        assert found.first_broken == 4
    opened.dispose()
    attack("changes to the audit trail")


def test_rows_since_the_last_start_cannot_be_cut_off_unsigned(
    opened: Database, sqlite_config: Config, attack: Attack
) -> None:
    """The end is set to an earlier row without a signature, for the next entry to sign."""
    _write(opened, 5)
    with opened.write() as session:
        kept = session.scalars(select(AuditEvent).order_by(AuditEvent.id)).all()[11]
        _cut(session, kept.id)
        session.execute(update(AuditHead).values(rows=12, digest=kept.digest, mac=""))
    _write(opened, 1)
    for _ in range(2):
        with opened.read() as session:
            assert "end of the trail was changed" in audit.verify(session, sqlite_config.keys).reason
        assert audit.begin(opened, sqlite_config.keys)
    opened.dispose()
    attack("changes to the audit trail")


def test_the_trail_goes_on_and_stays_whole(opened: Database, sqlite_config: Config) -> None:
    for _ in range(3):
        _write(opened, 3)
        assert audit.begin(opened, sqlite_config.keys) == ""
    with opened.read() as session:
        found = audit.verify(session, sqlite_config.keys)
    assert (found.intact, found.rows) == (True, 19)
    opened.dispose()


def test_a_chain_of_an_older_version_is_taken_over_and_protected(sqlite_config: Config, attack: Attack) -> None:
    """Rows without a key before, with one after; a change of an old one is found by what follows."""
    database = open_database(sqlite_config)
    _write(database, 5)
    with database.write() as session:
        _recompute(session)  # as the version before left it
        session.execute(update(AuditHead).values(keyed_after=5, mac=""))
    assert audit.begin(database, sqlite_config.keys) == ""
    _write(database, 3)
    with database.read() as session:
        assert audit.verify(session, sqlite_config.keys).intact
    with database.write() as session:
        session.execute(update(AuditEvent).where(AuditEvent.id == 2).values(actor_name="nobody"))
        session.flush()
        rows = session.scalars(select(AuditEvent).where(AuditEvent.id <= 5).order_by(AuditEvent.id)).all()
        last = head.START
        for row in rows:
            row.previous = last
            last = row.digest = hashlib.sha256(_plain(row)).hexdigest()
    with database.read() as session:
        assert audit.verify(session).first_broken == 6, "the first row with a key follows another one"
        assert not audit.verify(session, sqlite_config.keys).intact
    database.dispose()
    attack("changes to the audit trail")


def _plain(row: AuditEvent) -> bytes:
    from app.audit.trail import _fields

    return _fields(row)


def test_the_note_in_the_key_folder_cannot_be_changed(opened: Database, sqlite_config: Config, attack: Attack) -> None:
    note = sqlite_config.keys / "audit.anchor"
    assert note.stat().st_mode & 0o777 == 0o600
    note.write_text(note.read_text().replace('"rows": 10', '"rows": 0'))
    with opened.read() as session:
        assert "key folder" in audit.verify(session, sqlite_config.keys).reason
    assert "key folder" in audit.begin(opened, sqlite_config.keys)
    opened.dispose()
    attack("changes to the audit trail")


def test_a_start_says_that_entries_are_missing(opened: Database, sqlite_config: Config) -> None:
    shutil.copy2(sqlite_config.keys / "audit.anchor", sqlite_config.data / "kept")
    with opened.write() as session:
        _old_head(session)
    assert "removed or changed" in audit.begin(opened, sqlite_config.keys)
    assert (sqlite_config.keys / "audit.anchor").read_text() == (sqlite_config.data / "kept").read_text()
    opened.dispose()


# filling it


def _rows(site: Web, **fields: object) -> list[AuditEvent]:
    with site.database.read() as session:
        query = select(AuditEvent).order_by(AuditEvent.id)
        return [row for row in session.scalars(query) if all(getattr(row, k) == v for k, v in fields.items())]


def _size(site: Web) -> int:
    with site.database.read() as session:
        return session.scalar(select(func.count()).select_from(AuditEvent)) or 0


def test_failed_sign_ins_of_strangers_do_not_fill_the_trail(
    site: Web, attack: Attack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.security.passwords.waste_time", lambda password: None)
    before = _size(site)
    for number in range(40):
        site.nobody.post("/api/v1/sessions", json={"user": f"nobody{number}", "password": "x"})
        site.services.gate.login.throttle._addresses.clear()
    site.services.gate.tally.flush()
    written = _rows(site, verb="login", outcome="failed")
    assert _size(site) - before <= 4
    assert sum(row.detail.get("count", 1) for row in written) == 40, "none is lost"
    assert written[-1].detail["names"][:2] == ["nobody1", "nobody2"]
    attack("entries that strangers cause", 120)


def test_refused_calls_do_not_fill_the_trail(site: Web, attack: Attack) -> None:
    before = _size(site)
    for _ in range(60):
        assert site.bob.get("/api/v1/users").status_code == 403
        assert site.nobody.post("/login", headers={"Origin": "http://evil.example"}).status_code == 403
    site.services.gate.tally.flush()
    assert _size(site) - before <= 6
    denied = _rows(site, outcome="denied")
    assert sum(row.detail.get("count", 1) for row in denied) == 120
    attack("entries that strangers cause", 120)


def test_many_addresses_share_one_row(site: Web, attack: Attack) -> None:
    tally, before = AuditTally(site.database, most=10), _size(site)
    for number in range(500):
        address = f"198.51.{number // 250}.{number % 250}"
        tally.count(AuditedAction("x", "login", "failed", address=address, detail={"why": "flood"}))
    tally.close()
    assert _size(site) - before == 11
    last = _rows(site)[-1]
    assert last.detail["count"] == 490 and last.detail["why"] == "many addresses"
    attack("entries that strangers cause", 500)


def test_a_window_ends_by_itself(site: Web) -> None:
    tally, before = AuditTally(site.database, window=1), _size(site)
    written = threading.Event()
    write = tally._write
    tally._write = lambda *a: (write(*a), written.set())  # type: ignore[method-assign,assignment,func-returns-value]
    for _ in range(5):
        tally.count(AuditedAction("x", "login", "failed", address="198.51.100.7"))
        written.wait(0.01)
    written.clear()
    assert written.wait(30)
    assert _size(site) - before == 2 and _rows(site)[-1].detail["count"] == 4


# reading


STUDY, SERIES, SOP = "1.2.3.1", "1.2.3.1.1", "1.2.3.1.1.1"


@pytest.fixture(scope="module")
def stored(site: Web) -> Web:
    answer = site.admin.post("/api/v1/imports", files=[("files", ("a.dcm", ct_bytes(), "application/dicom"))])
    assert answer.json()["results"][0]["status"] == "stored", answer.text
    return site


OF_A_STUDY = [
    f"/api/v1/studies/{STUDY}",
    f"/api/v1/series/{SERIES}",
    f"/api/v1/instances/{SOP}",
    f"/api/v1/instances/{SOP}/attributes",
    f"/api/v1/instances/{SOP}/frames/1",
    f"/api/v1/instances/{SOP}/frames/1/preview",
    f"/api/v1/instances/{SOP}/frames/1/rendered",
    f"/api/v1/instances/{SOP}/file",
    f"/api/v1/studies/{STUDY}/manifest",
    f"/api/v1/prints/preview/picture?sop={SOP}",
    f"/dicom-web/studies/{STUDY}/metadata",
    f"/dicom-web/studies/{STUDY}/series/{SERIES}/instances/{SOP}/metadata",
    f"/dicom-web/studies/{STUDY}/series/{SERIES}/instances/{SOP}/rendered",
    f"/dicom-web/studies/{STUDY}/series/{SERIES}/instances/{SOP}/frames/1",
    f"/wado?requestType=WADO&studyUID={STUDY}&seriesUID={SERIES}&objectUID={SOP}",
    f"/viewer?study={STUDY}",
    f"/viewer/metadata?instance={SOP}",
    f"/storage/studies/{STUDY}/panel",
    f"/storage/studies/{STUDY}/series",
    f"/print?study={STUDY}",
    f"/dicom-web/studies/{STUDY}/series",
    f"/dicom-web/studies/{STUDY}/instances",
]
LISTS = [
    "/api/v1/studies", "/api/v1/series", "/api/v1/instances", "/api/v1/patients", "/dicom-web/studies",
    "/dicom-web/series", "/dicom-web/instances", "/storage", "/storage/rows", "/",
    "/incoming/rows", "/prints", "/api/v1/prints", "/api/v1/audit", "/api/v1/audit?format=csv",
    "/api/v1/audit/verification", "/settings/audit", "/query", "/api/v1/queries", "/api/v1/transfers", "/transfers",
    "/api/v1/conflicts", "/api/v1/anonymizations", "/settings/routes", "/settings/routes/studies",
]  # fmt: skip


def _forget(site: Web) -> None:
    """As after five minutes: every look is a new one."""
    site.services.readings.flush()
    site.services.extra.pop("traces", None)


@pytest.mark.parametrize("path", OF_A_STUDY)
def test_looking_at_a_study_leaves_a_trace(stored: Web, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.setattr("app.viewing.traces.Traces._recently_written", lambda *a: False)
    _forget(stored)
    before = len(_rows(stored, thing="study", thing_id=STUDY))
    answers = [stored.admin.get(path) for _ in range(3)]
    assert {a.status_code for a in answers} <= {200, 304}, answers[0].text[:300]
    written = _rows(stored, thing="study", thing_id=STUDY)[before:]
    assert [(row.actor_name, row.outcome) for row in written][:1] == [("admin", "success")], written
    assert len(written) <= 3 if path.startswith("/viewer?") else len(written) == 1


@pytest.mark.parametrize("path", LISTS)
def test_lists_leave_a_trace_once_for_many_pages(stored: Web, path: str) -> None:
    _forget(stored)
    before = len(_rows(stored, thing="list"))
    for _ in range(4):
        answer = stored.admin.get(path)
        assert answer.status_code < 400, answer.text[:200]
    written = _rows(stored, thing="list")[before:]
    assert len(written) == 1 and written[0].actor_name == "admin", [row.thing_id for row in written]
    stored.services.readings.flush()
    assert _rows(stored, thing="list")[-1].detail["count"] == 3


def test_a_route_tested_with_a_study_leaves_a_trace(stored: Web) -> None:
    """The answer shows values of the header, though it is asked by POST."""
    _forget(stored)
    before = len(_rows(stored, thing="study", thing_id=STUDY))
    rule = {"actions": [{"do": "stop"}]}
    asked = {"study_instance_uid": STUDY, "rule": rule}
    answer = stored.admin.post("/api/v1/routes/test", json=asked)
    assert answer.status_code == 200, answer.text
    written = _rows(stored, thing="study", thing_id=STUDY)[before:]
    assert [(row.actor_name, row.verb) for row in written] == [("admin", "study.read")]


def test_a_print_preview_leaves_a_trace(stored: Web) -> None:
    """Its pages show the patient's name, though they are asked for by POST and their pictures one by one."""
    _forget(stored)
    before = len(_rows(stored, thing="study", thing_id=STUDY))
    answer = stored.admin.post("/api/v1/prints/preview", json={"study_instance_uid": STUDY})
    assert answer.status_code == 200, answer.text
    written = _rows(stored, thing="study", thing_id=STUDY)[before:]
    assert [(row.actor_name, row.verb) for row in written] == [("admin", "study.view")]


def test_pages_of_one_order_name_the_study_they_show(stored: Web) -> None:
    """A transfer, a copy, a conflict: read, not sent, copied or decided once more."""
    node = {"name": "PACS", "ae_title": "PACS", "host": "127.0.0.1", "port": 1}
    assert stored.admin.post("/api/v1/nodes", json=node).status_code == 201
    later = ct_bytes(StudyDescription="Another one")
    stored.admin.post("/api/v1/imports", files=[("files", ("a.dcm", later, "application/dicom"))])
    asked = {"study_instance_uid": STUDY}
    transfer = stored.admin.post("/api/v1/transfers", json={**asked, "node": "PACS"}).json()["id"]
    copy = stored.admin.post("/api/v1/anonymizations", json=asked).json()["id"]
    ways = [f"/api/v1/transfers/{transfer}", f"/transfers/{transfer}", f"/api/v1/anonymizations/{copy}"]
    for path in [*ways, f"/anonymizations/{copy}", "/conflicts", "/api/v1/conflicts"]:
        _forget(stored)
        before = len(_rows(stored))
        answer = stored.admin.get(path)
        assert answer.status_code == 200, answer.text[:200]
        written = [(row.verb, row.thing, row.thing_id) for row in _rows(stored)[before:]]
        assert written == [("study.read", "study", STUDY)], path


def test_what_was_refused_or_not_there_is_no_reading(stored: Web) -> None:
    _forget(stored)
    before = _size(stored)
    assert stored.admin.get("/api/v1/studies/9.9.9").status_code == 404
    assert stored.dora.get(f"/api/v1/studies/{STUDY}").status_code == 404
    assert stored.nobody.get("/api/v1/studies").status_code == 401
    assert [row.thing_id for row in _rows(stored)[before:] if row.thing in ("study", "list")] == []


def test_a_hundred_pictures_are_one_transaction(stored: Web) -> None:
    _forget(stored)
    before = _size(stored)
    for number in range(100):
        size = 100 + number
        assert stored.admin.get(f"/api/v1/prints/preview/picture?sop={SOP}&size={size}").status_code == 200
    assert _size(stored) - before == 1
