"""Services that requests use, created once per process."""

from dataclasses import dataclass, field
from typing import Any

from starlette.requests import HTTPConnection

from app.audit.tally import READING_MOST, READING_WINDOW, AuditTally
from app.config import Config
from app.db import Database, open_database
from app.security.gate import Gate
from app.security.secrets import Secrets


@dataclass(slots=True)
class Services:
    """config, database and keys of this process. readings: who looked at what. archive: `app.archive.Archive`; `extra` holds what one interface shares."""

    config: Config
    database: Database
    secrets: Secrets
    gate: Gate
    readings: AuditTally
    archive: Any = None
    extra: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def open(cls, config: Config, *, database: Database | None = None, archive: Any = None) -> "Services":
        """Opens what is not given. Call after a fork, never before."""
        opened = database or open_database(config)
        secrets = Secrets(config)
        looks = AuditTally(opened, READING_WINDOW, READING_MOST)
        return cls(config, opened, secrets, Gate(opened, secrets), looks, archive)

    def close(self) -> None:
        """Writes what is still to be noted. The caller that opened the database disposes of it."""
        self.gate.close()
        self.readings.close()


def services(connection: HTTPConnection) -> Services:
    found = connection.app.state.services
    assert isinstance(found, Services)
    return found
