"""Peers that go on, a byte now and then: every outgoing call ends with a clear sentence, and slow lines are not cut off."""

import contextlib
import io
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.archive import Source
from app.config import Config
from app.forward.store_lane import BandwidthLimit
from app.forward.stow import WebNode
from app.kit.errors import PeerFault
from app.kit.ids import new_id
from app.network import commands, pdu, retrieve_scu, scu
from app.network.pdu import Context
from app.network.probe import probe
from app.network.retrieve_scu import Getter, Mover
from app.network.scu import Association, Peer
from app.network.settings import DicomSettings
from app.nodes import dicomweb
from app.nodes.models import Node
from app.nodes.service import NodeValues
from app.selftest import running
from tests.archive.make import ct_bytes
from tests.support.dimse import Station
from tests.support.scripted import (
    read_exactly,
    read_store_request,
    scripted_scp,
    scripted_server,
    send_response,
)
from tests.support.selftests import run_selftest, step_states, step_text
from tests.support.waiting import pace

pytestmark = pytest.mark.peer
CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"


def limits(seconds: float) -> DicomSettings:
    """As settings would be, if they allowed such short times."""
    return DicomSettings().model_copy(
        update={"network_timeout": seconds, "connect_timeout": 0.5, "idle_timeout": seconds}
    )


QUICK, STEADY = limits(0.2), limits(1.5)


@contextlib.contextmanager
def ends(words: str, seconds: float = 25) -> Iterator[None]:
    """The block raises PeerFault with these words, in so many seconds."""
    begun = time.monotonic()
    with pytest.raises(PeerFault, match=words) as raised:
        yield
    assert time.monotonic() - begun < seconds and "\n" not in raised.value.detail


def dribble(connection: socket.socket, data: bytes = b"X" * 10_000) -> None:
    for at in range(len(data)):
        connection.sendall(data[at : at + 1])
        pace(0.05)


def takes_little(connection: socket.socket) -> None:
    while connection.recv(10):
        pace(0.05)


# DICOMweb


def head_of(connection: socket.socket) -> bytes:
    """Reads a request whole; its head."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += _some(connection)
    head, _, body = data.partition(b"\r\n\r\n")
    length = next((int(n.split(b":")[1]) for n in head.lower().split(b"\r\n") if n.startswith(b"content-length")), 0)
    while len(body) < length:
        body += _some(connection)
    return head


def _some(connection: socket.socket) -> bytes:
    data = connection.recv(65536)
    if not data:
        raise OSError("gone")
    return data


WEB = {
    "status line": b"",
    "headers": b"HTTP/1.1 200 OK\r\nX-",
    "body": b"HTTP/1.1 200 OK\r\nContent-Type: application/dicom+json\r\nContent-Length: 100000\r\n\r\n[",
    "part": (
        b'HTTP/1.1 200 OK\r\nContent-Type: multipart/related; type="application/dicom"; boundary=b\r\n'
        b"Content-Length: 100000\r\n\r\n--b\r\nContent-Type: application/dicom\r\n\r\n"
    ),
}


def web_node(port: int, scheme: str = "http") -> Node:
    set_to = {"protocol": "dicomweb", "url": f"{scheme}://127.0.0.1:{port}/dicom-web", "use_proxy": False}
    return Node(id=new_id(), name="web", ae_title="", host="", port=0, options=set_to)


def call(way: str, port: int, config: Config, station: Station, scheme: str = "http") -> None:
    node = web_node(port, scheme)
    if way == "forward":
        there = WebNode(station.archive, config, node, QUICK, BandwidthLimit())
        try:
            there.store_file("1.2.3", ct_bytes(), EXPLICIT)
        finally:
            there.close()
        return
    with dicomweb.client(node, QUICK, config) as http:
        if way == "query":
            list(dicomweb.find(http, "web", "STUDY", {}))
        else:
            dicomweb.retrieve(http, "web", station.archive, Source(kind="dicomweb"), "studies/1.2", limit=1 << 20)


@pytest.mark.parametrize("way", ["forward", "query", "retrieve"])
def test_dicomweb_calls_end(receiver: Station, sqlite_config: Config, way: str) -> None:
    wanted = [first for name, first in WEB.items() if name != ("body" if way == "retrieve" else "part")]
    firsts = iter(wanted)

    def script(connection: socket.socket) -> None:
        head_of(connection)
        connection.sendall(next(firsts))
        dribble(connection)

    with scripted_server(script) as port:
        for _ in wanted:
            with ends("web was too slow: less than 1024 bytes a second"):
                call(way, port, sqlite_config, receiver)
    assert receiver.files() == []


def test_a_dribbled_tls_handshake_ends(receiver: Station, sqlite_config: Config) -> None:
    """A record of TLS that never becomes whole."""
    with scripted_server(lambda connection: dribble(connection, b"\x16\x03\x03\x20\x00" + b"\x02" * 8192)) as port:
        for way in ("forward", "query", "retrieve"):
            with ends("web (does not answer|did not answer in time)"):
                call(way, port, sqlite_config, receiver, "https")
        with ends("did not answer the handshake within"):
            Association(Peer("PACS", "US", "127.0.0.1", port, tls=True), [], QUICK).__enter__()


def test_a_server_that_takes_a_byte_now_and_then_is_left(receiver: Station, sqlite_config: Config) -> None:
    with scripted_server(takes_little, receive=1) as port:
        there = WebNode(receiver.archive, sqlite_config, web_node(port), QUICK, BandwidthLimit())
        with ends("web (was too slow|did not answer in time)", 15):
            there.store_file("1.2.3", bytes(8 << 20), EXPLICIT)
        there.close()


def test_a_large_object_on_a_slow_line_arrives(receiver: Station, sqlite_config: Config) -> None:
    """It takes longer than the response timeout, some of it while the kernel holds its end."""
    size, came = 2 << 20, 0

    def script(connection: socket.socket) -> None:
        nonlocal came
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += connection.recv(1)
        length = int(next(line for line in head.lower().split(b"\r\n") if b"content-length" in line).split(b":")[1])
        while came < length:
            came += len(_some(connection))
            pace(0.1)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    begun = time.monotonic()
    with scripted_server(script, receive=1 << 16) as port:
        there = WebNode(receiver.archive, sqlite_config, web_node(port), STEADY, BandwidthLimit())
        assert there.store_file("1.2.3", bytes(size), EXPLICIT).state == "sent"
        there.close()
    assert came > size and time.monotonic() - begun > 2 * STEADY.network_timeout


@pytest.mark.parametrize("at", ["find", "store", "find-back", "get"])
def test_each_step_of_a_self_test_ends(receiver: Station, monkeypatch: pytest.MonkeyPatch, at: str) -> None:
    """A DICOMweb server that does everything well, until it dribbles at one step."""
    monkeypatch.setattr(running, "load", lambda session, kind: limits(0.5))
    searches = 0

    def script(connection: socket.socket) -> None:
        nonlocal searches
        head = head_of(connection)
        step, body = "get", b""
        if head.startswith(b"POST"):
            step = "store"
        elif b"/studies?" in head:
            searches += 1  # the Test's own, today's studies, then the test study
            step = ("search", "find", "find-back")[min(searches, 3) - 1]
            study = {"0020000D": {"vr": "UI", "Value": ["1.2.3"]}}
            body = json.dumps([study]).encode()
        kind = b"Content-Type: application/dicom+json\r\nConnection: close\r\n"
        connection.sendall(b"HTTP/1.1 200 OK\r\n" + kind)
        if step == at:
            dribble(connection)
        connection.sendall(b"Content-Length: %d\r\n\r\n" % len(body) + body)

    begun = time.monotonic()
    with scripted_server(script) as port:
        values = NodeValues(name="web", protocol="dicomweb", url=f"http://127.0.0.1:{port}/dicom-web")
        test = run_selftest(receiver, values)
    assert test.state == "done" and step_states(test)[at] == "failed", test.steps
    assert "web was too slow" in step_text(test, at) and time.monotonic() - begun < 60
    assert receiver.instances() == []


# DICOM


def dribbled_pdus(connection: socket.socket, context: int) -> None:
    """Takes a request and answers it a byte in a PDU: each PDU comes in time."""
    message = read_store_request(connection)
    elements = {
        commands.COMMAND_FIELD: commands.C_STORE_RSP,
        commands.RESPONDED_TO: message,
        commands.DATA_SET_TYPE: commands.NO_DATA_SET,
        commands.STATUS: 0,
    }
    for byte in commands.encode(elements):
        connection.sendall(pdu.p_data(context, 1, bytes([byte])))
        pace(0.1)


def dribbled_header(connection: socket.socket, context: int) -> None:
    read_store_request(connection)
    dribble(connection, bytes([pdu.P_DATA, 0, 0, 0, 1, 0]) + bytes(256))


def test_a_get_whose_object_is_dribbled_ends(receiver: Station) -> None:
    """Each PDU comes in time, a byte of the data set in each."""

    def script(connection: socket.socket, context: int) -> None:
        _body(connection)
        _body(connection)
        elements: dict[int, int | str] = {
            commands.SOP_CLASS: CT,
            commands.COMMAND_FIELD: commands.C_STORE_RQ,
            commands.MESSAGE_ID: 7,
            commands.PRIORITY: commands.MEDIUM,
            commands.DATA_SET_TYPE: 1,
            commands.SOP_INSTANCE: "1.2.3.1.1.1",
        }
        connection.sendall(pdu.p_data(context + 4, 3, commands.encode(elements)))
        for byte in ct_bytes():
            connection.sendall(pdu.p_data(context + 4, 0, bytes([byte])))
            pace(0.05)

    with scripted_scp(script) as port, ends("was too slow during retrieving"):
        who = Peer("PACS", "US", "127.0.0.1", port, "pacs", use_proxy=False)
        with Getter(who, QUICK, receiver.archive, Source(kind="dimse"), [CT]) as getter:
            getter.retrieve("STUDY", {"StudyInstanceUID": "1.2"})
    assert receiver.files() == [] and receiver.instances() == []


def _accept(connection: socket.socket) -> None:
    request = pdu.decode_associate(_body(connection))
    results = [pdu.ContextResult(c.id, pdu.ACCEPTED, c.transfer[0]) for c in request.contexts]
    connection.sendall(pdu.encode_accept(request, results, 0))


def _body(connection: socket.socket) -> bytes:
    """The body of the next PDU."""
    return read_exactly(connection, int.from_bytes(read_exactly(connection, 6)[2:], "big"))


def associate(port: int, settings: DicomSettings = QUICK, max_pdu: int = 0) -> Association:
    who = Peer("PACS", "US", "127.0.0.1", port, "pacs", max_pdu=max_pdu, use_proxy=False)
    return Association(who, [Context(1, CT, [EXPLICIT])], settings)


@pytest.mark.parametrize("script", [dribbled_pdus, dribbled_header])
def test_a_store_ends(script: Callable[[socket.socket, int], None]) -> None:
    said = "(was too slow|did not answer within 0.2 s) during sending"
    with scripted_scp(script) as port, ends(said), associate(port) as association:
        association.store(1, CT, "1.2.3", io.BytesIO(bytes(1000)), 1000)


def test_a_peer_that_takes_a_byte_now_and_then_is_left() -> None:
    def script(connection: socket.socket) -> None:
        _accept(connection)
        takes_little(connection)

    said = "(was too slow|did not answer within 0.2 s) during sending"
    with scripted_server(script, receive=1) as port, ends(said), associate(port) as association:
        association.store(1, CT, "1.2.3", io.BytesIO(bytes(8 << 20)), 8 << 20)


def test_a_dribbled_association_ends() -> None:
    def script(connection: socket.socket) -> None:
        connection.recv(10_000)
        dribble(connection, bytes([pdu.ASSOCIATE_AC, 0, 0, 0, 1, 0]) + bytes(256))

    with scripted_server(script) as port, ends("(was too slow|did not answer within 0.2 s) during the association"):
        associate(port).__enter__()


@pytest.mark.parametrize("longest", [0, 16384], ids=["from the file", "through a buffer"])
def test_a_large_object_on_a_slow_dicom_line_arrives(tmp_path: Path, longest: int) -> None:
    """Much more than the response timeout goes by while it is sent, and while the kernel still holds its end."""
    size, came = 3 << 20, 0

    def script(connection: socket.socket) -> None:
        nonlocal came
        _accept(connection)
        message, last = 0, False
        while not last:
            body = _body(connection)
            if body[5] & 1:
                message = commands.number(commands.decode(body[6:]), commands.MESSAGE_ID)
            came += len(body)
            last = body[5] == 2
            pace(len(body) / (1 << 20))
        send_response(connection, 1, message)
        connection.recv(10)

    file = tmp_path / "large"
    file.write_bytes(bytes(size))
    begun = time.monotonic()
    with (
        scripted_server(script, receive=1 << 16) as port,
        associate(port, STEADY, longest) as association,
        file.open("rb") as data,
    ):
        assert association.store(1, CT, "1.2.3", data, size, plain_file=True).status == 0
    assert came > size and time.monotonic() - begun > 1.5 * STEADY.network_timeout


def test_the_test_of_a_node_ends_though_a_query_is_answered_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scu, "_HEED", 0.3)

    def script(connection: socket.socket, context: int) -> None:
        echo = commands.decode(_body(connection)[6:])
        send_response(connection, context, commands.number(echo, commands.MESSAGE_ID), commands.C_ECHO_RSP)
        find = commands.decode(_body(connection)[6:])
        _body(connection)
        message = commands.number(find, commands.MESSAGE_ID)
        while True:
            send_response(connection, context + 4, message, commands.C_FIND_RQ | 0x8000, commands.PENDING)
            pace(0.02)

    begun = time.monotonic()
    with scripted_scp(script) as port:
        found = probe(Peer("PACS", "US", "127.0.0.1", port, "pacs", use_proxy=False), STEADY, ["find"])
    assert "did not end its answers in time" in found.message and time.monotonic() - begun < 30


def test_a_move_that_is_only_spoken_of_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pending answers without end, and no object ever comes."""
    monkeypatch.setattr(retrieve_scu, "NOTHING", 0.5)
    monkeypatch.setattr(scu, "_HEED", 0.5)

    def script(connection: socket.socket, context: int) -> None:
        message = commands.number(commands.decode(_body(connection)[6:]), commands.MESSAGE_ID)
        _body(connection)
        while True:
            send_response(connection, context, message, commands.C_MOVE_RQ | 0x8000, commands.PENDING)
            pace(0.02)

    with scripted_scp(script) as port, ends("went on answering for .* but sent nothing"):
        who = Peer("PACS", "US", "127.0.0.1", port, "pacs", use_proxy=False)
        with Mover(who, STEADY, "US") as mover:
            mover.retrieve("STUDY", {"StudyInstanceUID": "1.2"})


def test_a_name_server_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Event()
    real = socket.getaddrinfo

    def hangs(host: str, *more: Any, **options: Any) -> Any:
        if host == "slow.example":
            ended.wait(30)
            raise socket.gaierror
        return real(host, *more, **options)

    monkeypatch.setattr(socket, "getaddrinfo", hangs)
    with ends("name server did not return the address of slow.example"):
        Association(Peer("PACS", "US", "slow.example", 104, use_proxy=False), [], QUICK).__enter__()
    ended.set()
