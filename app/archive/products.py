"""Files that jobs make (prints, copies without identity). They lie in the store beside the objects: several machines
share the store, while a data folder belongs to one, so any web process can serve what any worker made."""

import shutil
from collections.abc import Collection
from pathlib import Path

from app.archive.reserve import Reserve
from app.archive.store import create_folders
from app.config import Config
from app.kit.clock import now

_FOLDER = ".products"
_STRAY_AFTER = 3600.0  # seconds; no job writes one file for that long


def folder(config: Config, kind: str) -> Path:
    """Where new files of this kind are written; created if it is missing, readable by this user only. Raises StorageFull at
    the reserve of the disk."""
    made = config.store / _FOLDER / kind
    create_folders(made)
    Reserve.of(config).require_for_product()
    return made


def path(config: Config, kind: str, name: str) -> Path:
    """The file of that name; it need not exist. Files that version 0.1 left in the data folder are found there."""
    here, former = config.store / _FOLDER / kind / name, config.data / kind / name
    return former if name and not here.exists() and former.is_file() else here


def remove_strays(config: Config, kind: str, known: Collection[str]) -> int:
    """Removes files of this kind that no row names (`known`): a crash between file and row left them. Returns how many."""
    young = now().timestamp() - _STRAY_AFTER
    places = [one for one in (config.store / _FOLDER / kind, config.data / kind) if one.is_dir()]
    stray = [p for one in places for p in one.iterdir() if p.name not in known and p.stat().st_mtime < young]
    for one in stray:
        if one.is_dir():
            shutil.rmtree(one, ignore_errors=True)
        else:
            one.unlink(missing_ok=True)
    return len(stray)
