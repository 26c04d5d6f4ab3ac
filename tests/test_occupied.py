"""Two installations on one machine, a port that is taken, and a role that no longer answers."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from app import config as boot
from app.db.keys import derive
from app.dimse.listen_socket import ListenSocket
from app.kit.rolestate import BEAT, RoleState
from app.kit.watchdog import Watchdog
from tests.support import dcmtk, postgres
from tests.support import live as live_server
from tests.support.live import ROOT, Live
from tests.support.postgres import free_port
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow


def _command(*arguments: str, environ: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("FILMROOM_")} | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-m", "app.cli", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment | (environ or {}),
        cwd=ROOT,
    )


@contextlib.contextmanager
def _taken() -> Iterator[int]:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        yield sock.getsockname()[1]


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """An installation with two receivers."""
    with live_server.running(tmp_path_factory.mktemp("first") / "data", "--receivers", "2") as live:
        yield live


@pytest.mark.parametrize("which", ["--port", "--dicom-port"])
@pytest.mark.parametrize("verb", ["serve", "alone"])
def test_a_taken_port_is_one_line(tmp_path: Path, which: str, verb: str) -> None:
    other = "--dicom-port" if which == "--port" else "--port"
    role = verb if verb == "serve" else {"--port": "web", "--dicom-port": "dicom"}[which]
    with _taken() as port:
        done = _command(role, "--data", str(tmp_path / "data"), which, str(port), other, str(free_port()))
    lines = (done.stdout + done.stderr).strip().splitlines()
    assert lines == [f"filmroom: Port {port} is in use"], "no link to set up what does not run"
    assert not (tmp_path / "data" / "db").exists(), "nothing was made"
    assert done.returncode not in (0, None)


def test_another_installation_with_two_receivers_is_refused_the_port(first: Live, tmp_path: Path) -> None:
    options = ("--data", str(tmp_path / "data"), "--port", str(free_port()), "--dicom-port", str(first.dicom_port))
    done = _command("serve", *options, "--receivers", "2")
    assert (done.stdout + done.stderr).strip() == f"filmroom: Port {first.dicom_port} is in use"
    alone = _command("dicom", *options, "--receivers", "2")
    assert alone.returncode != 0 and f"Port {first.dicom_port} is in use" in alone.stderr
    assert dcmtk.echoscu(first.dicom_port).code == 0


def test_a_port_of_two_receivers_is_never_shared_with_strangers(tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / "a").mkdir(), (tmp_path / "b").mkdir()
    one = ListenSocket("127.0.0.1", port, tmp_path / "a")
    sibling = ListenSocket("127.0.0.1", port, tmp_path / "a")
    with pytest.raises(OSError):
        ListenSocket("127.0.0.1", port, tmp_path / "b")
    one.close()
    with pytest.raises(OSError):
        ListenSocket("127.0.0.1", port, tmp_path / "b")
    again = ListenSocket("127.0.0.1", port, tmp_path / "a")
    sibling.close(), again.close()
    ListenSocket("127.0.0.1", port, tmp_path / "b").close()


def test_a_second_serve_on_one_data_folder_is_refused(first: Live) -> None:
    before = {path.name for path in (first.data / "run").iterdir() if path.name.startswith("role-")}
    done = _command("serve", "--data", str(first.data), "--port", str(free_port()), "--dicom-port", str(free_port()))
    words = f"another Filmroom (process {first.process.pid}) runs over the data folder {first.data}"
    assert done.returncode == 2 and words in done.stderr and len(done.stderr.strip().splitlines()) == 1
    assert "setup" not in done.stdout
    assert before <= {path.name for path in (first.data / "run").iterdir()}, "its run folder is as it was"
    assert httpx.get(f"{first.url}/healthz", trust_env=False).status_code == 200


def test_a_role_beside_a_supervisor_on_the_same_folder_still_works(first: Live) -> None:
    port = free_port()
    environment = {k: v for k, v in os.environ.items() if not k.startswith("FILMROOM_")} | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "app.cli", "web", "--data", str(first.data), "--port", str(port)]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)
    try:

        def answers() -> bool:
            with contextlib.suppress(httpx.HTTPError):
                return httpx.get(f"http://127.0.0.1:{port}/healthz", trust_env=False).status_code == 200
            return False

        eventually(answers, "it answers again")
    finally:
        process.terminate()
        assert process.wait(15) in (0, -signal.SIGTERM)


def test_a_lock_of_a_killed_supervisor_is_harmless(tmp_path: Path) -> None:
    live = live_server.start(tmp_path / "data")
    os.kill(live.process.pid, signal.SIGKILL)
    live.process.wait()
    with live_server.running(tmp_path / "data") as again:
        assert int((again.data / ".lock").read_text()) == again.process.pid


@pytest.mark.peer
def test_a_database_of_another_key_is_refused(tmp_path: Path, postgres_url: str) -> None:
    with postgres.database(postgres_url) as url:
        live_server.start(tmp_path / "one", "--database-url", url).stop()
        derive(boot.load({"data": tmp_path / "two"}, {}), "")  # makes keys of its own
        for verb in ("serve", "worker", "verify-audit"):
            ports = ("--port", str(free_port()), "--dicom-port", str(free_port()))
            done = _command(verb, "--data", str(tmp_path / "two"), "--database-url", url, *ports)
            assert done.returncode == 2 and "another key" in done.stderr, done.stderr
            assert len(done.stderr.strip().splitlines()) == 1, done.stderr
        (tmp_path / "three").mkdir()
        (tmp_path / "one" / "keys").rename(tmp_path / "three" / "keys")
        with live_server.running(tmp_path / "three", "--database-url", url) as live, live.client() as client:
            assert client.get("/api/v1/users/me").status_code == 200, "another machine with the same key"


@pytest.fixture(scope="module")
def hanging(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """With two receivers, and replaced after five seconds of silence."""
    options = ("--receivers", "2", "--hang-seconds", "5")
    with live_server.running(tmp_path_factory.mktemp("hanging") / "data", *options) as live:
        yield live


def test_a_suspended_machine_replaces_nobody(hanging: Live) -> None:
    """As a laptop that slept, or a supervisor that got no processor: the silence was its own."""
    before = {role: sorted(hanging.role_pids(role)) for role in ("web", "dicom", "worker")}
    everybody = [hanging.process.pid, *(pid for pids in before.values() for pid in pids)]
    for pid in everybody:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(7)  # what is tested is that this time does not count
    for pid in reversed(everybody):
        os.kill(pid, signal.SIGCONT)
    hanging.wait_ready()
    time.sleep(2 * BEAT)  # in which a supervisor that counted that time would end them
    assert {role: sorted(hanging.role_pids(role)) for role in before} == before


def test_hung_roles_are_replaced(hanging: Live) -> None:
    """The pages, the worker, and one of two receivers, all at once; the other receiver serves on."""
    (web,), (worker,) = hanging.role_pids("web"), hanging.role_pids("worker")
    receiver, other = sorted(hanging.role_pids("dicom"))
    for pid in (web, worker, receiver):
        os.kill(pid, signal.SIGSTOP)
    eventually(
        lambda: not any(Path(f"/proc/{pid}").exists() for pid in (web, worker, receiver)), "the hanging processes end"
    )
    eventually(lambda: len(hanging.role_pids("dicom")) == 2, "both receivers run")
    hanging.wait_ready()
    assert other in hanging.role_pids("dicom")
    log = next((hanging.data / "logs").glob("supervisor_*.log")).read_text()
    for role, pid in (("web", web), ("worker", worker), ("dicom", receiver)):
        assert f"role {role} (process {pid}) has not answered for 5 s" in log
        assert f"role {role} (process {pid}) has not answered for 5 s" in hanging.log.read_text()
    told = httpx.get(f"{hanging.url}/healthz", trust_env=False).json()["roles"]
    assert {name: entry["replaced"] for name, entry in told.items() if "replaced" in entry} == dict.fromkeys(
        told.keys() & {"web", "worker", "dicom"}, 1
    )


def test_silence_counts_from_the_first_sign_of_life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1000.0]
    monkeypatch.setattr("app.kit.watchdog.time.monotonic", lambda: clock[0])
    watchdog = Watchdog(tmp_path, 30)

    def pass_seconds(seconds: int) -> list[int]:
        found: list[int] = []
        for _ in range(seconds):
            clock[0] += 1
            found = watchdog.silent_pids([os.getpid()])
        return found

    assert pass_seconds(100) == [], "imports from a slow disk"
    state = RoleState(tmp_path, "worker")
    assert pass_seconds(30) == [], "a call that holds the interpreter for 29 s"
    os.utime(tmp_path / f"role-worker-{os.getpid()}.json")
    assert pass_seconds(30) == []
    clock[0] += 100_000  # a machine that slept
    assert watchdog.silent_pids([os.getpid()]) == [os.getpid()] or pass_seconds(3) == [os.getpid()]
    state.set("ready")
    assert watchdog.silent_pids([os.getpid()]) == []
    clock[0] += 100_000
    assert watchdog.silent_pids([os.getpid()]) == [], "one look adds two seconds at most"


def test_a_beat_ends_with_the_work_it_stands_for(tmp_path: Path) -> None:
    state = RoleState(tmp_path, "web")
    path = tmp_path / f"role-web-{os.getpid()}.json"
    state.start()
    try:
        state.pulse()
        written = path.stat().st_mtime_ns
        eventually(lambda: path.stat().st_mtime_ns != written, "the file is written")
        state._pulse = time.monotonic() - 60  # an event loop that stands still
        time.sleep(1.5 * BEAT)  # the beat that was under way
        written = path.stat().st_mtime_ns
        time.sleep(2.5 * BEAT)  # no further one follows
        assert path.stat().st_mtime_ns == written
    finally:
        state.close()
