"""The attack suite counts what it tries, by kind, and says so at the end of a run."""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app import config as boot
from app.db import open_database
from tests.support.client import Web, open_web

Attack = Callable[..., None]


@pytest.fixture
def attack(request: pytest.FixtureRequest) -> Attack:
    """attack(kind, count): so many attacks of this kind were tried and held."""

    def tried(kind: str, count: int = 1) -> None:
        request.node.user_properties.append(("attack", [kind, count]))

    return tried


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Also under xdist: properties travel with the reports."""
    counts: Counter[str] = Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            if getattr(report, "when", "") == "call" and report.outcome == "passed":
                for name, value in report.user_properties:
                    if name == "attack":
                        counts[value[0]] += value[1]
    if counts:
        terminalreporter.section(f"{sum(counts.values())} attacks tried, none succeeded")
        for kind, count in sorted(counts.items()):
            terminalreporter.write_line(f"{count:6}  {kind}")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, _sqlite_template: Path) -> Iterator[Web]:
    """One application for a module: its tests use accounts of their own."""
    import shutil

    folder = tmp_path_factory.mktemp("site") / "data"
    shutil.copytree(_sqlite_template, folder)
    config = boot.load({"data": folder}, environ={})
    database = open_database(config)
    with open_web(config, database) as web:
        yield web
    database.dispose()
