"""Archives that answer queries badly, or not at all, each on a port of its own."""

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind

from tests.support.postgres import free_port

PENDING, OUT_OF_RESOURCES = 0xFF00, 0xA700


def study(number: int) -> Dataset:
    """An answer at the study level."""
    ds = Dataset()
    ds.QueryRetrieveLevel = "STUDY"
    ds.PatientName, ds.PatientID = f"Found^Number{number}", f"F{number}"
    ds.StudyInstanceUID, ds.StudyDate = f"1.2.3.{number}", "20261130"
    ds.ModalitiesInStudy, ds.NumberOfStudyRelatedInstances = "CT", "4"
    return ds


def _good(event: Any) -> Iterator[tuple[Any, Dataset | None]]:
    yield PENDING, study(1)


def _failing(event: Any) -> Iterator[tuple[Any, Dataset | None]]:
    status = Dataset()
    status.Status, status.ErrorComment = OUT_OF_RESOURCES, "database is locked"
    yield status, None


def _aborting(event: Any) -> Iterator[tuple[Any, Dataset | None]]:
    yield PENDING, study(2)
    yield PENDING, study(3)
    event.assoc.abort()


@contextmanager
def _server(handler: Any) -> Iterator[int]:
    port = free_port()
    entity = AE("ARCHIVE")
    entity.add_supported_context(StudyRootQueryRetrieveInformationModelFind)
    server = entity.start_server(("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_C_FIND, handler)])
    assert server is not None
    try:
        yield port
    finally:
        server.shutdown()


@contextmanager
def black_hole() -> Iterator[int]:
    """Takes connections and never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


@contextmanager
def bad_archives() -> Iterator[dict[str, int]]:
    """Name -> port: GOOD answers; CLOSED, SILENT, MUTE (takes the association, never answers), FAILING (ends with a
    failure status) and ABORTING (two answers, then an abort) do not."""
    over = threading.Event()

    def mute(event: Any) -> Iterator[tuple[Any, Dataset | None]]:
        over.wait(60)
        yield 0x0000, None

    with ExitStack() as stack:
        ports = {"CLOSED": free_port(), "SILENT": stack.enter_context(black_hole())}
        for name, handler in (("GOOD", _good), ("MUTE", mute), ("FAILING", _failing), ("ABORTING", _aborting)):
            ports[name] = stack.enter_context(_server(handler))
        stack.callback(over.set)
        yield ports
