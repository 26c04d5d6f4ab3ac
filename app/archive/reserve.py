"""Space that intake and jobs leave free, so that on a full disk people can still sign in, view, and delete: each of these
writes a little into the database. Intake stops at the reserve and goes on by itself once there is more again; jobs that
make files (prints, copies, conversions) fail with the reason."""

import logging
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from app.config import Config
from app.kit.errors import StorageFull, Unavailable

STEP = 16 << 20  # bytes of one object after which space is looked for again
_MIB = 1 << 20
_LEAST, _MOST, _SHARE = 32 * _MIB, 256 * _MIB, 50  # the reserve where none is configured: a fiftieth, between these two
_FILES = 1024  # as many files must fit

State = Literal["ready", "full", "read-only"]
log = logging.getLogger(__name__)


class Reserve:
    """Looks at the disks of store and database. Looking costs a microsecond on a local disk, so it is done for each object."""

    def __init__(self, folders: Iterable[Path], mib: int = 0) -> None:
        """mib: the reserve in MiB; 0: by the size of each disk."""
        self._folders = list(folders)
        self._mib = mib
        self._told: State = "ready"

    @classmethod
    def of(cls, config: Config) -> "Reserve":
        embedded = () if config.database_url else (config.sqlite_path.parent,)
        return cls((config.store, *embedded), config.disk_reserve)

    def state(self, size: int = 0, share: float = 1.0) -> State:
        """Whether objects are taken. size: bytes about to be written on each of the disks; share: the part of the reserve
        that must be left then. OSError where a folder cannot be looked at."""
        for folder in self._folders:
            disk = os.statvfs(folder)
            if disk.f_flag & os.ST_RDONLY:
                return "read-only"
            free, whole = disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize
            reserve = self._mib * _MIB or min(_MOST, max(_LEAST, whole // _SHARE))
            if free - size < reserve * share or (disk.f_files and disk.f_favail < _FILES):
                return "full"
        return "ready"

    def require(self) -> None:
        """Raises StorageFull at the reserve, Unavailable where nothing can be written, OSError where the disk cannot be
        checked."""
        state = self.state()
        if state != self._told:
            self._told = state
            log.warning("intake stops: the disk is %s" if state != "ready" else "intake goes on: the disk is %s", state)
        if state == "full":
            raise StorageFull(
                "The disk is full: objects are refused until space is freed.",
                hint="Delete studies, or enlarge the disk.",
            )
        if state == "read-only":
            raise Unavailable(
                "The store is read-only: objects are refused.", hint="Make it writable; storing resumes automatically."
            )

    def require_for_product(self, size: int = 0) -> None:
        """Before a job writes a file that stays. size: its bytes, as far as they are known. Raises StorageFull,
        Unavailable where nothing can be written."""
        self._require_for_file(size, 1.0)

    def require_for_temporary(self, size: int) -> None:
        """The same for a file that goes as soon as it was sent: it may take half of the reserve."""
        self._require_for_file(size, 0.5)

    def _require_for_file(self, size: int, share: float) -> None:
        state = self.state(size, share)
        if state == "full":
            raise StorageFull(
                "The disk is full: no file can be written until space is freed.",
                hint="Delete studies, or enlarge the disk.",
            )
        if state == "read-only":
            raise Unavailable("The store is not writable at the moment.", hint="Storing resumes automatically.")
