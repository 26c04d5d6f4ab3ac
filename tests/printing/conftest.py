"""An installation with real images in it, and the worker that prints them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from app.archive import Source
from app.printing import jobs as printing_jobs
from app.security.models import Facility
from app.worker import Worker
from tests.support.client import Web

Store = Callable[..., list[str]]


@pytest.fixture
def store(web: Web) -> Store:
    """store(paths, facility="North") takes files in and answers their SOP Instance UIDs."""

    def take(paths: list[Path], facility: str | None = "North") -> list[str]:
        with web.database.read() as session:
            facility_id = session.scalar(select(Facility.id).where(Facility.name == facility)) if facility else None
        uids = []
        for path in paths:
            incoming = web.services.archive.receive(Source("upload", actor_name="test", facility_id=facility_id))
            incoming.write(path.read_bytes())
            outcome = web.services.archive.ingest(incoming)
            assert outcome.status == "stored", (path, outcome)
            uids.append(outcome.sop_instance_uid)
        return uids

    return take


@pytest.fixture
def ct(shared_data: Path) -> list[Path]:
    return sorted((shared_data / "series" / "ct_chest_lidc0314").glob("*.dcm"))


class Printer:
    """The worker role's own loop, one job at a time."""

    def __init__(self, web: Web) -> None:
        self.web = web
        self.worker = Worker(web.services.config)
        self.worker.archive = web.services.archive

    def work(self) -> int:
        """Runs what waits; how many jobs there were."""
        ran = 0
        while claimed := self.worker._claim(["print.render"]):
            self.worker._run(claimed, printing_jobs.render)
            ran += 1
        return ran

    def make(self, order: dict[str, Any], name: str = "bob") -> dict[str, Any]:
        """Orders as this person, lets the worker print, and answers the print's last state."""
        client = getattr(self.web, name)
        accepted = client.post("/api/v1/prints", json=order)
        assert accepted.status_code == 202, accepted.text
        assert self.work() == 1
        answer: dict[str, Any] = client.get(accepted.headers["Location"]).json()
        return answer

    def file(self, answer: dict[str, Any], name: str = "bob") -> bytes:
        found = getattr(self.web, name).get(answer["pdf"])
        assert found.status_code == 200, found.text
        assert found.headers["content-type"] == "application/pdf"
        data: bytes = found.content
        return data


@pytest.fixture
def printer(web: Web) -> Any:
    made = Printer(web)
    yield made
    made.worker.database.dispose()
