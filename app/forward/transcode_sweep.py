"""Folders in which objects are converted, and what a killed role left of them. Apart, since it needs no codec.

While an object is decoded or encoded its folder names it and the process: a codec that brings the process
down would do so again with each try, so the process that takes the work over must know the object (OPS-8)."""

import contextlib
import json
import shutil
import time
from pathlib import Path

from app.kit import rolestate

PREFIX = "convert-"  # of the folders in `run`
_OLD = 3600.0  # seconds
_MARK = "at-work.json"


def mark_conversion(folder: Path, key: str) -> None:
    """Marks that this process converts the object in this folder. key: from `derived.key_of`."""
    (folder / _MARK).write_text(json.dumps([rolestate.process_name(), key]), "utf-8")


def unmark_conversion(folder: Path) -> None:
    """It came through."""
    (folder / _MARK).unlink(missing_ok=True)


def crashed_objects(run: Path, owner: str) -> dict[str, Path]:
    """The objects that a process had under its codecs when it died, by their keys, and the folders with the marks."""
    found: dict[str, Path] = {}
    for path in run.glob(f"{PREFIX}*/{_MARK}"):
        with contextlib.suppress(OSError, ValueError, TypeError):  # cut off while it was written: nothing had begun
            whose, key = json.loads(path.read_text("utf-8"))
            if whose == owner:
                found[str(key)] = path.parent
    return found


def delete_marks(folder: Path) -> None:
    """Deletes the marks after they are recorded."""
    shutil.rmtree(folder, ignore_errors=True)


def sweep(run: Path) -> None:
    """Removes folders that no living process uses."""
    for left in run.glob(PREFIX + "*"):
        if time.time() - left.stat().st_mtime > _OLD:
            shutil.rmtree(left, ignore_errors=True)
