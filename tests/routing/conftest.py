"""Routes over a real archive on both databases, and a worker that is moved by hand."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from app.archive import Archive, IngestOutcome, Source
from app.config import Config
from app.db import Database
from app.forward.models import TransferInstance
from app.kit import clock as kit_clock
from app.nodes import service as peers
from app.nodes.options import NodeValues
from app.routing import arrivals, following, queries, service
from app.routing.models import Route, RouteRun
from app.security import Actor
from app.worker import Worker, handler_of
from tests.archive.make import ct_bytes
from tests.support.client import actor, add_cast
from tests.support.forwarding import work_off

STUDY = "1.2.3.1"


class Site:
    """An installation whose worker does one thing at a time, when the test says so."""

    def __init__(self, config: Config, database: Database) -> None:
        self.config, self.database = config, database
        self.worker = Worker(config)
        self.archive: Archive = self.worker.archive
        add_cast(database)
        self.admin: Actor = actor(database, "admin")

    def close(self) -> None:
        self.archive.close()
        self.worker.database.dispose()

    def put(self, data: bytes | None = None, source: Source | None = None, **values: Any) -> IngestOutcome:
        incoming = self.archive.receive(source or Source("dimse", "MODALITY1", "FILMROOM"))
        incoming.write(data or ct_bytes(**values))
        return self.archive.ingest(incoming)

    def node(self, name: str, port: int = 104, title: str = "STORESCP", **values: Any) -> str:
        with self.database.write() as session:
            made = peers.create_node(
                session, self.admin, NodeValues(name=name, ae_title=title, host="127.0.0.1", port=port, **values)
            )
            return made.id

    def route(
        self, name: str, *actions: dict[str, Any], on: bool = True, facility: str | None = None, **rule: Any
    ) -> str:
        with self.database.write() as session:
            made = service.create_route(
                session, self.admin, name, {"actions": list(actions), **rule}, facility_id=facility
            )
            if on:
                service.switch_route(session, self.admin, made.id, True, untested=True)
            return made.id

    def turn(self) -> None:
        """Arrivals, what is due, and every job of routes."""
        arrivals.run_once(self.database)
        self.work("route.fire")
        following.finish_runs(self.database, self.archive)

    def work(self, kind: str) -> int:
        """Every job of this kind that is due now."""
        handler = handler_of(kind)
        count = 0
        while (claimed := self.worker._claim([kind])) is not None:
            self.worker._run(claimed, handler)
            count += 1
        return count

    def all_at_once(self) -> None:
        """Arrivals, runs, transfers and what follows."""
        self.turn()
        work_off(self.worker)
        self.soon()
        following.finish_runs(self.database, self.archive)

    def soon(self) -> None:
        """What was put off for later is due now."""
        with self.database.write() as session:
            session.execute(
                update(RouteRun).where(RouteRun.state.in_(("waiting", "sending"))).values(due_at=kit_clock.now())
            )

    def runs(self, route: str | None = None) -> list[RouteRun]:
        with self.database.read() as session:
            return [run for run, _ in queries.runs(session, self.admin, route_id=route)[0]][::-1]

    def get(self, name: str) -> Route:
        with self.database.read() as session:
            return queries.route(session, self.admin, name)


@pytest.fixture
def site(config: Config, database: Database) -> Iterator[Site]:
    made = Site(config, database)
    yield made
    made.close()


Clock = Callable[[float], None]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Moves the time that packages read: clock(seconds) adds to it."""
    moved = [0.0]
    real = kit_clock.now

    def shifted() -> datetime:
        return real() + timedelta(seconds=moved[0])

    for name in ("arrivals", "jobs", "following", "service"):
        monkeypatch.setattr(f"app.routing.{name}.now", shifted)
    for place in (
        "app.archive.index",
        "app.archive.service",
        "app.archive.transaction",
        "app.jobs.queue",
        "app.forward.transfers",
        "app.forward.claims",
        "app.forward.lanes",
    ):
        monkeypatch.setattr(f"{place}.now", shifted)

    def move(seconds: float) -> None:
        moved[0] += seconds

    return move


def send(*nodes: str, back: bool = False) -> dict[str, object]:
    return {"do": "send", "nodes": list(nodes), "back": back}


def to_send(site: Site) -> list[str]:
    with site.database.read() as session:
        return list(session.scalars(select(TransferInstance.sop_instance_uid).order_by(TransferInstance.id)))
