"""Encryption of small secrets in rows (second factors, passwords of peers)."""

from app.config import Config
from app.db.keys import derive, seal, unseal


class Secrets:
    """The installation's keys for one process; made once, since deriving reads the key files."""

    def __init__(self, config: Config) -> None:
        self._rows = derive(config, "secrets in rows")
        self.web = derive(config, "web")  # for HMACs of the interfaces

    def seal(self, text: str) -> str:
        return seal(self._rows, text)

    def unseal(self, sealed: str) -> str:
        return unseal(self._rows, sealed)
