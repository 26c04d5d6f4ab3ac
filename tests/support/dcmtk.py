"""DCMTK's programs as real peers. A missing program is a failure in CI and a skip elsewhere."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.postgres import free_port
from tests.support.waiting import eventually

# Nagle off in DCMTK: with it each object costs 45 ms (DESIGN 3.4). Tests of correctness need not wait for that.
QUICK = {"TCP_NODELAY": "1"}


def program(name: str) -> str:
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin")  # which not everybody has in the path
    if found is None:
        message = f"{name} is missing: install Debian's package dcmtk (`make setup` does)."
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return found


@dataclass(frozen=True)
class Run:
    """What a program answered: exit code, and its output and errors together."""

    code: int
    output: str


def run(name: str, *arguments: str | Path, seconds: float = 60) -> Run:
    done = subprocess.run(
        [program(name), *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=seconds,
        env=os.environ | QUICK,
        check=False,
    )
    return Run(done.returncode, done.stdout.decode("utf-8", "replace"))


def start(name: str, *arguments: str | Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [program(name), *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=os.environ | QUICK,
    )


def echoscu(port: int, called: str = "FILMROOM", calling: str = "ECHOSCU", *options: str) -> Run:
    return run("echoscu", "-v", *options, "-aec", called, "-aet", calling, "127.0.0.1", str(port))


def storescu(
    port: int, files: Sequence[Path], *options: str, called: str = "FILMROOM", calling: str = "STORESCU"
) -> Run:
    """storescu as it is; `-R` (propose only what the files need) unless other options are given."""
    chosen = options or ("-R",)
    return run("storescu", "-v", *chosen, "-aec", called, "-aet", calling, "127.0.0.1", str(port), *files, seconds=280)


def dcmsend(port: int, files: Sequence[Path], *options: str, called: str = "FILMROOM") -> Run:
    """dcmsend chooses contexts by itself and never decompresses here."""
    return run(
        "dcmsend", "-v", "--decompress-never", *options, "-aec", called, "127.0.0.1", str(port), *files, seconds=280
    )


@contextlib.contextmanager
def storescp(folder: Path, *options: str, port: int | None = None, title: str = "STORESCP") -> Iterator[int]:
    """A storescp that keeps data sets as they come (+B); its port."""
    chosen = port or free_port()
    folder.mkdir(parents=True, exist_ok=True)
    command = [program("storescp"), *options, "+B", "-aet", title, "-od", str(folder), str(chosen)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ | QUICK)
    try:
        eventually(lambda: echoscu(chosen, title).code == 0, "storescp answers", process=process)
        yield chosen
    finally:
        process.terminate()
        process.wait(60)


def movescu(
    port: int,
    destination: str,
    keys: dict[str, str],
    *options: str,
    called: str = "FILMROOM",
    calling: str = "MOVESCU",
) -> Run:
    """movescu with verbose responses; study root unless `-P` is among the options."""
    chosen = options if "-P" in options else ("-S", *options)
    given = [part for name, value in keys.items() for part in ("-k", f"{name}={value}")]
    titles = ("-aet", calling, "-aec", called, "-aem", destination)
    return run("movescu", "-v", "-d", *titles, *chosen, *given, "127.0.0.1", str(port), seconds=120)


def getscu(
    port: int, folder: Path, keys: dict[str, str], *options: str, called: str = "FILMROOM", calling: str = "GETSCU"
) -> Run:
    """getscu that keeps what comes in the folder, as it comes (+B)."""
    folder.mkdir(parents=True, exist_ok=True)
    chosen = options if "-P" in options else ("-S", *options)
    given = [part for name, value in keys.items() for part in ("-k", f"{name}={value}")]
    titles = ("-aet", calling, "-aec", called, "-od", str(folder))
    return run("getscu", "-v", "-d", "+B", *titles, *chosen, *given, "127.0.0.1", str(port), seconds=120)
