"""Peers that take the association and then lie, hang or hang up: one clear line, a retry, and nothing marked sent."""

import socket
import struct

import pytest

from app.db import Database
from app.network import commands, pdu
from app.worker import Worker
from tests.support.destinations import node, objects, put, send, shown
from tests.support.dimse import Station
from tests.support.forwarding import work_off
from tests.support.scripted import DicomScript, read_store_request, scripted_scp, send_response

pytestmark = pytest.mark.peer


def silent(connection: socket.socket, context: int) -> None:
    read_store_request(connection)
    connection.recv(1)  # until we give up


def reset(connection: socket.socket, context: int) -> None:
    connection.recv(20)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def other_message(connection: socket.socket, context: int) -> None:
    send_response(connection, context, read_store_request(connection) + 7)
    connection.recv(100)


def other_answer(connection: socket.socket, context: int) -> None:
    send_response(connection, context, read_store_request(connection), commands.C_ECHO_RSP)
    connection.recv(100)


def garbage(connection: socket.socket, context: int) -> None:
    read_store_request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    connection.recv(100)


def says_why(connection: socket.socket, context: int) -> None:
    read_store_request(connection)
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
    receiver: Station, worker: Worker, peopled: Database, script: DicomScript, words: str
) -> None:
    put(receiver, 1)
    with scripted_scp(script) as port:
        node(peopled, port, network_timeout=2)
        transfer = send(peopled)
        work_off(worker)
    found = shown(peopled, transfer)
    assert words in found["error"] and "\n" not in found["error"], found["error"]
    assert (found["state"], found["sent"], found["waiting"]) == ("queued", 0, 1) and found["next_try_at"]
    assert [(row.state, row.tries, row.slot) for row in objects(peopled, transfer)] == [("waiting", 1, None)]
