"""An archive on both databases, and small real objects to put into it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.archive import Archive, IngestOutcome, Source
from app.config import Config
from app.db import Database

Put = Callable[..., IngestOutcome]


@pytest.fixture
def archive(config: Config, database: Database) -> Iterator[Archive]:
    opened = Archive(config, database)
    yield opened
    opened.close()


@pytest.fixture
def put(archive: Archive) -> Put:
    """put(bytes or path) takes one object in."""

    def take(data: bytes | Path, source: Source | None = None) -> IngestOutcome:
        incoming = archive.receive(source or Source("test"))
        incoming.write(data if isinstance(data, bytes) else data.read_bytes())
        return archive.ingest(incoming)

    return take
