"""What the command says, and what it does not: passwords, traces where a sentence will do."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import text

from app.config import Config
from app.db import open_database
from tests.support import postgres
from tests.support.live import ROOT
from tests.support.postgres import free_port
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow
_ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.startswith("FILMROOM_")} | {"PYTHONPATH": str(ROOT)}


def _command(*arguments: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "app.cli", *arguments]
    return subprocess.run(line, capture_output=True, text=True, timeout=120, env=_ENVIRONMENT, cwd=ROOT)


def _only_line(done: subprocess.CompletedProcess[str]) -> str:
    (line,) = (done.stdout + done.stderr).strip().splitlines()
    assert done.returncode == 2
    return line


def test_config_masks_the_databases_password(tmp_path: Path) -> None:
    done = _command("config", "--data", str(tmp_path), "--database-url", "postgresql://me:s3cret@db/x?sslmode=require")
    assert "database_url = postgresql://me:******@db/x?sslmode=require" in done.stdout
    assert "s3cret" not in done.stdout + done.stderr


def test_a_database_that_is_away_at_the_start_is_one_line_without_its_password(tmp_path: Path) -> None:
    url = f"postgresql://me:s3cret@127.0.0.1:{free_port()}/x"
    ports = ("--port", str(free_port()), "--dicom-port", str(free_port()))
    for verb in ("serve", "worker"):
        line = _only_line(_command(verb, "--data", str(tmp_path / "data"), "--database-url", url, *ports))
        assert "database" in line and "s3cret" not in line, line


def test_an_address_that_is_none_is_one_line_without_its_password(tmp_path: Path) -> None:
    done = _command("worker", "--data", str(tmp_path / "data"), "--database-url", "postgresql://me:s3cret@db:none/x")
    assert "database_url cannot be read" in _only_line(done) and "s3cret" not in done.stderr


def test_data_of_a_newer_version_are_refused_with_a_sentence(sqlite_config: Config) -> None:
    database = open_database(sqlite_config)
    with database.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    database.dispose()
    ports = ("--port", str(free_port()), "--dicom-port", str(free_port()))
    for verb in ("serve", "worker"):
        line = _only_line(_command(verb, "--data", str(sqlite_config.data), *ports))
        assert "upgraded by a newer Filmroom (schema 9999" in line, line


@pytest.mark.peer
def test_the_password_is_not_in_the_process_list(tmp_path: Path, postgres_url: str) -> None:
    with postgres.database(postgres_url) as url:
        secret = "s3cret-of-the-database"
        line = [sys.executable, "-m", "app.cli", "worker", "--data", str(tmp_path / "data"), "--log-json"]
        line += ["--database-url", url.replace("postgres@", f"postgres:{secret}@")]
        with (tmp_path / "log").open("wb") as log:
            process = subprocess.Popen(line, env=_ENVIRONMENT, cwd=ROOT, stdout=log, stderr=log)
        try:
            eventually(
                (tmp_path / "log").read_bytes,
                "the worker is ready",
                until=lambda log: b"worker ready" in log,
                seconds=120,
                process=process,
            )
            shown = Path(f"/proc/{process.pid}/cmdline").read_bytes()
            assert b"--database-url\0postgresql://postgres:*" in shown and secret.encode() not in shown
        finally:
            process.terminate()
            process.wait(30)
        for path in (tmp_path / "log", *(tmp_path / "data" / "logs").iterdir()):
            assert secret not in path.read_text()
