"""What a stranger's connection may cost: headers, bodies, silence, numbers; over HTTP and DICOM."""

import asyncio
import contextlib
import os
import resource
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import uvicorn

from app.dimse.association_limits import MOST_ASKING, AssociationLimits
from app.http import connections
from app.http.connections import Connections, guarded
from app.kit import files
from app.kit.addresses import source_of
from app.network.settings import DicomSettings
from tests.security.conftest import Attack
from tests.support import dcmtk
from tests.support.client import Web
from tests.support.live import Live
from tests.support.processes import cpu
from tests.support.waiting import eventually, pace

HEAD = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"


async def _echo(scope: dict[str, object], receive: object, send: object) -> None:
    """Reads the body and answers its length."""
    size = 0
    while True:
        message = await receive()  # type: ignore[operator]
        size += len(message.get("body", b""))
        if not message.get("more_body"):
            break
    answer = str(size).encode()
    head = [(b"content-length", str(len(answer)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": head})  # type: ignore[operator]
    await send({"type": "http.response.body", "body": answer})  # type: ignore[operator]


@dataclass
class Small:
    """uvicorn with our limits, and with short times, over an application that does nothing."""

    port: int
    connections: Connections

    def connect(self, data: bytes = b"") -> socket.socket:
        sock = socket.create_connection(("127.0.0.1", self.port), 10)
        sock.settimeout(10)
        sock.sendall(data)
        return sock

    def status(self, data: bytes) -> int:
        """0: closed without a word."""
        with self.connect() as sock:
            with contextlib.suppress(ConnectionError):
                sock.sendall(data)
            with contextlib.suppress(ConnectionError):
                answer = sock.recv(200)
                return int(answer.split()[1]) if answer else 0
            return 0


@pytest.fixture(scope="module")
def small() -> Iterator[Small]:
    patch = pytest.MonkeyPatch()
    for name, seconds in (("HEAD_SECONDS", 0.5), ("BODY_SILENCE", 0.5), ("WRITE_SILENCE", 0.5)):
        patch.setattr(connections, name, seconds)
    kept = Connections()
    kept.per_address = 20
    options = uvicorn.Config(
        _echo, port=0, lifespan="off", log_config=None, access_log=False, timeout_keep_alive=1, **guarded(kept)
    )
    server = uvicorn.Server(options)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()), daemon=True)
    thread.start()
    eventually(lambda: server.started, "the server starts")
    yield Small(server.servers[0].sockets[0].getsockname()[1], kept)
    server.should_exit = True
    thread.join(10)
    patch.undo()


HEADS = {
    "one long header": HEAD + b"X: " + b"a" * 70_000 + b"\r\n\r\n",
    "a header that never ends": HEAD + b"X: " + b"a" * 200_000,
    "a name that never ends": HEAD + b"X" * 200_000,
    "101 headers": HEAD + b"".join(b"X-%d: 1\r\n" % n for n in range(101)) + b"\r\n",
    "many small ones": HEAD + b"".join(b"X-%d: %s\r\n" % (n, b"a" * 900) for n in range(90)) + b"\r\n",
    "a long address": b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a long query": b"GET /?" + b"a=1&" * 20_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "many trailers": b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
    + b"".join(b"X-%d: 1\r\n" % n for n in range(5000)),
    "a chunk's endless extension": b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1;"
    + b"a" * 200_000,
}


@pytest.mark.parametrize("name", HEADS)
def test_large_heads_are_refused(small: Small, attack: Attack, name: str) -> None:
    assert small.status(HEADS[name]) in (431, 0)
    attack("request heads that are too large")


def test_usual_heads_pass(small: Small) -> None:
    cookies = b"Cookie: " + b"a" * 8000 + b"\r\n"
    many = b"".join(b"X-%d: 1\r\n" % n for n in range(60))
    assert small.status(HEAD + cookies + many + b"\r\n") == 200
    body = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n" + b"a" * 1_000_000
    assert small.status(body) == 200


SILENT = {
    "nothing": b"",
    "half a head": HEAD + b"X-",
    "a head without its end": HEAD,
    "a body that does not come": b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n",
    "half a body": b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nab",
    "half a chunk": b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
    "a second request": HEAD + b"\r\n" + HEAD,
}


@pytest.mark.parametrize("name", SILENT)
def test_silent_connections_end(small: Small, attack: Attack, name: str) -> None:
    with small.connect(SILENT[name]) as sock:
        while sock.recv(1000):  # `connect` gives up after 10 s without an end
            pass
    attack("connections that fall silent")


def test_a_head_that_dribbles_ends(small: Small, attack: Attack) -> None:
    """Each byte comes in time, and the head never does."""
    with small.connect(HEAD) as sock, pytest.raises(ConnectionError):
        for _ in range(100):
            sock.sendall(b"X")
            pace(0.05)
    attack("connections that fall silent")


def test_a_body_that_dribbles_ends_and_a_slow_one_does_not(small: Small, attack: Attack) -> None:
    """Each byte comes in time. What is faster than 1 KiB/s goes on, however long it takes."""
    head = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 6000\r\n\r\n"
    with small.connect(head) as sock, pytest.raises(ConnectionError):
        for _ in range(100):
            sock.sendall(b"a")
            pace(0.05)
    with small.connect(head) as sock:
        for _ in range(30):
            sock.sendall(b"a" * 200)
            pace(0.05)
        assert sock.recv(100).startswith(b"HTTP/1.1 200")
    attack("connections that fall silent")


def test_more_connections_of_one_address_close_its_idle_ones(small: Small, attack: Attack) -> None:
    idle = [small.connect(b"" if n % 2 else HEAD) for n in range(100)]
    try:
        assert len(small.connections) <= 20
        assert small.status(HEAD + b"\r\n") == 200
    finally:
        for sock in idle:
            sock.close()
    attack("idle connections", len(idle))


def test_a_working_connection_does_not_give_way(small: Small) -> None:
    head = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n"
    with small.connect(head) as busy:
        assert b"100 Continue" in busy.recv(100), "the request is being worked on"
        busy.sendall(b"ab")
        idle = [small.connect() for _ in range(40)]
        busy.sendall(b"cd")
        assert busy.recv(100).startswith(b"HTTP/1.1 200")
        for sock in idle:
            sock.close()


def test_two_thousand_idle_connections_while_a_user_works(live: Live, attack: Attack) -> None:
    """HTTP and DICOM: opened, held, and a user and a modality are served as before."""
    files.raise_limit()
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < 4500:
        pytest.skip("this machine lets a process open too few files for 4,000 connections")
    held: list[socket.socket] = []
    (pid,) = live.role_pids("web")
    try:
        with live.client() as client:
            assert client.get("/api/v1/users/me").status_code == 200
            for number in range(2000):
                held.append(socket.create_connection(("127.0.0.1", live.port), 10))
                if number % 2:
                    held[-1].sendall(HEAD + b"X-")
            assert len(os.listdir(f"/proc/{pid}/fd")) < 400
            begun = cpu(pid)
            assert [client.get("/api/v1/studies").status_code for _ in range(5)] == [200] * 5
            assert client.post("/api/v1/sessions", json={"user": "admin", "password": "no"}).status_code == 401
            assert cpu(pid) - begun < 10
            for _ in range(2000):
                held.append(socket.create_connection(("127.0.0.1", live.dicom_port), 10))
            assert dcmtk.echoscu(live.dicom_port, "FILMROOM").code == 0
    finally:
        for sock in held:
            sock.close()
    attack("idle connections", len(held))


def test_every_role_has_its_file_limit_raised(live: Live) -> None:
    for role in ("web", "dicom", "worker"):
        for pid in live.role_pids(role):
            with open(f"/proc/{pid}/limits") as limits:
                (line,) = [line for line in limits if line.startswith("Max open files")]
            soft, hard = line.split()[3:5]
            assert soft == hard or int(soft) >= 65536


@pytest.mark.parametrize("path", ["/login", "/setup", "/api/v1/sessions"])
@pytest.mark.parametrize("how", ["length", "chunked"])
def test_bodies_before_sign_in_are_small(site: Web, attack: Attack, path: str, how: str) -> None:
    kind = "application/json" if path.startswith("/api") else "application/x-www-form-urlencoded"
    body: object = b"a" * 70_000 if how == "length" else iter([b"a" * 7000] * 10)
    answer = site.nobody.post(path, content=body, headers={"Content-Type": kind})  # type: ignore[arg-type]
    assert answer.status_code == 413
    attack("large bodies before sign-in")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/v1/nodes"),
        ("POST", "/api/v1/imports"),
        ("PUT", "/api/v1/settings/security"),
        ("POST", "/dicom-web/studies"),
        ("POST", "/settings/users/new"),
        ("POST", "/api/v1/prints/preview"),
    ],
)
def test_large_bodies_of_strangers_are_not_read(site: Web, attack: Attack, method: str, path: str) -> None:
    """Whoever is not signed in is told so after 64 KiB, not after the whole."""
    sent = 0

    def pieces() -> Iterator[bytes]:
        nonlocal sent
        for _ in range(100):
            sent += 65_536
            yield b"a" * 65_536

    answer = site.nobody.request(method, path, content=pieces(), headers={"Content-Type": "application/json"})
    assert answer.status_code in (401, 303), answer.text
    attack("large bodies before sign-in")


ODD_HOSTS = [
    "evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "evil.example:8000", "8.8.8.8", "192.0.2.7:80",
    "[2001:db8::1]", "0x7f000001", "2130706433", "127.1", "0.0.0.0", "[::]", "169.254.169.254", "metadata.internal",
]  # fmt: skip
MALFORMED_HOSTS = ["", "a b", "localhost/", "user@localhost", "localhost,evil.example", "loc\talhost", "локалхост"]


@pytest.mark.parametrize("path", ["/login", "/api/v1/users/me", "/dicom-web/studies", "/healthz", "/static/x"])
def test_names_of_others_are_refused(site: Web, attack: Attack, path: str) -> None:
    for host in ODD_HOSTS:
        answer = site.nobody.get(path, headers={"Host": host})
        assert answer.status_code == 421, (host, answer.status_code)
        for forwarded in ("X-Forwarded-Host", "Forwarded", "X-Host", "X-Original-Host"):
            headers = {"Host": host, forwarded: "localhost"}
            assert site.nobody.get(path, headers=headers).status_code == 421
    for host in MALFORMED_HOSTS:
        assert site.nobody.get(path, headers={"Host": host.encode()}).status_code == 400, host  # type: ignore[dict-item]
    twice = site.nobody.get(path, headers=[("Host", "localhost"), ("Host", "evil.example")])  # type: ignore[arg-type]
    assert twice.status_code == 400
    attack("Host values", len(ODD_HOSTS) * 5 + len(MALFORMED_HOSTS) + 1)


def test_a_name_can_be_set_and_taken_back(site: Web) -> None:
    hosts = next(m for m in site.app.user_middleware if "hosts" in m.kwargs).kwargs["hosts"]
    saved = site.admin.put("/api/v1/settings/web", json={"host_names": ["Film.Example.org"]})
    assert saved.status_code == 200, saved.text
    hosts._asked = float("-inf")
    for host, status in (("film.example.org", 401), ("FILM.example.ORG:8443", 401), ("x.film.example.org", 421)):
        assert site.nobody.get("/api/v1/users/me", headers={"Host": host}).status_code == status
    for wrong in ("https://film.example.org", "film:80", "a/b", "", "*"):
        answer = site.admin.put("/api/v1/settings/web", json={"host_names": [wrong]})
        assert answer.status_code == 422, wrong
    assert site.admin.put("/api/v1/settings/web", json={"host_names": []}).status_code == 200
    hosts._asked = float("-inf")
    assert site.nobody.get("/api/v1/users/me", headers={"Host": "film.example.org"}).status_code == 421


def test_places_for_associations() -> None:
    """Unknown callers of one address, then of all, reach their limits; a node still finds a place."""
    settings = DicomSettings(max_associations=20, places_for_nodes=4, associations_per_address=10)
    places = AssociationLimits(lambda: settings)
    assert [places.reserve_slot("192.0.2.1", False) for _ in range(12)] == [True] * 10 + [False] * 2
    assert [places.reserve_slot("192.0.2.2", False) for _ in range(8)] == [True] * 6 + [False] * 2
    assert [places.reserve_slot("192.0.2.1", True) for _ in range(6)] == [True] * 4 + [False] * 2
    places.release_slot("192.0.2.1", False)
    assert not places.reserve_slot("192.0.2.3", False) and places.reserve_slot("192.0.2.3", True)
    assert [places.add_connection("192.0.2.9") for _ in range(MOST_ASKING + 1)] == [True] * MOST_ASKING + [False]
    assert places.add_connection("192.0.2.8")


def test_strangers_have_less_time() -> None:
    settings = DicomSettings(idle_timeout=300)
    assert (settings.silence_limit(True), settings.silence_limit(False)) == (300, 30)


@pytest.mark.parametrize(
    ("address", "source"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:aaaa::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::9", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::1"),
        ("testclient", "testclient"),
    ],
)
def test_whom_a_connection_is_counted_for(address: str, source: str) -> None:
    assert source_of(address) == source
