"""`filmroom serve` as an administrator meets it: it starts, comes back, stops, and says what is wrong."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from app import cli, supervisor
from app import config as boot
from tests.support import dcmtk
from tests.support import live as live_server
from tests.support.live import PASSWORD, ROOT, Live
from tests.support.postgres import free_port
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow


def _serve(*options: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("FILMROOM_")} | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-m", "app.cli", "serve", *options],
        capture_output=True,
        text=True,
        timeout=30,
        env=environment,
        cwd=ROOT,
    )


def test_every_role_is_ready_and_all_end_within_five_seconds(tmp_path: Path) -> None:
    live = live_server.start(tmp_path / "data")
    roles = httpx.get(f"{live.url}/healthz", trust_env=False).json()["roles"]
    assert {name: entry["state"] for name, entry in roles.items()} == dict.fromkeys(
        ("web", "dicom", "worker", "database"), "ready"
    )
    pids = [pid for role in ("web", "dicom", "worker") for pid in live.role_pids(role)]
    assert live.stop() < 5.5, "5 s, and half a one for the clock of a busy machine"
    assert live.process.returncode == 0
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]


@pytest.mark.parametrize("role", ["web", "dicom", "worker"])
def test_a_role_that_dies_comes_back(tmp_path: Path, role: str) -> None:
    with live_server.running(tmp_path / "data") as live:
        (before,) = live.role_pids(role)
        marks = _followers_of(live, before)
        assert bool(marks) == (role != "dicom")
        os.kill(before, signal.SIGKILL)
        eventually(lambda: live.role_pids(role), f"a new {role}", until=lambda pids: pids not in ([], [before]))
        live.wait_ready()
        assert live.role_pids(role) not in ([], [before])
        assert not list((live.data / "run").glob(f"role-{role}-{before}.*")), "and leaves no file behind"
        assert not _followers_of(live, before)


def _followers_of(live: Live, pid: int) -> list[Path]:
    """The ports at which a process waits for events."""
    return [mark for mark in (live.data / "run" / "events").iterdir() if mark.read_text() == str(pid)]


def _save_station(live: Live, title: str, port: int) -> str:
    """As an administrator in Settings, General; where the page goes then."""
    with httpx.Client(base_url=live.url, trust_env=False, timeout=30) as client:
        assert client.post("/api/v1/sessions", json={"user": "admin", "password": PASSWORD}).status_code == 201
        page = client.get("/settings/general").text
        token = re.findall(r'name="csrf_token" value="([^"]+)"', page)[0]
        values = {"csrf_token": token, "title": title, "port": str(port), "hosts": "127.0.0.1"}
        answer = client.post("/settings/general/station", data=values)
        assert answer.status_code == 303, answer.text[:400]
        assert f'value="{title}"' in client.get("/settings/general").text
        return answer.headers["location"]


def _echoed(port: int, title: str) -> bool:
    return eventually(lambda: dcmtk.echoscu(port, called=title).code == 0, f"{title} answers")


def test_title_and_port_count_at_once(tmp_path: Path) -> None:
    """The pages stay; the receiver begins again where it was told to, and what it had stored is there."""
    live = live_server.start(tmp_path / "data", kept_port=True)
    try:
        (web,), (receiver,) = live.role_pids("web"), live.role_pids("dicom")
        new_port = free_port()
        assert "restart" not in _save_station(live, "VALLE", new_port)
        assert _echoed(new_port, "VALLE"), "it listens at the new port under the new title"
        assert dcmtk.echoscu(live.dicom_port, called="VALLE").code != 0, "and at the old one no more"
        assert live.role_pids("web") == [web] and live.role_pids("dicom") != [receiver]
        live.wait_ready()
        assert live.stop() < 5.5
    finally:
        live.stop()


def test_what_the_command_line_says_wins_and_is_said(tmp_path: Path) -> None:
    with live_server.running(tmp_path / "data") as live:
        assert "restart=1" in _save_station(live, "VALLE", free_port())
        assert _echoed(live.dicom_port, "VALLE"), "the title counts, the port is the command line's"


def test_a_killed_supervisor_leaves_no_role_behind(tmp_path: Path) -> None:
    live = live_server.start(tmp_path / "data")
    pids = [pid for role in ("web", "dicom", "worker") for pid in live.role_pids(role)]
    live.process.kill()
    live.process.wait()
    eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids), "the roles end with their head")


def test_a_role_that_is_spawned_gets_the_whole_configuration(tmp_path: Path) -> None:
    """Where processes cannot be forked (Windows): what came from the command line or a forwarder's file goes along."""
    file = tmp_path / "that.json"
    file.write_text(
        '{"local_port": 1104, "local_ae_title": "BOX", "pacs_host": "a", "pacs_port": 1, "pacs_ae_title": "B"}'
    )
    given = {"data": str(tmp_path / "data"), "forwarder": str(file), "headless": True, "workers": "2", "log_dir": "/l"}
    config = boot.load(given, {"FILMROOM_PORT": "8765"})
    assert (config.aet, config.dicom_port, config.port) == ("BOX", 1104, 8765)
    options = vars(cli._parser().parse_args(["dicom", *supervisor.role_options(config)]))
    options.pop("verb")
    assert boot.load(options, {}) == config


def test_the_data_is_private_and_the_database_encrypted(tmp_path: Path) -> None:
    with live_server.running(tmp_path / "data") as live:
        assert (live.data / "keys" / "master.key").stat().st_mode & 0o777 == 0o600
        assert not (live.data / "db" / "filmroom.db").read_bytes().startswith(b"SQLite format 3")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("prot = 8000\n", "unknown key 'prot'"),
        ("port = 70000\n", "write a port from 1 to 65535"),
        ("port = \n", "config.toml"),
        ('aet = "A TITLE THAT IS TOO LONG"\n', "1 to 16"),
        ('key = "abc"\n', "64 hex digits"),
    ],
)
def test_a_wrong_configuration_ends_the_start_with_the_reason(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "config.toml").write_text(text)
    ended = _serve("--data", str(tmp_path))
    assert ended.returncode != 0
    assert words in ended.stderr and "Traceback" not in ended.stderr


def test_the_wrong_master_key_is_told_and_changes_nothing(tmp_path: Path) -> None:
    with live_server.running(tmp_path / "data") as live:
        before = (live.data / "keys" / "data.key").read_bytes()
    (tmp_path / "data" / "keys" / "master.key").write_text("ab" * 32)
    ended = _serve("--data", str(tmp_path / "data"))
    assert ended.returncode != 0 and "not the one this data was made with" in ended.stderr
    assert (tmp_path / "data" / "keys" / "data.key").read_bytes() == before
