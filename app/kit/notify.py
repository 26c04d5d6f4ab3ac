"""Notifications to a service manager, by the datagrams of sd_notify(3): ready, its state in words, still alive. Nothing
happens where none listens (a console, Windows, a container without systemd)."""

import contextlib
import os
import socket
from collections.abc import MutableMapping

_SOCKET, _WATCHDOG, _WATCHDOG_PID = "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"


class Manager:
    """The one who started this process, if it wants to hear from it.

    The variables are taken out of `environ`, so that no process started from here can send notifications."""

    def __init__(self, environ: MutableMapping[str, str] = os.environ) -> None:
        address = environ.pop(_SOCKET, "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._said: tuple[str, ...] = ()
        watched = environ.pop(_WATCHDOG, ""), environ.pop(_WATCHDOG_PID, str(os.getpid()))
        #: Whether `alive` is waited for; WatchdogSec of the unit defines how long.
        self.watches = watched[0].isdigit() and watched[1] == str(os.getpid())

    def __bool__(self) -> bool:
        return bool(self._address)

    def ready(self) -> None:
        """Start jobs that wait for us may go on."""
        self._send("READY=1")

    def status(self, words: str) -> None:
        """One line for `systemctl status`: sent when it is another one."""
        line = "STATUS=" + " ".join(words.split())
        if self._said != (line,):
            self._said = (line,)
            self._send(line)

    def alive(self) -> None:
        if self.watches:
            self._send("WATCHDOG=1")

    def stopping(self) -> None:
        self._send("STOPPING=1", "STATUS=stopping")

    def _send(self, *lines: str) -> None:
        if not self._address or not hasattr(socket, "AF_UNIX"):
            return
        # A manager that is gone or whose queue is full must not end or hold up what it manages.
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.setblocking(False)
            channel.sendto("\n".join(lines).encode(), self._address)
