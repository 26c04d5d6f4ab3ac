"""Preparation of the data folder before any role starts: folders, schema, roles and the first administrator."""

import dataclasses
import logging
import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

from app.config import Config, ConfigError

if TYPE_CHECKING:
    from app.db import Database

log = logging.getLogger("app.supervisor")
ADMIN_PASSWORD = "FILMROOM_ADMIN_PASSWORD"  # noqa: S105 the variable's name


def prepare(config: Config, environ: Mapping[str, str] = os.environ) -> None:
    """Makes folders, schema, roles and the first administrator.

    environ: where the first administrator's password may be; the process's own has none any more (`kit.withheld`)."""
    for folder in (config.data, config.store, config.cache, config.run, config.logs, config.keys):
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as fault:
            raise ConfigError(f"the folder {folder} cannot be made: {fault.strerror}") from None
    from app.db import migrate, open_database

    database = open_database(config)
    try:
        if done := migrate.upgrade(config, database):
            sys.stdout.write(f"filmroom: {done}\n")
        _verify_trail(config, database)
        _seed(config, database, environ)
        _apply_nodes(config, database)
        _apply_forwarder(config, database)
    finally:
        database.dispose()


def _verify_trail(config: Config, database: "Database") -> None:
    """Whether the audit trail still ends where it did at the last start or goes on from there."""
    from app import audit

    if fault := audit.begin(database, config.keys):
        log.error("%s", fault)
        sys.stderr.write(f"filmroom: {fault} `filmroom verify-audit` says where.\n")


def _seed(config: Config, database: "Database", environ: Mapping[str, str]) -> None:
    """Built-in roles and the first administrator; the console explains the first sign-in."""
    from app.security import setup
    from app.security.secrets import Secrets

    first = setup.prepare(database, Secrets(config), environ)
    if config.headless:  # the one-time link leads nowhere without pages, and would be logged for nothing
        first = dataclasses.replace(first, code="")
    host = "127.0.0.1" if config.host in ("0.0.0.0", "::") else config.host  # noqa: S104
    for line in first.lines(f"http://{host}:{config.port}"):
        sys.stdout.write(f"filmroom: {line}\n")


def _apply_nodes(config: Config, database: "Database") -> None:
    """The file of nodes, if one is given or was given before. Nothing is imported for a start without one."""
    marker = config.data / ".nodes-file"  # the last start had a file: its nodes are set free when this one has none
    if not config.nodes and not marker.exists():
        return
    from app.nodes.exchange import apply_file

    apply_file(config, database)
    marker.unlink(missing_ok=True) if not config.nodes else marker.touch(0o600)


def _apply_forwarder(config: Config, database: "Database") -> None:
    """The file of a store-and-forward box, if one is given or was given before."""
    marker = config.data / ".forwarder-file"  # the last start had one: its node is set free when this one has none
    if not config.forwarder and not marker.exists():
        return
    from app.routing import forwarder

    forwarder.apply_file(config, database)
    marker.unlink(missing_ok=True) if not config.forwarder else marker.touch(0o600)
