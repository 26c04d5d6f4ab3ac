"""The first start: an administrator from the environment, or a one-time link on the console."""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from app.db import Database
from app.kit.errors import Invalid
from app.security import facilities, queries, roles, users
from app.security.secrets import Secrets

FIRST_NAME = "admin"
_VARIABLE = "FILMROOM_ADMIN_PASSWORD"


@dataclass(frozen=True, slots=True)
class FirstStart:
    """Text for the console: nothing, what was made, or the link's code (with the reason why it is needed)."""

    created: str = ""
    code: str = ""
    refused: str = ""

    def lines(self, address: str) -> list[str]:
        """The console's words; address: where the pages are, like http://127.0.0.1:8000."""
        text_lines = []
        if self.refused:
            text_lines.append(f"{_VARIABLE} was not used: {self.refused}")
        if self.created:
            text_lines.append(f"The administrator {self.created!r} was made; sign in at {address}/")
        if self.code:
            text_lines.append(
                f"Open {address}/setup?code={self.code} to set the administrator's password (works once)."
            )
        return text_lines


def setup_code(secrets: Secrets) -> str:
    """The link's code: fixed for an installation, good only while it has no user."""
    return hmac.new(secrets.web, b"first administrator", hashlib.sha256).hexdigest()[:40]


def is_setup_code(secrets: Secrets, code: str) -> bool:
    return hmac.compare_digest(setup_code(secrets).encode(), code.encode())


def _initial_password(environ: Mapping[str, str]) -> str:
    file = environ.get(f"{_VARIABLE}_FILE")
    return Path(file).read_text("utf-8").strip() if file else environ.get(_VARIABLE, "")


def prepare(database: Database, secrets: Secrets, environ: Mapping[str, str]) -> FirstStart:
    """Seeds the roles; on a new installation makes `admin` from the environment or answers a code for the link.

    The server calls it at every start, after the migration. The password is used once and kept only as a hash."""
    with database.write() as session:
        roles.seed(session)
        facilities.ensure_home(session)
        if queries.has_users(session):
            return FirstStart()
    password = _initial_password(environ)
    if not password:
        return FirstStart(code=setup_code(secrets))
    try:
        hashed = users.new_password(database, password, FIRST_NAME)
        with database.write() as session:
            users.create_first_administrator(session, FIRST_NAME, hashed)
    except Invalid as fault:
        return FirstStart(code=setup_code(secrets), refused=fault.detail)
    return FirstStart(created=FIRST_NAME)
