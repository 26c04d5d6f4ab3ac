"""An installation with every real file in it, behind a really running uvicorn."""

import errno
import hashlib
import os
import shutil
import socket
import threading
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pydicom
import pytest
import uvicorn

from app import config as boot
from app.archive import Archive, IngestOutcome, Source
from app.db import open_database
from tests.support import samples
from tests.support.client import PASSWORD, Web, open_web
from tests.support.waiting import eventually


def store(archive: Archive, path: Path, facility_id: str | None = None) -> IngestOutcome:
    """One file into the archive."""
    incoming = archive.receive(Source(kind="upload", actor_name="test", facility_id=facility_id))
    incoming.write(path.read_bytes())
    return archive.ingest(incoming)


def _renamed(path: Path, uid: str, target: Path) -> Path:
    """The same file under a SOP Instance UID of its own; many samples are one picture in several codings."""
    digits = f"{zlib.crc32(str(path).encode()) % 10000:04d}"
    target.write_bytes(path.read_bytes().replace(uid.encode(), uid[:-5].encode() + b"7" + digits.encode()))
    return target


def _completed(path: Path, target: Path) -> Path:
    """A sample that came without UIDs, with some."""
    ds = pydicom.dcmread(path, force=True)
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
        if not ds.get(keyword):
            setattr(ds, keyword, pydicom.uid.generate_uid(entropy_srcs=[keyword, path.name]))
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.save_as(target)
    return target


@dataclass
class Stored:
    path: Path
    outcome: IngestOutcome

    @property
    def address(self) -> str:
        o = self.outcome
        return f"/studies/{o.study_instance_uid}/series/{o.series_instance_uid}/instances/{o.sop_instance_uid}"

    def read(self) -> pydicom.Dataset:
        return pydicom.dcmread(self.path, force=True)


@dataclass
class Served:
    """url: of the server; folder: with the files; stored: what went in, in order, each UID once."""

    url: str
    web: Web
    folder: Path
    stored: list[Stored] = field(default_factory=list)

    @property
    def dicomweb(self) -> str:
        return f"{self.url}/dicom-web"

    def client(self, user: str = "admin", **options: Any) -> httpx.Client:
        return httpx.Client(base_url=self.url, auth=(user, PASSWORD), timeout=60, trust_env=False, **options)

    def named(self, part: str) -> Stored:
        if found := [one for one in self.stored if part in str(one.path)]:
            return found[0]
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self.folder / part))


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory, _sqlite_template: Path, shared_data: Path) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served") / "data"
    shutil.copytree(_sqlite_template, folder)
    config = boot.load({"data": folder}, environ={})
    database = open_database(config)
    with open_web(config, database) as web, _running(web) as url:
        made, seen = Served(url, web, shared_data), set[bytes]()
        for path in sorted(shared_data.rglob("*.dcm")):
            outcome = store(web.services.archive, path)
            digest = hashlib.sha256(path.read_bytes()).digest()
            coded_otherwise = (
                outcome.status == "duplicate" and digest not in seen
            )  # kept once, but served in each coding
            seen.add(digest)
            if outcome.status == "conflict" or coded_otherwise:
                path = _renamed(path, outcome.sop_instance_uid, folder.parent / path.name)
                outcome = store(web.services.archive, path)
            elif outcome.status == "refused" and path.parent.name in ("codecs", "pixel"):
                path = _completed(path, folder.parent / path.name)
                outcome = store(web.services.archive, path)
            if outcome.status == "stored":
                made.stored.append(Stored(path, outcome))
        assert len(made.stored) > (330 if samples.is_whole(shared_data) else 130)
        yield made
    database.dispose()


class _running:
    """uvicorn in a thread on a free loopback port."""

    def __init__(self, web: Web) -> None:
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        settings = uvicorn.Config(web.app, log_level="warning", lifespan="off")
        self._server = uvicorn.Server(settings)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True)

    def __enter__(self) -> str:
        self._thread.start()
        eventually(lambda: self._server.started, "the server starts")
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(60)
        self._socket.close()
