"""Peers that take the association and then lie, hang or hang up: one clear line, a retry, and nothing marked sent."""

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator

import pytest

from app.config import Config
from app.db import Database
from app.network import commands, pdu
from app.worker import Worker
from tests.peers.test_destinations import node, objects, put, send, shown
from tests.support.dimse import Station
from tests.support.forwarding import work_off

pytestmark = pytest.mark.peer


@pytest.fixture
def worker(sqlite_config: Config, receiver: Station) -> Iterator[Worker]:
    made = Worker(sqlite_config)
    made.archive = receiver.archive
    yield made
    made.database.dispose()


Script = Callable[[socket.socket, int], None]


@contextlib.contextmanager
def liar(script: Script) -> Iterator[int]:
    """Accepts every context with its first syntax, then does as the script says; its port."""
    listener = socket.create_server(("127.0.0.1", 0))
    ended = threading.Event()

    def serve() -> None:
        while not ended.is_set():
            with contextlib.suppress(OSError):
                connection, _ = listener.accept()
                connection.settimeout(30)
                if ended.is_set():
                    return
                with connection:
                    head = _exactly(connection, 6)
                    request = pdu.decode_associate(_exactly(connection, int.from_bytes(head[2:], "big")))
                    results = [pdu.ContextResult(c.id, pdu.ACCEPTED, c.transfer[0]) for c in request.contexts]
                    connection.sendall(pdu.encode_accept(request, results, 16384))
                    script(connection, results[0].id)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        ended.set()
        with contextlib.suppress(OSError):
            socket.create_connection(listener.getsockname(), 1).close()  # wakes the accept
        listener.close()
        thread.join(60)


def _exactly(connection: socket.socket, count: int) -> bytes:
    found = b""
    while len(found) < count:
        piece = connection.recv(count - len(found))
        if not piece:
            raise OSError("gone")
        found += piece
    return found


def _request(connection: socket.socket) -> int:
    """Reads one C-STORE request with its data set; its message id."""
    message, last = 0, False
    while not last:
        head = _exactly(connection, 6)
        body = _exactly(connection, int.from_bytes(head[2:], "big"))
        if body[5] & 1:
            message = commands.number(commands.decode(body[6:]), commands.MESSAGE_ID)
        last = body[5] == 2
    return message


def _answer(
    connection: socket.socket, context: int, message: int, field: int = commands.C_STORE_RSP, status: int = 0
) -> None:
    command = commands.encode(
        {
            commands.COMMAND_FIELD: field,
            commands.RESPONDED_TO: message,
            commands.DATA_SET_TYPE: commands.NO_DATA_SET,
            commands.STATUS: status,
        }
    )
    connection.sendall(pdu.p_data(context, 3, command))


def silent(connection: socket.socket, context: int) -> None:
    _request(connection)
    connection.recv(1)  # until we give up


def reset(connection: socket.socket, context: int) -> None:
    connection.recv(20)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def other_message(connection: socket.socket, context: int) -> None:
    _answer(connection, context, _request(connection) + 7)
    connection.recv(100)


def other_answer(connection: socket.socket, context: int) -> None:
    _answer(connection, context, _request(connection), commands.C_ECHO_RSP)
    connection.recv(100)


def garbage(connection: socket.socket, context: int) -> None:
    _request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    connection.recv(100)


def says_why(connection: socket.socket, context: int) -> None:
    _request(connection)
    connection.sendall(pdu.encode_abort(pdu.BY_PROVIDER, pdu.UNEXPECTED_PARAMETER))


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (silent, "did not answer within 2 s"),
        (reset, "closed the connection during sending"),
        (other_message, "an answer to another message"),
        (other_answer, "an answer to another request"),
        (garbage, "does not speak DICOM as it should"),
        (says_why, "aborted the association"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_it_is_one_line_and_tried_again(
    receiver: Station, worker: Worker, peopled: Database, script: Script, words: str
) -> None:
    put(receiver, 1)
    with liar(script) as port:
        node(peopled, port, network_timeout=2)
        transfer = send(peopled)
        work_off(worker)
    found = shown(peopled, transfer)
    assert words in found["error"] and "\n" not in found["error"], found["error"]
    assert (found["state"], found["sent"], found["waiting"]) == ("queued", 0, 1) and found["next_try_at"]
    assert [(row.state, row.tries, row.slot) for row in objects(peopled, transfer)] == [("waiting", 1, None)]
