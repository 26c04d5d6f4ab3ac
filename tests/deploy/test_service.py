"""The systemd unit and its install script: rendered, verified, judged; nothing of the machine is changed."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from app.kit import classic
from tests.support.live import ROOT

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
        [analyze, "security", "--offline=true", "--threshold=25", "--no-pager", str(unit)],
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
    assert "colour: this key is not known" in said and "+ " not in said


def test_an_uninstallation_keeps_the_data_unless_told() -> None:
    assert "rm -rf" not in _script("uninstall", "--dry-run")
    assert "+ rm -rf /var/lib/filmroom /var/log/filmroom /etc/filmroom" in _script("uninstall", "--purge", "--dry-run")


def test_the_container_file_ends_as_nobody_with_a_health_check() -> None:
    text = (ROOT / "deploy" / "Containerfile").read_text()
    for stage in ("forwarder", "station"):
        body = text.partition(f" AS {stage}\n")[2].partition("\nFROM")[0]
        assert "HEALTHCHECK" in body and "filmroom" in body, stage
    assert re.search(r"^USER 10001", text, re.M) and "ADMIN_PASSWORD" not in text
