"""Hostile patterns in every filter of every interface: each request costs little processor time, and is answered by something
else than a fault of ours. The addresses and their parameters are read from the application, so a new filter is tried too.

Each place gets a few of the patterns, chosen by its name; `make test-long` tries all of them everywhere."""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, get_args
from urllib.parse import quote

import httpx
import pytest
import re2
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, iter_route_contexts
from pydantic import BaseModel
from pydicom.dataelem import DataElement

from app import config as boot
from app.kit.logging import mask, mask_trace
from app.routing.patterns import condition_holds
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
PAGES_SAMPLE, SAMPLE = 2, 4  # patterns tried at one place
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


Chosen = Callable[..., list[str]]


@pytest.fixture(params=["some", pytest.param("all", marks=pytest.mark.long)])
def chosen(request: pytest.FixtureRequest) -> Chosen:
    """Called with the name of a place and how many: the patterns to be tried there."""

    def choose(place: str, count: int = SAMPLE, among: Sequence[str] = PATTERNS) -> list[str]:
        return list(among) if request.param == "all" else random.Random(place).sample(among, count)

    return choose


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


def _filters(config: boot.Config) -> list[tuple[str, set[str]]]:
    """(path, names of the query parameters that take any text) of every address that is read."""
    return [
        (route.path, _texts(route.dependant))
        for route in iter_route_contexts(create_app(config).routes)
        if isinstance(route.original_route, APIRoute)
        and route.path is not None
        and "GET" in (route.methods or ())
        and "{" not in route.path
        and not route.path.startswith(("/dicom-web", "/wado", "/events"))
    ]


def _texts(dependant: Dependant) -> set[str]:
    own: set[str] = set()
    for field in dependant.query_params:
        kind = field.field_info.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            own |= {name for name, inner in kind.model_fields.items() if _is_text(inner.annotation)}
        elif _is_text(kind):
            own.add(field.alias)
    return own.union(*map(_texts, dependant.dependencies))


def _is_text(kind: object) -> bool:
    return kind is str or str in get_args(kind)


_PLAIN = ("q", "name", "id", "born", "date", "desc", "acc", "facility", "node", "user", "verb", "text", "search")


def test_every_filter_of_rest_and_pages(station: Live, sqlite_config: boot.Config, chosen: Chosen) -> None:
    """Each parameter alone, because one that is refused would hide the others. Pages read some of theirs themselves, so
    the usual names come once more, together."""
    budget, faults = Budget(station, "web"), []
    filters = _filters(sqlite_config)
    assert len(filters) > 80 and {"text", "patient_name"} <= dict(filters)["/api/v1/studies"]
    with station.client() as client:
        _sign_in(client)
        for path, names in filters:
            together = () if path.startswith("/api/") else (_PLAIN,)
            for asked in (*((name,) for name in sorted(names)), *together):
                for pattern in chosen(f"{path} {asked}", PAGES_SAMPLE):
                    values = dict.fromkeys(asked, _fitting(pattern, 40_000 // len(asked)))
                    what = f"{path} {asked} {pattern[:20]!r}"
                    answer = budget.spend(what, lambda: client.get(path, params=values))  # noqa: B023
                    if answer.status_code >= 500:
                        faults.append(f"{what}: {answer.status_code}")
    assert not faults, "\n".join(faults)


def _fitting(pattern: str, size: int) -> str:
    """As much of it as takes so many characters in an address."""
    return pattern[: size * len(pattern) // max(size, len(quote(pattern)))]


def _sign_in(client: httpx.Client) -> None:
    client.post("/api/v1/sessions", json={"user": "admin", "password": PASSWORD}).raise_for_status()


_OWN = {
    "studies": KEYWORDS,
    "series": ("PatientName", "SeriesDescription"),
    "instances": ("PatientName", "ImageComments"),
}


@pytest.mark.parametrize("level", _OWN)
def test_qido(station: Live, level: str, chosen: Chosen) -> None:
    budget, faults = Budget(station, "web"), []
    with station.client() as client:
        for keyword in _OWN[level]:
            for pattern in chosen(level + keyword):
                for more in ({}, {"fuzzymatching": "true"}) if keyword == "PatientName" else ({},):
                    asked = {keyword: pattern} | more
                    what = f"{level} {keyword} {pattern[:20]!r}"
                    answer = budget.spend(what, lambda: client.get(f"/dicom-web/{level}", params=asked))  # noqa: B023
                    if answer.status_code >= 500:
                        faults.append(f"{what}: {answer.status_code}")
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("header", ["accept", "content-type", "range", "if-none-match", "accept-language", "cookie"])
def test_headers(station: Live, header: str, chosen: Chosen) -> None:
    budget, faults = Budget(station, "web"), []
    values = [";" * 20_000, ';"' * 10_000, "a/b," * 8000, "a/b;q=0.1," * 3000, "a=b;" * 8000, "=?utf-8?q?" * 3000,
        "a/b;x*0*=a;" * 3000, "x" + " " * 30_000 + "x", "bytes=" + "0-1," * 8000, '"' * 30_000, "en;q=0.1," * 4000, "(" * 30_000]  # fmt: skip
    with station.client() as client:
        for value in chosen(header, among=values):
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
def test_find(station: Live, level: str, chosen: Chosen) -> None:
    budget = Budget(station, "dicom")
    above = {"SERIES": {"PatientID": LETTERS, "StudyInstanceUID": "1.2.3.0"}}
    above["IMAGE"] = above["SERIES"] | {"SeriesInstanceUID": "1.2.3.0.1"}
    with connected(station.dicom_port, calling="BENCH") as association:
        for keyword in _LEVELS[level]:
            for pattern in chosen(level + keyword):
                text = pattern.encode("ascii", "ignore").decode().replace("\x00", "")[:4000]
                keys = data_set(QueryRetrieveLevel=level, **above.get(level, {}))
                keys.add(DataElement(keyword, "UT", text))  # longer than its VR allows, as a hostile caller sends it
                what = f"{level} {keyword} {text[:20]!r}"
                found = budget.spend(what, lambda: ask(association, PATIENT_ROOT, keys))  # noqa: B023
                assert found.status >= 0, f"{what}: no answer"


@pytest.mark.parametrize("op", ["wildcard", "regex", "contains", "is", "greater", "between"])
def test_conditions_of_routes(op: str, chosen: Chosen) -> None:
    for pattern in chosen(op):
        started = time.thread_time()
        for field in ("StudyDescription", "PatientAge", "StudyDate", "StudyTime"):
            for value in ("a" * 10_240, pattern):
                try:
                    condition_holds(field, op, [pattern, pattern] if op == "between" else pattern, [value])
                except re2.error:
                    assert op == "regex", "the form refuses what is no regular expression"
        assert time.thread_time() - started < CPU_SECONDS, pattern[:20]


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


LIST = "\\".join(f"V{number}" for number in range(3000))
LISTED = {
    "PatientName": LIST, "PatientID": LIST, "StudyDescription": LIST, "AccessionNumber": LIST, "ModalitiesInStudy": LIST,
    "RetrieveAETitle": LIST, "PatientComments": LIST, "ReferringPhysicianName": LIST, "PatientAge": LIST,
    "StudyDate": "\\".join(["20200101"] * 3000), "StudyTime": "\\".join(["12"] * 3000),
    "NumberOfStudyRelatedInstances": "\\".join(map(str, range(3000))), "PatientWeight": "\\".join(map(str, range(3000))),
    "StudyInstanceUID": "\\".join(f"1.{number}" for number in range(30_000)),
}  # fmt: skip
UNREAD = ("RetrieveAETitle",)  # our own title is told, whatever is asked


@pytest.mark.parametrize("wild", ["", "*"])
def test_long_lists_are_refused_in_words(station: Live, wild: str) -> None:
    """Of every value representation, by C-FIND: bounded, with the status that says so, and the receiver goes on."""
    budget = Budget(station, "dicom")
    with connected(station.dicom_port, calling="BENCH") as association:
        for keyword, values in LISTED.items():
            keys = data_set(QueryRetrieveLevel="STUDY")
            text = values.replace("\\", f"{wild}\\")
            keys.add(DataElement(keyword, "UT", text))
            found = budget.spend(keyword, lambda: ask(association, PATIENT_ROOT, keys))  # noqa: B023
            if keyword in UNREAD:
                assert found.status == 0, found
                continue
            assert found.status in (0xA700, 0xC000), (keyword, found)
            assert found.words.startswith("At most") or found.offending, (keyword, found.words)


def test_lists_as_long_as_allowed_are_answered(station: Live) -> None:
    budget = Budget(station, "dicom")
    values = "\\".join([*(str(number) for number in range(199)), f"{LETTERS[:-1]}*"])
    uids = "\\".join(["1.2.3.0", *(f"1.{number}" for number in range(19_000))])
    wanted = [("PatientName", values, 3), ("PatientID", LETTERS, 3), ("StudyDescription", values, 3)]
    with connected(station.dicom_port, calling="BENCH") as association:
        for keyword, text, count in [*wanted, ("StudyInstanceUID", uids, 1)]:
            keys = data_set(QueryRetrieveLevel="STUDY")
            keys.add(DataElement(keyword, "UT", text))
            found = budget.spend(keyword, lambda: ask(association, PATIENT_ROOT, keys))  # noqa: B023
            assert (found.status, len(found.answers)) == (0, count), (keyword, found.words)
