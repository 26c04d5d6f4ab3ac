"""C-FIND with many answers, and with callers that cancel, stop reading, vanish or send rubbish."""

import shutil
import struct
import sys
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app import config as boot
from app.db import open_database
from app.dicom import identifier, query
from app.dicom.identifier import BadIdentifier
from app.network import commands, pdu
from app.network.pdu import Context
from app.nodes import service
from app.nodes.options import NodeValues
from tests.support import bulk
from tests.support.client import actor, add_cast
from tests.support.dimse import Station, station
from tests.support.finding import EXPLICIT, IMPLICIT, STUDY_ROOT, ask, connected, data_set, findscu
from tests.support.waiting import eventually, settled

pytestmark = pytest.mark.peer
COUNT = 6000


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory, _sqlite_template: Path) -> Iterator[Station]:
    """A receiver with many studies in its index (no files), and a node FINDSCU."""
    folder = tmp_path_factory.mktemp("large") / "data"
    shutil.copytree(_sqlite_template, folder)
    config = boot.load({"data": folder}, environ={})
    database = open_database(config)
    add_cast(database)
    bulk.fill(database, COUNT, series_each=2)
    with database.write() as session:
        for title in ("FINDSCU", "PYNETDICOM", "RAW"):
            values = NodeValues(title.lower(), title, "127.0.0.1", 104)
            service.create_node(session, actor(database, "admin"), values)
    with station(config, database) as made:
        yield made
    database.dispose()


def _identifier(**keys: str) -> bytes:
    return identifier.encode({"QueryRetrieveLevel": "STUDY", **keys})


class Raw:
    """A caller made of bytes."""

    def __init__(self, at: Station, max_length: int = 16384) -> None:
        self.sock = at.connect()
        self.sock.sendall(pdu.encode_request("FILMROOM", "RAW", [Context(1, STUDY_ROOT, [IMPLICIT])], max_length))
        assert self.pdu()[0] == pdu.ASSOCIATE_AC

    def __enter__(self) -> "Raw":
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def exactly(self, count: int) -> bytes:
        found = b""
        while len(found) < count:
            piece = self.sock.recv(count - len(found))
            if not piece:
                raise EOFError
            found += piece
        return found

    def pdu(self) -> tuple[int, bytes]:
        kind, _, length = struct.unpack(">BBI", self.exactly(6))
        return kind, self.exactly(length)

    def find(self, data: bytes, message_id: int = 5, **more: int) -> None:
        command = {0x0002: STUDY_ROOT, 0x0100: commands.C_FIND_RQ, 0x0110: message_id, 0x0700: 0, 0x0800: 1}
        self.sock.sendall(pdu.p_data(1, 3, commands.encode(command)))
        parts = [data[i : i + 8000] for i in range(0, len(data), 8000)] or [b""]
        for number, part in enumerate(parts):
            self.sock.sendall(pdu.p_data(1, 2 if number == len(parts) - 1 else 0, part))

    def cancel(self, message_id: int) -> None:
        elements = {0x0100: commands.C_CANCEL_RQ, 0x0120: message_id, 0x0800: 0x0101}
        self.sock.sendall(pdu.p_data(1, 3, commands.encode(elements)))

    def last(self) -> tuple[int, int]:
        """How many pending answers came, and the last status."""
        count = 0
        while True:
            kind, body = self.pdu()
            assert kind == pdu.P_DATA, (kind, body)
            if body[5] & 1:
                status = commands.number(commands.decode(body[6:]), commands.STATUS)
                if status not in (0xFF00, 0xFF01):
                    return count, status
                count += 1


def test_all_answers_arrive_in_any_size_of_pdu(large: Station) -> None:
    with Raw(large) as caller:
        caller.find(_identifier(StudyInstanceUID="", PatientName=""))
        assert caller.last() == (COUNT, 0)
        caller.find(_identifier(StudyInstanceUID="1.2.826.0.1.77"), 6)
        assert caller.last() == (1, 0), "the association goes on"
    with Raw(large, max_length=64) as caller:
        caller.find(_identifier(StudyInstanceUID="1.2.826.0.1.77", PatientName="", StudyDescription=""))
        fragments = b""
        while True:
            _, body = caller.pdu()
            assert len(body) <= 64
            if body[5] & 1 == 0:
                fragments += body[6:]
                if body[5] & 2:
                    break
        assert identifier.decode(fragments)["StudyInstanceUID"] == "1.2.826.0.1.77"


def test_findscu_cancels(large: Station) -> None:
    found = findscu(large.port, "-S", "--cancel", "3", QueryRetrieveLevel="STUDY", StudyInstanceUID="")
    assert "Cancel: " in found.output or "MatchingTerminatedDueToCancelRequest" in found.output, found.output[-300:]
    assert 3 <= len(found.answers) < COUNT


def test_a_cancel_stops_the_answers_and_only_its_own(large: Station) -> None:
    with Raw(large) as caller:
        caller.cancel(5)  # of nothing that runs
        caller.find(_identifier(StudyInstanceUID=""))
        caller.cancel(77)  # of another
        assert caller.last() == (COUNT, 0)
        caller.find(_identifier(StudyInstanceUID=""), 6)
        caller.cancel(6)
        count, status = caller.last()
        assert status == commands.CANCELLED and count < COUNT
        caller.find(_identifier(StudyInstanceUID="1.2.826.0.1.5"), 7)
        assert caller.last() == (1, 0)


def _sending() -> bool:
    """Whether an association's thread waits for its peer to read."""
    frames = sys._current_frames()
    for thread in threading.enumerate():
        if thread.name == "association" and thread.ident in frames:
            stack = traceback.extract_stack(frames[thread.ident])
            if any(one.name == "send" and one.filename.endswith("wire.py") for one in stack):
                return True
    return False


def test_a_caller_that_does_not_read_holds_no_transaction(large: Station) -> None:
    names = (
        "PatientName StudyDescription PatientID AccessionNumber StudyTime StudyID StudyInstanceUID SeriesDescription"
    )
    names += " Modality SeriesNumber StudyDate PatientBirthDate PatientSex SOPClassesInStudy ModalitiesInStudy"
    keys = dict.fromkeys(names.split(), "") | {"QueryRetrieveLevel": "SERIES"}
    with Raw(large) as caller:
        caller.find(_identifier(**keys))
        eventually(lambda: settled(_sending, "the sender", quiet=0.2), "the sender waits for its peer to read")
        assert large.database.engine.pool.checkedout() == 0  # type: ignore[attr-defined]
        assert caller.last() == (COUNT * 2, 0), "all of it comes once it reads"


def test_a_limit_on_matches_is_told(large: Station) -> None:
    large.set(query_limit=100)
    try:
        with connected(large.port) as association:
            found = ask(association, STUDY_ROOT, data_set(QueryRetrieveLevel="STUDY", PatientName=""))
            assert (found.status, len(found.answers)) == (0xA700, 100) and "narrow" in found.words
            one = ask(association, STUDY_ROOT, data_set(QueryRetrieveLevel="STUDY", StudyInstanceUID="1.2.826.0.1.9"))
            assert (one.status, len(one.answers)) == (0, 1)
    finally:
        large.set()


def test_a_database_that_is_away_is_told(large: Station, monkeypatch: pytest.MonkeyPatch) -> None:
    away = open_database(
        boot.load({"data": large.config.data, "database_url": "postgresql://127.0.0.1:1/none"}, environ={})
    )
    with connected(large.port) as association:
        monkeypatch.setattr(large.receiver._services, "database", away)
        found = ask(association, STUDY_ROOT, data_set(QueryRetrieveLevel="STUDY", PatientName=""))
        assert found.status == 0xA700 and "database" in found.words
        monkeypatch.undo()
        keys = data_set(QueryRetrieveLevel="STUDY", StudyInstanceUID="1.2.826.0.1.9")
        assert ask(association, STUDY_ROOT, keys).status == 0, "it is available again"


def test_a_caller_that_vanishes_ends_its_query(large: Station) -> None:
    for abort in (True, False):
        with Raw(large) as caller:
            caller.find(_identifier(StudyInstanceUID="", PatientName=""))
            if abort:
                caller.sock.sendall(pdu.encode_abort(0, 0))
    large.calm()
    assert large.database.engine.pool.checkedout() == 0  # type: ignore[attr-defined]


def test_another_request_while_one_runs_is_a_breach(large: Station) -> None:
    with Raw(large) as caller:
        caller.find(_identifier(StudyInstanceUID="", PatientName=""))
        caller.find(_identifier(StudyInstanceUID=""), 6)
        kinds = set()
        with pytest.raises((EOFError, ConnectionResetError)):
            while True:
                kinds.add(caller.pdu()[0])
        assert pdu.ABORT in kinds


# -- identifiers that are none -----------------------------------------------------------------------------------


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=300), st.booleans())
def test_no_bytes_break_the_reader_of_queries(data: bytes, explicit: bool) -> None:
    try:
        found = query.parse(data, explicit)
    except BadIdentifier:
        return
    assert all(isinstance(key.value, str) for key in found.keys)


_good = [
    _identifier(StudyInstanceUID="1.2", PatientName="A*", StudyDate="20200101-"),
    identifier.encode({"QueryRetrieveLevel": "STUDY", "PatientID": "1"}, explicit=True),
]


@settings(deadline=None, max_examples=200)
@given(st.sampled_from(_good), st.integers(0, 200), st.binary(min_size=1, max_size=6))
def test_no_changed_bytes_do_either(data: bytes, at: int, noise: bytes) -> None:
    for explicit in (False, True):
        try:
            query.parse(data[:at] + noise + data[at + len(noise) :], explicit)
        except BadIdentifier:
            continue


def _nested(depth: int) -> bytes:
    inner = b""
    for _ in range(depth):
        item = struct.pack("<HHI", 0xFFFE, 0xE000, len(inner)) + inner
        inner = struct.pack("<HHI", 0x0040, 0x0275, len(item)) + item
    return inner


def test_rubbish_is_answered_and_the_association_goes_on(large: Station) -> None:
    with Raw(large) as caller:
        for number, (data, status) in enumerate(
            [
                (b"rubbish", 0xC000),
                (b"", 0xA900),
                (_nested(30), 0xC000),
                (_identifier(PatientName="x")[:-1] + b"y" * 3, 0xC000),
                (bytes(2_000_000), 0xA700),
                (_identifier(StudyDate="yesterday"), 0xC000),
                (_identifier(StudyInstanceUID="\\".join(f"1.2.{n}" for n in range(25_000))), 0xA700),
                (_identifier(StudyInstanceUID="\\".join(f"1.2.826.0.1.{n}" for n in range(1, 5001))), 0),
            ],
            1,
        ):
            caller.find(data, number)
            count, got = caller.last()
            assert got == status, (number, hex(got))
            assert count == (5000 if status == 0 else 0)


def test_explicit_and_implicit_answers_say_the_same(large: Station) -> None:
    keys = data_set(
        QueryRetrieveLevel="STUDY", StudyInstanceUID="1.2.826.0.1.7", PatientName="", StudyDate="", ModalitiesInStudy=""
    )
    said = []
    for syntax in (IMPLICIT, EXPLICIT):
        with connected(large.port, syntaxes=(syntax,)) as association:
            said.append(ask(association, STUDY_ROOT, keys).answers)
    assert said[0] == said[1] and len(said[0]) == 1
