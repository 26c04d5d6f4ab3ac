"""The command `filmroom`: parses the command line, builds the configuration and calls the other packages."""

import argparse
import dataclasses
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from app import __version__
from app.config import Config, ConfigError, load, take_secrets
from app.kit import arguments
from app.kit.errors import AppError

_SERVE = {
    "serve": "start all roles on this machine",
    "web": "start only the web role: pages, REST, DICOMweb, events",
    "dicom": "start only the DICOM receivers",
    "worker": "start only the worker: background jobs",
}


def _status(config: Config) -> int:
    """0: every role is ready; 1: some are not; 3: nothing runs (as the LSB says for status)."""
    from app.kit import running

    found = running.read_state(config.run)
    for line in found.lines():
        print(line)
    return found.code


def _stop(config: Config) -> int:
    """0: it has ended, or did not run; 1: it does not end."""
    from app.kit import running

    words, ended = running.stop(config.run)
    print(words)
    return 0 if ended else 1


def _verify_audit(config: Config, as_json: bool) -> int:
    """0: the audit trail is whole; 1: it is not, and where."""
    import json

    from app import audit
    from app.db import key_check, open_database

    database = open_database(config)
    try:
        key_check.require_same(config, database)
        with database.read() as session:
            found = audit.verify(session, config.keys)
    finally:
        database.dispose()
    if as_json:
        print(json.dumps({"whole": found.intact} | dataclasses.asdict(found)))
    elif found.intact:
        print(f"audit trail: {found.rows} entries, none missing or changed")
    else:
        where = f"entry {found.first_broken}: " if found.first_broken is not None else ""
        print(f"audit trail: {where}{found.reason} ({found.rows} entries before it are in order)")
    return 0 if found.intact else 1


_RUNNING: dict[str, tuple[str, Callable[[Config], int]]] = {
    "status": (
        "show the state of the roles of this data folder; exit code 0 all ready, 1 some ready, 3 not running",
        _status,
    ),
    "stop": ("stop the roles of this data folder and wait until they have ended", _stop),
}


def _add_options(parser: argparse.ArgumentParser) -> None:
    for item in dataclasses.fields(Config):
        if item.metadata.get("secret"):
            continue  # never on a command line: other users of the machine could read it there
        flag = item.metadata.get("flag") or f"--{item.name.replace('_', '-')}"
        plain = item.metadata["help"].replace("%", "%%")  # argparse formats help texts with the % operator
        text = f"{plain} (default: {'none' if item.default == '' else item.default})"
        if isinstance(item.default, bool):
            parser.add_argument(flag, dest=item.name, action=argparse.BooleanOptionalAction, default=None, help=plain)
        else:
            parser.add_argument(flag, dest=item.name, default=None, help=text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="filmroom", description="DICOM print, archive and routing station.")
    parser.add_argument("--version", action="version", version=f"filmroom {__version__}")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for name, text in _SERVE.items():
        _add_options(verbs.add_parser(name, help=text, description=text))
    for name, (text, _) in _RUNNING.items():
        _add_options(verbs.add_parser(name, help=text, description=text))
    text = "verify that no entry of the audit trail was changed or removed; exit code 0 complete, 1 broken"
    verify = verbs.add_parser("verify-audit", help=text, description=text)
    verify.add_argument("--json", action="store_true", help="print JSON")
    _add_options(verify)
    config = verbs.add_parser(
        "config", help="show the boot configuration", description="Show every option; secrets are masked."
    )
    _add_options(config)
    return parser


def _show(config: Config) -> None:
    for item in dataclasses.fields(Config):
        value: Any = getattr(config, item.name)
        if isinstance(value, str):
            value = "******" if value and item.metadata.get("secret") else arguments.mask_password(value)
        print(f"{item.name} = {value}")


def main(given: Sequence[str] | None = None) -> int:
    options = vars(_parser().parse_args(given))
    if url := options.get("database_url"):
        arguments.hide_passwords(url)
    verb, as_json = options.pop("verb"), options.pop("json", False)
    try:
        config = load(options)
        if verb == "config":
            _show(config)
            return 0
        if verb == "verify-audit":
            return _verify_audit(config, as_json)
        if verb in _RUNNING:
            return _RUNNING[verb][1](config)
        withheld = take_secrets()
        if verb == "serve":
            from app.supervisor import InstallationSupervisor

            InstallationSupervisor(config, lambda: load(options, os.environ | withheld), withheld).run()
        else:
            from app.supervisor import prepare, require_free, run_alone

            require_free(config, verb)
            prepare(config, os.environ | withheld)
            run_alone(verb, config)
    except (ConfigError, AppError) as fault:
        print(f"filmroom: {fault}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
