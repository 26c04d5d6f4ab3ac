"""GET /api/v1/events: the live events, as WebSocket or long poll (WEB-3).

One thread a process follows the event rows and hands them to every open connection; each connection filters by what
its actor may see (SEC-10). Payloads hold ids and counts, never patient data."""

import asyncio
import contextlib
import logging
import threading
import time
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, WebSocket, WebSocketDisconnect
from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection

from app import events
from app.db import Database
from app.events import Event
from app.http.deps import actor_for, allow, checks_permission_itself
from app.http.services import Services, services
from app.kit.errors import AppError
from app.security import Actor, Verb, can, may_see, owns

log = logging.getLogger(__name__)
router = APIRouter(tags=["events"])

# No secret inside the installation: everyone who follows events gets it, unless it belongs to another facility.
_SHARED = ("node.", "role.", "settings.")
RECHECK = 5.0  # seconds between looks whether the session still lives (locked, ended, disabled)
_HIGHEST = 2**63 - 1  # of a number that a database takes
_BATCH = 500  # events read in one go
_TOGETHER, _NOBODY = 0.05, 0.25  # seconds between looks while events keep coming; and while no client is connected
_QUEUE = 1000  # events a slow reader may lag behind before it must reload


def visible(actor: Actor, event: Event) -> bool:
    """Own events, those of the actor's facility, and the shared ones that belong to none."""
    if event.user_id is not None and event.user_id != actor.user_id:
        return can(actor, Verb.JOB_ALL)
    if owns(actor, event.user_id) or (event.facility_id is None and event.topic.startswith(_SHARED)):
        return True
    return may_see(actor, event.facility_id)


def as_json(event: Event) -> dict[str, Any]:
    return {"id": event.id, "topic": event.topic, "at": event.at.isoformat(), "payload": event.payload}


class Hub:
    """Follows the rows in one thread and feeds the connections of this process."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._subscribers: dict[asyncio.Queue[Event | None], asyncio.AbstractEventLoop] = {}
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self.following = threading.Event()  # set once every later event will be seen
        self._thread = threading.Thread(target=self._follow, name="events", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(3)

    def subscribe(self) -> asyncio.Queue[Event | None]:
        queue: asyncio.Queue[Event | None] = asyncio.Queue(_QUEUE)
        with self._lock:
            self._subscribers[queue] = asyncio.get_running_loop()
        return queue

    def unsubscribe(self, queue: asyncio.Queue[Event | None]) -> None:
        with self._lock:
            self._subscribers.pop(queue, None)

    def _follow(self) -> None:
        follower: events.Follower | None = None
        last = -1
        while not self._stopping.is_set():
            try:
                if follower is None:
                    follower = events.Follower(self._database)
                looked = time.monotonic()
                with self._database.read() as session:
                    new = events.after(session, last, _BATCH) if last >= 0 else []
                    last = new[-1].id if new else (events.newest(session) if last < 0 else last)
                self.following.set()
                for event in new:
                    self._distribute(event)
                if len(new) < _BATCH:
                    follower.wait(1.0)
                    self._rest(looked)
            except Exception:
                log.exception("events cannot be followed; trying again in 1 s")
                if follower is not None:
                    with contextlib.suppress(Exception):
                        follower.close()
                follower = None
                self._stopping.wait(1)
        if follower is not None:
            follower.close()

    def _rest(self, looked: float) -> None:
        """Senders commit hundreds of times a second, and each look reads its pages anew: the first event of a row goes
        out at once, those that follow it together."""
        pause = looked + (_TOGETHER if self._subscribers else _NOBODY) - time.monotonic()
        if pause > 0:
            self._stopping.wait(pause)

    def _distribute(self, event: Event) -> None:
        with self._lock:
            targets = list(self._subscribers.items())
        for queue, loop in targets:
            with contextlib.suppress(RuntimeError):  # the loop has ended with its connection
                loop.call_soon_threadsafe(_offer, queue, event)


def _offer(queue: asyncio.Queue[Event | None], event: Event) -> None:
    if queue.full():
        while not queue.empty():
            queue.get_nowait()
        queue.put_nowait(None)  # too slow: start over with `since`
    else:
        queue.put_nowait(event)


async def _events_since(service: Services, actor: Actor, since: int) -> tuple[list[dict[str, Any]], int, bool]:
    """Of the events after number `since`: those of the next _BATCH that this actor sees, the number of the last one that
    was examined, seen or not, and whether that was the newest."""

    def read_events() -> tuple[list[dict[str, Any]], int, bool]:
        with service.database.read() as session:
            found = events.after(session, since, _BATCH)
            seen = [as_json(event) for event in found if visible(actor, event)]
            return seen, found[-1].id if found else since, len(found) < _BATCH

    return await run_in_threadpool(read_events)


@router.websocket("/events")
@checks_permission_itself(Verb.EVENT_FOLLOW)
async def follow(socket: WebSocket, since: Annotated[int | None, Query(ge=0, le=_HIGHEST)] = None) -> None:
    """Live events as JSON {id, topic, at, payload}. `since`: begins with the events after this number."""
    service = services(socket)
    try:
        actor = await actor_for(socket, Verb.EVENT_FOLLOW)
    except AppError:
        await socket.close(4401)
        return
    await socket.accept()
    hub: Hub = socket.app.state.hub
    queue: asyncio.Queue[Event | None] | None = None
    try:
        last = since if since is None else await _catch_up(socket, service, actor, since)
        queue = hub.subscribe()  # only now: a long way to catch up must not fill the queue
        if last is not None:
            last = await _catch_up(socket, service, actor, last)
        await _pump(socket, actor, queue, last or 0)
    except (WebSocketDisconnect, RuntimeError):
        pass
    finally:
        if queue is not None:
            hub.unsubscribe(queue)


async def _catch_up(socket: WebSocket, service: Services, actor: Actor, since: int) -> int:
    """Sends what came after `since`, to the newest; the number of the last event that was examined."""
    newest = False
    while not newest:
        items, since, newest = await _events_since(service, actor, since)
        for item in items:
            await socket.send_json(item)
    return since


async def _pump(socket: WebSocket, actor: Actor, queue: asyncio.Queue[Event | None], last: int) -> None:
    """Sends what comes after event `last` until the peer leaves or its session is locked or ended."""
    disconnected, clock = asyncio.ensure_future(_wait_disconnected(socket)), asyncio.get_running_loop().time
    due = clock() + RECHECK
    try:
        while not disconnected.done():
            if clock() >= due:  # by the clock, not by silence: a busy stream must end with its session too
                due = clock() + RECHECK
                try:
                    actor = await _ask_again(socket)
                except AppError:
                    await socket.close(4401)
                    return
            try:
                event = await asyncio.wait_for(queue.get(), max(due - clock(), 0.01))
            except TimeoutError:
                continue
            if event is None:
                await socket.close(4408)
                return
            if event.id > last and visible(actor, event):
                await socket.send_json(as_json(event))
    finally:
        disconnected.cancel()


async def _ask_again(connection: HTTPConnection) -> Actor:
    """Returns the current identity: found once a request, but the session may have been locked or ended since."""
    del connection.state.identity
    return await actor_for(connection, Verb.EVENT_FOLLOW)


async def _wait_disconnected(socket: WebSocket) -> None:
    while True:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            return


@router.get("/events")
async def poll(
    request: Request,
    socket_services: Annotated[Services, Depends(services)],
    actor: Annotated[Actor, Depends(allow(Verb.EVENT_FOLLOW))],
    since: Annotated[int, Query(ge=0, le=_HIGHEST, description="the last number you have")] = 0,
    wait: Annotated[float, Query(ge=0, le=60, description="seconds to wait when there is nothing yet")] = 25,
) -> dict[str, Any]:
    """Returns the events after `since`, at once or as soon as there are any, or an empty list after `wait` seconds.
    `next` is the `since` of the next request; it moves on past events of others, too."""
    clock = asyncio.get_running_loop().time
    deadline, due = clock() + wait, clock() + RECHECK
    while True:
        if clock() >= due:
            due, actor = clock() + RECHECK, await _ask_again(request)
        items, since, newest = await _events_since(socket_services, actor, since)
        if items or (newest and clock() >= deadline):
            return {"items": items, "next": since}
        if newest:
            await asyncio.sleep(0.25)
