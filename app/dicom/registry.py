"""The UIDs of PS3.6 Annex A by name and kind, from pydicom's table without importing pydicom: roles that answer the
network within a second of their start cannot wait for it (DESIGN 3.5 Start)."""

import runpy
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Registered:
    """One entry. kind: "SOP Class", "Transfer Syntax", "Meta SOP Class" and so on."""

    name: str
    kind: str


@cache
def registry() -> dict[str, Registered]:
    """UID -> what the standard calls it."""
    spec = find_spec("pydicom")
    assert spec is not None and spec.submodule_search_locations
    table = runpy.run_path(str(Path(spec.submodule_search_locations[0]) / "_uid_dict.py"))["UID_dictionary"]
    return {uid: Registered(entry[0], entry[1]) for uid, entry in table.items()}


def name(uid: str) -> str:
    """The standard's name of a UID; the UID itself where it does not know it."""
    found = registry().get(uid)
    return found.name if found else uid
