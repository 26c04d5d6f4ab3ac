"""Servers on a port of the loopback that follow a script of the test: for peers that answer wrongly, slowly or not at all."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

from app.network import commands, pdu

DicomScript = Callable[[socket.socket, int], None]


@contextlib.contextmanager
def scripted_scp(script: DicomScript) -> Iterator[int]:
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
                    head = read_exactly(connection, 6)
                    request = pdu.decode_associate(read_exactly(connection, int.from_bytes(head[2:], "big")))
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


def read_exactly(connection: socket.socket, count: int) -> bytes:
    found = b""
    while len(found) < count:
        piece = connection.recv(count - len(found))
        if not piece:
            raise OSError("gone")
        found += piece
    return found


def read_store_request(connection: socket.socket) -> int:
    """Reads one C-STORE request with its data set; its message id."""
    message, last = 0, False
    while not last:
        head = read_exactly(connection, 6)
        body = read_exactly(connection, int.from_bytes(head[2:], "big"))
        if body[5] & 1:
            message = commands.number(commands.decode(body[6:]), commands.MESSAGE_ID)
        last = body[5] == 2
    return message


def send_response(
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


Script = Callable[[socket.socket], None]


@contextlib.contextmanager
def scripted_server(script: Script, receive: int = 0) -> Iterator[int]:
    """A server that serves each connection in a thread of its own; its port. receive: bytes of its receive buffer."""
    listener = socket.socket()
    if receive:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    open_ones: list[socket.socket] = []

    def serve(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            script(connection)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                connection.settimeout(30)
                open_ones.append(connection)
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for connection in open_ones:
            connection.close()
