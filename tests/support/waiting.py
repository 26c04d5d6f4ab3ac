"""Waiting for a state in a test: by asking again, never by a fixed time."""

import socket
import subprocess
import time
from collections.abc import Callable
from typing import Any, TypeVar

import httpx

T = TypeVar("T")
_FIRST, _GROWTH, _LONGEST = 0.005, 1.5, 0.25


def eventually(
    condition: Callable[[], T],
    what: str,
    *,
    seconds: float = 60,
    until: Callable[[T], object] = bool,
    process: subprocess.Popen[Any] | None = None,
    ignoring: tuple[type[Exception], ...] = (),
) -> T:
    """The first value of `condition` that is true (or that `until` accepts).

    `what` says in the failure text what was expected; the last value is added to it. A `process` that ends meanwhile is a
    failure at once. An exception of `ignoring` counts as "not yet". The pause grows from 5 ms to 250 ms."""
    deadline, pause = time.monotonic() + seconds, _FIRST
    while True:
        last = time.monotonic() >= deadline  # asked once more after the time is over: the machine may be busy
        ended = process.poll() if process else None
        try:
            value = condition()
        except ignoring as fault:
            shown = repr(fault)
        else:
            if until(value):
                return value
            shown = repr(value)
        if ended is not None:
            raise AssertionError(f"{what}: the process ended with {ended}; last value: {shown[:2000]}")
        if last:
            raise AssertionError(f"{what}: not within {seconds:g} s; last value: {shown[:2000]}")
        time.sleep(min(pause, max(deadline - time.monotonic(), 0)))
        pause = min(pause * _GROWTH, _LONGEST)


def job_ended(client: httpx.Client, address: str, seconds: float = 60) -> dict[str, Any]:
    """The job at this address of the REST interface, once it is neither queued nor running."""
    return eventually(
        lambda: client.get(address).json(),
        f"{address} ends",
        seconds=seconds,
        until=lambda job: job["state"] not in ("queued", "running"),
    )


def port_open(port: int, seconds: float = 60, process: subprocess.Popen[Any] | None = None) -> None:
    """Returns once something accepts connections on this port of the loopback."""

    def connected() -> bool:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
        return True

    eventually(connected, f"port {port} accepts connections", seconds=seconds, process=process, ignoring=(OSError,))


def stays(condition: Callable[[], object], what: str, seconds: float) -> None:
    """Fails as soon as `condition` is false within these seconds: for what must not happen."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        assert value, f"{what}: {value!r}"
        if time.monotonic() >= deadline:
            return
        time.sleep(0.02)


def pace(seconds: float) -> None:
    """A pause that is part of the load a test makes (a slow sender, time between two faults), not a wait for a state."""
    time.sleep(seconds)


def settled(read: Callable[[], T], what: str, *, quiet: float = 1, seconds: float = 60) -> T:
    """The value of `read` once it has stayed the same for `quiet` seconds."""
    last: list[Any] = [read(), time.monotonic()]

    def still() -> bool:
        if (value := read()) != last[0]:
            last[:] = [value, time.monotonic()]
        return time.monotonic() - last[1] >= quiet

    eventually(still, f"{what}: no change for {quiet:g} s", seconds=seconds)
    value: T = last[0]
    return value
