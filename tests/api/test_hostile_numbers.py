"""Numbers that strangers send: whatever stands in a parameter, header, body or cursor, the answer is never a fault of ours."""

import base64
import json
import re
from pathlib import Path
from typing import Any

import pytest
from fastapi.openapi.utils import get_openapi

from app.dicomweb import params as search_parameters
from app.dicomweb import wado_uri
from app.http.bodies import RangeNotSatisfiable, byte_range
from app.kit.numbers import parse_decimal, parse_integer
from tests.archive.make import ct_bytes
from tests.support.client import Web

HOSTILE = [
    "²",
    "1e999",
    "NaN",
    "-0",
    "1_000",
    "٣",
    "9" * 20,
    "9" * 5000,
    "-1",
    "0x10",
    "1.5",
    "",
    " 7 ",
    "+5",
    "Infinity",
    "5\x00",
    "１",
]
CURSORS = [
    json.dumps(["date", [[[[1]]]], 1, 1, False]), json.dumps(["date", 10**20, 1, 1, False]),
    json.dumps(["date", 1, 10**20, 1, False]), "[" * 5000, '["date", NaN, 1, 1, false]', json.dumps({"a": {"b": [1]}}),
    '["date", 1e999, 1, 1, false]', '["date", ' + "9" * 5000 + ", 1, 1, false]", json.dumps(["received", "0001-01-01T00:00:00+14:00", 1, 1, False]),
]  # fmt: skip
_SLOW = frozenset(("/api/v1/events", "/api/v1/events/poll"))


def _openapi(web: Web) -> dict[str, Any]:
    return get_openapi(title="Filmroom", version="1", routes=web.app.routes)


def _operations(web: Web) -> list[tuple[str, str, dict[str, Any]]]:
    paths = _openapi(web)["paths"]
    return [(method, path, told) for path, of in paths.items() for method, told in of.items()]


def _is_number(schema: dict[str, Any]) -> bool:
    kinds = [schema, *schema.get("anyOf", [])]
    return any(one.get("type") in ("integer", "number") for one in kinds)


def _address(path: str) -> str:
    return "/".join("1" if part.startswith("{") else part for part in path.split("/"))


def test_the_document_names_every_parameter_of_dicomweb(web: Web) -> None:
    """What is read from the query string by hand stands in the OpenAPI document, too."""
    told = {
        path: {one["name"] for one in of["get"].get("parameters", []) if one["in"] == "query"}
        for path, of in _openapi(web)["paths"].items()
        if "get" in of
    }
    assert (
        search_parameters._CONTROL - {"charset"}
        <= told["/dicom-web/studies"] & told["/dicom-web/studies/{study}/series"] & told["/dicom-web/instances"]
    )
    for path, names in told.items():
        if path.startswith(("/dicom-web/", "/wado")):
            assert "accept" in names or "contentType" in names, path
        if path.endswith("/rendered"):
            assert {"window", "presentationUID"} <= names, path
    read = set(re.findall(r'query(?:\.get\(|, )"([A-Za-z]+)"', Path(wado_uri.__file__).read_text()))
    assert read - {"anonymize"} <= told["/wado"]


@pytest.mark.parametrize("kind", ["query", "path"])
def test_every_parameter_of_rest(web: Web, kind: str) -> None:
    tried, bad = 0, []
    for method, path, told in _operations(web):
        for parameter in told.get("parameters", []):
            name = parameter["name"]
            if parameter["in"] != kind or path in _SLOW or (method != "get" and kind == "query"):
                continue
            if (
                kind == "query"
                and not _is_number(parameter["schema"])
                and name not in ("cursor", "window", "part", "after")
            ):
                continue
            for value in HOSTILE[:11]:
                if kind == "path":
                    if method != "get" or not value or len(value) > 100:
                        continue
                    answer = web.admin.get(_address(path.replace("{" + name + "}", value)))
                else:
                    answer = web.admin.get(_address(path), params={name: value})
                tried += 1
                if answer.status_code >= 500:
                    bad.append((path, name, value[:30], answer.status_code))
    assert not bad
    assert tried > 50


def test_every_number_in_a_body(web: Web) -> None:
    """Numbers deep in JSON: NaN and 1e999 are what Python's reader lets through."""
    bad = []
    for method, path, told in _operations(web):
        if method not in ("post", "put", "patch") or "application/json" not in told.get("requestBody", {}).get(
            "content", {}
        ):
            continue
        schema = told["requestBody"]["content"]["application/json"]["schema"]
        names = list(_properties(web, schema))
        for raw in ("NaN", "1e999", "9" * 400, "-1", "[[[1]]]", '"²"'):
            body = "{" + ", ".join(f"{json.dumps(name)}: {raw}" for name in names) + "}"
            answer = web.admin.request(
                method.upper(), _address(path), content=body.encode(), headers={"Content-Type": "application/json"}
            )
            if answer.status_code >= 500:
                bad.append((method, path, raw[:10], answer.status_code))
    assert not bad


def _properties(web: Web, schema: dict[str, Any]) -> list[str]:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        schema = _openapi(web)["components"]["schemas"][name]
    return list(schema.get("properties", {})) or ["a"]


def test_cursors(web: Web) -> None:
    for path in (
        "/api/v1/studies",
        "/api/v1/patients",
        "/api/v1/audit",
        "/api/v1/transfers",
        "/api/v1/conflicts",
        "/api/v1/operations",
    ):
        for text in CURSORS:
            for cursor in (base64.urlsafe_b64encode(text.encode()).decode().rstrip("="), text[:6000], "²", "9" * 20):
                answer = web.admin.get(path, params={"cursor": cursor})
                assert answer.status_code < 500, (path, text[:40])


@pytest.mark.parametrize(
    "page",
    [
        "/storage",
        "/query",
        "/transfers",
        "/incoming",
        "/operations",
        "/print",
        "/routes",
        "/users",
        "/health",
        "/viewer",
    ],
)
def test_pages(web: Web, page: str) -> None:
    for value in (*HOSTILE[:7], "9" * 400, "a:²:1e999:NaN"):
        names = (
            "page",
            "limit",
            "since",
            "cursor",
            "after",
            "offset",
            "size",
            "items",
            "born",
            "days",
            "hours",
            "frame",
            "at",
            "row",
        )
        answer = web.admin.get(page, params=dict.fromkeys(names, value))
        assert answer.status_code < 500, (page, value[:20])


def test_pictures_and_frames(web: Web, shared_data: Path) -> None:
    path = sorted((shared_data / "series" / "ct_chest_lidc0314").glob("*.dcm"))[0]
    web.admin.post("/api/v1/imports", files=[("files", ("x.dcm", path.read_bytes(), "application/dicom"))])
    (found,) = web.admin.get("/dicom-web/instances").json()
    study, series, uid = (found[tag]["Value"][0] for tag in ("0020000D", "0020000E", "00080018"))
    address = f"/dicom-web/studies/{study}/series/{series}/instances/{uid}"
    for value in HOSTILE[:11]:
        tries = [
            (f"{address}/rendered", {"quality": value}), (f"{address}/rendered", {"viewport": f"{value},{value}"}),
            (f"{address}/rendered", {"window": f"{value},{value},linear"}), (f"{address}/frames/{value or '0'}"[:3000], {}),
            ("/wado", {"requestType": "WADO", "studyUID": study, "seriesUID": series, "objectUID": uid, "rows": value}),
            ("/wado", {"requestType": "WADO", "studyUID": study, "seriesUID": series, "objectUID": uid, "region": f"0,0,{value},1"}),
            ("/dicom-web/studies", {"limit": value}), ("/dicom-web/studies", {"offset": value}),
            ("/dicom-web/series", {"SeriesNumber": value}), ("/dicom-web/instances", {"InstanceNumber": value, "Rows": value}),
            (f"/api/v1/instances/{uid}/frames/1", {"window": f"{value},{value}"}), (f"/api/v1/instances/{uid}/frames/{value or 0}"[:3000], {}),
            ("/api/v1/prints/preview/picture", {"sop": uid, "window": f"{value},{value}", "part": f"{value},0,1,1"}),
        ]  # fmt: skip
        for where, params in tries:
            answer = web.admin.get(where, params=params)
            assert answer.status_code < 500, (where, params, answer.text[:200])
    for asked in (
        "bytes=" + "9" * 5000 + "-",
        "bytes=-" + "9" * 5000,
        "bytes=0-" + "9" * 5000,
        "bytes=²-3",
        "bytes=1_0-",
    ):
        answer = web.admin.get(f"/api/v1/studies/{study}/archive", headers={"Range": asked.encode("utf-8")})
        assert answer.status_code < 500
        for language in ("en;q=1e999", "es;q=²", "es;q=nan", "es;q=1_0"):
            assert web.admin.get("/storage", headers={"Accept-Language": language.encode("utf-8")}).status_code == 200


def test_ranges_that_cannot_be_read() -> None:
    far = "9" * 5000
    assert byte_range(f"bytes=0-{far}", 10) == (0, 9)
    assert byte_range(f"bytes=-{far}", 10) == (0, 9)
    assert byte_range("bytes=²-", 10) is None
    assert byte_range("bytes=2-3", 10) == (2, 3)
    with pytest.raises(RangeNotSatisfiable):
        byte_range(f"bytes={far}-", 10)


def test_the_helper() -> None:
    assert [parse_integer(text) for text in ("0", "12", "2147483647")] == [0, 12, 2**31 - 1]
    assert not any(parse_integer(text) for text in HOSTILE)
    assert parse_integer("7", 8) is None
    assert [parse_decimal(text) for text in ("1.5", "-.5e3", "+2")] == [1.5, -500.0, 2.0]
    assert all(parse_decimal(text) is None for text in ("1e999", "NaN", "inf", "1_0", "²", "٣", "", "9" * 5000))


def test_frame_numbers_of_a_stored_object(web: Web) -> None:
    """Every way to a frame, with an object that is there."""
    sop, series, study = "1.2.3.1.1.1", "1.2.3.1.1", "1.2.3.1"
    upload = web.admin.post("/api/v1/imports", files=[("files", ("a.dcm", ct_bytes(), "application/dicom"))])
    assert upload.json()["results"][0]["status"] == "stored", upload.text
    rest = f"/api/v1/instances/{sop}/frames"
    dicomweb = f"/dicom-web/studies/{study}/series/{series}/instances/{sop}/frames"
    ways = [f"{rest}/{{}}", f"{rest}/{{}}?form=viewer", f"{dicomweb}/{{}}"]
    ways += [f"{rest}/{{}}/{what}" for what in ("overlays", "appearance", "preview", "rendered")]
    ways += [f"{dicomweb}/{{}}/{what}" for what in ("rendered", "thumbnail")]
    for way in ways:
        for number in ("0", "-1", "2", "9" * 18, "9" * 20, "²", "1.5"):
            answer = web.admin.get(way.format(number))
            assert 400 <= answer.status_code < 500, (way, number, answer.status_code)


def test_a_list_refuses_a_parameter_that_it_does_not_declare(web: Web) -> None:
    """A mistyped filter gave everything."""
    lists = [path for method, path, told in _operations(web) if method == "get" and path.startswith("/api/v1/") and told["operationId"].startswith(("list_", "get_query"))]  # fmt: skip
    assert len(lists) > 20
    for path in lists:
        answer = web.admin.get(_address(path), params={"patient_nam": "x"})
        assert (answer.status_code, answer.json()["parameter"]) == (400, "patient_nam"), path
        assert answer.json()["detail"] == "Unknown parameter patient_nam."
    assert "patient_name" in web.admin.get("/api/v1/studies?patient_nam=x").json()["hint"]
    assert web.admin.get("/api/v1/audit?patient=x&format=json").status_code == 200


def test_what_cannot_be_parsed_is_a_bad_request_and_the_librarys_words_stay_inside(web: Web) -> None:
    json_body = {"content-type": "application/json"}
    broken = web.admin.post("/api/v1/prints", content=b'{"layout": ', headers=json_body)
    assert (broken.status_code, broken.json()["code"]) == (400, "bad-request")
    body = {"study_instance_uid": "1.2.3", "layout": "9x99x9"}
    english = web.admin.post("/api/v1/prints", json=body).json()
    assert english["detail"].startswith("layout: known layouts are "), english
    spanish = web.admin.post("/api/v1/prints", json=body, headers={"Accept-Language": "es"}).json()
    assert spanish["errors"][0]["field"] == "layout" and english["errors"][0]["message"].startswith("known layouts")
    for said in (spanish["detail"], spanish["errors"][0]["message"]):
        assert "known layouts" not in said and "1x1" in said
