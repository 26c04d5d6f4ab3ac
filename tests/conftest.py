"""The fixtures every package shares: both databases, real servers, real files.

`database` runs a test twice, on SQLCipher and on PostgreSQL (a private cluster started once a session)."""

import gc
import os
import re
import shutil
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from hypothesis import HealthCheck, settings

from app import config as boot
from app.config import Config
from app.db import Database, migrate, open_database
from app.db.models import load_all
from app.http import i18n
from app.security import passwords
from tests.support import live as live_server
from tests.support import postgres, samples
from tests.support.client import Web, open_web
from tests.support.served import served

__all__ = ["served"]  # a fixture of tests/dicomweb and tests/interop
load_all()
CI = os.environ.get("CI") == "true"
# The machine may be busy with something else: how long an example takes says nothing about the code.
settings.register_profile("shared", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared")
LARGE_SET = Path(
    os.environ.get("FILMROOM_TEST_DATA", Path(__file__).resolve().parents[1] / ".." / "shared" / "data")
).resolve()
_MISSING = re.compile(r"missing|not here|not installed|no such", re.I)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(
        key=lambda item: "chaos" not in item.path.parts
    )  # the longest first: one worker has them, the other the rest
    for item in items:
        if "browser" in item.keywords:
            item.add_marker("slow")


@pytest.fixture(scope="session", autouse=True)
def _cheap_hashes() -> Iterator[None]:
    """Argon2 is slow on purpose, and most tests sign somebody in. Servers that run as processes hash as they do in use;
    tests/security/test_passwords.py holds what that is."""
    real, passwords._HASHER = passwords._HASHER, PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    yield
    passwords._HASHER = real


@pytest.fixture(autouse=True)
def _english() -> Iterator[None]:
    """The language of a request is a context variable: a test that chose another one must not leave it to the next."""
    i18n.set_language("en")
    yield
    i18n.set_language("en")


@pytest.fixture(scope="module", autouse=True)
def _few_files_stay_open() -> Iterator[None]:
    """pynetdicom waits by select(), which knows no descriptor beyond 1023: once tests have left that many files open, each
    association of a later test ends before it began."""
    yield
    folder = Path("/proc/self/fd")
    if folder.is_dir() and len(os.listdir(folder)) > 700:
        gc.collect()
        left = Counter(path.name for path in map(_target, folder.iterdir()))
        assert left.total() < 700, f"the tests so far left {left.total()} files open: {left.most_common(8)}"


def _target(link: Path) -> Path:
    try:
        return link.readlink()
    except OSError:  # the listing's own
        return link


@pytest.fixture(scope="session")
def shared_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The large set of real DICOM files, else the small one of tests/support/samples.py: same names, fewer files."""
    return LARGE_SET if samples.is_whole(LARGE_SET) else samples.make_small(tmp_path_factory.mktemp("small") / "data")


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A private PostgreSQL for this test process, ended with it."""
    with postgres.server() as url:
        yield url


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated empty installation, copied for each test: migrating costs more than copying."""
    folder = tmp_path_factory.mktemp("template")
    config = boot.load({"data": folder}, environ={})
    database = open_database(config)
    migrate.upgrade(config, database)
    database.dispose()
    return folder


@pytest.fixture
def sqlite_config(tmp_path: Path, _sqlite_template: Path) -> Config:
    """An installation of its own on the embedded database, already migrated."""
    shutil.copytree(_sqlite_template, tmp_path / "data")
    return boot.load({"data": tmp_path / "data"}, environ={})


@pytest.fixture(scope="session")
def _postgres_template(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """The same on PostgreSQL: the data folder, and the database to copy."""
    folder = tmp_path_factory.mktemp("template-postgresql")
    with postgres.database(postgres_url) as url:
        config = boot.load({"data": folder, "database_url": url}, environ={})
        database = open_database(config)
        migrate.upgrade(config, database)
        database.dispose()
        yield folder, url


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def config(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Config]:
    """An installation of its own, once on each database."""
    with copied_installation(request, tmp_path, request.param) as copied:
        yield copied


@contextmanager
def copied_installation(request: pytest.FixtureRequest, folder: Path, kind: str) -> Iterator[Config]:
    """A migrated installation in `folder`/data on the database of this kind; for fixtures of any scope."""
    if kind == "sqlite":
        shutil.copytree(request.getfixturevalue("_sqlite_template"), folder / "data")
        yield boot.load({"data": folder / "data"}, environ={})
        return
    source, template = request.getfixturevalue("_postgres_template")
    shutil.copytree(source, folder / "data")
    with postgres.database(request.getfixturevalue("postgres_url"), template) as url:
        yield boot.load({"data": folder / "data", "database_url": url}, environ={})


@pytest.fixture
def database(config: Config) -> Iterator[Database]:
    opened = open_database(config)
    yield opened
    opened.dispose()


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[live_server.Live]:
    """A running Filmroom for the tests of one module; user `admin`, password `tests.support.live.PASSWORD`."""
    with live_server.running(tmp_path_factory.mktemp("live") / "data") as running:
        yield running


@pytest.fixture
def web(config: Config, database: Database) -> Iterator[Web]:
    """The whole web application with its cast (tests/support/client.py), once on each database."""
    with open_web(config, database) as opened:
        yield opened


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport]:
    """In CI a missing tool is a failure, never a skip; what does not apply to a file or a database may be skipped, and so
    may a test that asks for a file which only the large set has."""
    report = yield
    if "shared_data" in getattr(item, "fixturenames", ()):
        report.user_properties.append(("set", "large" if samples.is_whole(LARGE_SET) else "small"))
    if report.failed and call.excinfo and (lacking := samples.lacking(call.excinfo.value)):
        report.outcome = "skipped"
        report.longrepr = (str(item.path), item.location[1] or 0, f"only the large set of files has {lacking}")
    elif CI and report.skipped and not hasattr(report, "wasxfail") and _MISSING.search(str(report.longrepr)):
        report.outcome = "failed"
        report.longrepr = f"in CI this must be there: {report.longrepr}"
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How many tests ran on the large set of files, or without it."""
    ended = [one for name in ("passed", "failed") for one in terminalreporter.stats.get(name, ()) if one.when == "call"]
    sets = Counter(value for one in ended for name, value in one.user_properties if name == "set")
    left = [one for one in terminalreporter.stats.get("skipped", ()) if "only the large set" in str(one.longrepr)]
    terminalreporter.write_line(
        f"DICOM files: {sets['large']} tests ran on the large set, {sets['small']} on the small one,"
        f" {len(left)} were skipped because only the large set has their files"
    )
