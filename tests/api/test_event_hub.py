"""Many events in a row reach every connection, each once and in order, by few looks at the database."""

import asyncio
import time
from pathlib import Path

import pytest

from app import events
from app.api.events import Hub
from app.db import Database

MANY = 150


def test_none_is_lost_when_they_come_together(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events.use_folder(tmp_path / "events")
    looks: list[int] = []
    real = events.after

    def counted(*arguments: object) -> list[events.Event]:
        found = real(*arguments)  # type: ignore[arg-type]
        looks.append(len(found))
        return found

    monkeypatch.setattr(events, "after", counted)
    hub = Hub(database)
    hub.start()

    def append() -> None:
        for number in range(MANY):
            with database.write() as session:
                events.append(session, "study.arriving", {"n": number})

    async def collect() -> list[int]:
        queue = hub.subscribe()
        came: list[int] = []
        with database.write() as session:
            events.append(session, "study.arriving", {"n": -1})
        while not came:  # the hub has its place in the row of events; what came before is nobody's
            event = await asyncio.wait_for(_next(queue), 30)
            came.append(event.payload["n"])
        work = asyncio.to_thread(append)
        task = asyncio.create_task(work)
        while came[-1] != MANY - 1:
            came.append((await asyncio.wait_for(_next(queue), 30)).payload["n"])
        await task
        return came

    try:
        while not hub.following.wait(0.05):
            pass
        begun = time.monotonic()
        assert asyncio.run(collect()) == [-1, *range(MANY)]
        seconds = time.monotonic() - begun
    finally:
        hub.stop()
    assert sum(1 for count in looks if count) <= seconds / 0.05 + 5, "they were read one by one"


async def _next(queue: "asyncio.Queue[events.Event | None]") -> events.Event:
    event = await queue.get()
    assert event is not None
    return event
