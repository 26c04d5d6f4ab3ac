"""Heartbeat of a role: a small JSON file in Config.run, rewritten every second.

/healthz and the supervisor read these files; one that is older than a few beats, or whose process is gone, is a
role that is down."""

import contextlib
import ctypes
import functools
import hashlib
import json
import os
import socket
import sys
import threading
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from app.kit.clock import now
from app.kit.phrases import packed, unpacked

PULSE = 5.0  # seconds without a pulse after which a role that promised one no longer beats
BEAT = 1.0  # seconds between two beats; three missed ones mean down, so a page knows within 5 s (OPS-7)


class RoleState:
    """The state of one process of one role: `starting`, `ready`, `stopping`, or another state of the role.

    The file is `role-<role>-<pid>.json`: {"role", "pid", "state", "since", "at", "detail"}; `since` is when the state
    began, `at` the last beat (both ISO 8601, UTC). Who finds no beat for long replaces the process
    (kit/watchdog.py)."""

    def __init__(self, folder: Path, role: str) -> None:
        self._path = _path(folder, role, os.getpid())
        self._known: dict[str, Any] = {"role": role, "pid": os.getpid()}
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._pulse: float | None = None
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.set("starting")

    def start(self) -> None:
        """Beats from a thread of its own until `close`."""
        threading.Thread(target=self._beat, name="role-state", daemon=True).start()

    def pulse(self) -> None:
        """Called again and again by the part that does the role's work, an event loop for example. From the first time
        on the beats end when it does: a thread of its own would continue while the work is blocked."""
        self._pulse = time.monotonic()

    def set(self, state: str, **detail: Any) -> None:
        """A new state, or the same one with another detail (counts, words; never patient data)."""
        with self._lock:
            if self._known.get("state") != state:
                self._known |= {"state": state, "since": now().isoformat()}
            self._known["detail"] = detail
        self._write()

    def close(self) -> None:
        self._ended.set()
        with self._lock:
            self._path.unlink(missing_ok=True)

    def _beat(self) -> None:
        while not self._ended.wait(BEAT):
            if self._pulse is None or time.monotonic() - self._pulse < PULSE:
                self._write()

    def _write(self) -> None:
        with self._lock:
            if self._ended.is_set():
                return
            fresh = self._path.with_suffix(f".{threading.get_ident()}.tmp")
            try:
                fresh.write_text(json.dumps(packed(self._known) | {"at": now().isoformat()}), "utf-8")
                fresh.replace(self._path)
            except (
                OSError
            ):  # a full disk must not end the role, nor make it look dead: the file's time is the beat then
                with contextlib.suppress(OSError):
                    fresh.unlink(missing_ok=True)
                    os.utime(self._path)


def _path(folder: Path, role: str, pid: int) -> Path:
    return folder / f"role-{role}-{pid}.json"


def remove(folder: Path, role: str, pid: int) -> None:
    """Removes the file of a process that has ended: one that was killed leaves it, and what it had half written."""
    path = _path(folder, role, pid)
    with contextlib.suppress(OSError):
        for left in (path, *folder.glob(f"{path.stem}.*.tmp")):
            left.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class RoleProcess:
    """The last state of one living process of a role."""

    role: str
    pid: int
    state: str
    detail: dict[str, Any]


@functools.cache
def machine_name() -> str:
    """A name for where process numbers of this one mean something: the machine since its start, and the container. Host
    names alone are not enough, cloned machines share theirs."""
    unique = ""
    with contextlib.suppress(OSError):  # where there is no /proc the host's name has to do
        unique = Path("/proc/sys/kernel/random/boot_id").read_text("ascii") + str(Path("/proc/self/ns/pid").readlink())
    return f"{socket.gethostname()[:40]}-{hashlib.sha256(unique.encode()).hexdigest()[:8]}"


def process_name() -> str:
    """This process among all workers of the installation, which may be on several machines."""
    return f"{machine_name()}:{os.getpid()}"


def is_dead(name: str) -> bool:
    """Whether a process, by its `process_name`, is known to be no more. One of another machine may live: False."""
    place, _sep, pid = name.rpartition(":")
    return place == machine_name() and pid.isdigit() and not process_exists(int(pid))


def process_exists(pid: int) -> bool:
    """Whether a process of this machine is there. Windows has no signal 0: there it would be a Ctrl-C."""
    if sys.platform == "win32":
        kernel = ctypes.windll.kernel32
        handle = kernel.OpenProcess(0x1000, False, pid)  # PROCESS_QUERY_LIMITED_INFORMATION
        if not handle:
            return False
        code = ctypes.c_ulong()
        kernel.GetExitCodeProcess(handle, ctypes.byref(code))
        kernel.CloseHandle(handle)
        return code.value == 259  # STILL_ACTIVE
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except OSError:
        return False
    return True


def read_all(folder: Path) -> list[RoleProcess]:
    """Every role process on this machine whose last beat is fresh and whose process still lives."""
    found = []
    for path in folder.glob("role-*.json"):
        try:
            known = json.loads(path.read_text("utf-8"))
            beat = max(datetime.fromisoformat(known["at"]).timestamp(), path.stat().st_mtime)
            age = now().timestamp() - beat
            if not process_exists(known["pid"]):
                continue
        except (OSError, ValueError, KeyError):
            continue  # being replaced, or its process has gone
        if age < 3 * BEAT:
            found.append(RoleProcess(known["role"], known["pid"], known["state"], unpacked(known.get("detail", {}))))
    return found
