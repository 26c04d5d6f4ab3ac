"""What must not hurt: garbage, lies, silence and broken-off objects on the DICOM port."""

import os
import random
import socket
import struct
import threading
import time
from pathlib import Path

import pytest

from app.kit import files
from app.network import commands, pdu
from app.network.pdu import Context, ContextResult
from tests.fuzz.watch import resident
from tests.support import dcmtk
from tests.support.dimse import Station
from tests.support.raw_pdus import is_aborted, read_pdu

CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"


def _associate(receiver: Station, abstract: str = CT, called: str = "FILMROOM") -> socket.socket:
    sock = receiver.connect()
    sock.sendall(pdu.encode_request(called, "HOSTILE", [Context(1, abstract, [EXPLICIT])], 16384))
    kind, body = read_pdu(sock)
    assert kind == pdu.ASSOCIATE_AC
    assert pdu.decode_associate(body).results == [ContextResult(1, 0, EXPLICIT)]
    return sock


def _store_request(uid: str = "1.2.3.4") -> bytes:
    return pdu.p_data(
        1,
        3,
        commands.encode(
            {
                commands.SOP_CLASS: CT,
                commands.COMMAND_FIELD: commands.C_STORE_RQ,
                commands.MESSAGE_ID: 7,
                commands.DATA_SET_TYPE: 0x0102,
                commands.SOP_INSTANCE: uid,
            }
        ),
    )


def _still_serves(receiver: Station) -> None:
    assert dcmtk.echoscu(receiver.port).code == 0


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),  # a TLS hello
        b"\x01\x00\xff\xff\xff\xff" + bytes(100),  # an A-ASSOCIATE-RQ of 4 GiB
        b"\x01\x00\x00\x00\x00\x04abcd",
        b"\x04\x00\x00\x00\x00\x10" + bytes(16),  # P-DATA before anything
        b"\x01\x00\x00\x00\x00\x48" + b"\x00\x01\x00\x00" + bytes(64) + b"\x10\x00\xff\xff",  # an item that lies
        pdu.encode_request("FILMROOM", "X", [Context(2, CT, [EXPLICIT])], 1),  # an even context id
        pdu.encode_request("FILMROOM", "X", [Context(1, CT, []), Context(1, CT, [])], 1),
    ],
)
def test_garbage_is_answered_by_an_abort(receiver: Station, garbage: bytes) -> None:
    with receiver.connect() as sock:
        sock.sendall(garbage)
        assert is_aborted(sock) in (pdu.UNRECOGNIZED_PDU, pdu.UNEXPECTED_PDU, pdu.INVALID_PARAMETER)
        assert sock.recv(1) == b""
    _still_serves(receiver)


def test_random_bytes_never_disturb_the_others(receiver: Station) -> None:
    chance = random.Random(4711)
    good = pdu.encode_request("FILMROOM", "FUZZ", [Context(1, CT, [EXPLICIT])], 16384) + _store_request()
    for _ in range(60):
        broken = bytearray(good)
        for _ in range(chance.randint(1, 6)):
            broken[chance.randrange(len(broken))] = chance.randrange(256)
        with receiver.connect() as sock:
            sock.sendall(broken[: chance.randint(1, len(broken))])
            sock.shutdown(socket.SHUT_WR)
            sock.settimeout(10)
            try:
                while sock.recv(4096):
                    pass
            except ConnectionError:
                pass
    receiver.calm()
    _still_serves(receiver)
    assert receiver.files() == []


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (b"\x04\x00\x00\x00\x00\x00", pdu.INVALID_PARAMETER),  # an empty P-DATA
        (struct.pack(">BBIIBB", 4, 0, 0x7FFFFFFF, 0x7FFFFFF0, 1, 0), pdu.INVALID_PARAMETER),  # 2 GiB in one PDU
        (struct.pack(">BBIIBB", 4, 0, 10, 500, 1, 0) + bytes(4), pdu.INVALID_PARAMETER),  # a PDV longer than its PDU
        (pdu.p_data(3, 2, b"data"), pdu.UNEXPECTED_PARAMETER),  # another context
        (pdu.p_data(1, 3, b"command"), pdu.UNEXPECTED_PARAMETER),  # a command inside a data set
        (pdu.RELEASE_RQ_BYTES, pdu.UNEXPECTED_PDU),  # the end in the middle
        (b"\x77\x00\x00\x00\x00\x04abcd", pdu.UNEXPECTED_PDU),
        (pdu.p_data(1, 0, b"") * 2000, pdu.UNEXPECTED_PARAMETER),  # fragments without content for ever
    ],
)
def test_a_breach_inside_an_object_aborts_and_leaves_nothing(receiver: Station, wrong: bytes, reason: int) -> None:
    with _associate(receiver) as sock:
        sock.sendall(_store_request() + pdu.p_data(1, 0, os.urandom(5000)) + wrong)
        assert is_aborted(sock) == reason
    receiver.calm()
    assert receiver.files() == [] and receiver.instances() == []
    _still_serves(receiver)


def test_a_dropped_connection_leaves_nothing(receiver: Station) -> None:
    for _ in range(5):
        with _associate(receiver) as sock:
            sock.sendall(_store_request() + pdu.p_data(1, 0, os.urandom(100_000)) * 15)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset, as from a crash
    receiver.calm()
    assert receiver.files() == [] and receiver.instances() == []


def test_a_senders_abort_leaves_nothing(receiver: Station) -> None:
    with _associate(receiver) as sock:
        sock.sendall(_store_request() + pdu.p_data(1, 0, os.urandom(100_000)) + pdu.encode_abort(0, 0))
        receiver.calm()
    assert receiver.files() == [] and receiver.instances() == []


def test_what_is_no_data_set_is_refused_with_words(receiver: Station) -> None:
    with _associate(receiver) as sock:
        for _ in range(2):  # and the association goes on
            sock.sendall(_store_request() + pdu.p_data(1, 2, b"this is not DICOM " * 100))
            kind, body = read_pdu(sock)
            assert kind == pdu.P_DATA
            answer = commands.decode(body[6:])
            assert commands.number(answer, commands.STATUS) == 0xC000
            assert commands.text(answer, commands.ERROR_COMMENT)
            assert commands.number(answer, commands.RESPONDED_TO) == 7
    receiver.calm()
    assert receiver.files() == []


@pytest.mark.parametrize("uid", ["", "../../../etc/passwd", "1.2.3\n4", "1" * 65, "'; DROP TABLE study; --"])
def test_a_hostile_uid_in_the_request_is_refused(receiver: Station, uid: str) -> None:
    with _associate(receiver) as sock:
        sock.sendall(_store_request(uid) + pdu.p_data(1, 2, bytes(2000)))
        _, body = read_pdu(sock)
        assert commands.number(commands.decode(body[6:]), commands.STATUS) == commands.INVALID_SOP_INSTANCE
        sock.sendall(pdu.RELEASE_RQ_BYTES)
        assert read_pdu(sock)[0] == pdu.RELEASE_RP
    assert receiver.files() == []


def test_silence_and_dribble_are_ended(receiver: Station) -> None:
    receiver.set(artim=1, network_timeout=2, idle_timeout=5)
    silent = receiver.connect()
    dribble = _associate(receiver)
    dribble.sendall(_store_request())
    whole = pdu.p_data(1, 2, bytes(5000))
    aborted = False
    for at in range(60):
        try:
            dribble.sendall(whole[at : at + 1])
            dribble.settimeout(0.2)
            aborted = dribble.recv(10)[:1] == bytes([pdu.ABORT])
            break
        except TimeoutError:
            continue
        except ConnectionError:
            aborted = True
            break
    assert aborted, "before the whole had come"
    silent.settimeout(6)
    assert is_aborted(silent) == 0
    silent.close()
    dribble.close()
    receiver.calm()
    assert receiver.files() == []


def test_a_thousand_idle_connections_take_nobodys_place(receiver: Station) -> None:
    files.raise_limit()  # both ends are in this process
    receiver.set(artim=10, max_associations=20)
    before, threads = resident(), threading.active_count()
    idle = [receiver.connect() for _ in range(1000)]
    try:
        receiver.wait(lambda: len(receiver.receiver._idle_connections) > 900)
        started = time.monotonic()
        for _ in range(3):
            _still_serves(receiver)
        assert time.monotonic() - started < 9, "before the idle ones were sent away"
        assert threading.active_count() - threads < 40 and resident() - before < 50_000_000
        receiver.wait(lambda: len(receiver.receiver._idle_connections) == 0, 30)
        for sock in idle:
            sock.settimeout(10)
            assert sock.recv(10)[:1] in (b"", bytes([pdu.ABORT]))
    finally:
        for sock in idle:
            sock.close()
    receiver.calm()


def test_the_limit_of_associations_is_told_and_freed(receiver: Station) -> None:
    receiver.set(max_associations=3)
    open_ones = [_associate(receiver) for _ in range(3)]
    with receiver.connect() as sock:
        sock.sendall(pdu.encode_request("FILMROOM", "FOURTH", [Context(1, CT, [EXPLICIT])], 16384))
        kind, body = read_pdu(sock)
        assert (kind, body[1:4]) == (pdu.ASSOCIATE_RJ, bytes([2, 3, 2])), "transient, local limit exceeded"
    for sock in open_ones:
        sock.close()
    receiver.calm()
    _still_serves(receiver)


@pytest.mark.peer
def test_a_wrong_title_is_rejected_for_the_right_reason(receiver: Station) -> None:
    answer = dcmtk.echoscu(receiver.port, "NOT_US")
    assert answer.code != 0 and "Called AE Title Not Recognized" in answer.output
    receiver.set(also_called=["NOT_US"])
    assert dcmtk.echoscu(receiver.port, "NOT_US").code == 0


@pytest.mark.peer
def test_unknown_callers_can_be_shut_out(receiver: Station) -> None:
    receiver.set(unknown_callers="known")
    answer = dcmtk.echoscu(receiver.port)
    assert answer.code != 0 and "Calling AE Title Not Recognized" in answer.output


def test_an_unknown_command_is_answered_not_aborted(receiver: Station) -> None:
    with _associate(receiver) as sock:
        sock.sendall(pdu.p_data(1, 3, commands.encode({0x0002: CT, 0x0100: 0x0140, 0x0110: 9, 0x0800: 0x0102})))
        sock.sendall(pdu.p_data(1, 2, bytes(100)))
        _, body = read_pdu(sock)
        answer = commands.decode(body[6:])
        assert commands.number(answer, commands.STATUS) == commands.UNRECOGNIZED_OPERATION
        assert commands.number(answer, commands.COMMAND_FIELD) == 0x8140


def test_a_full_disk_is_answered_and_the_association_goes_on(
    receiver: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    from app.archive.store import Incoming
    from app.kit.errors import Unavailable

    def full(self: Incoming, data: object, **_: object) -> None:
        raise Unavailable("The store cannot accept data at the moment.")

    with _associate(receiver) as sock:
        monkeypatch.setattr(Incoming, "write", full)  # no disk can be filled for one test
        sock.sendall(_store_request() + pdu.p_data(1, 0, bytes(100_000)) * 12 + pdu.p_data(1, 2, b""))
        _, body = read_pdu(sock)
        assert commands.number(commands.decode(body[6:]), commands.STATUS) == 0xA700
        monkeypatch.undo()
        sock.sendall(_store_request() + pdu.p_data(1, 2, bytes(100)))
        _, body = read_pdu(sock)
        assert commands.number(commands.decode(body[6:]), commands.STATUS) == 0xC000
    receiver.calm()
    assert receiver.files() == []


def test_small_pdus_with_many_fragments_are_put_together(receiver: Station, shared_data: Path) -> None:
    from tests.support.dimse import parts_of

    found = parts_of(shared_data / "codecs/wg04/ct1/ct1_uncompressed.dcm")
    assert found is not None
    meta, data = found
    uid = str(meta.MediaStorageSOPInstanceUID)
    pieces = [data[i : i + 777] for i in range(0, len(data), 777)]
    with _associate(receiver, str(meta.MediaStorageSOPClassUID)) as sock:
        request = bytearray(_store_request(uid))
        command = request[12:]
        for at in range(0, len(command), 10):  # the command in crumbs too
            sock.sendall(pdu.p_data(1, 1 | (2 if at + 10 >= len(command) else 0), command[at : at + 10]))
        whole = b"".join(pdu.p_data(1, 2 if p is pieces[-1] else 0, p) for p in pieces)
        sock.sendall(whole)
        _, body = read_pdu(sock)
        assert commands.number(commands.decode(body[6:]), commands.STATUS) == 0
    assert receiver.data_set(uid) == data


def test_a_request_that_names_another_object_is_stored_as_the_data_set_says(
    receiver: Station, shared_data: Path
) -> None:
    from pydicom import dcmread

    from tests.support.dimse import parts_of

    found = parts_of(shared_data / "codecs/wg04/ct1/ct1_uncompressed.dcm")
    assert found is not None
    own = str(found[0].MediaStorageSOPInstanceUID)
    with _associate(receiver) as sock:
        pieces = [found[1][i : i + 100_000] for i in range(0, len(found[1]), 100_000)]
        sock.sendall(_store_request("1.2.3.4.5.6"))
        sock.sendall(b"".join(pdu.p_data(1, 2 if p is pieces[-1] else 0, p) for p in pieces))
        _, body = read_pdu(sock)
        answer = commands.decode(body[6:])
        assert commands.number(answer, commands.STATUS) == 0xB007
        assert "another SOP" in commands.text(answer, commands.ERROR_COMMENT)
    (stored,) = receiver.instances()
    assert stored.sop_instance_uid == own
    assert dcmread(receiver.config.store / stored.path).file_meta.MediaStorageSOPInstanceUID == own
