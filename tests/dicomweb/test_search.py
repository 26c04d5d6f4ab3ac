"""QIDO-RS against a naive filter over pydicom's reading of every stored file."""

from typing import Any

import httpx
import pytest
from pydicom.datadict import dictionary_VR

from app.archive.search.columns import SERIES, STUDY
from app.dicom import dicomjson, dicomxml, names
from app.dicom.matching import Key, attribute_path, matches
from tests.support.multiparts import parts_of
from tests.support.served import Served

QUERIES: list[tuple[str, dict[str, str]]] = [
    ("studies", {}),
    ("studies", {"PatientID": "*"}),
    ("studies", {"PatientID": "LIDC*"}),
    ("studies", {"PatientName": "*^*"}),
    ("studies", {"PatientName": "compressedsamples^ct1"}),
    ("studies", {"PatientName": "anon", "fuzzymatching": "true"}),
    ("studies", {"StudyDate": "20040101-20041231"}),
    ("studies", {"StudyDate": "-20000101"}),
    ("studies", {"StudyTime": "10-12"}),
    ("studies", {"StudyTime": "-0800"}),
    ("studies", {"AccessionNumber": "*1"}),
    ("studies", {"StudyDescription": "*a*"}),
    ("studies", {"ReferringPhysicianName": "*"}),
    ("studies", {"PatientSex": "F"}),
    ("studies", {"PatientBirthDate": "19000101-19701231"}),
    ("studies", {"00100021": "*"}),
    ("series", {"Modality": "MR"}),
    ("series", {"Modality": "C*"}),
    ("series", {"SeriesNumber": "1"}),
    ("series", {"SeriesDescription": "*"}),
    ("series", {"Manufacturer": "SIEMENS"}),
    ("series", {"BodyPartExamined": "HEAD"}),
    ("series", {"PatientID": "LIDC-IDRI-0314"}),
    ("series", {"SeriesDate": "20000101-"}),
    ("instances", {"InstanceNumber": "3"}),
    ("instances", {"Rows": "512", "Modality": "CT"}),
    ("instances", {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.2,1.2.840.10008.5.1.4.1.1.4"}),
    ("instances", {"ContentDate": "20040101-20101231"}),
    ("instances", {"NumberOfFrames": "10"}),
    ("instances", {"PatientName": "x*y*z*"}),
    ("instances", {"KVP": "120"}),
    ("instances", {"PixelSpacing": "0.3125", "Modality": "MR"}),
]
_LEVEL = {
    "studies": ("0020000D", "study_instance_uid"),
    "series": ("0020000E", "series_instance_uid"),
    "instances": ("00080018", "sop_instance_uid"),
}


@pytest.fixture(scope="module")
def every(served: Served) -> list[tuple[Any, dict[str, Any]]]:
    """(outcome, DICOM JSON by pydicom) of every file that pydicom reads as what it is."""
    read = [(one.outcome, dicomjson.to_json(one.read(), inline_limit=None)) for one in served.stored]
    return [
        (o, model)
        for o, model in read
        if (model.get("00080018", {}).get("Value"), model.get("00080016", {}).get("Value"))
        == ([o.sop_instance_uid], [o.sop_class_uid])
    ]


def _get(client: httpx.Client, level: str, query: dict[str, str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while True:
        answer = client.get(f"/dicom-web/{level}", params={**query, "limit": "200", "offset": str(len(found))})
        assert answer.status_code == 200, answer.text
        page = answer.json()
        found += page
        if len(page) < 200:
            return found


@pytest.mark.parametrize(
    ("level", "query"), QUERIES, ids=[f"{lv}-{'-'.join(q) or 'all'}-{n}" for n, (lv, q) in enumerate(QUERIES)]
)
def test_it_finds_what_a_naive_filter_finds(
    served: Served, every: list[Any], level: str, query: dict[str, str]
) -> None:
    tag, column = _LEVEL[level]
    fuzzy = query.get("fuzzymatching") == "true"
    keys = [
        Key(attribute_path(k), str(dictionary_VR(attribute_path(k)[-1])), v)
        for k, v in query.items()
        if k != "fuzzymatching"
    ]
    expected = {getattr(o, column) for o, model in every if matches(model, keys, fold=names.fold, fuzzy=fuzzy)}
    with served.client() as client:
        found = [model[tag]["Value"][0] for model in _get(client, level, query)]
    assert len(found) == len(set(found)), "a page repeated something"
    compared = {getattr(o, column) for o, _ in every} - {getattr(o, column) for o in _mixed(every, keys, fuzzy)}
    assert set(found) & compared == expected & compared
    assert len(compared) > 40


def _mixed(every: list[Any], keys: list[Key], fuzzy: bool) -> list[Any]:
    """Objects of studies (series) whose files do not agree about their own study (series): the index believes the first
    that came, so a filter by file may say something else."""
    found = []
    for columns, name in ((STUDY, "study_instance_uid"), (SERIES, "series_instance_uid")):
        asked = [key for key in keys if ".".join(key.path) in columns]
        answers: dict[str, set[bool]] = {}
        for o, model in every:
            answers.setdefault(getattr(o, name), set()).add(matches(model, asked, fold=names.fold, fuzzy=fuzzy))
        found += [o for o, _ in every if len(answers[getattr(o, name)]) > 1]
    return found


def test_a_wrong_query_is_400_and_says_why(served: Served) -> None:
    with served.client() as client:
        for query in (
            "Nonsense=1",
            "StudyDate=abc",
            "StudyDate=20240101--",
            "limit=-1",
            "limit=x",
            "offset=1.5",
            "fuzzymatching=maybe",
            "0010=1",
            "PatientID.Rows=1",
        ):
            answer = client.get(f"/dicom-web/studies?{query}")
            assert answer.status_code == 400, query
            assert answer.headers["content-type"].startswith("application/problem+json")
        uid = served.stored[0].outcome.study_instance_uid
        assert client.get(f"/dicom-web/studies/{uid}/series?StudyInstanceUID=1.2.3").status_code == 400
        assert client.get("/dicom-web/studies", headers={"Accept": "text/html"}).status_code == 406
        assert client.get("/dicom-web/studies/1.2.3/series").json() == []


def test_more_than_fits_is_warned_about(served: Served) -> None:
    with served.client() as client:
        first = client.get("/dicom-web/instances?limit=5")
        assert len(first.json()) == 5
        assert "warning" not in first.headers  # asked for five, got five
        assert client.get("/dicom-web/studies?includefield=Nonsense").headers["warning"].startswith("299 ")


def test_included_fields_come_from_the_header(served: Served) -> None:
    ct = served.named("ct_chest_lidc0314").read()
    with served.client() as client:
        base = f"/dicom-web/studies/{ct.StudyInstanceUID}"
        plain = client.get(f"{base}/series/{ct.SeriesInstanceUID}/instances").json()[0]
        assert "00180060" not in plain
        named = client.get(
            f"{base}/series/{ct.SeriesInstanceUID}/instances?includefield=KVP,00180050&includefield=SliceLocation"
        ).json()[0]
        assert {"00180060", "00180050", "00201041"} <= set(named)
        everything = client.get(f"{base}/instances?includefield=all&limit=1").json()[0]
        assert len(everything) > 60
        assert "bulkdata:" not in str(everything)
        assert everything["7FE00010"]["BulkDataURI"].endswith("/bulkdata/7FE00010")


def test_results_in_xml(served: Served) -> None:
    with served.client() as client:
        accept = {"Accept": 'multipart/related; type="application/dicom+xml"'}
        answer = client.get("/dicom-web/studies?limit=3", headers=accept)
        models = [dicomxml.to_model(body) for _, body in parts_of(answer.content, answer.headers["content-type"])]
        assert [m["0020000D"] for m in models] == [
            m["0020000D"] for m in client.get("/dicom-web/studies?limit=3").json()
        ]


def test_pages_do_not_overlap(served: Served) -> None:
    def uids(client: httpx.Client, query: str) -> list[str]:
        return [m["00080018"]["Value"][0] for m in client.get(f"/dicom-web/instances?{query}").json()]

    with served.client() as client:
        whole = uids(client, "limit=60&PatientName=*a*")
        assert whole == [u for n in range(0, 60, 13) for u in uids(client, f"limit=13&offset={n}&PatientName=*a*")][:60]
