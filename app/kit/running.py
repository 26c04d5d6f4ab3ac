"""Whether an installation runs on this machine, and stopping it: what service managers and people ask of the command."""

import contextlib
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from app.kit.rolestate import RoleProcess, process_exists, read_all

SUPERVISOR = "supervisor"
RECEIVERS = "receivers"  # the supervisor of several receivers that run without the other roles
STOP_SECONDS = 15.0
READY, PARTLY, NOTHING = 0, 1, 3


@dataclass(frozen=True, slots=True)
class Running:
    """State of the installation's processes. pid: the supervisor of all roles, or 0; receivers: the supervisor of receivers
    that run alone, or 0; roles: those that should be there; seen: the living processes."""

    pid: int
    receivers: int
    roles: list[str]
    seen: list[RoleProcess]

    @property
    def missing(self) -> list[str]:
        ready = {one.role for one in self.seen if one.state == "ready"}
        return [role for role in self.roles if role not in ready]

    @property
    def code(self) -> int:
        """As the LSB says for `status`: 0 runs, 3 does not; 1 for what is not ready in all its parts."""
        if not self.seen and not self.pid:
            return NOTHING
        return PARTLY if self.missing or not self.seen else READY

    def summary(self) -> str:
        """One line for a service manager: every role and its state."""
        states = {one.role: one.state + _detail(one) for one in self.seen}
        return "; ".join(f"{role} {states.get(role, 'down')}" for role in self.roles)

    def lines(self) -> list[str]:
        """For people."""
        if self.code == NOTHING:
            return ["not running"]
        head = f"running, process {self.pid}" if self.pid else "running without a supervisor"
        each = [f"  {one.role}: {one.state}, process {one.pid}{_detail(one)}" for one in self.seen]
        return [head, *each, *(f"  {role}: down" for role in self.missing if role not in {s.role for s in self.seen})]


def _detail(one: RoleProcess) -> str:
    shown = {"port": one.detail.get("port"), "TLS port": one.detail.get("tls_port")}
    words = "".join(f", {name} {value}" for name, value in shown.items() if value)
    fault = one.detail.get("tls_fault")
    return f"{words}, {fault}" if fault else words


def read_state(folder: Path) -> Running:
    """folder: Config.run."""
    found = read_all(folder)
    head = next((one for one in found if one.role == SUPERVISOR), None)
    receivers = next((one.pid for one in found if one.role == RECEIVERS), 0)
    roles = [one for one in found if one.role not in (SUPERVISOR, RECEIVERS)]
    wanted = list(head.detail.get("roles", [])) if head else sorted({one.role for one in roles})
    return Running(head.pid if head else 0, receivers, wanted, sorted(roles, key=lambda one: (one.role, one.pid)))


def stop(folder: Path, seconds: float = STOP_SECONDS) -> tuple[str, bool]:
    """Ends the supervisor (and with it its roles), or roles that run alone. A text, and whether all have ended."""
    found = read_state(folder)
    pids = [found.pid] if found.pid else [one.pid for one in found.seen]
    if found.receivers and not found.pid:
        pids.insert(0, found.receivers)  # before its receivers, of which it would start others
    if not pids:
        return "not running", True
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    until = time.monotonic() + seconds
    while any(map(_is_running, pids)):
        if time.monotonic() > until:
            return f"process {', '.join(map(str, pids))} does not end", False
        time.sleep(0.05)
    return "stopped", True


def _is_running(pid: int) -> bool:
    if not process_exists(pid):
        return False
    with contextlib.suppress(OSError):  # a zombie has ended; its parent has not looked yet
        return " Z " not in Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2][:4]
    return True
