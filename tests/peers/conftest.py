from collections.abc import Iterator

import pytest

from app.config import Config
from app.db import Database, open_database
from tests.support.client import add_cast
from tests.support.dimse import Station, station
from tests.support.transferring import worker

__all__ = ["worker"]  # a fixture


@pytest.fixture
def peopled(sqlite_config: Config) -> Iterator[Database]:
    """An installation with the cast, on the embedded database."""
    database = open_database(sqlite_config)
    add_cast(database)
    yield database
    database.dispose()


@pytest.fixture
def receiver(sqlite_config: Config, peopled: Database) -> Iterator[Station]:
    with station(sqlite_config, peopled) as made:
        yield made
