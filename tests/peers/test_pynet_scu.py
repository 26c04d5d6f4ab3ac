"""Calls of N-services by pynetdicom over our own connections: a pynetdicom SCP, our own receiver, TLS, and peers that do
it wrong."""

import contextlib
import shutil
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.transport import ThreadedAssociationServer

from app import config as boot
from app.db import open_database
from app.kit.errors import PeerFault
from app.network.connect import Peer, connect
from app.network.pynet.limits import BUDGET
from app.network.pynet.scu import call
from app.network.settings import DicomSettings
from app.network.tls_wire import open_wire
from app.network.wire import PeerGone
from app.security.actor import SYSTEM
from app.security.secrets import Secrets
from app.trust import certificates, runtime
from tests.support import handed
from tests.support.dimse import station
from tests.support.handed import DISPLAY, DISPLAY_INSTANCE, LOGGING
from tests.support.pki import Authority, Pair
from tests.support.waiting import eventually

pytestmark = pytest.mark.peer
QUICK = DicomSettings(connect_timeout=5, network_timeout=2, artim=2)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def pair(authority: Authority) -> Pair:
    return authority.pair("printer", "localhost", "127.0.0.1")


@pytest.fixture(scope="module", autouse=True)
def calling(tmp_path_factory: pytest.TempPathFactory, _sqlite_template: Path, authority: Authority) -> Iterator[None]:
    """This process calls out as an installation that trusts the test's authority."""
    folder = tmp_path_factory.mktemp("calling") / "data"
    shutil.copytree(_sqlite_template, folder)
    config = boot.load({"data": folder}, environ={})
    database = open_database(config)
    own = authority.pair("ours", "filmroom.example")
    with database.write() as session:
        certificates.import_certificate(session, SYSTEM, Secrets(config), "ours", own.chain, own.clear)
        certificates.trust_certificates(session, SYSTEM, authority.text)
    runtime.configure(config, database)
    yield
    runtime._current = runtime.Ways()
    database.dispose()


def peer(port: int, **more: Any) -> Peer:
    return Peer("PRINTER", "FILMROOM", "localhost" if more.get("tls") else "127.0.0.1", port, name="printer", **more)


Handler = Callable[[evt.Event], Any]


@contextlib.contextmanager
def printer(get: Handler, pair: Pair | None = None, **handlers: Handler) -> Iterator[int]:
    """pynetdicom as the SCP of the display class."""
    entity = AE("PRINTER")
    entity.add_supported_context(DISPLAY)
    entity.require_called_aet = True
    bound = [(evt.EVT_N_GET, get)] + [(getattr(evt, name), handler) for name, handler in handlers.items()]
    context = None
    if pair is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(pair.certificate, pair.key)
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=bound, ssl_context=context)  # type: ignore[arg-type]
    assert isinstance(server, ThreadedAssociationServer)
    try:
        yield server.socket.getsockname()[1]  # type: ignore[union-attr]
    finally:
        server.shutdown()


def answered(event: evt.Event) -> tuple[int, Dataset]:
    found = Dataset()
    found.Manufacturer = "x" * 60_000
    return 0, found


@pytest.mark.parametrize("by_tls", [False, True], ids=["plain", "tls"])
def test_a_service_is_called_plainly_and_by_tls(pair: Pair, by_tls: bool) -> None:
    released = threading.Event()
    with printer(answered, pair if by_tls else None, EVT_RELEASED=lambda event: released.set()) as port:
        with call(peer(port, tls=by_tls), [LOGGING, DISPLAY], QUICK) as remote:
            assert remote.accepts(DISPLAY) and not remote.accepts(LOGGING)
            for _ in range(3):
                status, found = remote.association.send_n_get([], DISPLAY, DISPLAY_INSTANCE)
                assert remote.check(status, "the request") == 0
                assert found is not None and found.Manufacturer == "x" * 60_000
        assert released.wait(10)
    assert BUDGET.used == 0


def test_session_tickets_are_no_data(pair: Pair) -> None:
    """TLS 1.3 sends them after the handshake; who reads because of them waits for data before it has asked anything."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pair.certificate, pair.key)
    speak = threading.Event()

    def serve(listener: socket.socket) -> None:
        sock, _ = listener.accept()
        with context.wrap_socket(sock, server_side=True) as secure:
            speak.wait(20)
            secure.sendall(b"0123456789" * 3)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        wire = open_wire(connect(peer(listener.getsockname()[1], tls=True), 5))
        assert wire.sock.version() == "TLSv1.3"  # type: ignore[attr-defined]
        started = time.monotonic()
        assert not wire.wait_readable(0.3) and time.monotonic() - started >= 0.3
        speak.set()
        assert wire.wait_readable(10)
        wire.set_deadline(10)
        assert wire.read(30) == b"0123456789" * 3
        assert wire.wait_readable(10)  # the end
        with pytest.raises(PeerGone):
            wire.read(1)
        wire.close()


def test_it_and_our_own_receiver_understand_each_other(
    tmp_path: Path, _sqlite_template: Path, authority: Authority
) -> None:
    shutil.copytree(_sqlite_template, tmp_path / "data")
    config = boot.load({"data": tmp_path / "data"}, environ={})
    database = open_database(config)
    handed.register()
    try:
        with station(config, database) as here:
            target = Peer("FILMROOM", "OTHER", "127.0.0.1", here.port)
            with call(target, [DISPLAY], QUICK) as remote:
                status, found = remote.association.send_n_get([], DISPLAY, DISPLAY_INSTANCE)
                assert remote.check(status, "the request") == 0
                assert found is not None and found.ManufacturerModelName == "OTHER"
            here.calm()
    finally:
        handed.unregister()
        database.dispose()


def fault(made: Callable[[], None]) -> str:
    with pytest.raises(PeerFault) as raised:
        made()
    return str(raised.value.detail)


def _ask(target: Peer, classes: tuple[str, ...] = (DISPLAY,)) -> None:
    with call(target, classes, QUICK) as remote:
        status, _ = remote.association.send_n_get([], DISPLAY, DISPLAY_INSTANCE)
        remote.check(status, "the request")


def test_refusals_have_words(pair: Pair) -> None:
    with printer(answered) as port:
        wrong = Peer("NOBODY", "FILMROOM", "127.0.0.1", port, name="printer")
        assert "rejected the association: the called AE title is not known there" in fault(lambda: _ask(wrong))
        assert "accepts the association but none of the requested services" in fault(
            lambda: _ask(peer(port), (LOGGING,))
        )
    assert "refuses connections" in fault(lambda: _ask(peer(port)))
    with printer(answered, pair) as port:
        other = Peer("PRINTER", "FILMROOM", "127.0.0.2", port, tls=True)
        assert "refuses connections" in fault(lambda: _ask(other)) or "No TLS" in fault(lambda: _ask(other))
    forbidden = Peer("PRINTER", "FILMROOM", "224.0.0.1", 104)
    assert "cannot be a DICOM node" in fault(lambda: _ask(forbidden))


def test_a_peer_that_aborts_closes_or_keeps_silent_has_words() -> None:
    def slow(event: evt.Event) -> tuple[int, Dataset]:
        time.sleep(4)  # longer than the limit of the call
        return answered(event)

    def abort(event: evt.Event) -> tuple[int, Dataset]:
        event.assoc.abort()
        return 0, Dataset()

    with printer(abort) as port:
        assert "aborted the association during the request" in fault(lambda: _ask(peer(port)))
    with printer(slow) as port:
        assert "did not answer" in fault(lambda: _ask(peer(port)))


@pytest.mark.parametrize("answer", [b"", b"\x04\x00\xff\xff\xff\xff" + bytes(50), b"HTTP/1.1 400\r\n\r\n", None])
def test_a_peer_that_is_no_dicom_peer_has_words(answer: bytes | None) -> None:
    """It closes at once, announces 4 GiB, speaks HTTP, or says nothing at all."""

    def serve(listener: socket.socket) -> None:
        sock, _ = listener.accept()
        with sock:
            sock.recv(1000)
            if answer is None:
                time.sleep(4)  # longer than the limit of the call
            else:
                sock.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        assert "printer" in fault(lambda: _ask(peer(listener.getsockname()[1])))
        thread.join(10)
    assert BUDGET.used == 0


def test_a_fault_of_ours_aborts_and_frees_what_was_held() -> None:
    ended: list[str] = []
    with printer(answered, EVT_ABORTED=lambda event: ended.append("aborted")) as port:
        with pytest.raises(RuntimeError), call(peer(port), [DISPLAY], QUICK) as remote:
            remote.association.send_n_get([], DISPLAY, DISPLAY_INSTANCE)
            raise RuntimeError("ours")
        eventually(lambda: ended, "the peer sees the end")
    assert ended == ["aborted"] and BUDGET.used == 0
