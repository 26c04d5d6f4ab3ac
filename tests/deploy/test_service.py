"""The systemd unit and its install script: rendered, verified, judged; nothing of the machine is changed."""

import dataclasses
import json
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from app.config import Config
from app.kit import classic
from tests.support.live import ROOT
from tests.support.postgres import free_port

SCRIPT = ROOT / "deploy" / "install-service.sh"
PROGRAM = Path(sys.executable).parent / "filmroom"


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """The command as a service would see it: nothing of it in a home folder, and this checkout's code."""
    wrapper = tmp_path / "filmroom"
    wrapper.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m app.cli "$@"\n')
    wrapper.chmod(0o755)
    return wrapper


def _script(*arguments: str | Path, ok: bool = True) -> str:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("FILMROOM_")}
    done = subprocess.run(
        ["bash", str(SCRIPT), *map(str, arguments)], capture_output=True, text=True, timeout=120, env=environment
    )
    assert (done.returncode == 0) is ok, done.stdout + done.stderr
    return done.stdout + done.stderr


def _forwarder(folder: Path, **values: object) -> Path:
    file = folder / "box.json"
    said = {"pacs_host": "10.0.0.5", "pacs_port": 104, "pacs_ae_title": "PACS", "local_port": 104}
    file.write_text(json.dumps(said | values))
    return file


def test_the_scripts_are_well_formed() -> None:
    for script in (ROOT / "deploy").glob("*.sh"):
        subprocess.run(["bash", "-n", str(script)], check=True)


def test_the_example_is_a_file_that_is_taken() -> None:
    classic.parse((ROOT / "deploy" / "forwarder.example.json").read_text())


@pytest.mark.parametrize("box", [True, False])
def test_systemd_takes_the_unit_and_finds_little_exposed(program: Path, tmp_path: Path, box: bool) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is missing")
    options = ("--forwarder", _forwarder(tmp_path)) if box else ()
    unit = tmp_path / ("filmroom-forwarder.service" if box else "filmroom.service")
    unit.write_text(_script("unit", "--program", program, *options))
    assert not re.search("@[A-Z]+@", unit.read_text()), "every word is put in"
    done = subprocess.run([analyze, "verify", "--man=no", str(unit)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and unit.name not in done.stderr, done.stderr
    judged = subprocess.run(
        [analyze, "security", "--offline=true", "--threshold=20", "--no-pager", str(unit)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert judged.returncode == 0, judged.stdout[-600:]


def test_an_installation_without_changing_anything(program: Path, tmp_path: Path) -> None:
    file = _forwarder(tmp_path, storage_dir="/srv/dicom", log_dir="/var/log/filmroom")
    said = _script("install", "--forwarder", file, "--program", program, "--boot", "--firewall", "--dry-run")
    for line in (
        "+ install -d -m 0700 -o filmroom -g filmroom /var/lib/filmroom",
        "+ install -d -m 0700 -o filmroom -g filmroom /srv/dicom",
        "+ write /etc/filmroom/forwarder.json (0640, root:filmroom)",
        "+ write /etc/systemd/system/filmroom-forwarder.service (0644, root:root)",
        "+ systemctl enable filmroom-forwarder.service",
        "+ systemctl restart filmroom-forwarder.service",
    ):
        assert line in said, said
    unit = _script("unit", "--forwarder", file, "--program", program)
    assert (
        f"ExecStart={program} serve --data /var/lib/filmroom --headless --config /etc/filmroom/forwarder.json" in unit
    )
    assert "ReadWritePaths=/srv/dicom" in unit and "/var/log/filmroom" not in unit, "systemd makes that one"
    assert not Path("/etc/filmroom/forwarder.json").exists()


def test_a_new_version_is_whole_before_it_takes_the_place_of_the_old(tmp_path: Path) -> None:
    wheel = tmp_path / "filmroom-1.whl"
    wheel.touch()
    said = _script("install", "--wheel", wheel, "--dry-run").splitlines()
    install = (
        r"\+ /opt/filmroom-releases/\S+/bin/pip install --quiet (--require-hashes -r \S+/constraints.txt|--no-deps )"
    )
    locked, made = [n for n, line in enumerate(said) if re.match(install, line)]
    (switched,) = [n for n, line in enumerate(said) if line == "+ mv -T /opt/filmroom.new /opt/filmroom"]
    assert locked < made < switched < said.index("+ systemctl restart filmroom.service")


def test_a_firewall_that_is_active_gets_a_rule(program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ufw = tmp_path / "bin" / "ufw"
    ufw.parent.mkdir()
    ufw.write_text("#!/bin/sh\necho 'Status: active'\n")
    ufw.chmod(0o755)
    monkeypatch.setenv("PATH", f"{ufw.parent}:{os.environ['PATH']}")
    said = _script("install", "--forwarder", _forwarder(tmp_path), "--program", program, "--firewall", "--dry-run")
    assert "+ ufw allow 104/tcp comment Filmroom" in said


def test_a_wrong_file_is_refused_before_anything_is_done(program: Path, tmp_path: Path) -> None:
    said = _script(
        "install", "--forwarder", _forwarder(tmp_path, colour=1), "--program", program, "--dry-run", ok=False
    )
    assert "colour: unknown key" in said and "+ " not in said


def test_a_relative_folder_is_refused_since_the_file_is_copied(program: Path, tmp_path: Path) -> None:
    file = _forwarder(tmp_path, storage_dir="kept")
    said = _script("install", "--forwarder", file, "--program", program, "--dry-run", ok=False)
    assert "write folders as whole paths" in said and "+ " not in said


def test_an_uninstallation_keeps_the_data_unless_told() -> None:
    assert "rm -rf" not in _script("uninstall", "--dry-run")
    assert "+ rm -rf /var/lib/filmroom /var/log/filmroom /etc/filmroom" in _script("uninstall", "--purge", "--dry-run")


@pytest.mark.slow
def test_the_unit_runs_as_written_and_says_ready_alive_and_stopping(program: Path, tmp_path: Path) -> None:
    """Its ExecStart= with the socket systemd gives to Type=notify and WatchdogSec=; only the file is another one."""
    file = _forwarder(tmp_path, local_port=free_port(), local_host="127.0.0.1")
    unit = _script("unit", "--program", program, "--forwarder", file, "--data", tmp_path / "data")
    assert "Type=notify" in unit and re.search(r"^WatchdogSec=\d+$", unit, re.M)
    (line,) = re.findall("^ExecStart=(.+)$", unit, re.M)
    command = line.replace("/etc/filmroom/forwarder.json", str(file)).split()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager, (tmp_path / "out").open("wb") as output:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(60)
        environment = {k: v for k, v in os.environ.items() if not k.startswith("FILMROOM_")}
        environment |= {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "30000000"}
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
        try:
            said = ""
            while "READY=1" not in said:
                said += manager.recv(4096).decode() + "\n"
            assert "STATUS=dicom ready" in said and "worker ready" in said, said
            status = subprocess.run([program, "status", "--data", tmp_path / "data"], timeout=60, check=False)
            assert status.returncode == 0, "ready is ready"
            while "WATCHDOG=1" not in said:
                said += manager.recv(4096).decode() + "\n"
            process.terminate()
            while "STOPPING=1" not in said:
                said += manager.recv(4096).decode() + "\n"
            assert process.wait(30) == 0
        finally:
            process.kill()
            process.wait(30)
    assert "/setup?code=" not in (tmp_path / "out").read_text(), (
        "without pages a one-time link has no place in a journal"
    )


# -- the container file --------------------------------------------------------------------------------------------


def _stages() -> dict[str, str]:
    text = (ROOT / "deploy" / "Containerfile").read_text().replace("\\\n", " ")
    found = re.split(r"^FROM +(\S+) +AS +(\S+)$", text, flags=re.M)
    assert len(found) % 3 == 1
    return {found[n + 1]: found[n + 2] for n in range(1, len(found), 3)}


def test_the_container_file_copies_what_is_there_and_nothing_wholesale() -> None:
    for stage, body in _stages().items():
        for words in re.findall(r"^COPY (?!--from)(.+)$", body, re.M):
            *sources, _target = words.split()
            for source in sources:
                assert source != "." and source.rstrip("/") != "web", (
                    f"{stage}: whole folders bring data and keys along"
                )
                assert list(ROOT.glob(source)), f"{stage}: {source} is not there"


def test_the_images_end_as_nobody_with_a_health_check_and_commands_that_are_there() -> None:
    stages = _stages()
    known = {f"FILMROOM_{one.name.upper()}" for one in dataclasses.fields(Config)}
    assert set(re.findall(r"FILMROOM_\w+(?==)", " ".join(stages.values()))) <= known
    assert "USER 10001" in stages["base"] and 'ENTRYPOINT ["filmroom"]' in stages["base"]
    for stage in ("forwarder", "station"):
        (health,) = re.findall(r"HEALTHCHECK .*CMD (.+)$", stages[stage], re.M)
        assert json.loads(health) == ["filmroom", "status"] and "USER" not in stages[stage]
    text = (ROOT / "deploy" / "Containerfile").read_text()
    assert re.findall("^ARG (\\w+)=", text, re.M) == ["PYTHON_BASE", "NODE_BASE"] and "PASSWORD" not in text
    assert all(base in ("${PYTHON_BASE}", "${NODE_BASE}", "base") for base in re.findall(r"^FROM (\S+)", text, re.M))
