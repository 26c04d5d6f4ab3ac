"""Keys, secrets in the environment, folders, calls to the outside, pictures in the browser's cache, and quotas."""

import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from app import config as boot
from app.config import Config, ConfigError
from app.db import open_database
from app.db.keys import data_key
from app.events.stream import _sender
from app.kit import folders, withheld
from app.network.settings import DicomSettings
from app.nodes.option_checks import path_fault
from app.nodes.options import NodeOptions
from app.nodes.probe_others import probe_folder, probe_web
from app.printing.settings import PrintSettings
from app.settings import save
from app.trust import http_transport
from tests.archive.make import ct_bytes
from tests.security.conftest import Attack
from tests.support.client import Web
from tests.support.live import PASSWORD, Live, running

# keys


@pytest.mark.parametrize("lost", ["data.key", "master.key", "both", "the folder"])
def test_a_missing_key_beside_data_is_an_error_and_never_a_new_key(
    sqlite_config: Config, attack: Attack, lost: str
) -> None:
    keys = sqlite_config.keys
    for name in ("data.key", "master.key"):
        if lost in (name, "both", "the folder"):
            (keys / name).unlink()
    if lost == "the folder":
        for rest in keys.iterdir():
            rest.unlink()
        keys.rmdir()
    before = sorted(keys.iterdir()) if keys.exists() else []
    with pytest.raises(ConfigError, match="missing"):
        open_database(sqlite_config)
    assert (sorted(keys.iterdir()) if keys.exists() else []) == before, "nothing was made"
    attack("missing keys")


def test_a_key_given_in_the_environment_does_not_hide_a_missing_one(sqlite_config: Config, attack: Attack) -> None:
    (sqlite_config.keys / "data.key").unlink()
    with pytest.raises(ConfigError, match="missing"):
        open_database(replace(sqlite_config, key="ab" * 32))
    attack("missing keys")


@pytest.mark.skipif(os.name != "posix", reason="modes")
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o606, 0o666, 0o777])
@pytest.mark.parametrize("name", ["data.key", "master.key"])
def test_keys_that_others_can_read_or_write_end_the_start(
    sqlite_config: Config, attack: Attack, name: str, mode: int
) -> None:
    (sqlite_config.keys / name).chmod(mode)
    with pytest.raises(ConfigError, match="chmod 600"):
        data_key(sqlite_config)
    attack("modes of keys")


@pytest.mark.skipif(os.name != "posix", reason="modes")
@pytest.mark.parametrize("mode", [0o755, 0o770, 0o707, 0o777])
def test_the_key_folder_is_its_owners(sqlite_config: Config, attack: Attack, mode: int) -> None:
    sqlite_config.keys.chmod(mode)
    with pytest.raises(ConfigError, match="chmod 700"):
        data_key(sqlite_config)
    attack("modes of keys")


def test_usual_modes_pass(sqlite_config: Config) -> None:
    for mode in (0o600, 0o400):
        (sqlite_config.keys / "master.key").chmod(mode)
        assert len(data_key(sqlite_config)) == 32


# the environment


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Live, str]]:
    key = secrets.token_hex(32)
    with running(tmp_path_factory.mktemp("keyed") / "data", environ={"FILMROOM_KEY": key}) as live:
        yield live, key


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="Linux")
def test_no_process_shows_a_secret_in_its_environment(keyed: tuple[Live, str], attack: Attack) -> None:
    live, key = keyed
    pids = [live.process.pid, *(pid for role in ("web", "dicom", "worker") for pid in live.role_pids(role))]
    assert len(pids) >= 4
    for pid in pids:
        for file in ("environ", "cmdline"):
            shown = Path(f"/proc/{pid}/{file}").read_bytes()
            assert key.encode() not in shown and PASSWORD.encode() not in shown, (pid, file)
    with live.client() as client:
        assert client.get("/api/v1/users/me").status_code == 200
    attack("environments of processes", len(pids))


def test_what_is_taken_is_no_longer_inherited() -> None:
    environ = {"FILMROOM_KEY": "secret", "PATH": "/bin"}
    assert withheld.remove_variables(("FILMROOM_KEY", "FILMROOM_X"), environ) == {"FILMROOM_KEY": "secret"}
    assert environ == {"PATH": "/bin"}


# folders


BAD = [
    "/", "/etc", "/etc/filmroom", "/bin", "/usr/lib", "/usr/../etc", "/var", "/var/lib", "/var/spool/cron", "/boot",
    "/dev/shm", "/proc/self", "/sys", "/run/lock", "/root/out", "/home", "/srv/../etc", "/home/x/.ssh",
]  # fmt: skip


@pytest.mark.skipif(os.name != "posix", reason="POSIX paths")
@pytest.mark.parametrize("option", ["store_dir", "log_dir"])
def test_objects_and_logs_do_not_go_into_folders_of_the_system(tmp_path: Path, attack: Attack, option: str) -> None:
    link = tmp_path / "link"
    link.symlink_to("/etc")
    deep = os.path.relpath("/etc", Path.cwd())
    for path in (*BAD, str(link), f"{link}/x", deep, f"{tmp_path}/../../../../../../etc"):
        with pytest.raises(ConfigError, match=option):
            boot.load({"data": tmp_path / "data", option: path}, environ={})
    for path in ("keys", "keys/x", "", "db", "run", "x/../keys"):
        with pytest.raises(ConfigError, match=option):
            boot.load({"data": tmp_path / "data", option: f"{tmp_path}/data/{path}"}, environ={})
    for path in ("data/store", "data/objects", "logs", "elsewhere/x"):
        boot.load({"data": tmp_path / "data", option: f"{tmp_path}/{path}"}, environ={})
    attack("folders", len(BAD) + 10)


@pytest.mark.skipif(os.name != "posix", reason="POSIX paths")
def test_folder_nodes_neither(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, attack: Attack) -> None:
    data = tmp_path / "data"
    (data / "keys").mkdir(parents=True)
    link, into = tmp_path / "link", tmp_path / "into"
    link.symlink_to("/etc")
    into.symlink_to(data / "keys")
    circle = tmp_path / "circle"
    circle.symlink_to(circle)
    monkeypatch.setattr(folders, "_own", (data,))
    monkeypatch.setattr(folders, "_key_place", tmp_path / "key place")
    tries = [*BAD, str(link), f"{link}/out", str(into), str(data), str(data / "keys"), str(data / "store"), "out"]
    tries += [str(circle), f"{circle}/x", "/proc/self/cwd", f"/proc/{os.getpid()}/cwd/x", "/proc/1/root/tmp"]
    tries += [str(tmp_path / "key place"), str(Path(folders.__file__).parent), "/var/lib/postgresql/15"]
    for path in tries:
        assert path_fault(path), path
    for path in ("/srv/out", "/mnt/share", "/run/media/x/usb", str(tmp_path / "out"), "/var/lib/filmroom-out"):
        assert not path_fault(path), path
    attack("folders", len(tries))


@pytest.mark.skipif(os.name != "posix", reason="POSIX paths")
def test_one_folder_under_two_names_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As with a bind mount, or where the case of letters does not count."""
    data, other = tmp_path / "data", tmp_path / "DATA"
    data.mkdir()
    other.mkdir()
    same = data.stat()
    known = folders._identity
    monkeypatch.setattr(folders, "_identity", lambda one: (same.st_dev, same.st_ino) if one == other else known(one))
    assert folders.is_inside(other / "keys", [data]) and folders.overlaps(other, [data / "keys"])
    assert not folders.is_inside(tmp_path / "elsewhere", [data])


@pytest.mark.skipif(os.name != "posix", reason="POSIX paths")
def test_a_link_put_there_later_is_seen_by_test_and_transfer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = tmp_path / "keys"
    keys.mkdir()
    monkeypatch.setattr(folders, "_own", (keys,))
    chosen = tmp_path / "out"
    chosen.symlink_to(keys)
    found = probe_folder(str(chosen))
    assert not found.ok and "cannot be used" in found.message and found.steps[-1].name == "folder"
    chosen.unlink()
    chosen.mkdir()
    (chosen / "P1").symlink_to(keys)
    assert folders.leaves_folder(chosen / "P1" / "1.2", chosen) and not folders.leaves_folder(
        chosen / "P2" / "1.2", chosen
    )


def test_a_folder_node_is_refused_over_rest(site: Web, attack: Attack) -> None:
    body = {"name": "out", "protocol": "folder", "path": "/etc"}
    answer = site.admin.post("/api/v1/nodes", json=body)
    assert answer.status_code == 422 and "path" in answer.text
    attack("folders")


def test_what_wakes_others_is_bound_to_loopback() -> None:
    assert _sender().getsockname()[0] == "127.0.0.1"


# calls to the outside


class Dribble:
    """A server that sends a byte now and then, and never ends."""

    def __init__(self, first: bytes) -> None:
        self.first, self.ended, self.again = first, threading.Event(), False
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.sock.getsockname()[1]}/"
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        with self.sock:
            self._dribble()

    def _dribble(self) -> None:
        peer, _ = self.sock.accept()
        if self.again:
            peer.close()
            peer, _ = self.sock.accept()
        with peer:
            peer.recv(10_000)
            peer.sendall(self.first)
            while not self.ended.wait(0.05):
                try:
                    peer.sendall(b"X")
                except OSError:
                    return


@pytest.mark.parametrize(
    "first",
    [b"", b"HTTP/1.1 200 OK\r\nX-", b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"],
    ids=["status line", "headers", "body"],
)
def test_a_server_that_dribbles_is_given_up(attack: Attack, first: bytes) -> None:
    """Each read is answered in time, and the call still ends."""
    server = Dribble(first)
    begun = time.monotonic()
    made = http_transport.transport(urlsplit(server.url).hostname or "", use_proxy=False, seconds=0.5)
    with httpx.Client(transport=made, timeout=30, trust_env=False) as client, pytest.raises(httpx.ReadTimeout):
        client.get(server.url)
    server.ended.set()
    assert time.monotonic() - begun < 30, "the limit of one read never comes"
    attack("servers that never end")


def test_the_test_button_ends_after_the_nodes_own_time(sqlite_config: Config, attack: Attack) -> None:
    """A thread of the web role waits for it, so it must not take the three minutes that large answers may."""
    server = Dribble(b"HTTP/1.1 200 OK\r\nX-")
    server.again = True  # the first connection only looks whether the port is open
    begun = time.monotonic()
    found = probe_web(NodeOptions(url=server.url, network_timeout=1, use_proxy=False), DicomSettings(), sqlite_config)
    server.ended.set()
    assert not found.ok and [step.name for step in found.steps] == ["reach", "search"], found
    assert time.monotonic() - begun < 60, "far below the three minutes"
    attack("servers that never end")


# what browsers keep, and the queue


@pytest.fixture(scope="module")
def stored(site: Web) -> Web:
    answer = site.admin.post("/api/v1/imports", files=[("files", ("a.dcm", ct_bytes(), "application/dicom"))])
    assert answer.json()["results"][0]["status"] == "stored", answer.text
    return site


PICTURES = [
    "/api/v1/instances/1.2.3.1.1.1/frames/1/preview",
    "/api/v1/instances/1.2.3.1.1.1/frames/1/rendered",
    "/api/v1/instances/1.2.3.1.1.1/frames/1",
    "/api/v1/instances/1.2.3.1.1.1/frames/1/overlays",
    "/api/v1/series/1.2.3.1.1/thumbnail",
    "/api/v1/prints/preview/picture?sop=1.2.3.1.1.1",
    "/dicom-web/studies/1.2.3.1/series/1.2.3.1.1/instances/1.2.3.1.1.1/rendered",
    "/dicom-web/studies/1.2.3.1/series/1.2.3.1.1/instances/1.2.3.1.1.1/frames/1",
    "/dicom-web/studies/1.2.3.1/thumbnail",
    "/wado?requestType=WADO&studyUID=1.2.3.1&seriesUID=1.2.3.1.1&objectUID=1.2.3.1.1.1",
]


@pytest.mark.parametrize("path", PICTURES)
def test_pictures_of_patients_are_asked_for_again(stored: Web, attack: Attack, path: str) -> None:
    answer = stored.admin.get(path)
    assert answer.status_code == 200, answer.text[:200]
    kept = answer.headers["cache-control"]
    assert "no-store" in kept or "no-cache" in kept or "max-age=0" in kept, kept
    assert "public" not in kept
    if tag := answer.headers.get("etag"):
        assert stored.admin.get(path, headers={"If-None-Match": tag}).status_code in (200, 304)
        for other, status in ((stored.dora, 404), (stored.nobody, 401)):
            assert other.get(path, headers={"If-None-Match": tag}).status_code == status
    attack("pictures from a cache")


def test_signing_out_clears_what_the_browser_keeps(site: Web) -> None:
    for way in ("page", "rest"):
        browser = site.sign_in("bob")
        if way == "page":
            answer = browser.post("/logout", data={"csrf_token": browser.headers["X-CSRF-Token"]})
        else:
            answer = browser.delete("/api/v1/sessions/current")
        assert '"cache"' in answer.headers["clear-site-data"] and '"storage"' in answer.headers["clear-site-data"]


def test_one_user_cannot_fill_the_print_queue(stored: Web, attack: Attack) -> None:
    with stored.database.write() as session:
        save(session, PrintSettings(queued_per_user=2), "admin")
    order = {"items": [{"sop_instance_uid": "1.2.3.1.1.1", "frame": 1}]}
    made = [stored.admin.post("/api/v1/prints", json=order) for _ in range(5)]
    assert [answer.status_code for answer in made] == [202, 202, 429, 429, 429]
    problem = made[-1].json()
    assert problem["code"] == "too-many-requests" and "2" in problem["detail"] and made[-1].headers["retry-after"]
    first = made[0].json()["id"]
    assert stored.admin.post(f"/api/v1/prints/{first}/cancel").status_code == 200
    assert stored.admin.post("/api/v1/prints", json=order).status_code == 202
    assert stored.admin.post(f"/api/v1/prints/{first}/retry").status_code == 429
    attack("prints beyond the quota", 4)
