"""Debian's firefox-esr, driven by Marionette, the remote protocol that stands in Firefox itself.

A message is `length:json`; ours is [0, id, command, parameters], the answer [1, id, error, result]."""

import base64
import json
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.postgres import free_port
from tests.support.waiting import eventually

# Whatever is not this machine meets a closed port, so that nothing reaches out by itself.
_PREFS: dict[str, Any] = {
    "network.proxy.type": 1, "network.proxy.http": "127.0.0.1", "network.proxy.http_port": 9,
    "network.proxy.ssl": "127.0.0.1", "network.proxy.ssl_port": 9, "network.proxy.no_proxies_on": "127.0.0.1,localhost",
    "network.proxy.allow_hijacking_localhost": False, "datareporting.policy.dataSubmissionEnabled": False,
    "app.update.enabled": False, "browser.shell.checkDefaultBrowser": False, "browser.startup.page": 0,
    "browser.aboutwelcome.enabled": False, "toolkit.telemetry.enabled": False, "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False, "services.settings.server": "http://127.0.0.1:9",
}  # fmt: skip


class Firefox:
    """One window."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._buffer = b""
        self._number = 0
        self._read()  # the greeting
        self.call("WebDriver:NewSession", {})

    def _read(self) -> Any:
        while b":" not in self._buffer:
            self._more()
        length, _, self._buffer = self._buffer.partition(b":")
        while len(self._buffer) < int(length):
            self._more()
        body, self._buffer = self._buffer[: int(length)], self._buffer[int(length) :]
        return json.loads(body)

    def _more(self) -> None:
        data = self._socket.recv(1 << 16)
        if not data:
            raise ConnectionError("Firefox has gone")
        self._buffer += data

    def call(self, command: str, parameters: dict[str, Any]) -> Any:
        self._number += 1
        body = json.dumps([0, self._number, command, parameters]).encode()
        self._socket.sendall(str(len(body)).encode() + b":" + body)
        _, _, error, result = self._read()
        if error:
            raise RuntimeError(f"{command}: {error['error']}: {error['message']}")
        return result

    def go(self, url: str) -> None:
        self.call("WebDriver:Navigate", {"url": url})

    def run(self, script: str, *arguments: Any) -> Any:
        """The value of the script's `return`; a promise is waited for."""
        parameters = {"script": script, "args": list(arguments), "sandbox": None, "newSandbox": True}
        return self.call("WebDriver:ExecuteScript", parameters)["value"]

    def until(self, condition: str, seconds: float = 60) -> None:
        """Waits until `return condition` is true."""
        eventually(lambda: self.run(f"return Boolean({condition})"), f"true in the page: {condition}", seconds=seconds)

    def press(self, *keys: str) -> None:
        """Real key presses, one after the other."""
        actions = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        self.call("WebDriver:PerformActions", {"actions": [{"type": "key", "id": "keys", "actions": actions}]})

    def resize(self, width: int, height: int) -> None:
        self.call("WebDriver:SetWindowRect", {"width": width, "height": height})

    def shot(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        found = self.call("WebDriver:TakeScreenshot", {"full": False})
        path.write_bytes(base64.b64decode(found["value"]))


@contextmanager
def firefox(profile: Path) -> Iterator[Firefox]:
    """A headless Firefox with a profile of its own."""
    port = free_port()
    profile.mkdir(parents=True, exist_ok=True)
    prefs = _PREFS | {"marionette.port": port}
    (profile / "user.js").write_text(
        "".join(f"user_pref({json.dumps(k)}, {json.dumps(v)});\n" for k, v in prefs.items())
    )
    command = ["firefox-esr", "--headless", "--no-remote", "--marionette", "--profile", str(profile), "about:blank"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with _connect(port) as connection:
            yield Firefox(connection)
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _connect(port: int, seconds: float = 60) -> socket.socket:
    return eventually(
        lambda: socket.create_connection(("127.0.0.1", port), timeout=60),
        "Firefox starts",
        seconds=seconds,
        ignoring=(OSError,),
    )
