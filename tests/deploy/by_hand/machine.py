"""`make service-test`: a Debian of its own (debootstrap), booted with its systemd in a container of systemd-nspawn; there
deploy/install-service.sh installs a freshly built wheel, and the service has to stand what deploy/README.md promises.

MACHINE names the folder of the tree (default build/machine, kept between runs). Needs root, debootstrap and
systemd-container; the network and its ports are this machine's."""

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.deploy.by_hand.box import Traffic, holds, prove, say, sh, until
from tests.support.live import ROOT
from tests.support.marked import traces_of_marked

TREE = Path(os.environ.get("MACHINE", ROOT / "build" / "machine")).resolve()
UNIT, DATA, PYTHON = "filmroom-forwarder", "/var/lib/filmroom", "/opt/filmroom/bin/python"
PACKAGES = "systemd,systemd-sysv,dbus,python3,python3-venv,procps,ca-certificates"
AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")


def make_tree() -> None:
    if (TREE / "usr/lib/systemd/systemd").exists():
        return
    sources = Path("/etc/apt/sources.list.d/debian.sources").read_text()
    mirror = re.findall(r"^URIs: *(\S+)", sources, re.M)[0]
    sh("debootstrap", "--variant=minbase", f"--include={PACKAGES}", "bookworm", TREE, mirror)
    for file in (AUTHORITIES, Path("/etc/resolv.conf")):
        sh("cp", file, f"{TREE}{file}")
    for unit in ("systemd-resolved", "systemd-networkd-wait-online"):
        (TREE / "etc/systemd/system" / f"{unit}.service").symlink_to("/dev/null")


class Machine:
    """The booted tree, and the service in it as a Box."""

    def __init__(self, inputs: Path) -> None:
        self.inputs = inputs
        self.process: subprocess.Popen[bytes] | None = None

    def boot(self) -> None:
        # CAP_IPC_LOCK: without it nspawn forbids mlock, and SQLCipher says so; a real machine allows it
        command = ["systemd-nspawn", "-q", "-D", TREE, "--register=no", "--keep-unit", "--boot"]
        command += ["--capability=CAP_IPC_LOCK", f"--bind-ro={ROOT / 'deploy'}:/src/deploy"]
        command += [f"--bind-ro={self.inputs}:/src/inputs"]
        quiet = subprocess.DEVNULL
        self.process = subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet)
        until(lambda: self.run("systemctl", "is-system-running", ok=False).strip() == "running", "systemd is up")

    def power_off(self) -> None:
        if self.process is not None:
            self.run("systemctl", "poweroff", ok=False)
            self.process.wait(90)

    def run(self, *command: str, ok: bool = True) -> str:
        assert self.process is not None
        leader = sh("pgrep", "-P", str(self.process.pid), ok=False).split()[:1]
        if not leader:
            return ""
        inside = ["env", "-C", "/", "-u", "PIP_FIND_LINKS", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root"]
        return sh("nsenter", "-t", *leader, "-m", "-u", "-i", "-p", "-C", "--root", *inside, *command, ok=ok)

    def shell(self, text: str, ok: bool = True) -> str:
        return self.run("sh", "-c", text, ok=ok).strip()

    def value(self, name: str) -> str:
        return self.run("systemctl", "show", "-p", name, "--value", UNIT).strip()

    def start(self) -> None:
        self.run("systemctl", "start", UNIT)

    def stop(self) -> None:
        self.run("systemctl", "stop", UNIT)

    def kill(self) -> None:
        self.run("kill", "-9", self.value("MainPID"))

    def status(self) -> int:
        """As an administrator asks; a service that systemd starts again and again is not there."""
        if self.value("ActiveState") != "active":
            return 3
        return int(self.shell(f"/opt/filmroom/bin/filmroom status --data {DATA} >/dev/null; echo $?"))

    def log(self) -> str:
        return self.run("journalctl", "-u", UNIT, "--no-pager", "-o", "cat")


def install(machine: Machine, wheel: Path) -> None:
    machine.run("bash", "/src/deploy/install-service.sh", "uninstall", "--purge", ok=False)
    started = time.monotonic()
    machine.run(
        *("bash", "/src/deploy/install-service.sh", "install", "--boot", "--forwarder", "/src/inputs/forwarder.json"),
        *("--wheel", f"/src/inputs/{wheel.name}"),
    )
    say("installed and started by deploy/install-service.sh", f"{time.monotonic() - started:.0f} s")
    holds(machine.value("ActiveState") == "active", "active", machine.value("StatusText"))
    holds(machine.shell("command -v node npm; true") == "", "no Node in the machine")


def rights(machine: Machine) -> None:
    """Folders, modes, what the process may do, and systemd's own judgement."""
    modes = machine.shell(f"stat -c '%U:%G %a %n' {DATA} {DATA}/db {DATA}/keys/* /srv/dicom /var/log/filmroom")
    holds(not re.findall(r"^(?!filmroom:filmroom [67][05]0 )", modes, re.M), "folders", modes.replace("\n", ", "))
    pid = machine.value("MainPID")
    status = machine.shell(f"grep -E '^(Uid|CapEff|NoNewPrivs|Seccomp):' /proc/{pid}/status")
    holds("0000000000000400" in status and "NoNewPrivs:\t1" in status, "its only capability is CAP_NET_BIND_SERVICE")
    judged = machine.run("systemd-analyze", "security", "--no-pager", UNIT).splitlines()[-1]
    holds(float(re.findall(r": ([\d.]+)", judged)[0]) < 2.0, "systemd-analyze security", judged.strip("→ "))
    journal = machine.log() + machine.shell("cat /var/log/filmroom/*.log")
    holds(not traces_of_marked(journal) and "setup?code" not in journal, "journal and logs without patient data")


def watchdog(machine: Machine) -> None:
    """A supervisor that hangs (stopped by a signal here) is ended and started again."""
    before = machine.value("NRestarts")
    machine.run("kill", "-STOP", machine.value("MainPID"))
    took = until(lambda: machine.value("NRestarts") != before, "the watchdog", 90)
    took += until(lambda: machine.status() == 0, "back after the watchdog")
    say("a supervisor that hangs is replaced", f"{took:.0f} s")


def upgrade(machine: Machine, traffic: Traffic) -> None:
    """An older schema meets this wheel: the upgrade keeps a copy, and what waited is still sent."""
    traffic.send(5)
    machine.stop()
    older = (
        "import sys; from pathlib import Path; from alembic import command; from alembic.config import Config as C\n"
        "from app import config; from app.db import open_database; from app.kit import paths\n"
        f"d = open_database(config.load({{'data': Path('{DATA}')}})); s = C()\n"
        "s.set_main_option('script_location', str(paths.migrations()))\n"
        "with d.engine.connect() as c:\n"
        "    s.attributes['connection'] = c; command.downgrade(s, '-1'); c.commit()\n"
    )
    (machine.inputs / "older.py").write_text(older)
    machine.shell(f"setpriv --reuid filmroom --regid filmroom --clear-groups {PYTHON} /src/inputs/older.py")
    wheel = next(machine.inputs.glob("*.whl")).name
    machine.run(
        *("bash", "/src/deploy/install-service.sh", "install", "--boot", "--forwarder", "/src/inputs/forwarder.json"),
        *("--wheel", f"/src/inputs/{wheel}"),
    )
    until(lambda: machine.status() == 0, "ready after the upgrade")
    releases = machine.shell("ls /opt/filmroom-releases | wc -l; readlink /opt/filmroom")
    holds(releases.startswith("2\n"), "the program is a new one, the one before is kept", releases.split("/")[-1])
    copies = machine.shell(f"stat -c '%U %a %n' {DATA}/backup/*")
    holds("filmroom 600" in copies, "a copy was kept before the upgrade", copies.split("/")[-1])
    holds("schema upgraded" in machine.log(), "the journal tells of the upgrade")


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="filmroom-machine-") as name:
        inputs = Path(name) / "inputs"
        inputs.mkdir()
        sh(sys.executable, "-m", "build", "-q", "--wheel", "--no-isolation", "-o", inputs, ROOT)
        wheel = next(inputs.glob("*.whl"))
        traffic = Traffic(inputs)
        traffic.port = 104  # DICOM's own: the service may bind it without being root
        traffic.configuration(storage_dir="/srv/dicom", log_dir="/var/log/filmroom")
        make_tree()
        machine = Machine(inputs)
        machine.boot()
        try:
            install(machine, wheel)
            prove(machine, traffic)
            rights(machine)
            watchdog(machine)
            upgrade(machine, traffic)
            machine.power_off()
            machine.boot()
            until(lambda: machine.status() == 0, "ready after the boot")
            say("started by the boot of the machine")
            machine.run("bash", "/src/deploy/install-service.sh", "uninstall")
            left = machine.shell(f"ls -d {DATA} /opt/filmroom /etc/systemd/system/{UNIT}.service 2>/dev/null; true")
            holds(left == DATA, "uninstalled; the data stay")
        finally:
            machine.power_off()


if __name__ == "__main__":
    main()
