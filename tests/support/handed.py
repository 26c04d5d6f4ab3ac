"""Services that exist only in tests, registered as later ones are: an N-GET, an N-ACTION and a C-FIND of classes that
Filmroom does not serve. Run as a program it is a dicom role that offers them: `python -m tests.support.handed DATA PORT`."""

import sys
import threading
from collections.abc import Iterator
from typing import Any

from pydicom.dataset import Dataset

from app import config as boot
from app.dimse.handover import registry
from app.dimse.handover.registry import Call, Reply, Service
from app.kit.errors import Conflict
from app.security.verbs import Verb

DISPLAY = "1.2.840.10008.5.1.1.40"  # Display System SOP Class, and its well-known instance
DISPLAY_INSTANCE = "1.2.840.10008.5.1.1.40.1"
LOGGING = "1.2.840.10008.1.40"  # Procedural Event Logging SOP Class
PALETTES = "1.2.840.10008.5.1.4.39.2"  # Color Palette Query/Retrieve: find

LARGE = 100_000  # so many matches of 60 KB each
SECRET = "SECRET^PATIENT"  # must never appear in a log
entered = threading.Event()  # set when an N-ACTION of type 2 has begun
produced = [0]  # matches that `find` has made since it was last set
hold = threading.Event()  # an N-ACTION of type 2 waits for it
hold.set()


def read(call: Call, event: Any) -> Reply:
    """Who asks, as the service sees it."""
    found = Dataset()
    found.ManufacturerModelName = call.actor.name
    found.InstitutionName = call.facility_id or ""
    found.Manufacturer = call.config.aet
    return Reply(0, found)


def act(call: Call, event: Any) -> Reply:
    """Action 1 answers with what came, 2 waits for `hold`, 3 fails by an AppError, 4 by a fault of ours."""
    if event.action_type == 2:
        entered.set()
        hold.wait(60)
    if event.action_type == 3:
        raise Conflict("This cannot be done twice.")
    if event.action_type == 4:
        raise RuntimeError(SECRET)
    data = event.action_information
    return Reply(0, data, objects=1, size=len(event.request.ActionInformation.getvalue()))


def find(call: Call, event: Any) -> Iterator[Reply]:
    """As many matches as the Patient ID says; a fault after the fifth of nine."""
    for number in range(int(event.identifier.PatientID)):
        if int(event.identifier.PatientID) == 9 and number == 5:
            raise RuntimeError(SECRET)
        found = Dataset()
        found.PatientID = str(number)
        found.EncapsulatedDocument = bytes(60_000 if int(event.identifier.PatientID) == LARGE else 0)
        produced[0] += 1
        yield Reply(0xFF00, found)


SERVICES = (
    Service("display", frozenset({DISPLAY}), Verb.NODE_ECHO, {"EVT_N_GET": read}),
    Service("logging", frozenset({LOGGING}), Verb.STUDY_IMPORT, {"EVT_N_ACTION": act}),
    Service("palettes", frozenset({PALETTES}), Verb.STUDY_SEARCH, {"EVT_C_FIND": find}),
)


def register() -> None:
    for service in SERVICES:
        registry.register(service)


def unregister() -> None:
    for service in SERVICES:
        registry.unregister(service)


def main(data: str, port: str) -> None:
    from app import listener
    from app.dimse import server
    from app.kit import logging as log_files

    if "pynetdicom" in sys.modules:  # a receiver loads it only when it is needed
        raise SystemExit(f"{server.__name__} has loaded pynetdicom")

    config = boot.load({"data": data, "dicom_port": int(port), "dicom_host": "127.0.0.1"}, environ={})
    log_files.setup("dicom", config.logs)
    register()
    listener.run(config)


if __name__ == "__main__":
    main(*sys.argv[1:])
