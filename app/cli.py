"""The one command: `filmroom`. Thin: it parses, builds the configuration and calls what the other rooms offer."""

import argparse
import dataclasses
import sys
from collections.abc import Callable, Sequence
from typing import Any

from app import __version__
from app.config import Config, ConfigError, load

_SERVE = {
    "serve": "start everything on this machine",
    "web": "only pages, REST, DICOMweb and WebSocket",
    "dicom": "only the DICOM receivers",
    "worker": "only the jobs",
}


def _status(config: Config) -> int:
    """0: every role is ready; 1: some are not; 3: nothing runs (as the LSB says for status)."""
    from app.kit import running

    found = running.look(config.run)
    for line in found.lines():
        print(line)
    return found.code


def _stop(config: Config) -> int:
    """0: it has ended, or did not run; 1: it does not end."""
    from app.kit import running

    words, ended = running.stop(config.run)
    print(words)
    return 0 if ended else 1


_RUNNING: dict[str, tuple[str, Callable[[Config], int]]] = {
    "status": ("say whether it runs over this data folder; exit code 0 ready, 1 in part, 3 not at all", _status),
    "stop": ("stop what runs over this data folder, and wait for its end", _stop),
}


def _add_options(parser: argparse.ArgumentParser) -> None:
    for item in dataclasses.fields(Config):
        if item.metadata.get("secret"):
            continue  # never on a command line: other users of the machine could read it there
        flag = item.metadata.get("flag") or f"--{item.name.replace('_', '-')}"
        text = f"{item.metadata['help']} (default: {item.default or 'none'})"
        if isinstance(item.default, bool):
            parser.add_argument(
                flag, dest=item.name, action=argparse.BooleanOptionalAction, default=None, help=item.metadata["help"]
            )
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
    config = verbs.add_parser(
        "config", help="show the boot configuration", description="Every value; secrets are masked."
    )
    _add_options(config)
    return parser


def _show(config: Config) -> None:
    for item in dataclasses.fields(Config):
        value: Any = getattr(config, item.name)
        print(f"{item.name} = {'******' if value and item.metadata.get('secret') else value}")


def main(arguments: Sequence[str] | None = None) -> int:
    options = vars(_parser().parse_args(arguments))
    verb = options.pop("verb")
    try:
        config = load(options)
        if verb == "config":
            _show(config)
        elif verb in _RUNNING:
            return _RUNNING[verb][1](config)
        elif verb == "serve":
            from app.supervisor import Supervisor

            Supervisor(config, lambda: load(options)).run()
        else:
            from app.supervisor import prepare, run_role

            prepare(config)
            run_role(verb, config)
    except ConfigError as fault:
        print(f"filmroom: {fault}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
