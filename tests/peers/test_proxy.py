"""Calls through real proxies: microsocks (SOCKS5) and tinyproxy (HTTP CONNECT), and through some that fail."""

import http.server
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.config import Config
from app.db import Database
from app.kit.errors import Invalid, PeerFault
from app.network.probe import probe
from app.network.scu import Peer
from app.network.settings import DicomSettings
from app.nodes import dicomweb
from app.nodes.models import Node
from app.security.actor import SYSTEM
from app.security.secrets import Secrets
from app.trust import certificates, proxy_service, runtime
from app.trust.proxy import Proxy, open_through
from app.trust.settings import ProxySettings
from tests.support import dcmtk
from tests.support.pki import Authority
from tests.support.postgres import free_port
from tests.support.tls_peers import QUICK, mute, server, storescp
from tests.support.waiting import pace, port_open

pytestmark = pytest.mark.peer
USER, PASSWORD = "film", "p@ss:word"


@contextmanager
def _process(command: list[str], port: int) -> Iterator[int]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        port_open(port, process=process)
        yield port
    finally:
        process.terminate()
        process.wait(60)


@contextmanager
def microsocks(*options: str) -> Iterator[int]:
    port = free_port()
    with _process([dcmtk.program("microsocks"), *options, "-i", "127.0.0.1", "-p", str(port)], port):
        yield port


@contextmanager
def tinyproxy(folder: Path, *lines: str) -> Iterator[int]:
    port = free_port()
    file = folder / f"tinyproxy-{port}.conf"
    file.write_text("\n".join([f"Port {port}", "Listen 127.0.0.1", "Timeout 60", "LogLevel Error", *lines, ""]))
    with _process([dcmtk.program("tinyproxy"), "-d", "-c", str(file)], port):
        yield port


class Installation:
    def __init__(self, config: Config, database: Database) -> None:
        self.config, self.database, self.secrets = config, database, Secrets(config)

    def through(
        self, url: str, username: str = "", password: str | None = "", exceptions: list[str] | None = None
    ) -> None:
        values = {"url": url, "username": username, "exceptions": exceptions or []}
        with self.database.write() as session:
            proxy_service.save(session, SYSTEM, self.secrets, values, password)
        runtime.current().invalidate()


@pytest.fixture
def here(sqlite_config: Config, peopled: Database) -> Iterator[Installation]:
    runtime.configure(sqlite_config, peopled)
    yield Installation(sqlite_config, peopled)
    runtime._current = runtime.Ways()


def peer(port: int, host: str = "127.0.0.1", **more: object) -> Peer:
    return Peer("STORESCP", "FILMROOM", host, port, "PACS1", **more)  # type: ignore[arg-type]


def test_socks_with_user_and_names_resolved_there(here: Installation, tmp_path: Path) -> None:
    with microsocks("-u", USER, "-P", PASSWORD) as port, dcmtk.storescp(tmp_path / "in") as pacs:
        here.through(f"socks5://127.0.0.1:{port}", USER, PASSWORD)
        found = probe(peer(pacs, "localhost"), QUICK)
        assert found.ok and f"through socks5://127.0.0.1:{port}" in found.steps[0].words
        here.through(f"socks5://127.0.0.1:{port}", USER, "wrong")
        assert "it does not take the user name or password" in probe(peer(pacs), QUICK).message
        here.through(f"socks5://127.0.0.1:{port}")
        assert "it wants a user name and password" in probe(peer(pacs), QUICK).message
        assert probe(peer(pacs, use_proxy=False), QUICK).ok, "the node does without"
        here.through(f"socks5://127.0.0.1:{port}", exceptions=["127.0.0.0/8"])
        assert probe(peer(pacs), QUICK).ok, "an exception"


def test_http_connect_with_basic(here: Installation, tmp_path: Path) -> None:
    with (
        tinyproxy(tmp_path, f"BasicAuth {USER} secret") as port,
        tinyproxy(tmp_path, "ConnectPort 443") as narrow,
        dcmtk.storescp(tmp_path / "in") as pacs,
    ):
        here.through(f"http://127.0.0.1:{port}", USER, "secret")
        assert probe(peer(pacs, "localhost"), QUICK).ok
        here.through(f"http://127.0.0.1:{port}", USER, "wrong")
        assert "it wants another user name or password" in probe(peer(pacs), QUICK).message
        assert "it cannot reach the host, or failed" in _refusal(here, port, free_port(), "secret")
        here.through(f"http://127.0.0.1:{narrow}")
        assert "its rules do not allow it" in probe(peer(pacs), QUICK).message


def _refusal(here: Installation, port: int, closed: int, password: str) -> str:
    here.through(f"http://127.0.0.1:{port}", USER, password)
    return probe(peer(closed), QUICK).message


def test_tls_goes_through_a_proxy_too(here: Installation, tmp_path: Path) -> None:
    authority = Authority(tmp_path / "pki")
    pair = authority.pair("pacs", "localhost")
    with here.database.write() as session:
        certificates.trust_certificates(session, SYSTEM, authority.text)
    with microsocks() as port, storescp(tmp_path / "in", pair, "-ic") as pacs:
        here.through(f"socks5://127.0.0.1:{port}")
        found = probe(Peer("PACS", "FILMROOM", "localhost", pacs, tls=True), QUICK)
        assert found.ok and "TLSv1." in found.steps[0].words and "through" in found.steps[0].words


def test_what_the_socks_proxy_cannot_reach_is_said(here: Installation) -> None:
    with microsocks() as port:
        here.through(f"socks5://127.0.0.1:{port}")
        assert "the host refuses connections on this port" in probe(peer(free_port()), QUICK).message
        words = probe(peer(104, "nowhere.invalid"), QUICK).message
        assert "opened no connection" in words
        for address in ("169.254.169.254", "224.0.0.1"):
            assert "cannot be a DICOM node" in probe(peer(80, address), QUICK).message


def test_a_proxy_that_is_none_or_away_is_said(here: Installation, tmp_path: Path) -> None:
    here.through(f"socks5://127.0.0.1:{free_port()}")
    assert "cannot be reached: it refuses connections" in probe(peer(104), QUICK).message
    with server(lambda sock: sock.sendall(b"SSH-2.0-Open\r\n" * 10)) as port:
        for scheme, words in (
            ("socks5", "the server is not a SOCKS5 proxy"),
            ("http", "the server is not an HTTP proxy"),
        ):
            with pytest.raises(PeerFault) as raised:
                open_through(Proxy(scheme, "127.0.0.1", port), "pacs.example", 104, 5)
            assert words in raised.value.detail or "broke off" in raised.value.detail
    with server(mute) as port, pytest.raises(PeerFault, match="no answer within 1 s"):
        open_through(Proxy("http", "127.0.0.1", port), "pacs.example", 104, 1)


def test_a_head_without_an_end_is_cut_off() -> None:
    endless = b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 5000
    with server(lambda sock: sock.sendall(endless)) as port, pytest.raises(PeerFault):
        open_through(Proxy("http", "127.0.0.1", port), "pacs.example", 104, 20)


def test_web_calls_go_the_same_way(here: Installation, tmp_path: Path) -> None:
    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    serving = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=serving.serve_forever, daemon=True)
    thread.start()
    node = Node(
        name="WEB", options={"protocol": "dicomweb", "url": f"http://localhost:{serving.server_port}/dicom-web"}
    )
    try:
        with microsocks("-u", USER, "-P", PASSWORD) as socks, tinyproxy(tmp_path) as plain:
            for url, user in ((f"socks5://127.0.0.1:{socks}", USER), (f"http://127.0.0.1:{plain}", "")):
                here.through(url, user, PASSWORD)
                with dicomweb.client(node, DicomSettings(), here.config) as client:
                    assert client.get("studies").status_code == 204
            here.through(f"socks5://127.0.0.1:{socks}", USER, "wrong")
            with (
                dicomweb.client(node, DicomSettings(), here.config) as client,
                pytest.raises(PeerFault, match="user name"),
            ):
                client.get("studies")
    finally:
        serving.shutdown()
        serving.server_close()
        thread.join(60)


def test_the_test_button(here: Installation) -> None:
    assert not proxy_service.test_proxy(SYSTEM, "127.0.0.1", 104, 5.0).ok
    with microsocks() as port:
        here.through(f"socks5://127.0.0.1:{port}", exceptions=["10.0.0.0/8"])
        assert proxy_service.test_proxy(SYSTEM, "127.0.0.1", port, 5.0).ok
        assert "without the proxy" in proxy_service.test_proxy(SYSTEM, "10.1.2.3", 104, 5.0).message
        assert not proxy_service.test_proxy(SYSTEM, "127.0.0.1", free_port(), 5.0).ok
        with pytest.raises(Invalid):
            proxy_service.test_proxy(SYSTEM, "169.254.169.254", 80, 5.0)


def test_the_password_is_sealed_and_nowhere_to_be_seen(here: Installation) -> None:
    here.through("http://proxy.example:3128", USER, "top-secret-7")
    with here.database.read() as session:
        assert proxy_service.has_password(session)
        assert "top-secret-7" not in runtime.read(session).proxy_password
    proxy = runtime.current().proxy_for("pacs.example")
    assert proxy is not None and proxy.password == "top-secret-7"
    assert "top-secret-7" not in f"{proxy} {proxy!r}"
    here.through("http://proxy.example:3128", USER, None)
    assert runtime.current().proxy_for("pacs.example") == proxy, "left as it was"


@pytest.mark.parametrize(
    ("host", "exceptions", "direct"),
    [
        ("pacs.clinic.example", [".clinic.example"], True),
        ("pacs.clinic.example", ["*.clinic.example"], True),
        ("clinic.example", [".clinic.example"], True),
        ("notclinic.example", [".clinic.example"], False),
        ("PACS.clinic.example.", ["pacs.clinic.example"], True),
        ("10.1.2.3", ["10.0.0.0/8"], True),
        ("::ffff:10.1.2.3", ["10.0.0.0/8"], True),
        ("[fd00::1]", ["fc00::/7"], True),
        ("11.1.2.3", ["10.0.0.0/8"], False),
        ("10.1.2.3", ["10.1.2.3"], True),
    ],
)
def test_exceptions(host: str, exceptions: list[str], direct: bool) -> None:
    assert runtime.is_excepted(host, exceptions) is direct


@pytest.mark.parametrize(
    "url",
    [
        "proxy:3128",
        "https://proxy:3128",
        "socks5://proxy",
        "http://u:p@proxy:3128",
        "http://169.254.169.254:80",
        "http://a b:1",
        "http://proxy:99999",
    ],
)
def test_addresses_that_are_no_proxy(url: str) -> None:
    with pytest.raises(ValueError):
        ProxySettings(url=url)


def _dribbling(first: bytes) -> Callable[[socket.socket], None]:
    def handle(sock: socket.socket) -> None:
        sock.recv(4096)
        sock.sendall(first)
        for _ in range(600):
            sock.sendall(b"\0")
            pace(0.05)

    return handle


@pytest.mark.parametrize(
    ("scheme", "first"),
    [("http", b""), ("http", b"HTTP/1.1 200 OK\r\nX-"), ("socks5", b"\x05\x00\x05\x00\x00\x03\xff")],
    ids=["status line", "headers", "socks"],
)
def test_a_proxy_that_dribbles_is_given_up(here: Installation, scheme: str, first: bytes) -> None:
    """Within the time to connect, for DICOM and DICOMweb alike; each of its bytes comes in time."""
    quick = DicomSettings().model_copy(update={"connect_timeout": 0.5, "network_timeout": 0.5})
    with server(_dribbling(first)) as port:
        here.through(f"{scheme}://127.0.0.1:{port}")
        begun = time.monotonic()
        assert "opened no connection: no answer within 0.5 s" in probe(peer(104), quick).message
        set_to = {"protocol": "dicomweb", "url": "https://pacs.example/dicom-web"}
        node = Node(id="n", name="web", ae_title="", host="", port=0, options=set_to)
        with (
            dicomweb.client(node, quick, here.config) as http,
            pytest.raises(PeerFault, match=r"no answer within 0\.5 s"),
        ):
            list(dicomweb.find(http, "web", "STUDY", {}))
        assert time.monotonic() - begun < 25
