"""Folders that a person names for objects or logs: not the system's, and not those in which this installation keeps its
keys and its data."""

import os
import sys
from collections.abc import Iterable
from pathlib import Path

from app.kit.errors import PeerFault
from app.kit.phrases import phrase

# Nothing below these; of those after, only the folder itself.
_SYSTEM = (
    "/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/proc", "/root", "/run", "/sbin", "/sys",
    "/usr", "/var/cache", "/var/lib/dpkg", "/var/lib/apt", "/var/lib/postgresql", "/var/lib/systemd", "/var/run",
    "/var/spool",
    "/System", "/Library", "/private/etc", "/private/var/db",
)  # fmt: skip
_TOP = ("/home", "/opt", "/var", "/var/lib", "/var/log", "/Users")
_EXCEPT = ("/run/media",)  # where desktops mount removable media
_CHANGING = (
    "/proc",
    "/sys",
    "/dev",
)  # what lies there differs from process to process: as written, whatever it leads to
_PRIVATE = (".ssh", ".gnupg", ".aws", ".kube", ".config")
_PROGRAM = (str(Path(__file__).resolve().parents[1]), f"{sys.prefix}/bin", f"{sys.prefix}/lib")
_WINDOWS = ("SystemRoot", "ProgramFiles", "ProgramFiles(x86)", "ProgramData")

_own: tuple[Path, ...] = ()  # of this process's installation; set by `protect`
_key_place: Path | None = None


def protect(folders: Iterable[Path], key_file: str = "") -> None:
    """Sets the folders of the installation for this process, and where its key is if not in one of them."""
    global _own, _key_place
    _own = tuple(folder.resolve() for folder in folders)
    _key_place = Path(key_file).resolve().parent if key_file else None


def is_own(path: Path) -> bool:
    """Whether a folder is one of the installation's own or below one, or the one with its key; True also for one that
    cannot be resolved."""
    return is_inside(path, _own) or (_key_place is not None and _resolved(path) == _key_place)


def leaves_folder(folder: Path, root: Path) -> bool:
    """Whether links between `root` and a folder below it lead elsewhere, or to the installation's own data."""
    found = _resolved(folder)
    return found is None or not found.is_relative_to(root.resolve()) or is_own(found)


def is_system(path: Path) -> bool:
    """Whether a folder is the operating system's or holds this program, once links and `..` are resolved; True also for one
    that cannot be resolved (a circle of links, or a link that this account may not follow)."""
    found = _resolved(path)
    written = Path(os.path.normpath(Path.cwd() / path))  # with its links unresolved
    if found is None or any(written.is_relative_to(one) for one in _CHANGING):
        return True
    if found == Path(found.anchor) or any(part in _PRIVATE for part in found.parts):
        return True
    if os.name == "nt":
        named = [Path(os.environ[name]).resolve() for name in _WINDOWS if name in os.environ]
        return any(found.is_relative_to(one) for one in named if not (one.name == "ProgramData" and found != one))
    if any(found == Path(one).resolve() for one in _TOP):
        return True
    if any(found.is_relative_to(one) for one in _EXCEPT):
        return False
    return _below(found, (base for one in (*_SYSTEM, *_PROGRAM) for base in (Path(one), Path(one).resolve())))


def _resolved(path: Path) -> Path | None:
    try:
        return path.resolve()
    except (OSError, RuntimeError):
        return None


def _below(found: Path, bases: Iterable[Path]) -> bool:
    """By name, and by what the folders are: a mount or another case of the letters may give one folder two names."""
    listed = list(bases)
    if any(found.is_relative_to(base) for base in listed):
        return True
    known = {_identity(base) for base in listed} - {None}
    return any(_identity(one) in known for one in (found, *found.parents))


def _identity(folder: Path) -> tuple[int, int] | None:
    try:
        found = folder.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def is_inside(path: Path, folders: Iterable[Path]) -> bool:
    """Whether a folder is one of these or below one of them; True also for one that cannot be resolved."""
    found = _resolved(path)
    return found is None or _below(found, (folder.resolve() for folder in folders))


def overlaps(path: Path, folders: Iterable[Path]) -> bool:
    """The same, and whether one of these is below it."""
    found, listed = _resolved(path), list(folders)
    if found is None or is_inside(path, listed):
        return True
    return any(_below(folder.resolve(), (found,)) for folder in listed)


def require_usable(path: Path) -> None:
    """Looked at before each use: a link may have been put there since the folder was chosen. Raises PeerFault."""
    if not path.is_dir():
        raise PeerFault(
            phrase("{path} is not a folder on this server.", path=str(path)),
            hint="Create the folder, or check that the share is mounted.",
        )
    if is_system(path) or is_own(path):
        raise PeerFault(
            phrase("{path} leads to a folder that cannot be used.", path=str(path)),
            hint="Choose a folder that belongs neither to the system nor to Filmroom.",
        )
