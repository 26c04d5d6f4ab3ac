"""Mutated objects into the archive: each is stored, refused or kept aside, in time, and what was stored can be read."""

import random
import time
import traceback
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path

import pydicom.data
from pydicom import dcmread

from app.archive import Source
from app.kit.errors import AppError
from tests.fuzz.mutate import mutated
from tests.fuzz.watch import Faults, Report
from tests.support.client import Web

_LIMIT = 5.0  # seconds one object may take
_LARGEST = 64 * 1024


def seeds() -> list[bytes]:
    """Small real objects of many kinds, as the pydicom package brings them along."""
    paths = sorted((Path(pydicom.data.__file__).parent / "test_files").rglob("*.dcm"))
    found = [p.read_bytes() for p in paths if p.stat().st_size <= _LARGEST]
    return [data for data in found if data[128:132] == b"DICM"]


def run(web: Web, originals: Sequence[bytes], count: int, seed: int) -> Report:
    """Each object gets a SOP Instance UID of its own before it is mutated, so that most are new to the archive; what was
    stored is then asked for in every form that is made of it."""
    report = Report()
    with Faults() as faults:
        for number in range(count):
            chance = random.Random(f"{seed}-{number}")
            data = mutated(chance, _renamed(chance.choice(originals), number), most=6)
            started = time.monotonic()
            for fault in _one(web, data, report):
                report.faults.append(f"seed {seed}, object {number}: {fault}")
            spent = time.monotonic() - started
            report.worst = max(report.worst, spent)
            if spent > _LIMIT:
                report.faults.append(f"seed {seed}, object {number}: {spent:.1f} s")
            report.done += 1
            if number == count // 10:
                report.level()
    report.faults += faults.found
    report.end()
    return report


def _renamed(data: bytes, number: int) -> bytes:
    """With another SOP Instance UID of the same length, in file meta and data set."""
    meta = dcmread(BytesIO(data), specific_tags=[], force=True).file_meta
    own = str(meta.get("MediaStorageSOPInstanceUID", ""))
    if len(own) < 20:
        return data
    return data.replace(own.encode(), f"{own[:-9]}1{number:08d}".encode())


def _one(web: Web, data: bytes, report: Report) -> Iterator[str]:
    archive = web.services.archive
    incoming = archive.receive(Source(kind="upload", actor_name="fuzz"))
    try:
        incoming.write(data)
        outcome = archive.ingest(incoming)
    except AppError:
        archive.discard(incoming)
        report.count("refused")
        return
    except Exception:  # this is what is looked for
        archive.discard(incoming)
        yield traceback.format_exc()
        return
    report.count(outcome.status)
    if outcome.status == "stored":
        series = f"/dicom-web/studies/{outcome.study_instance_uid}/series/{outcome.series_instance_uid}"
        instance = f"{series}/instances/{outcome.sop_instance_uid}"
        for path in (f"{instance}/metadata", f"{instance}/rendered", f"{instance}/frames/1", instance):
            answer = web.admin.get(path)
            if answer.status_code >= 500 and answer.status_code != 501:
                yield f"{path.rsplit('/', 1)[-1]} answered {answer.status_code}: {answer.text[:300]}"
