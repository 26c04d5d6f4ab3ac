"""C-FIND over 20,000 studies, against Orthanc with the same studies in the same run (answers a second, and the last
answer of a query for one study), then over 100,000, alone and while four senders push. One caller asks both: it reads
what comes as fast as it can and takes no answer apart but the last."""

import contextlib
import os
import random
import socket
import struct
import tempfile
import time
from pathlib import Path
from typing import Any

from pydicom import Dataset
from pydicom.uid import CTImageStorage

from app import config as boot
from app.db import open_database
from app.dicom import identifier
from app.network import commands, pdu
from app.network.pdu import Context
from tests.bench.lists import _Push
from tests.bench.table import Row, median, p95
from tests.support import bulk
from tests.support import live as live_server
from tests.support.orthanc import orthanc
from tests.support.sender import Sender, prepare

STUDIES = int(os.environ.get("FILMROOM_BENCH_STUDIES", "20000"))
LARGE = int(os.environ.get("FILMROOM_BENCH_STUDIES_LARGE", "100000"))
STUDY_ROOT, IMPLICIT = "1.2.840.10008.5.1.4.1.2.2.1", "1.2.840.10008.1.2"
ASKED = [
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "StudyID",
    "StudyDescription",
    "ReferringPhysicianName",
    "ModalitiesInStudy",
    "NumberOfStudyRelatedSeries",
    "NumberOfStudyRelatedInstances",
    "StudyInstanceUID",
]
ROUNDS = 40
LIMIT, GOAL = 100.0, 10.0  # ms


class Caller:
    """One association for C-FIND."""

    def __init__(self, port: int, called: str) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), 60)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.settimeout(300)
        self.sock.sendall(pdu.encode_request(called, "BENCHFIND", [Context(1, STUDY_ROOT, [IMPLICIT])], 131072))
        self._rest = b""
        kind, _ = self._pdu()
        if kind != pdu.ASSOCIATE_AC:
            raise RuntimeError("the association is not taken")

    def _pdu(self) -> tuple[int, memoryview]:
        while len(self._rest) < 6 or len(self._rest) < 6 + struct.unpack_from(">I", self._rest, 2)[0]:
            piece = self.sock.recv(1 << 20)
            if not piece:
                raise EOFError
            self._rest += piece
        end = 6 + struct.unpack_from(">I", self._rest, 2)[0]
        found, self._rest = self._rest[:end], self._rest[end:]
        return found[0], memoryview(found)[6:]

    def find(self, **keys: str) -> tuple[float, int]:
        """Seconds to the last answer, and how many pending ones there were."""
        wanted = {"QueryRetrieveLevel": "STUDY"} | dict.fromkeys(ASKED, "") | keys
        data = identifier.encode(wanted, identifier.terms_for(wanted))
        command = {0x0002: STUDY_ROOT, 0x0100: commands.C_FIND_RQ, 0x0110: 1, 0x0700: 0, 0x0800: 1}
        message = pdu.p_data(1, 3, commands.encode(command)) + pdu.p_data(1, 2, data)
        started = time.perf_counter()
        self.sock.sendall(message)
        count = self._until_last()
        return time.perf_counter() - started, count

    def _until_last(self) -> int:
        """Counts the responses; whole PDUs are passed over in what one system call brought."""
        count, store = 0, bytearray(self._rest)
        while True:
            at = 0
            while len(store) - at >= 6:
                length = int.from_bytes(store[at + 2 : at + 6], "big")
                if len(store) - at < 6 + length:
                    break
                if store[at] != pdu.P_DATA:
                    raise RuntimeError(f"PDU type {store[at]} instead of an answer")
                if store[at + 11] & 1:  # a command, whole in its PDU
                    status = commands.number(commands.decode(bytes(store[at + 12 : at + 6 + length])), commands.STATUS)
                    if status == 0:
                        self._rest = bytes(store[at + 6 + length :])
                        return count
                    if status not in (0xFF00, 0xFF01):
                        raise RuntimeError(f"status {status:04X}")
                    count += 1
                at += 6 + length
            del store[:at]
            piece = self.sock.recv(1 << 20)
            if not piece:
                raise EOFError
            store += piece

    def close(self) -> None:
        self.sock.sendall(pdu.RELEASE_RQ_BYTES)
        self.sock.close()


def _objects(count: int) -> list[Any]:
    """One small object for each study that `bulk.fill` writes into our index, with the same values."""
    chance = random.Random(1)
    people = list(bulk.patients(max(1, count // 2), [None], chance))
    made = []
    for row in bulk.studies(count, people, chance):
        ds = Dataset()
        uid = row["study_instance_uid"]
        ds.SpecificCharacterSet, ds.SOPClassUID, ds.SOPInstanceUID = "ISO_IR 192", CTImageStorage, f"{uid}.1.1"
        ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.Modality = uid, f"{uid}.1", row["modalities"].split("\\")[0]
        ds.PatientName, ds.PatientID, ds.PatientSex = row["patient_name"], row["patient_id"], row["sex"]
        ds.PatientBirthDate, ds.StudyDate, ds.StudyTime = row["birth_date"], row["study_date"], row["study_time"]
        ds.AccessionNumber, ds.StudyID, ds.StudyDescription = (
            row["accession_number"],
            row["study_id"],
            row["description"],
        )
        made.append(prepare(ds))
    return made


def _answers(caller: Caller, count: int) -> float:
    """Answers a second of the better of two runs; raises when some are missing."""
    rates = []
    for _ in range(2):
        seconds, found = caller.find()
        if found != count:
            raise RuntimeError(f"{found} answers instead of {count}")
        rates.append(count / seconds)
    return max(rates)


def _one(caller: Caller, count: int, rounds: int = ROUNDS) -> list[float]:
    """Milliseconds to the last answer of queries for one study: by its UID, by accession number."""
    chance = random.Random(3)
    taken = []
    for number in range(rounds):
        study = chance.randint(1, count)
        keys = {"StudyInstanceUID": f"1.2.826.0.1.{study}"} if number % 2 else {"AccessionNumber": f"ACC{study:08d}"}
        seconds, found = caller.find(**keys)
        if found != 1:
            raise RuntimeError(f"{found} answers instead of one for {keys}")
        taken.append(seconds * 1000)
    return taken


def _orthanc(folder: Path, count: int) -> tuple[float, list[float]]:
    with orthanc(folder, 104) as (port, client):
        client.put("/modalities/bench", json=["BENCHFIND", "127.0.0.1", 104]).raise_for_status()
        sender = Sender(port, called="ORTHANC")
        for item in _objects(count):
            status, words = sender.send(item)
            if status != 0:
                raise RuntimeError(f"Orthanc takes no object: {status:04X} {words}")
        sender.release()
        with contextlib.closing(Caller(port, "ORTHANC")) as caller:
            return _answers(caller, count), _one(caller, count)


def _ours(data: Path, count: int, push: bool) -> tuple[float, list[float], list[float]]:
    """Answers a second, and one-study queries alone and while four senders push."""
    live_server.start(data).stop()
    database = open_database(boot.load({"data": data}, environ={}))
    bulk.fill(database, count)
    database.dispose()
    with live_server.running(data) as live, live.client() as client:
        node = {"name": "bench", "ae_title": "BENCHFIND", "host": "127.0.0.1", "port": 104}
        client.post("/api/v1/nodes", json=node).raise_for_status()
        with contextlib.closing(Caller(live.dicom_port, "FILMROOM")) as caller:
            rate, single = _answers(caller, count), _one(caller, count)
            if not push:
                return rate, single, []
            with _Push(live.dicom_port, 4):
                return rate, single, _one(caller, count)


def run() -> list[Row]:
    rows = []
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        theirs, their_single = _orthanc(Path(name) / "orthanc", STUDIES)
        for count, push in ((STUDIES, False), (LARGE, True)):
            rate, single, loaded = _ours(Path(name) / f"ours-{count}", count, push)
            group = "C-FIND"
            if count == STUDIES:
                rows.append(Row(group, f"{count:,} studies: answers", rate, "/s", "Orthanc", theirs))
                what = f"{count:,} studies: last answer of one study, median"
                rows.append(
                    Row(group, what, median(single), "ms", "Orthanc", median(their_single), less_is_better=True)
                )
            else:
                rows.append(Row(group, f"{count:,} studies: answers", rate, "/s"))
            what = f"{count:,} studies: last answer of one study, p95"
            rows.append(Row(group, what, p95(single), "ms", "goal", GOAL, less_is_better=True))
            if loaded:
                rows.append(
                    Row(group, f"{what}, four senders pushing", p95(loaded), "ms", "limit", LIMIT, less_is_better=True)
                )
    return rows
