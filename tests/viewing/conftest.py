"""An archive without interfaces."""

from collections.abc import Iterator

import pytest

from app.archive import Archive, Source
from app.config import Config
from app.db import open_database


@pytest.fixture
def archive(sqlite_config: Config) -> Iterator[Archive]:
    database = open_database(sqlite_config)
    opened = Archive(sqlite_config, database)
    yield opened
    opened.close()
    database.dispose()


def store(archive: Archive, data: bytes) -> None:
    incoming = archive.receive(Source("test"))
    incoming.write(data)
    assert archive.ingest(incoming).status == "stored"
