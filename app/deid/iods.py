"""Which attributes an IOD has at which place, and of what type (PS3.3 A, C; PS3.5 7.4). Data and their origin:
data/NOTICE.txt."""

import gzip
import json
from functools import cache
from pathlib import Path
from typing import Any

_FILE = Path(__file__).parent / "data" / "iods.json.gz"
Tree = dict[str, Any]  # tag (8 hex digits) -> type, or [type, tree of its items]; a type is negative when conditional


@cache
def _tables() -> tuple[dict[str, str], dict[str, list[tuple[str, str]]], dict[str, str]]:
    with gzip.open(_FILE) as file:
        raw = json.load(file)
    return raw["classes"], raw["iods"], raw["modules"]


@cache
def _module(key: str) -> Tree:
    return dict(json.loads(_tables()[2].get(key, "{}")))


def is_known(sop_class_uid: str) -> bool:
    """Whether the IOD of this SOP class is in the tables."""
    classes, iods, _ = _tables()
    return classes.get(sop_class_uid) in iods


def _trees(sop_class_uid: str, path: tuple[int, ...], usages: str = "MCU") -> list[Tree]:
    """The attributes of each module of the IOD below this path of sequences. usages: of modules that count (PS3.3
    A.1.3)."""
    classes, iods, _ = _tables()
    trees = [_module(key) for key, usage in iods.get(classes.get(sop_class_uid, ""), ()) if usage in usages]
    for tag in path:
        found = [tree.get(f"{tag:08X}") for tree in trees]
        trees = [node[1] for node in found if isinstance(node, list)]
    return trees


def _type(node: Any) -> int:
    return int(node[0] if isinstance(node, list) else node)


def type_of(sop_class_uid: str, path: tuple[int, ...]) -> int | None:
    """1, 2 or 3 as the IOD asks of the attribute at this path of tags; 3 where the IOD does not have it; None where the
    IOD is not known. Conditional types count as if their condition held."""
    if not is_known(sop_class_uid):
        return None
    key = f"{path[-1]:08X}"
    return min((abs(_type(tree[key])) for tree in _trees(sop_class_uid, path[:-1]) if key in tree), default=3)


def is_mandatory(sop_class_uid: str, path: tuple[int, ...]) -> int:
    """1 or 2 where an attribute is of that type whatever else the object has, else 0. User optional modules count only
    for what is in items, which are there when their module is."""
    key = f"{path[-1]:08X}"
    trees = _trees(sop_class_uid, path[:-1], "MCU" if len(path) > 1 else "M")
    return min((_type(tree[key]) for tree in trees if key in tree and _type(tree[key]) in (1, 2)), default=0)


def has(sop_class_uid: str, path: tuple[int, ...]) -> bool:
    """Whether the IOD has an attribute at this path of tags."""
    key = f"{path[-1]:08X}"
    return any(key in tree for tree in _trees(sop_class_uid, path[:-1]))


def required(sop_class_uid: str, path: tuple[int, ...]) -> dict[int, int]:
    """Tag -> 1 or 2 for what every item of the sequence at this path must have, whatever the rest is."""
    found: dict[int, int] = {}
    for tree in _trees(sop_class_uid, path):
        for key, node in tree.items():
            kind = _type(node)
            if kind in (1, 2):
                found[int(key, 16)] = min(kind, found.get(int(key, 16), 2))
    return found
