"""`make container-test`: builds the forwarder's image and runs it as deploy/README.md says, without rights and read-only.

PYTHON_BASE and NODE_BASE name the base images as for the build; OWN_BASES=1 makes stand-ins for them by debootstrap from
this machine's Debian mirror and its own Node (for machines that reach no image registry). PODMAN holds the command with
its global options, BUILDAH the same for building, RUN_OPTIONS further options of `podman run`."""

import os
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.deploy.by_hand.box import Traffic, holds, prove, say, sh
from tests.support.live import ROOT
from tests.support.marked import traces_of_marked

PODMAN = shlex.split(os.environ.get("PODMAN", "podman"))
BUILDAH = shlex.split(os.environ.get("BUILDAH", "buildah"))
RUN_OPTIONS = shlex.split(os.environ.get("RUN_OPTIONS", ""))
IMAGE, NAME, VOLUME = "localhost/filmroom-forwarder-test", "filmroom-test-box", "filmroom-test-data"
AUTHORITIES = Path(
    "/etc/ssl/certs/ca-certificates.crt"
)  # this machine's, also those of a proxy between it and registries


def own_bases(folder: Path) -> dict[str, str]:
    """Debian bookworm with Python 3.11, and the same with this machine's Node."""
    tree = folder / "base"
    mirror = next(
        line.split(":", 1)[1].strip()
        for line in Path("/etc/apt/sources.list.d/debian.sources").read_text().splitlines()
        if line.startswith("URIs:")
    )
    sh("debootstrap", "--variant=minbase", "--include=ca-certificates,python3,python3-venv", "bookworm", tree, mirror)
    (tree / "usr/bin/python").symlink_to("python3")
    sh("cp", AUTHORITIES, f"{tree}{AUTHORITIES}")
    sh("tar", "-C", tree, "--one-file-system", "-cf", folder / "base.tar", ".")
    made = {"PYTHON_BASE": "localhost/debian-python:3.11", "NODE_BASE": "localhost/debian-node:20"}
    one = sh(*BUILDAH, "from", "scratch").split()[-1]
    sh(*BUILDAH, "add", "-q", one, folder / "base.tar", "/")
    sh(*BUILDAH, "config", "--env", "PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", one)
    sh(*BUILDAH, "config", "--env", f"PIP_CERT={AUTHORITIES}", "--env", f"NODE_EXTRA_CA_CERTS={AUTHORITIES}", one)
    sh(*BUILDAH, "commit", "-q", one, made["PYTHON_BASE"])
    sh(*BUILDAH, "copy", "-q", one, "/usr/bin/node", "/usr/bin/node")
    sh(*BUILDAH, "copy", "-q", one, "/usr/lib/node_modules/npm", "/usr/lib/node_modules/npm")
    sh(
        *BUILDAH,
        "run",
        "--isolation",
        "chroot",
        one,
        "ln",
        "-s",
        "../lib/node_modules/npm/bin/npm-cli.js",
        "/usr/bin/npm",
    )
    sh(*BUILDAH, "commit", "-q", one, made["NODE_BASE"])
    sh(*BUILDAH, "rm", one)
    return made


def build(bases: dict[str, str]) -> None:
    arguments = [part for name, image in bases.items() for part in ("--build-arg", f"{name}={image}")]
    command = [*BUILDAH, "build", "--isolation", "chroot", "--format", "docker", "--layers", *arguments]
    command += ["-f", str(ROOT / "deploy/Containerfile"), "--target", "forwarder", "-t", IMAGE, str(ROOT)]
    started = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    say("image built", f"{time.monotonic() - started:.0f} s")


class Container:
    """The image as the documentation runs it. init: whether a small init is process 1, or filmroom itself."""

    def __init__(self, file: Path, init: bool) -> None:
        self.file, self.init = file, init

    def run(self) -> None:
        sh(
            *PODMAN, "run", "-d", "--name", NAME, *(["--init"] if self.init else []), "--restart", "on-failure",
            "--read-only", "--cap-drop", "all", "--security-opt", "no-new-privileges", "--network", "host",
            "-v", f"{VOLUME}:/data", "-v", f"{self.file}:/etc/filmroom/forwarder.json:ro", *RUN_OPTIONS, IMAGE,
        )  # fmt: skip

    def start(self) -> None:
        sh(*PODMAN, "start", NAME)

    def stop(self) -> None:
        sh(*PODMAN, "stop", "-t", "10", NAME)

    def kill(self) -> None:
        """From outside: a process 1 cannot be killed from within."""
        pid = sh(*PODMAN, "inspect", "-f", "{{.State.Pid}}", NAME).split()[-1]
        if self.init:
            pid = sh("pgrep", "-P", pid).split()[0]
        sh("kill", "-9", pid)

    def status(self) -> int:
        """The image's health check, run as an engine does."""
        if "true" not in sh(*PODMAN, "inspect", "-f", "{{.State.Running}}", NAME, ok=False):
            return 3
        return subprocess.run([*PODMAN, "healthcheck", "run", NAME], capture_output=True, timeout=60).returncode

    def log(self) -> str:
        return sh(*PODMAN, "logs", NAME)

    def inside(self, command: str) -> str:
        return sh(*PODMAN, "exec", NAME, "sh", "-c", command, ok=False).strip()


def look(box: Container) -> None:
    """Rights and places, from within."""
    holds(box.inside("id -u") == "10001", "its user", 10001)
    holds("Read-only file system" in box.inside("touch /opt/filmroom/x"), "the root file system is read-only")
    holds(box.inside("grep CapEff /proc/self/status").endswith("0000000000000000"), "no capability")
    modes = box.inside("stat -c '%U %a' /data /data/db /data/keys /data/store | sort -u")
    holds(modes == "filmroom 700", "data folders", modes)
    logs = box.inside("cat /data/logs/*.log")
    holds(bool(logs) and not traces_of_marked(logs), "no patient data in /data/logs")


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="filmroom-container-") as name:
        folder = Path(name)
        bases = {key: os.environ[key] for key in ("PYTHON_BASE", "NODE_BASE") if os.environ.get(key)}
        build(own_bases(folder) if os.environ.get("OWN_BASES") else bases)
        for init in (True, False):
            say(f"-- {'with --init' if init else 'filmroom as process 1'}")
            traffic = Traffic(folder / f"init-{init}")
            box = Container(traffic.configuration(), init)
            try:
                box.run()
                prove(box, traffic)
                look(box)
                box.stop()
                code = sh(*PODMAN, "inspect", "-f", "{{.State.ExitCode}}", NAME).split()[-1]
                holds(code == "0", "exit code after SIGTERM", code)
            finally:
                sh(*PODMAN, "rm", "-f", NAME, ok=False)
                sh(*PODMAN, "volume", "rm", "-f", VOLUME, ok=False)


if __name__ == "__main__":
    main()
    sys.exit(0)
