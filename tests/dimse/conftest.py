from collections.abc import Iterator

import pytest

from app.config import Config
from app.db import open_database
from tests.support.dimse import Station, station


@pytest.fixture
def receiver(sqlite_config: Config) -> Iterator[Station]:
    """A receiver with an empty archive on the embedded database."""
    database = open_database(sqlite_config)
    with station(sqlite_config, database) as made:
        yield made
    database.dispose()
