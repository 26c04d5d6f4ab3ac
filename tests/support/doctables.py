"""Tables of the documentation that are written from the code.

    python -m tests.support.doctables --write    write them into docs/
    python -m tests.support.doctables            exit code 1 when one of them is out of date

A table lies between `<!-- table NAME -->` and `<!-- end NAME -->`. tests/test_docs.py compares every table with the code.
"""

import argparse
import dataclasses
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from fastapi.routing import RouteContext, iter_route_contexts

from app import cli
from app.config import Config
from app.db.models import load_all
from app.http import allow
from app.nodes import file_schema
from app.nodes.option_model import NodeOptions, fields_of
from app.security.verbs import DEFAULT_ROLES, Verb
from app.settings import groups
from app.worker import LANES
from tests.support.client import all_routers

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
_MARK = re.compile(r"<!-- table ([a-z-]+) -->\n(.*?)<!-- end \1 -->", re.DOTALL)


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = list(head)
    return "\n".join([_row(head), "|---" * len(head) + "|", *(_row(row) for row in rows)])


def _code(value: Any) -> str:
    """A value as JSON would show it, in a code span; empty for none."""
    if value is None or value == "" or value == []:
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, (list, tuple)):
        return "`" + ", ".join(map(str, value)) + "`"
    return f"`{value}`"


def options() -> str:
    """The boot configuration: config.toml, environment, command line."""
    rows = []
    for item in dataclasses.fields(Config):
        flag = item.metadata.get("flag") or f"--{item.name.replace('_', '-')}"
        flag = "(none)" if item.metadata.get("secret") else f"`{flag}`"
        rows.append(
            [f"`{item.name}`", flag, f"`FILMROOM_{item.name.upper()}`", _code(item.default), item.metadata["help"]]
        )
    return _table(["Key in config.toml", "Option", "Environment", "Default", "Meaning"], rows)


def commands() -> str:
    """The subcommands of `filmroom`."""
    action = cli._parser()._subparsers._group_actions[0]  # type: ignore[union-attr]
    rows = [[f"`filmroom {choice.dest}`", choice.help] for choice in action._choices_actions]  # type: ignore[attr-defined]
    return _table(["Command", "What it does"], rows)


def _kind(rules: dict[str, Any]) -> str:
    if "enum" in rules:
        return ", ".join(f"`{value}`" if value else "(empty)" for value in rules["enum"])
    if "minimum" in rules and "maximum" in rules:
        return f"{rules['minimum']} to {rules['maximum']}"
    return {"boolean": "true, false", "array": "list of text", "string": "text"}.get(str(rules.get("type")), "text")


def settings_groups() -> str:
    """Every group of settings with its fields."""
    parts = []
    for name, group in groups().items():
        rules = group.model_json_schema()["properties"]
        rows = [
            [
                f"`{key}`",
                info.title or "",
                _kind(rules[key]),
                _code(info.get_default(call_default_factory=True)),
                info.description or "",
            ]
            for key, info in group.model_fields.items()
        ]
        parts.append(
            f"### `{name}`: {group.title}\n\n{_table(['Key', 'Label', 'Values', 'Default', 'Meaning'], rows)}\n"
        )
    return "\n".join(parts)


def node_options(model: type[NodeOptions] = NodeOptions) -> str:
    """The fields of a node in REST and in the node file."""
    properties = file_schema.schema(model)["properties"]["nodes"]["items"]["properties"]
    defaults = {one.option.key or name: one for name, one in fields_of(model).items()}
    rows = []
    for key, rule in properties.items():
        one = defaults[key]
        unit = str(one.option.unit)
        default = _code(one.default) if key in model.model_fields else ""
        rows.append(
            [
                f"`{key}`",
                rule["title"] + (f" ({unit})" if unit else ""),
                _kind(rule),
                default,
                rule["description"],
                ", ".join(one.protocols),
                one.option.since,
            ]
        )
    return _table(["Key", "Label", "Values", "Default", "Meaning", "Protocols", "Since"], rows)


def permissions() -> str:
    """The default permissions of the built-in roles (requirement SEC-9)."""
    names = list(DEFAULT_ROLES)
    rows = [[f"`{verb}`", *("yes" if verb in DEFAULT_ROLES[name][0] else "" for name in names)] for verb in Verb]
    rows.append(["sees all facilities", *("yes" if DEFAULT_ROLES[name][1] else "" for name in names)])
    return _table(["Permission", *names], rows)


def job_kinds() -> str:
    """The kinds of background jobs, with the lane of the worker that runs them."""
    rows = [
        [f"`{kind}`", lane, str(threads), f"`app.{function}`"]
        for lane, (threads, kinds) in LANES.items()
        for kind, function in kinds.items()
    ]
    return _table(["Kind", "Lane", "Threads of the lane", "Function"], rows)


def _calls(dependant: Any) -> Iterable[Any]:
    for child in dependant.dependencies:
        yield child.call
        yield from _calls(child)


def _permission(route: RouteContext) -> str:
    """The permission that a route asks for."""
    endpoint: Any = route.endpoint
    if getattr(endpoint, "__filmroom_public__", False):
        return "(public)"
    found = {str(endpoint.__filmroom_asks__)} if hasattr(endpoint, "__filmroom_asks__") else set()
    dependant = getattr(route, "dependant", None)
    if dependant is not None:
        found |= {str(call.verb) for call in _calls(dependant) if isinstance(call, allow)}
    return ", ".join(f"`{verb}`" for verb in sorted(found))


def _first_sentence(text: str) -> str:
    """The first sentence of a docstring."""
    words = " ".join(text.split("\n\n")[0].split())
    end = re.search(r"(?<!e\.g)(?<!i\.e)\.(?= \S)", words)
    return words[: end.start() + 1] if end else words


def _routes(prefix: str) -> list[RouteContext]:
    found = [route for router in all_routers() for route in iter_route_contexts(router.routes)]
    return [route for route in found if route.path.startswith(prefix) and getattr(route, "include_in_schema", True)]


def rest_routes() -> str:
    """Every route of the REST interface, by the first part of its path."""
    found: dict[str, list[list[str]]] = {}
    for route in _routes("/api/v1/"):
        methods = " ".join(sorted(route.methods or ())) or "WebSocket"
        text = _first_sentence(route.endpoint.__doc__ or "")
        row = [methods, f"`{route.path}`", _permission(route), text]
        found.setdefault(route.path.split("/")[3], []).append(row)
    parts = []
    for name in sorted(found):
        parts.append(f"### {name}\n\n{_table(['Method', 'Path', 'Permission', 'Summary'], found[name])}\n")
    return "\n".join(parts)


def dicomweb_routes() -> str:
    """Every route of DICOMweb and WADO-URI."""
    rows = []
    for prefix in ("/dicom-web", "/wado"):
        for route in _routes(prefix):
            rows.append([" ".join(sorted(route.methods or ())), f"`{route.path}`", _permission(route)])
    return _table(["Method", "Path", "Permission"], rows)


TABLES: dict[str, Callable[[], str]] = {
    "options": options,
    "commands": commands,
    "settings": settings_groups,
    "node-options": node_options,
    "permissions": permissions,
    "job-kinds": job_kinds,
    "rest-routes": rest_routes,
    "dicomweb-routes": dicomweb_routes,
}


def written(text: str) -> str:
    """The document with its tables as the code has them. Raises KeyError for a table that is not known."""
    return _MARK.sub(lambda found: f"<!-- table {found[1]} -->\n{TABLES[found[1]]()}\n<!-- end {found[1]} -->", text)


def documents() -> dict[Path, list[str]]:
    """Each document that has tables, with their names."""
    found = {path: [name for name, _ in _MARK.findall(path.read_text("utf-8"))] for path in sorted(DOCS.rglob("*.md"))}
    return {path: names for path, names in found.items() if names}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write the tables into the documents")
    write = parser.parse_args().write
    load_all()
    old = []
    for path in documents():
        text = path.read_text("utf-8")
        new = written(text)
        if new != text:
            old.append(str(path.relative_to(ROOT)))
            if write:
                path.write_text(new, "utf-8")
    for name in old:
        print(("written: " if write else "out of date: ") + name)
    return 1 if old and not write else 0


if __name__ == "__main__":
    sys.exit(main())
