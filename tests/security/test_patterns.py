"""Hostile patterns in every filter of every interface: each request costs little processor time, and is answered by something
else than a fault of ours. The addresses and their parameters are read from the application, so a new filter is tried too."""

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import re2
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydicom.dataelem import DataElement

from app import config as boot
from app.http import i18n
from app.kit.logging import mask, mask_trace
from app.routing.patterns import holds
from app.server import create_app
from tests.archive.make import ct_bytes
from tests.support.finding import PATIENT_ROOT, ask, connected, data_set
from tests.support.live import PASSWORD, Live, running

pytestmark = pytest.mark.slow
CPU_SECONDS = 3.0  # of one request; measured below 0.2 s on a free machine
LETTERS = "a" * 64

PATTERNS = [
    "*a" * 14 + "*b",
    "*?a" * 20 + "b",
    "%a" * 30 + "%b",
    "*" * 3000 + "b",
    "*a" * 2000 + "*b",
    "?" * 4000,
    "a " * 4000,
    "a* " * 2000,
    " ".join(f"a{number}" for number in range(2000)),
    "*".join(f"a{number}" for number in range(2000)),
    "(a+)+$",
    "(" * 3000,
    "[" * 3000,
    '"' * 3001,
    "\\" * 3000,
    "=^" * 3000,
    " " * 12_000 + "b",
    "\U0001f600" * 4000,
    "a\u0301" * 4000,
    "-" * 4000,
    "." * 4000,
    "9" * 5000,
    "²",
    "1e999",
    "NaN",
    "\x00",
    "{" * 3000 + "}",
    "a NEAR/2 b OR NOT (a* AND",
    "::::::" * 1000,
]
KEYWORDS = ("PatientName", "PatientID", "StudyDescription", "ReferringPhysicianName", "AccessionNumber", "StudyID",
    "ModalitiesInStudy", "StudyDate", "StudyTime", "StudyInstanceUID", "SeriesDescription", "Modality", "InstanceNumber",
    "ImageComments", "InstitutionName", "RequestAttributesSequence.ScheduledProcedureStepID", "PatientAge", "SliceThickness",
)  # fmt: skip


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """With objects whose texts are as long and as uniform as attributes may be."""
    with running(tmp_path_factory.mktemp("patterns") / "data") as live, live.client() as client:
        for number in range(3):
            made = ct_bytes(
                f"1.2.3.{number}.1.1", f"1.2.3.{number}", f"1.2.3.{number}.1", PatientName=LETTERS, PatientID=LETTERS,
                StudyDescription=LETTERS, SeriesDescription=LETTERS, ReferringPhysicianName=LETTERS,
                InstitutionName=LETTERS, ImageComments="a" * 10_240,
            )  # fmt: skip
            headers = {"content-type": "application/dicom"}
            client.post("/api/v1/imports", content=made, headers=headers).raise_for_status()
        node = {"name": "scu", "ae_title": "BENCH", "host": "127.0.0.1", "port": 104}
        client.post("/api/v1/nodes", json=node).raise_for_status()
        yield live


class Budget:
    """Processor time of a role. Use as a context manager around one request."""

    def __init__(self, live: Live, role: str) -> None:
        (self._pid,) = live.role_pids(role)

    def seconds(self) -> float:
        fields = Path(f"/proc/{self._pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / 100

    def spend(self, what: str, request: Any) -> Any:
        before, started = self.seconds(), time.monotonic()
        answer = request()
        spent = self.seconds() - before
        assert spent < CPU_SECONDS, f"{what}: {spent:.1f} s of processor time, {time.monotonic() - started:.1f} s"
        return answer


def _filters(config: boot.Config) -> list[tuple[str, list[str]]]:
    """(path, names of its query parameters) of every address that is read."""
    found = []
    app = create_app(config)
    for route in app.routes:
        if isinstance(route, APIRoute) and "GET" in (route.methods or ()) and "sign-out" not in route.path:
            found.append((route.path, sorted(_names(route.dependant))))
    return found


def _names(dependant: Dependant) -> set[str]:
    own = {field.alias for field in dependant.query_params}
    return own.union(*map(_names, dependant.dependencies))


_PLAIN = ("q", "name", "id", "born", "date", "desc", "acc", "facility", "node", "user", "verb", "text", "search")


def test_every_filter_of_rest_and_pages(station: Live, sqlite_config: boot.Config) -> None:
    """All parameters of an address at once: the pages' read theirs themselves, so the usual names come on top."""
    budget = Budget(station, "web")
    faults = []
    with station.client() as client:
        _sign_in(client)
        for path, names in _filters(sqlite_config):
            if "{" in path or path.startswith(("/dicom-web", "/wado", "/events")):
                continue
            for pattern in PATTERNS:
                asked = dict.fromkeys((*names, *_PLAIN), pattern)
                if sum(map(len, asked.values())) * 3 > 45_000:
                    asked = {name: text[: 12_000 // len(asked)] for name, text in asked.items()}
                answer = budget.spend(f"{path} {pattern[:20]!r}", lambda: client.get(path, params=asked))  # noqa: B023
                if answer.status_code >= 500:
                    faults.append(f"{path} {pattern[:20]!r}: {answer.status_code}")
    assert not faults, "\n".join(faults)


def _sign_in(client: httpx.Client) -> None:
    client.post("/api/v1/sessions", json={"user": "admin", "password": PASSWORD}).raise_for_status()


_OWN = {
    "studies": KEYWORDS,
    "series": ("PatientName", "SeriesDescription"),
    "instances": ("PatientName", "ImageComments"),
}


@pytest.mark.parametrize("level", _OWN)
def test_qido(station: Live, level: str) -> None:
    budget, faults = Budget(station, "web"), []
    with station.client() as client:
        for keyword in _OWN[level]:
            for pattern in PATTERNS:
                for more in ({}, {"fuzzymatching": "true"}) if keyword == "PatientName" else ({},):
                    asked = {keyword: pattern} | more
                    what = f"{level} {keyword} {pattern[:20]!r}"
                    answer = budget.spend(what, lambda: client.get(f"/dicom-web/{level}", params=asked))  # noqa: B023
                    if answer.status_code >= 500:
                        faults.append(f"{what}: {answer.status_code}")
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("header", ["accept", "content-type", "range", "if-none-match", "accept-language", "cookie"])
def test_headers(station: Live, header: str) -> None:
    budget, faults = Budget(station, "web"), []
    values = [";" * 20_000, ';"' * 10_000, "a/b," * 8000, "a/b;q=0.1," * 3000, "a=b;" * 8000, "=?utf-8?q?" * 3000,
        "a/b;x*0*=a;" * 3000, "x" + " " * 30_000 + "x", "bytes=" + "0-1," * 8000, '"' * 30_000, "en;q=0.1," * 4000, "(" * 30_000]  # fmt: skip
    with station.client() as client:
        for value in values:
            sent = {header: value}
            for path in ("/dicom-web/studies", "/dicom-web/studies/1.2.3.0", "/api/v1/studies", "/login"):
                answer = budget.spend(f"{path} {value[:20]!r}", lambda: client.get(path, headers={header: value}))  # noqa: B023
                if answer.status_code >= 500:
                    faults.append(f"{path} {value[:20]!r}: {answer.status_code}")
            answer = budget.spend(f"POST {value[:20]!r}", lambda: client.post("/dicom-web/studies", headers=sent))  # noqa: B023
            if answer.status_code >= 500:
                faults.append(f"POST {value[:20]!r}: {answer.status_code}")
    assert not faults, "\n".join(faults)


_LEVELS = {
    "PATIENT": ("PatientName", "PatientID", "PatientComments"),
    "STUDY": ("PatientName", "StudyDescription", "ReferringPhysicianName", "AccessionNumber", "InstitutionName"),
    "SERIES": ("SeriesDescription", "Modality", "InstitutionName"),
    "IMAGE": ("ImageComments", "InstitutionName"),
}


@pytest.mark.parametrize("level", _LEVELS)
def test_find(station: Live, level: str) -> None:
    budget = Budget(station, "dicom")
    above = {"SERIES": {"PatientID": LETTERS, "StudyInstanceUID": "1.2.3.0"}}
    above["IMAGE"] = above["SERIES"] | {"SeriesInstanceUID": "1.2.3.0.1"}
    with connected(station.dicom_port, calling="BENCH") as association:
        for keyword in _LEVELS[level]:
            for pattern in PATTERNS:
                text = pattern.encode("ascii", "ignore").decode().replace("\x00", "")[:4000]
                keys = data_set(QueryRetrieveLevel=level, **above.get(level, {}))
                keys.add(DataElement(keyword, "UT", text))  # longer than its VR allows, as a hostile caller sends it
                what = f"{level} {keyword} {text[:20]!r}"
                found = budget.spend(what, lambda: ask(association, PATIENT_ROOT, keys))  # noqa: B023
                assert found.status >= 0, f"{what}: no answer"


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("op", ["wildcard", "regex", "contains", "is", "greater", "between"])
def test_conditions_of_routes(op: str, pattern: str) -> None:
    started = time.thread_time()
    for field in ("StudyDescription", "PatientAge", "StudyDate", "StudyTime"):
        for value in ("a" * 10_240, pattern):
            try:
                holds(field, op, [pattern, pattern] if op == "between" else pattern, [value])
            except re2.error:
                assert op == "regex", "the form refuses what is no regular expression"
    assert time.thread_time() - started < CPU_SECONDS


@pytest.mark.parametrize(
    "text",
    [*PATTERNS, "password " * 5000, "password" + " " * 50_000, "=(" * 30_000, "'" * 50_001, "^" * 30_000, "?" * 30_000,
        "Patient Name" * 5000, "a^" * 30_000, "[parameters: " * 5000, "://a:" * 10_000],
)  # fmt: skip
def test_masking_of_logs(text: str) -> None:
    started = time.thread_time()
    mask(text)
    mask_trace(text)
    assert time.thread_time() - started < CPU_SECONDS


@pytest.mark.parametrize("text", PATTERNS)
def test_translation_of_sentences(text: str) -> None:
    """Sentences that quote what a user sent are recognised by their templates."""
    started = time.thread_time()
    for template in list(i18n.strings("es"))[::40]:
        around = re.sub(r"\{\w+[^{}]*\}", "{}", template).split("{}")
        hostile = (text[:400] + " ").join(around) * 3
        i18n.use("es")
        i18n.say(hostile)
    assert time.thread_time() - started < 3 * CPU_SECONDS
