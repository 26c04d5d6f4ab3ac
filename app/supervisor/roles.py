"""The roles, and one of them in this process."""

import dataclasses
from collections.abc import Callable, Iterable
from importlib import import_module

from app.config import Config, ConfigError
from app.kit import files, memory, occupied, startup
from app.kit import logging as kit_logging

# role -> module with run(config); only the role's own process imports it
ROLES = {"dicom": "app.listener", "web": "app.server", "worker": "app.worker"}


def role_options(config: Config) -> list[str]:
    """The command line that gives a role process this configuration, whatever files and options it came from. Secrets stay
    in the environment, which it inherits; the database's address may hold one."""
    found = []
    for item in dataclasses.fields(Config):
        value = getattr(config, item.name)
        if item.metadata.get("secret") or item.metadata.get("password") or value == item.default:
            continue
        flag = item.metadata.get("flag") or f"--{item.name.replace('_', '-')}"
        if isinstance(value, bool):
            found.append(flag if value else flag.replace("--", "--no-", 1))
        else:
            found += [flag, str(value)]
    return found


def log_to_files(name: str, config: Config) -> None:
    """Logs of this process go to the files of this name."""
    kit_logging.setup(name, config.logs, config.log_level, config.log_json, days=config.log_days, mib=config.log_mib)


def run_role(role: str, config: Config) -> None:
    """Runs one role in this process until it is stopped."""
    log_to_files(role, config)
    files.raise_limit()
    startup.suspend_collection()
    memory.limit_arenas()
    runner: Callable[[Config], None] = import_module(ROLES[role]).run
    runner(config)


def listening_addresses(config: Config, roles: Iterable[str] = ROLES) -> list[tuple[str, int]]:
    """Address and port of everything that listens in these roles."""
    hosts = [host.strip() for host in config.dicom_host.split(",") if host.strip()] if "dicom" in roles else []
    pages = [(config.host, config.port)] if "web" in roles and not config.headless else []
    return pages + [(host, config.dicom_port) for host in hosts]


def require_free(config: Config, role: str) -> None:
    """Raises ConfigError when the port of a role that is started alone is taken: before anything is made. Several receivers
    may share theirs with those that run already over this folder, which they find out when they open it."""
    if role == "dicom" and config.receivers > 1 and config.run.exists():
        return
    try:
        occupied.require_free(listening_addresses(config, (role,)))
    except occupied.Occupied as taken:
        raise ConfigError(str(taken)) from None
