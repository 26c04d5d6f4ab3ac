"""Folders in which objects are converted, and what a killed role left of them. Apart, since it needs no codec."""

import shutil
import time
from pathlib import Path

PREFIX = "convert-"  # of the folders in `run`
_OLD = 3600.0  # seconds


def sweep(run: Path) -> None:
    """Takes away what nobody can be working at any more."""
    for left in run.glob(PREFIX + "*"):
        if time.time() - left.stat().st_mtime > _OLD:
            shutil.rmtree(left, ignore_errors=True)
