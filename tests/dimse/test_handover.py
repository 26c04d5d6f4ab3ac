"""Associations that are handed over to pynetdicom, on the plain and the TLS port: pynetdicom and DCMTK as callers, and
callers that do it wrong. The services are those of tests/support/handed.py."""

import contextlib
import logging
import random
import shutil
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_ECHO
from pynetdicom.pdu_primitives import UserIdentityNegotiation
from sqlalchemy import select

from app import config as boot
from app.config import Config
from app.db import open_database
from app.dimse.handover import acceptor, registry
from app.network import commands, pdu
from app.network.pdu import Context, RoleSelection, UserItems
from app.network.pynet import limits
from app.network.pynet.association import next_request
from app.network.pynet.limits import BUDGET
from app.network.settings import DicomSettings
from app.nodes import operation_log
from app.nodes.models import NetworkOperation
from app.security import facilities
from app.security.actor import SYSTEM
from app.security.models import Facility
from app.security.secrets import Secrets
from app.security.verbs import Verb
from app.trust import certificates
from tests.dimse.patients import answers_in
from tests.support import dcmtk, handed
from tests.support.dicom_role import Role as Process
from tests.support.dimse import Station, station
from tests.support.handed import DISPLAY, DISPLAY_INSTANCE, LOGGING, PALETTES, SECRET
from tests.support.pki import Authority
from tests.support.postgres import free_port
from tests.support.raw_pdus import is_aborted, read_pdu
from tests.support.retrieving import add_node
from tests.support.tls_station import TlsStation
from tests.support.waiting import eventually, settled

pytestmark = pytest.mark.peer
VERIFICATION = "1.2.840.10008.1.1"
CT = "1.2.840.10008.5.1.4.1.1.2"
PLAIN = [ImplicitVRLittleEndian, ExplicitVRLittleEndian]
CALLER = "MODALITY"


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory, _sqlite_template: Path) -> Iterator[TlsStation]:
    """One receiver with both ports for the whole module, which offers the services of tests/support/handed.py."""
    folder = tmp_path_factory.mktemp("handed") / "data"
    shutil.copytree(_sqlite_template, folder)
    config = boot.load({"data": folder}, environ={})
    authority = Authority(tmp_path_factory.mktemp("pki"))
    own, modality = authority.pair("filmroom", "localhost", "127.0.0.1"), authority.pair("ct1", "ct1.example")
    database = open_database(config)
    with database.write() as session:
        certificates.import_certificate(session, SYSTEM, Secrets(config), "own", own.chain, own.clear)
        certificates.trust_certificates(session, SYSTEM, authority.text)
        north = facilities.create(session, SYSTEM, "North", port=0).id
        facilities.create(session, SYSTEM, "South", ae_title="SOUTH1", port=0)
    handed.register()
    with station(config, database) as plain:
        add_node(plain, CALLER, facility_id=north)
        made = TlsStation(plain, Secrets(config), authority, own, modality)
        made.open()
        yield made
    handed.unregister()
    database.dispose()


@pytest.fixture
def here(secured: TlsStation) -> Iterator[Station]:
    """Its plain port, with the default settings again after the test and nothing held in memory."""
    yield secured.plain
    handed.hold.set()
    secured.plain.set()
    secured.plain.calm()
    assert BUDGET.used == 0


@contextlib.contextmanager
def associated(
    port: int,
    *classes: str,
    calling: str = CALLER,
    called: str = "FILMROOM",
    tls: ssl.SSLContext | None = None,
    **more: Any,
) -> Iterator[Association]:
    """pynetdicom as the caller; released at the end where it is still open."""
    entity = AE(calling)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 30
    for uid in classes:
        entity.add_requested_context(uid, PLAIN)
    secured = {"tls_args": (tls, "localhost")} if tls is not None else {}
    association = entity.associate("127.0.0.1", port, ae_title=called, **secured, **more)
    take = association.dimse.get_msg  # without pynetdicom's race, see next_request
    association.dimse.get_msg = lambda block=False: take(True) if block else next_request(association.dimse, 0)  # type: ignore[method-assign]
    try:
        yield association
    finally:
        if association.is_established:
            association.release()


def words() -> Dataset:
    found = Dataset()
    found.PatientName = "Grün^Änne"
    found.SpecificCharacterSet = "ISO_IR 192"
    return found


def act(association: Association, kind: int = 1, data: Dataset | None = None) -> tuple[int, Dataset | None, str]:
    status, reply = association.send_n_action(data or words(), kind, LOGGING, "1.2.3")
    return int(status.get("Status", -1)), reply, str(status.get("ErrorComment", ""))


def trust(secured: TlsStation) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=secured.authority.text)


@pytest.mark.parametrize("by_tls", [False, True], ids=["plain", "tls"])
def test_verification_and_n_services_are_served_on_both_ports(secured: TlsStation, here: Station, by_tls: bool) -> None:
    port, context = (secured.port, trust(secured)) if by_tls else (here.port, None)
    with associated(port, VERIFICATION, DISPLAY, LOGGING, tls=context) as association:
        assert association.is_established and len(association.accepted_contexts) == 3
        assert association.acceptor.implementation_version_name == pdu.IMPLEMENTATION_VERSION
        assert association.acceptor.maximum_length == DicomSettings().max_pdu
        assert association.send_c_echo().Status == 0
        status, found = association.send_n_get([], DISPLAY, DISPLAY_INSTANCE)
        assert status.Status == 0 and found is not None
        assert (found.ManufacturerModelName, found.Manufacturer) == ("modality", "FILMROOM")
        code, reply, _ = act(association)
        assert code == 0 and reply is not None and str(reply.PatientName) == "Grün^Änne"
        assert association.send_c_echo().Status == 0
    assert association.is_released
    assert dcmtk.echoscu(here.port).code == 0 and secured.echo().code == 0


def test_large_messages_pass_in_both_directions(secured: TlsStation, here: Station) -> None:
    data = words()
    data.EncapsulatedDocument = bytes(range(256)) * 12_000  # 3 MB, in many PDUs
    for port, context in ((here.port, None), (secured.port, trust(secured))):
        with associated(port, LOGGING, tls=context, max_pdu=4096) as association:
            code, reply, _ = act(association, data=data)
            assert code == 0 and reply is not None
            assert reply.EncapsulatedDocument == data.EncapsulatedDocument


def test_find_answers_many_and_can_be_cancelled(here: Station) -> None:
    wanted = Dataset()
    wanted.PatientID = "4"
    with associated(here.port, PALETTES) as association:
        got = [(s.Status, d.PatientID if d else "") for s, d in association.send_c_find(wanted, PALETTES)]
        assert got == [(0xFF00, "0"), (0xFF00, "1"), (0xFF00, "2"), (0xFF00, "3"), (0, "")]
        wanted.PatientID = "9"
        got = [(s.Status, d.PatientID if d else "") for s, d in association.send_c_find(wanted, PALETTES)]
        assert len(got) == 6 and got[-1] == (0x0110, "")
        wanted.PatientID = "1000000"
        codes = []
        for status, _ in association.send_c_find(wanted, PALETTES, msg_id=7):
            codes.append(status.Status)
            if len(codes) == 3:
                association.send_c_cancel(7, query_model=PALETTES)
        assert codes[-1] == 0xFE00 and len(codes) < 1_000_000


def test_a_peer_that_does_not_read_stops_the_service_and_one_that_goes_ends_it(here: Station) -> None:
    wanted = pdu.p_data(1, 2, b"\x10\x00\x20\x00\x06\x00\x00\x00" + str(handed.LARGE).encode())
    asked = {
        commands.SOP_CLASS: PALETTES,
        commands.COMMAND_FIELD: commands.C_FIND_RQ,
        commands.MESSAGE_ID: 1,
        commands.DATA_SET_TYPE: 1,
    }
    handed.produced[0] = 0
    with _opened(here, PALETTES) as sock:
        sock.sendall(pdu.p_data(1, 3, commands.encode(asked)) + wanted)
        here.wait(lambda: handed.produced[0] > 10)
        made = settled(lambda: handed.produced[0], "responses are made", quiet=1)
        assert made < 2000  # what is under way: 32 PDUs here and the buffers of the network, some MB
    here.calm()
    assert handed.produced[0] < 3000


@pytest.mark.parametrize("by_tls", [False, True], ids=["plain", "tls"])
def test_dcmtk_asks_a_handed_over_service(secured: TlsStation, here: Station, by_tls: bool, tmp_path: Path) -> None:
    """findscu -W, until Filmroom serves the Modality Worklist itself."""
    worklist = registry.Service(
        "worklist", frozenset({"1.2.840.10008.5.1.4.31"}), Verb.STUDY_SEARCH, {"EVT_C_FIND": handed.find}
    )
    options = ["-W", "-aet", CALLER, "-aec", "FILMROOM", "-k", "PatientID=3", "-X", "-od", str(tmp_path)]
    if by_tls:
        options += ["+tla", "+cf", str(secured.authority.file)]
    registry.register(worklist)
    try:
        done = dcmtk.run("findscu", "-v", *options, "127.0.0.1", str(secured.port if by_tls else here.port))
    finally:
        registry.unregister(worklist)
    assert done.code == 0, done.output
    assert [one.PatientID for one in answers_in(tmp_path)] == ["0", "1", "2"]


def test_objects_are_stored_by_the_same_rules(here: Station, shared_data: Path) -> None:
    ct = dcmread(shared_data / "codecs/wg04/ct1/ct1_uncompressed.dcm")
    before = len(here.instances())
    with associated(here.port, LOGGING, CT, VERIFICATION) as association:
        assert association.send_c_store(ct).Status == 0
        assert association.send_c_store(ct).Status == 0  # the same once more
        assert act(association)[0] == 0
    stored = here.instances()
    assert len(stored) == before + 1 and stored[-1].sop_instance_uid == ct.SOPInstanceUID
    assert dcmread(here.path(ct.SOPInstanceUID)).PixelData == ct.PixelData


def test_what_is_not_offered_beside_them_is_refused_by_context(here: Station) -> None:
    """Query/retrieve and storage commitment have the fast path only; unknown classes nobody."""
    find, commitment, unknown = "1.2.840.10008.5.1.4.1.2.2.1", "1.2.840.10008.1.20.1", "1.2.3.4"
    contexts = [
        Context(2 * n + 1, uid, [ImplicitVRLittleEndian]) for n, uid in enumerate((DISPLAY, find, commitment, unknown))
    ]
    contexts += [Context(9, DISPLAY, ["1.2.840.10008.1.2.4.70"]), Context(11, LOGGING, ["1.2.840.10008.1.2.4.70"])]
    with here.connect() as sock:
        sock.sendall(pdu.encode_request("FILMROOM", CALLER, contexts, 16384))
        kind, body = read_pdu(sock)
        assert kind == pdu.ASSOCIATE_AC
        results = {one.id: one.result for one in pdu.decode_associate(body).results}
    assert results == {
        1: pdu.ACCEPTED, 3: pdu.ABSTRACT_UNKNOWN, 5: pdu.ABSTRACT_UNKNOWN, 7: pdu.ABSTRACT_UNKNOWN,
        9: pdu.TRANSFER_UNKNOWN, 11: pdu.TRANSFER_UNKNOWN,
    }  # fmt: skip


def test_admission_decides_before_pynetdicom_does(secured: TlsStation, here: Station) -> None:
    def rejection(**more: Any) -> tuple[int, int, int]:
        with associated(here.port, DISPLAY, **more) as association:
            assert association.is_rejected
            answer = association.acceptor.primitive
            assert answer is not None
            return answer.result, answer.result_source, answer.diagnostic  # type: ignore[return-value]

    assert rejection(called="NOT-US") == (1, 1, 7)
    here.set(unknown_callers="known")
    assert rejection(calling="STRANGER") == (1, 1, 3)
    with associated(here.port, DISPLAY) as known:
        assert known.is_established
    operation_log.flush(here.database)
    with here.database.read() as session:
        refused = session.scalars(select(NetworkOperation).where(NetworkOperation.result == "refused")).all()
    assert {row.title for row in refused} == {CALLER, "STRANGER"}
    # A password that is wrong is refused as everywhere.
    identity = UserIdentityNegotiation()
    identity.user_identity_type, identity.primary_field, identity.secondary_field = 2, b"nobody", b"wrong"
    assert rejection(ext_neg=[identity]) == (1, 1, 1)


def test_a_user_name_is_confirmed(here: Station) -> None:
    from app.network.user_items import UserIdentity

    user = UserItems(window=(5, 5), roles={DISPLAY: RoleSelection(True, True)}, extended={DISPLAY: b"\1"})
    user.identity = UserIdentity(1, b"Smith", b"", True)
    with here.connect() as sock:
        sock.sendall(
            pdu.encode_request("FILMROOM", CALLER, [Context(1, DISPLAY, [ImplicitVRLittleEndian])], 16384, user)
        )
        kind, body = read_pdu(sock)
        assert kind == pdu.ASSOCIATE_AC
        said = pdu.decode_associate(body).user
    assert said.confirmed == b"" and said.roles == {} and said.window is None


def test_a_caller_belongs_to_the_facility_it_calls(here: Station) -> None:
    with here.database.read() as session:
        ids = {one.name: one.id for one in session.scalars(select(Facility))}
    for called, facility in (("FILMROOM", "North"), ("SOUTH1", "South")):
        with associated(here.port, DISPLAY, called=called) as association:
            _, found = association.send_n_get([], DISPLAY, DISPLAY_INSTANCE)
            assert found is not None and found.InstitutionName == ids[facility]


def test_permissions_hold_for_each_request(here: Station) -> None:
    """A stranger may have its echo and send, not search."""
    wanted = Dataset()
    wanted.PatientID = "1"
    with associated(here.port, DISPLAY, LOGGING, PALETTES, calling="STRANGER") as association:
        (status, _), *rest = association.send_c_find(wanted, PALETTES)
        assert status.Status == 0x0124 and not rest
        assert act(association)[0] == 0


def test_a_fault_is_answered_and_names_no_patient(here: Station, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "app"), associated(here.port, DISPLAY, LOGGING, VERIFICATION) as association:
        assert act(association, 3)[::2] == (0x0110, "This cannot be done twice.")
        assert act(association, 4)[::2] == (0x0110, "Internal error; see the log of Filmroom")
        assert association.send_c_echo().Status == 0
    here.calm()
    assert "logging failed: RuntimeError" in caplog.text
    assert SECRET not in caplog.text and "Grün" not in caplog.text


def test_the_transfer_log_has_kind_status_counts_and_facility(here: Station) -> None:
    operation_log.flush(here.database)
    with here.database.write() as session:
        session.query(NetworkOperation).delete()
    with associated(here.port, VERIFICATION, LOGGING, DISPLAY) as association:
        association.send_c_echo()
        act(association)
        act(association)
        act(association, 3)
    here.calm()
    operation_log.flush(here.database)
    with here.database.read() as session:
        rows = {row.kind: row for row in session.scalars(select(NetworkOperation))}
    assert set(rows) == {"echo", "logging"}
    row = rows["logging"]
    assert (row.result, row.status, row.objects, row.peer, row.title) == ("failure", 0x0110, 2, "modality", CALLER)
    assert row.words == "This cannot be done twice." and row.bytes > 0 and row.facility_id


def test_twenty_at_once_and_the_limits(here: Station) -> None:
    done: list[int] = []

    def one(number: int) -> None:
        with associated(here.port, VERIFICATION, LOGGING) as association:
            for _ in range(5):
                code, reply, _ = act(association)
                if code == 0 and reply is not None and association.send_c_echo().Status == 0:
                    done.append(number)

    threads = [threading.Thread(target=one, args=(n,)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == 100
    here.calm()
    assert here.receiver.associations == 0
    here.set(max_associations=2, places_for_nodes=0)
    with associated(here.port, LOGGING) as first, associated(here.port, LOGGING):
        with associated(here.port, LOGGING) as third:
            answer = third.acceptor.primitive
            assert third.is_rejected and answer is not None
            assert (answer.result, answer.result_source, answer.diagnostic) == (2, 3, 2)
        assert dcmtk.echoscu(here.port).code != 0  # the places are those of all
        first.release()
        here.wait(lambda: here.receiver.associations == 1, 30)
        with associated(here.port, LOGGING) as again:
            assert again.is_established
    here.calm()
    here.set(associations_per_address=1)
    with (
        associated(here.port, LOGGING, calling="STRANGER"),
        associated(here.port, LOGGING, calling="STRANGER") as second,
    ):
        assert second.is_rejected


def test_an_abort_ends_it_and_the_caller_is_named(here: Station, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "app.dimse.association"):
        with associated(here.port, LOGGING) as association:
            handed.hold.clear()
            handed.entered.clear()
            waiting = threading.Thread(target=lambda: act(association, 2), daemon=True)  # it never hears an answer
            waiting.start()
            assert handed.entered.wait(60)
            association.abort()  # while our handler is at work
            handed.hold.set()
        here.calm()
        with associated(here.port, LOGGING) as association:
            association.abort()
        here.calm()
    endings = [r.getMessage() for r in caplog.records if "MODALITY to FILMROOM" in r.getMessage()]
    assert len(endings) == 2 and all("aborted by the peer" in line for line in endings), endings


def _opened(here: Station, *classes: str, calling: str = CALLER) -> socket.socket:
    """An association of our own making, so that what follows can break the rules."""
    sock = here.connect()
    contexts = [Context(2 * n + 1, uid, [ImplicitVRLittleEndian]) for n, uid in enumerate(classes or (LOGGING,))]
    sock.sendall(pdu.encode_request("FILMROOM", calling, contexts, 16384))
    assert read_pdu(sock)[0] == pdu.ASSOCIATE_AC
    return sock


def _action(fragments: bool = False, **more: Any) -> bytes:
    elements: dict[int, Any] = {
        commands.REQUESTED_CLASS: LOGGING,
        commands.COMMAND_FIELD: commands.N_ACTION_RQ,
        commands.MESSAGE_ID: 1,
        commands.DATA_SET_TYPE: 1 if fragments else commands.NO_DATA_SET,
        commands.REQUESTED_INSTANCE: "1.2.3",
        commands.ACTION_TYPE: 1,
    }
    for name, value in more.items():
        elements[getattr(commands, name)] = value
    return pdu.p_data(1, 3, commands.encode({k: v for k, v in elements.items() if v is not None}))


BROKEN: dict[str, bytes] = {
    "an unknown PDU": b"\x09\x00\x00\x00\x00\x04abcd",
    "another request for an association": pdu.encode_request("FILMROOM", CALLER, [Context(1, LOGGING, ["1.2"])], 1),
    "a PDU of 4 GiB": b"\x04\x00\xff\xff\xff\xff" + bytes(100),
    "a PDV longer than its PDU": struct.pack(">BBIIBB", 4, 0, 8, 5000, 1, 3) + b"ab",
    "a command set that is none": pdu.p_data(1, 3, b"\xff" * 50),
    "a command without its class": _action(REQUESTED_CLASS=None),
    "a command without its field": _action(COMMAND_FIELD=None),
    "an unknown command": _action(COMMAND_FIELD=0x0777),
    "a class that nobody serves": _action(REQUESTED_CLASS="1.2.3.4.5"),
    "a context that was not accepted": b"\x04" + _action()[1:10] + b"\x63" + _action()[11:],
    "random bytes": bytes((n * 7919 + 13) % 251 for n in range(400)),
    "fragments without content": pdu.p_data(1, 0, b"") * 1100,
    "many requests at once": _action(ACTION_TYPE=2) * 40,
    "many event reports at once": _action(
        COMMAND_FIELD=commands.N_EVENT_REPORT_RQ, SOP_CLASS=LOGGING, SOP_INSTANCE="1.2.3", EVENT_TYPE=1
    ) * 40,
}  # fmt: skip


@pytest.mark.parametrize("what", BROKEN)
def test_garbage_after_the_hand_over_ends_this_association_only(
    here: Station, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    handed.hold.clear()
    with associated(here.port, LOGGING) as other, caplog.at_level(logging.INFO, "app.dimse.association"):
        with _opened(here) as sock:
            with contextlib.suppress(OSError):
                sock.sendall(BROKEN[what])
            sock.settimeout(20)
            handed.hold.set() if what != "many requests at once" else None
            kind = read_pdu(sock)[0]
            while kind == pdu.P_DATA:
                kind = read_pdu(sock)[0]
            assert kind == pdu.ABORT, kind
        handed.hold.set()
        assert act(other)[0] == 0
        other.release()
        here.calm()
    lines = [r.getMessage() for r in caplog.records if "aborted by us" in r.getMessage()]
    assert len(lines) == 1, caplog.text


def test_random_bytes_after_the_hand_over_disturb_nobody(here: Station) -> None:
    chance = random.Random(4711)
    good = _action() + _action(ACTION_TYPE=4) + pdu.RELEASE_RQ_BYTES
    with associated(here.port, LOGGING) as other:
        for _ in range(60):
            broken = bytearray(good)
            for _ in range(chance.randint(1, 6)):
                broken[chance.randrange(len(broken))] = chance.randrange(256)
            with _opened(here) as sock, contextlib.suppress(ConnectionError):
                sock.sendall(broken[: chance.randint(1, len(broken))])
                sock.shutdown(socket.SHUT_WR)
                sock.settimeout(10)
                while sock.recv(4096):
                    pass
        assert act(other)[0] == 0
    here.calm()
    assert here.receiver.associations == 0


def test_a_message_without_end_is_cut_at_the_limit(here: Station, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acceptor, "PynetLimits", lambda *given: limits.PynetLimits(*given, message=1 << 20))
    piece = pdu.p_data(1, 0, bytes(16000))
    with _opened(here) as sock:
        sock.sendall(_action(fragments=True))
        with contextlib.suppress(OSError):
            for _ in range(200):
                sock.sendall(piece)
        assert _last(sock) in (pdu.ABORT, 0)
    here.calm()
    with _opened(here) as first:
        first.sendall(_action(fragments=True) + piece * 30)
        here.wait(lambda: BUDGET.used > 400_000, 30)
        monkeypatch.setattr(BUDGET, "_limit", BUDGET.used + 100_000)  # what all of them may hold together
        with _opened(here) as second:
            second.sendall(_action(fragments=True) + piece * 10)
            assert _last(second) == pdu.ABORT
    here.calm()


def _last(sock: socket.socket) -> int:
    sock.settimeout(20)
    with contextlib.suppress(ConnectionError):
        return read_pdu(sock)[0]
    return 0


@pytest.mark.parametrize("how", ["nothing", "half a PDU", "drop"])
def test_silence_and_drops_free_the_place(here: Station, how: str, caplog: pytest.LogCaptureFixture) -> None:
    """The silence of a stranger has its own limit."""
    here.set(stranger_timeout=5, network_timeout=2)
    with caplog.at_level(logging.INFO, "app.dimse.association"):
        with _opened(here, calling="STRANGER") as sock:
            started = time.monotonic()
            if how == "half a PDU":
                sock.sendall(_action()[:20])
            if how == "drop":
                sock.shutdown(socket.SHUT_WR)
            else:
                assert is_aborted(sock) >= 0
                assert time.monotonic() - started > 1.5
        here.calm()
    wanted = "the connection was dropped" if how == "drop" else "aborted by us: silent for too long"
    assert wanted in caplog.text
    assert here.receiver.associations == 0


def test_our_own_work_is_no_silence_of_the_caller(here: Station, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acceptor, "PynetLimits", lambda idle, *rest: limits.PynetLimits(1.0, *rest))
    with associated(here.port, LOGGING) as association:
        handed.hold.clear()
        threading.Timer(2.0, handed.hold.set).start()
        assert act(association, 2)[0] == 0
        time.sleep(0.3)  # a short silence of the caller, below the limit
        assert act(association)[0] == 0


def test_the_reactor_leaves_a_response_to_who_waits_for_it() -> None:
    """pynetdicom's own takes it now and then, and a request of ours then fails by its timeout."""
    association = Association(AE(), "requestor")
    answer, asked = C_ECHO(), C_ECHO()
    answer.MessageIDBeingRespondedTo, asked.MessageID = 1, 2
    association._reactor_checkpoint.clear()  # as each request does before it is sent
    association.dimse.msg_queue.put((1, answer))
    assert next_request(association.dimse, 0.0) == (None, None)
    assert association.dimse.get_msg(block=True) == (1, answer)
    association.dimse.msg_queue.put((1, asked))
    assert next_request(association.dimse, 0.0) == (1, asked)
    association._reactor_checkpoint.set()  # nobody waits: it may go
    association.dimse.msg_queue.put((1, answer))
    assert next_request(association.dimse, 0.0) == (1, answer)


def test_a_class_has_one_service_and_only_requests_are_answered() -> None:
    def service(event: str) -> registry.Service:
        return registry.Service("x", frozenset({"1.2.3"}), Verb.NODE_ECHO, {event: handed.read})

    first = service("EVT_N_GET")
    registry.register(first)
    try:
        assert registry.service_of("1.2.3") is first and "1.2.3" in registry.sop_classes()
        with pytest.raises(ValueError, match="already registered"):
            registry.register(service("EVT_N_SET"))
    finally:
        registry.unregister(first)
    assert registry.service_of("1.2.3") is None
    with pytest.raises(ValueError, match="not an event"):
        registry.register(service("EVT_C_STORE"))


@contextlib.contextmanager
def _process(config: Config) -> Iterator[Process]:
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.handed", str(config.data), str(port)],
        cwd=Path(__file__).resolve().parents[2],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield Process(port, process, config.run)
    finally:
        process.kill()
        process.wait(60)


def test_the_role_ends_and_dies_with_such_associations_open(sqlite_config: Config) -> None:
    with _process(sqlite_config) as role:
        role.wait(1)
        with contextlib.ExitStack() as stack:
            open_ones = [stack.enter_context(associated(role.port, LOGGING, VERIFICATION)) for _ in range(3)]
            assert all(act(one)[0] == 0 for one in open_ones)
            started = time.monotonic()
            role.process.terminate()
            assert role.process.wait(60) == 0
            assert time.monotonic() - started < 30, (
                "it does not wait for the associations, which may be silent for longer"
            )
            eventually(lambda: all(one.is_aborted for one in open_ones), "every association is aborted")
    with _process(sqlite_config) as role:
        role.wait(1)
        with associated(role.port, LOGGING) as association:
            role.process.kill()
            eventually(lambda: not association.is_established, "the association ends")
    log = "".join(path.read_text() for path in sqlite_config.logs.glob("dicom*"))
    assert log.count("aborted by us: we stop") == 3 and "Grün" not in log
