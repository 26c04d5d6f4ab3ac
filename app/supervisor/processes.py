"""Processes that are started, started again when they end, replaced when they hang, and ended together."""

import contextlib
import ctypes
import gc
import logging
import os
import signal
import subprocess
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import FrameType

from app.config import Config, ConfigError
from app.kit import rolestate
from app.kit.errors import AppError
from app.kit.rolestate import BEAT, RoleState
from app.kit.watchdog import Watchdog
from app.supervisor.roles import log_to_files, role_options, run_role

log = logging.getLogger("app.supervisor")

STOP_SECONDS = 4.5  # a process that has not ended by then is killed: the whole stop stays within 5 s
# Seconds after the first, second, ... death; a process that dies at once costs little.
RESTART_PAUSES = (0.1, 0.5, 1.0, 2.0)
SETTLED_SECONDS = 20.0  # a process that lived so long begins with the first pause again
_TURN = 0.05  # seconds between two looks


@dataclass
class Child:
    """A place for one process of a role: the process in it changes, the place stays."""

    role: str
    pid: int = 0  # 0: none at present
    started: float = 0.0
    deaths: int = 0
    due: float = 0.0
    renewed: bool = False  # ended on purpose, to restart with another configuration
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def send(self, number: int) -> None:
        """A signal, when there is a process."""
        if self.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def has_ended(self) -> bool:
        """Whether its process has ended; takes its exit status."""
        if self.process is not None:
            return self.process.poll() is not None
        try:
            return os.waitpid(self.pid, os.WNOHANG)[0] != 0
        except ChildProcessError:
            return True


def _die_with_parent() -> None:
    """Linux: a role never outlives its supervisor, so a killed one leaves no ports taken."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)


def fork(work: Callable[[], None]) -> int:
    """Runs `work` in a process of its own. Returns its number; it exits with 0 when `work` returned, 2 when it raised an
    error that is reported in one line, 1 for any other."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        _die_with_parent()
        work()
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    except KeyboardInterrupt:
        code = 0
    except (ConfigError, AppError) as fault:
        sys.stderr.write(f"filmroom: {fault}\n")
        code = 2
    except BaseException:  # noqa: BLE001 the outer edge of a process
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


class Supervisor:
    """Looks after processes of roles until SIGTERM or SIGINT: one that ends begins again after a pause, one that no longer
    beats is killed first. It beats itself, as `name`, from its loop: a thread could not be forked safely."""

    def __init__(self, config: Config, counts: Mapping[str, int], name: str, logs: str) -> None:
        """counts: role -> processes; name: of its own state file (kit/rolestate.py); logs: of its log files."""
        self.config = config
        self.children = [Child(role) for role, count in counts.items() for _ in range(count)]
        self.stopping = False
        self.watchdog = Watchdog(config.run, config.hang_seconds)
        self.replaced: Counter[str] = Counter()
        self._name, self._logs = name, logs

    def run(self) -> None:
        """Until it is asked to stop, or until its beginning fails."""
        for number in (signal.SIGTERM, signal.SIGINT):  # from the first moment: as process 1 nothing else would end it
            signal.signal(number, self._ask_to_stop)
        if not self._begin():
            return
        gc.freeze()
        log_to_files(self._logs, self.config)
        for child in self.children:
            self._start(child)
        self._begun()
        state, beat = RoleState(self.config.run, self._name), 0.0
        while not self.stopping:
            self._reap()
            self._check_requests()
            if time.monotonic() - beat > BEAT or self._is_hurried():
                beat = time.monotonic()
                self._replace_hung()
                roles = sorted({child.role for child in self.children})
                state.set("ready", roles=roles, replaced=dict(self.replaced))
                self._beat(beat)
            time.sleep(_TURN)
        self._ending()
        state.set("stopping", roles=[])
        self._end()
        state.close()

    # -- what other supervisors do besides ---------------------------------------------------------------------------

    def _begin(self) -> bool:
        """Before the first process starts. False: asked to stop meanwhile."""
        return not self.stopping

    def _begun(self) -> None:
        """The processes have been started."""

    def _check_requests(self) -> None:
        """Several times a second."""

    def _is_hurried(self) -> bool:
        """Whether the next beat is due at once."""
        return False

    def _beat(self, moment: float) -> None:
        """With each beat."""

    def _ending(self) -> None:
        """Before the processes are ended."""

    def _environment(self) -> dict[str, str]:
        """Variables of a process that is not forked."""
        return dict(os.environ)

    def _run_role(self, role: str) -> None:
        """The work of a process, in it."""
        run_role(role, self.config)

    # -- starting, replacing and ending -------------------------------------------------------------------------------

    def _ask_to_stop(self, number: int, frame: FrameType | None) -> None:
        self.stopping = True

    def _start(self, child: Child) -> None:
        child.started = time.monotonic()
        if hasattr(os, "fork"):
            child.pid = fork(lambda: self._run_role(child.role))
        else:
            child.process = subprocess.Popen(  # noqa: S603 this program
                [sys.executable, "-m", "app.cli", child.role, *role_options(self.config)], env=self._environment()
            )
            child.pid = child.process.pid

    def _reap(self) -> None:
        moment = time.monotonic()
        for child in self.children:
            if child.pid and child.has_ended():
                self._remove_files(child)
                child.pid = 0
                if child.renewed:
                    child.renewed, child.due = False, 0.0
                    continue
                if moment - child.started > SETTLED_SECONDS:
                    child.deaths = 0
                pause = RESTART_PAUSES[min(child.deaths, len(RESTART_PAUSES) - 1)]
                child.deaths += 1
                child.due = moment + pause
                sys.stderr.write(f"filmroom: role {child.role} ended; starting it again in {pause:g} s\n")
            elif not child.pid and moment >= child.due:
                self._start(child)

    def _remove_files(self, child: Child) -> None:
        """Removes the files that a killed process leaves in the folder `run`."""
        from app.events.stream import remove_marks

        rolestate.remove(self.config.run, child.role, child.pid)
        remove_marks(self.config.run / "events", child.pid)

    def _replace_hung(self) -> None:
        """A process that no longer answers is killed; it begins again as after any other death."""
        living = {child.pid: child for child in self.children if child.pid}
        for pid in self.watchdog.silent_pids(living):
            child = living[pid]
            self.replaced[child.role] += 1
            log.error(
                "role %s (process %d) has not answered for %d s; replacing it", child.role, pid, self.watchdog.seconds
            )
            child.send(signal.SIGKILL)

    def _end(self) -> None:
        left = [child for child in self.children if child.pid]
        for child in left:
            child.send(signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while left and time.monotonic() < deadline:
            left = [child for child in left if not child.has_ended()]
            time.sleep(0.02)
        for child in left:
            child.send(signal.SIGKILL)
            child.has_ended()
