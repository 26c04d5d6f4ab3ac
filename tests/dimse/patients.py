"""The small archive that C-FIND is asked about: five patients, two facilities, names of four scripts."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset

from app.archive import Archive, Source
from app.config import Config
from app.db import Database, open_database
from app.nodes import service
from app.nodes.service import NodeValues
from app.security.models import Facility
from tests.archive.make import ct_bytes
from tests.support.client import actor, add_cast
from tests.support.dimse import Station, station

ROOT = "1.2.826.0.1.77"
TITLES = ("FINDSCU", "GDCMSCU", "ORTHANC", "PYNETDICOM", "QUERY")

# study number -> (facility, attributes, series: modality -> objects)
STUDIES: dict[int, tuple[str, dict[str, Any], dict[str, int]]] = {
    1: ("North", {
        "PatientName": "Müller^Jürgen", "PatientID": "P1", "PatientBirthDate": "19610203", "PatientSex": "M",
        "StudyDate": "20240102", "StudyTime": "101112", "AccessionNumber": "ACC1", "StudyID": "1",
        "StudyDescription": "CT Thorax", "ReferringPhysicianName": "House^Gregory", "BodyPartExamined": "CHEST",
        "PatientWeight": "70.5", "PatientAge": "062Y",
    }, {"CT": 3, "SR": 1}),
    2: ("North", {
        "PatientName": "Yamada^Tarou=山田^太郎=やまだ^たろう", "PatientID": "P2", "PatientBirthDate": "19700405",
        "PatientSex": "M", "StudyDate": "20240203", "StudyTime": "080000.25", "AccessionNumber": "ACC2",
        "StudyDescription": "MR Brain", "ReferringPhysicianName": "Øster^Åse",
    }, {"MR": 2}),
    3: ("North", {
        "PatientName": "Doe^Jane", "PatientID": "P3", "PatientBirthDate": "19801231", "PatientSex": "F",
        "StudyDate": "20231231", "StudyTime": "230000", "AccessionNumber": "B-77", "StudyDescription": "Hand left",
    }, {"CR": 1}),
    4: ("North", {
        "PatientName": "Doe^Jane", "PatientID": "P3", "PatientBirthDate": "19801231", "PatientSex": "F",
        "StudyDate": "20240101", "StudyTime": "010000", "AccessionNumber": "B-78", "StudyDescription": "Hand left",
    }, {"CR": 2}),
    5: ("South", {
        "PatientName": "Иванов^Иван", "PatientID": "P5", "PatientBirthDate": "", "PatientSex": "M",
        "StudyDate": "20240102", "StudyTime": "", "AccessionNumber": "", "StudyDescription": "US Abdomen",
    }, {"US": 1}),
}  # fmt: skip


def study_uid(number: int) -> str:
    return f"{ROOT}.{number}"


def _request(number: int) -> Dataset:
    item = Dataset()
    item.ScheduledProcedureStepID, item.RequestedProcedureID = f"STEP{number}", f"REQ{number}"
    return item


def fill(archive: Archive, facilities: dict[str, str]) -> None:
    for number, (facility, attributes, series) in STUDIES.items():
        for s, (modality, count) in enumerate(series.items(), 1):
            for i in range(1, count + 1):
                uid = f"{study_uid(number)}.{s}"
                more = attributes | {
                    "Modality": modality, "SeriesNumber": s, "InstanceNumber": i, "SeriesDescription": f"{modality} {s}",
                    "RequestAttributesSequence": [_request(number)], "KVP": "120" if modality == "CT" else None,
                    "InstitutionName": "Klinik Süd", "SliceThickness": f"{i}.5", "RequestingService": f"Ward {number}",
                }  # fmt: skip
                incoming = archive.receive(Source("test", facility_id=facilities[facility]))
                incoming.write(ct_bytes(f"{uid}.{i}", study_uid(number), uid, **more))
                assert archive.ingest(incoming).status == "stored"


def prepare(database: Database, archive: Archive) -> dict[str, str]:
    """People, facilities (South with a title), known nodes, and the studies; facility name -> id."""
    add_cast(database)
    with database.write() as session:
        facilities = {f.name: f.id for f in session.query(Facility)}
        session.get_one(Facility, facilities["South"]).ae_title = "SOUTH1"
        admin = actor(database, "admin")
        for title in TITLES:
            service.create_node(session, admin, NodeValues(title.lower(), title, "127.0.0.1", 104))
        values = NodeValues("bound", "BOUND", "127.0.0.1", 104, facility_id=facilities["South"])
        service.create_node(session, admin, values)
    fill(archive, facilities)
    return facilities


@contextmanager
def opened(config: Config) -> Iterator[Station]:
    database = open_database(config)
    try:
        with station(config, database) as made:
            prepare(database, made.archive)
            yield made
    finally:
        database.dispose()


def answers_in(folder: Path) -> list[Dataset]:
    """What findscu -X has written."""
    from pydicom import dcmread

    return [dcmread(path, force=True) for path in sorted(folder.glob("rsp*.dcm"))]
