"""Folders that a person names for objects or logs: not the system's, and not those in which this installation keeps its
keys and its data."""

import os
from collections.abc import Iterable
from pathlib import Path

# Nothing below these; of those after, only the folder itself.
_SYSTEM = (
    "/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/proc", "/root", "/run", "/sbin", "/sys",
    "/usr", "/var/cache", "/var/lib/dpkg", "/var/lib/apt", "/var/lib/systemd", "/var/run", "/var/spool",
    "/System", "/Library", "/private/etc", "/private/var/db",
)  # fmt: skip
_TOP = ("/home", "/opt", "/var", "/var/lib", "/var/log", "/Users")
_EXCEPT = ("/run/media",)  # where desktops mount removable media
_PRIVATE = (".ssh", ".gnupg", ".aws", ".kube")
_WINDOWS = ("SystemRoot", "ProgramFiles", "ProgramFiles(x86)", "ProgramData")

_own: tuple[Path, ...] = ()  # of this process's installation; set by `protect`


def protect(folders: Iterable[Path]) -> None:
    """Tells this process which folders are the installation's own."""
    global _own
    _own = tuple(folder.resolve() for folder in folders)


def own() -> tuple[Path, ...]:
    return _own


def is_system(path: Path) -> bool:
    """Whether a folder is the operating system's, once links and `..` are resolved."""
    found = path.resolve()
    if found == Path(found.anchor) or any(part in _PRIVATE for part in found.parts):
        return True
    if os.name == "nt":
        named = [Path(os.environ[name]).resolve() for name in _WINDOWS if name in os.environ]
        return any(found.is_relative_to(one) for one in named if not (one.name == "ProgramData" and found != one))
    if any(found == Path(one).resolve() for one in _TOP):
        return True
    if any(found.is_relative_to(one) for one in _EXCEPT):
        return False
    return any(found.is_relative_to(base) for one in _SYSTEM for base in (Path(one), Path(one).resolve()))


def inside(path: Path, folders: Iterable[Path]) -> bool:
    """Whether a folder is one of these or below one of them."""
    found = path.resolve()
    return any(found.is_relative_to(folder.resolve()) for folder in folders)


def touches(path: Path, folders: Iterable[Path]) -> bool:
    """The same, and whether one of these is below it."""
    found, listed = path.resolve(), list(folders)
    return inside(path, listed) or any(folder.resolve().is_relative_to(found) for folder in listed)
