"""Peers that speak TLS: DCMTK storescp, and servers made here that behave well or badly."""

import os
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from app.network.probe import probe
from app.network.scu import Peer
from app.network.settings import DicomSettings
from tests.support import dcmtk
from tests.support.pki import Pair
from tests.support.postgres import free_port
from tests.support.waiting import port_open

QUICK = DicomSettings(connect_timeout=5, network_timeout=5, artim=2)


@contextmanager
def storescp(folder: Path, pair: Pair, *options: str) -> Iterator[int]:
    """DCMTK's receiver by TLS. It is ready when its port takes connections."""
    port = free_port()
    folder.mkdir(parents=True, exist_ok=True)
    command = [dcmtk.program("storescp"), "+tls", str(pair.key), str(pair.certificate), *options, "+B"]
    process = subprocess.Popen(
        [*command, "-aet", "PACS", "-od", str(folder), str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | dcmtk.QUICK,
    )
    try:
        port_open(port)
        yield port
    finally:
        process.terminate()
        process.wait(60)


@contextmanager
def server(handle: Callable[[socket.socket], None]) -> Iterator[int]:
    """A peer of the test's own that serves each connection with `handle`."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            with sock, suppress(OSError):
                handle(sock)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(60)


def tls_server(pair: Pair, trusted: str = "") -> Callable[[socket.socket], None]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    if trusted:
        context.load_verify_locations(cadata=trusted)
        context.verify_mode = ssl.CERT_REQUIRED

    def handle(sock: socket.socket) -> None:
        sock.settimeout(10)
        with context.wrap_socket(sock, server_side=True) as secure:
            secure.recv(1)

    return handle


def mute(sock: socket.socket) -> None:
    """Says nothing until the caller has gone."""
    sock.settimeout(30)
    while sock.recv(4096):
        pass


def peer(port: int, **more: object) -> Peer:
    return Peer("PACS", "FILMROOM", "127.0.0.1", port, "PACS1", tls=True, **more)  # type: ignore[arg-type]


def said(port: int, **more: object) -> str:
    """What the failed test of a node says."""
    found = probe(peer(port, **more), QUICK)
    assert not found.ok
    return found.message
