"""A private PostgreSQL cluster on a free loopback port, from Debian's package, run as an unprivileged user."""

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg


def _program(name: str) -> str:
    found = shutil.which(name) or next(
        (str(p) for p in sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True)), None
    )
    if not found:
        raise RuntimeError(f"{name} is missing: install Debian's package postgresql (`make setup` does).")
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Cluster:
    """A running cluster. url: of its superuser's database."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._port = folder, free_port()
        self.folder = folder  # its log stands there as "log"
        account = pwd.getpwnam("postgres") if os.geteuid() == 0 else None
        self._user: dict[str, Any] = {}
        if account:
            os.chown(folder, account.pw_uid, account.pw_gid)
            self._user = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        self._data = folder / "data"
        self.url = f"postgresql://postgres@127.0.0.1:{self._port}/postgres"
        options = ("-U", "postgres", "-A", "trust", "--locale=C.UTF-8", "-E", "UTF8", "--no-sync")
        command = [_program("initdb"), "-D", self._data, *options]
        subprocess.run(command, check=True, capture_output=True, cwd=folder, **self._user)

    def _control(self, *arguments: str, check: bool = True) -> None:
        command = [_program("pg_ctl"), "-D", str(self._data), "-w", "-s", *arguments]
        nowhere = subprocess.DEVNULL
        subprocess.run(command, check=check, cwd=self._folder, stdout=nowhere, stderr=nowhere, **self._user)

    def start(self) -> None:
        """Also after `stop`, with what was committed before."""
        settings = (
            f"-p {self._port} -k {self._folder} -c listen_addresses=127.0.0.1 -c fsync=off -c full_page_writes=off"
            " -c shared_buffers=64MB -c max_connections=200"
        )
        self._control("-o", settings, "-l", str(self._folder / "log"), "start")

    def stop(self, *, check: bool = True) -> None:
        """At once, as a crash: every connection breaks."""
        self._control("-m", "immediate", "stop", check=check)


@contextlib.contextmanager
def cluster() -> Iterator[Cluster]:
    """A fresh cluster that ends with the block."""
    folder = Path(tempfile.mkdtemp(prefix="filmroom-pg-"))
    made = Cluster(folder)
    made.start()
    try:
        yield made
    finally:
        made.stop(check=False)
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def server() -> Iterator[str]:
    """URL of a fresh cluster's superuser database; the cluster ends with the block."""
    with cluster() as made:
        yield made.url


@contextlib.contextmanager
def database(url: str, template: str = "") -> Iterator[str]:
    """A database of its own in that cluster. template: the URL of one to copy, to which nobody is connected."""
    name = f"t{uuid.uuid4().hex[:12]}"
    with psycopg.connect(url, autocommit=True) as connection:
        copied = f" TEMPLATE {template.rpartition('/')[2]}" if template else ""
        connection.execute(f"CREATE DATABASE {name}{copied}")  # type: ignore[arg-type]
    try:
        yield url.rsplit("/", 1)[0] + f"/{name}"
    finally:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")  # type: ignore[arg-type]
