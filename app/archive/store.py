"""Files: temporary files, final files, files on hold, and remains of a crash.

An object is written to a temporary file below `store/.incoming/<process>/`, synced there, and linked to its final path
inside the index transaction, before the commit; the temporary name goes after it. So after a crash or power cut every
acknowledged object is under one of its two names, and each leftover temporary file shows which operation was under way:
see `Archive.sweep`."""

import contextlib
import errno
import fcntl
import hashlib
import os
import secrets
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from app.archive.reserve import STEP, Reserve
from app.archive.syncing import Sync
from app.kit.errors import StorageFull, Unavailable
from app.kit.ids import new_id

INCOMING, ASIDE = ".incoming", ".aside"
_EARLY = 4 << 20  # bytes: a larger file is synced before its turn to be indexed, so that the index never waits long
_FULL = {errno.ENOSPC, errno.EDQUOT}
_AWAY = {
    errno.EROFS,
    errno.EACCES,
    errno.EIO,
    errno.ENOTCONN,
    errno.ESTALE,
    errno.ENXIO,
    errno.ETIMEDOUT,
    errno.EHOSTDOWN,
}


def translate_fault(fault: OSError) -> Exception:
    """A store that is full, read-only or away is a fault every interface knows; any other is a bug and stays what it is."""
    if fault.errno in _FULL:
        return StorageFull(
            "The store cannot accept data at the moment.", hint="Free disk space; storing resumes automatically."
        )
    if fault.errno in _AWAY:
        return Unavailable("The store is not writable at the moment.", hint="Storing resumes automatically.")
    return fault


def _file_system(folder: Path) -> str:
    """The type of the file system a folder lies on, "" where it is not known."""
    try:
        mounts = [line.split()[1:3] for line in Path("/proc/self/mounts").read_text("utf-8").splitlines()]
    except OSError:
        return ""
    where = str(folder.resolve())
    above = [(len(point), kind) for point, kind in mounts if point == "/" or f"{where}/".startswith(f"{point}/")]
    return max(above)[1] if above else ""


class Incoming:
    """An object on its way in: bytes go to a temporary file on the store's own file system as they come."""

    def __init__(
        self,
        path: Path,
        source: Any,
        begin_sync: Callable[[int], Sync | None] | None = None,
        require_space: Callable[[], None] | None = None,
    ) -> None:
        """require_space: called now and then while a large object comes; raises when the disk is full."""
        self.path = path
        self.source = source
        self._require_space = require_space
        self.size = 0
        self._begin_sync = begin_sync
        self._sync: Sync | None = None
        self._hash = hashlib.sha256()
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)

    def write(self, data: bytes | bytearray | memoryview, *, last: bool = False) -> None:
        """Appends. last: nothing follows, so the disk may begin while the checksum is made. Raises Unavailable when the
        disk is full."""
        view = memoryview(data)
        try:
            if self._require_space is not None and self.size // STEP != (self.size + len(view)) // STEP:
                self._require_space()
            while len(view):
                written = os.write(self._fd, view)
                self.size += written
                view = view[written:]
        except OSError as fault:
            raise translate_fault(fault) from fault
        if last and self.size <= _EARLY and self._begin_sync is not None:
            self._sync = self._begin_sync(self._fd)
        self._hash.update(data)

    def fileno(self) -> int:
        """For senders with a way of their own to move bytes; what was not written by `write` is hashed at the end."""
        return self._fd

    def finish(self) -> str:
        """Its SHA-256 in hex. The file is durable then, or will be when `wait_durable` has returned."""
        try:
            size = os.fstat(self._fd).st_size
            if size != self.size:
                self._rehash(size)
                self._finish_sync()  # what was begun may have missed what came since
            if self._sync is None:
                os.fsync(self._fd)
        except OSError as fault:
            raise translate_fault(fault) from fault
        return self._hash.hexdigest()

    def wait_durable(self) -> None:
        """Returns once every byte is on the disk; before that the object has neither final name nor commit. Raises
        Unavailable when the disk refused."""
        if self._sync is not None:
            try:
                self._sync.wait()
            except OSError as fault:
                raise translate_fault(fault) from fault

    def _finish_sync(self) -> None:
        """No sync is under way afterwards; how it went is no longer of interest."""
        if self._sync is not None:
            with contextlib.suppress(OSError):
                self._sync.wait()
            self._sync = None

    def _rehash(self, size: int) -> None:
        self._hash, position = hashlib.sha256(), 0
        while position < size:
            piece = os.pread(self._fd, 1 << 20, position)
            self._hash.update(piece)
            position += len(piece)
        self.size = size

    def close(self) -> None:
        if self._fd >= 0:
            self._finish_sync()
            os.close(self._fd)
            self._fd = -1

    def discard(self) -> None:
        """Nothing of it remains."""
        self.close()
        self.path.unlink(missing_ok=True)


def create_folders(folder: Path) -> None:
    """Creates the folder and those above it, each private: `mkdir(parents=True)` makes the upper ones by the umask."""
    if not folder.parent.is_dir():
        create_folders(folder.parent)
    folder.mkdir(exist_ok=True, mode=0o700)


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Store:
    """One process's hands on the files."""

    def __init__(self, root: Path, reserve: Reserve | None = None) -> None:
        self.root = root
        self._prefix = f"{root}/"
        self.reserve = reserve
        # a store that is read-only or unavailable is reported to the caller that writes
        with contextlib.suppress(OSError):
            root.mkdir(parents=True, exist_ok=True, mode=0o700)
            (root / ASIDE).mkdir(exist_ok=True, mode=0o700)
        self._journaled = _file_system(root) in ("ext4", "xfs", "btrfs", "zfs", "overlay", "tmpfs")
        self._opening = threading.Lock()
        self._mine: Path | None = None
        self._lock_fd = -1
        self._folder_fd = -1

    def incoming(self, source: Any, begin_sync: Callable[[int], Sync | None] | None = None) -> Incoming:
        """A new temporary file. begin_sync: begins to sync an open file, or returns None where that would not be
        faster. Raises Unavailable when the disk is full up to its reserve, or cannot be written."""
        require = self.reserve.require if self.reserve is not None else None
        try:
            if require is not None:
                require()
            folder = self._mine or self._open_folder()
            return Incoming(folder / new_id(), source, begin_sync, require)
        except OSError as fault:
            raise translate_fault(fault) from fault

    def require_space(self, size: int, *, temporary: bool = False) -> None:
        """Before a job writes `size` bytes of a file that it makes. temporary: they go once they were sent. Raises
        StorageFull, Unavailable."""
        if self.reserve is None:
            return
        try:
            (self.reserve.require_for_temporary if temporary else self.reserve.require_for_product)(size)
        except OSError as fault:
            raise translate_fault(fault) from fault

    def _open_folder(self) -> Path:
        """This process's own folder, locked while the process lives: a process that gets the lock may sweep it."""
        with self._opening:
            while self._mine is None:
                folder = self.root / INCOMING / f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
                create_folders(folder)
                with contextlib.suppress(FileNotFoundError):  # a sweep was quicker: once more
                    self._lock_fd = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
                    fcntl.flock(self._lock_fd, fcntl.LOCK_EX)
                    self._folder_fd = os.open(folder, os.O_RDONLY)
                    self._mine = folder
            return self._mine

    def sync_names(self) -> None:
        """Makes the temporary names of synced files durable. These file systems do that with the first fsync of a new
        file and keep the order of names in their journal, so nothing is left to do (a tenth of the ingest rate); any
        other gets the sync that POSIX asks for."""
        if self._folder_fd >= 0 and not self._journaled:
            os.fsync(self._folder_fd)

    def full_path(self, path: str) -> Path:
        """A stored path in the file system. Paths come from `dicom.paths` or from this module; checked all the same."""
        return Path(self.full_path_text(path))

    def full_path_text(self, path: str) -> str:
        """The same as text: for each frame that is read a Path would take as long as looking at the file."""
        if path.startswith("/") or ".." in path.split("/"):
            raise ValueError("a path that leaves the store")
        return f"{self._prefix}{path}"

    def commit_file(self, temporary: Path, path: str) -> None:
        """Gives the file its final name too. A file that exists there has no row (the caller holds the index's lock and
        has checked), so it is a leftover and is replaced."""
        target = self.full_path(path)
        for attempt in range(3):
            try:
                os.link(temporary, target)
                return
            except FileNotFoundError:
                create_folders(target.parent)
            except FileExistsError:
                if attempt == 2:
                    raise
                target.unlink(missing_ok=True)
            except OSError as fault:
                if fault.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP):
                    raise translate_fault(fault) from fault
                temporary.replace(target)  # a file system without hard links
                return

    def replace(self, temporary: Path, path: str) -> None:
        """Puts a durable file in the place of a stored one, which may be gone; durable on return."""
        target = self.full_path(path)
        create_folders(target.parent)
        temporary.replace(target)
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def remove(self, path: str) -> None:
        """A stored file and the folders that became empty."""
        target = self.full_path(path)
        target.unlink(missing_ok=True)
        folder = target.parent
        with contextlib.suppress(OSError):
            while folder != self.root and not folder.name.startswith("."):
                folder.rmdir()
                folder = folder.parent

    def abandoned_folders(self) -> list[Path]:
        """Folders of processes that are gone. The caller gets each one locked and must `forget` it."""
        base = self.root / INCOMING
        abandoned = []
        for folder in base.iterdir() if base.is_dir() else ():
            if folder == self._mine:
                continue
            try:
                handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
            except OSError:
                continue
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                abandoned.append(folder)
            except BlockingIOError:
                pass
            finally:
                os.close(handle)
        return abandoned

    def close(self) -> None:
        if self._mine is not None:
            os.close(self._folder_fd)
            with contextlib.suppress(OSError):
                (self._mine / "lock").unlink()
                self._mine.rmdir()
            os.close(self._lock_fd)
            self._mine, self._lock_fd, self._folder_fd = None, -1, -1
