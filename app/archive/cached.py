"""Files that other packages derive from an object and cache, such as pictures: a folder for each object, by its
content, so that it goes with the object and patients' images do not outlive it in a cache."""

import shutil
from pathlib import Path

FOLDER = "pictures"


def folder_of(cache: Path, sha256: str) -> Path:
    """The folder of an object; sha256: of its file."""
    return cache / FOLDER / sha256[:2] / sha256


def discard(cache: Path, sha256: str) -> None:
    """Nothing that was made from this object stays."""
    shutil.rmtree(folder_of(cache, sha256), ignore_errors=True)
