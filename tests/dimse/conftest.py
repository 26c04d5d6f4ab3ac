import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from app import config as boot
from app.config import Config
from app.db import open_database
from tests.dimse.patients import opened
from tests.support.dimse import Station, station


@pytest.fixture
def receiver(sqlite_config: Config) -> Iterator[Station]:
    """A receiver with an empty archive on the embedded database."""
    database = open_database(sqlite_config)
    with station(sqlite_config, database) as made:
        yield made
    database.dispose()


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory, _sqlite_template: Path) -> Iterator[Station]:
    """A receiver with the patients of `patients.py`, for the tests of one module; they only look."""
    folder = tmp_path_factory.mktemp("asked") / "data"
    shutil.copytree(_sqlite_template, folder)
    with opened(boot.load({"data": folder}, environ={})) as made:
        yield made
