"""STOW-RS and WADO-URI: good, bad and hostile requests."""

import io
from pathlib import Path

import pydicom
import pytest
from PIL import Image
from starlette.testclient import TestClient

from app.dicom import dicomxml
from app.kit import multipart
from tests.support.client import Web

_DICOM = "application/dicom"


def _body(parts: list[tuple[str, bytes]]) -> tuple[bytes, str]:
    boundary = multipart.new_boundary()
    out = b"".join(multipart.part_head(boundary, [("Content-Type", k)], n == 0) + d for n, (k, d) in enumerate(parts))
    return out + multipart.closing(boundary), f'multipart/related; type="{_DICOM}"; boundary={boundary}'


def _post(
    client: TestClient,
    parts: list[tuple[str, bytes]],
    path: str = "/dicom-web/studies",
    accept: str = "application/dicom+json",
):  # type: ignore[no-untyped-def]
    body, kind = _body(parts)
    return client.post(path, content=body, headers={"Content-Type": kind, "Accept": accept})


@pytest.fixture
def files(shared_data: Path) -> list[bytes]:
    return [p.read_bytes() for p in sorted((shared_data / "series/mr_head_t1").glob("*.dcm"))[:3]]


def test_all_good_is_200_and_names_every_object(web: Web, files: list[bytes]) -> None:
    answer = _post(web.basic("bob"), [(_DICOM, d) for d in files])
    assert answer.status_code == 200, answer.text
    model = answer.json()
    stored = [i["00081155"]["Value"][0] for i in model["00081199"]["Value"]]
    assert stored == [pydicom.dcmread(io.BytesIO(d)).SOPInstanceUID for d in files]
    assert "00081198" not in model
    url = model["00081199"]["Value"][0]["00081190"]["Value"][0]
    assert (
        web.basic("bob")
        .get(url.removeprefix("http://testserver"), headers={"Accept": "application/dicom; transfer-syntax=*"})
        .content
        == files[0]
    )


def test_one_bad_part_spoils_nothing(web: Web, files: list[bytes]) -> None:
    parts = [
        (_DICOM, files[0]),
        (_DICOM, b"not dicom at all, but long enough to be looked at" * 5),
        ("text/plain", b"x"),
        (_DICOM, b""),
        (_DICOM, files[1][:200]),
        (_DICOM, files[2]),
    ]
    answer = _post(web.basic("bob"), parts)
    assert answer.status_code == 202
    model = answer.json()
    assert len(model["00081199"]["Value"]) == 2
    assert len(model["0008119A"]["Value"]) == 4
    assert all(i["00081197"]["Value"][0] >= 0xA700 for i in model["0008119A"]["Value"])


def test_nothing_stored_is_409(web: Web) -> None:
    assert _post(web.basic("bob"), [(_DICOM, b"x" * 400)]).status_code == 409


def test_a_conflict_fails_with_its_reason_and_the_first_stays(web: Web, files: list[bytes]) -> None:
    bob = web.basic("bob")
    _post(bob, [(_DICOM, files[0])])
    assert _post(bob, [(_DICOM, files[0])]).status_code == 200  # the same again
    answer = _post(bob, [(_DICOM, files[0][:-2] + b"\x01\x09")])
    assert answer.status_code == 409
    (failed,) = answer.json()["00081198"]["Value"]
    assert failed["00081197"]["Value"] == [0x0111]
    uid = pydicom.dcmread(io.BytesIO(files[0])).SOPInstanceUID
    assert bob.get(f"/api/v1/instances/{uid}/file").content == files[0]


def test_objects_of_another_study_are_refused_where_one_is_named(web: Web, files: list[bytes]) -> None:
    own = pydicom.dcmread(io.BytesIO(files[0])).StudyInstanceUID
    bob = web.basic("bob")
    answer = _post(bob, [(_DICOM, files[0])], "/dicom-web/studies/1.2.3")
    assert answer.status_code == 409
    assert answer.json()["00081198"]["Value"][0]["00081197"]["Value"] == [0xC409]
    assert bob.get("/api/v1/studies").json()["items"] == []
    assert _post(bob, [(_DICOM, files[0])], f"/dicom-web/studies/{own}").status_code == 200
    assert _post(bob, [(_DICOM, files[0])], "/dicom-web/studies/..%2F..").status_code in (400, 404, 405)


def test_answers_in_xml_too(web: Web, files: list[bytes]) -> None:
    answer = _post(web.basic("bob"), [(_DICOM, files[0])], accept="application/dicom+xml")
    assert len(dicomxml.to_model(answer.content)["00081199"]["Value"]) == 1
    assert _post(web.basic("bob"), [(_DICOM, files[0])], accept="text/html").status_code == 406


@pytest.mark.parametrize(
    "kind",
    [
        "text/plain",
        'multipart/related; type="application/dicom+json"; boundary=x',
        'multipart/related; type="application/dicom+xml"; boundary=x',
        "",
    ],
)
def test_other_content_is_415(web: Web, kind: str) -> None:
    assert (
        web.basic("bob").post("/dicom-web/studies", content=b"--x--", headers={"Content-Type": kind}).status_code == 415
    )


def test_a_body_cut_off_keeps_what_was_whole_and_nothing_else(web: Web, files: list[bytes]) -> None:
    body, kind = _body([(_DICOM, d) for d in files])
    bob = web.basic("bob")
    answer = bob.post(
        "/dicom-web/studies", content=body[: len(body) - len(files[2]) // 2], headers={"Content-Type": kind}
    )
    # What was stored is referenced, and the rest is a failure that names no object (PS3.18 10.5.3).
    assert answer.status_code == 202 and len(answer.json()["00081199"]["Value"]) == 2
    (rest,) = answer.json()["0008119A"]["Value"]
    assert rest["00081197"]["Value"] == [0xC000] and "00000902" in rest
    assert bob.get("/api/v1/studies").json()["items"][0]["instance_count"] == 2
    nothing = bob.post("/dicom-web/studies", content=body[: len(files[0]) // 2], headers={"Content-Type": kind})
    assert nothing.status_code == 400
    left = [p for p in (web.services.config.store / ".incoming").rglob("*") if p.is_file() and p.name != "lock"]
    assert left == []


def test_no_boundary_and_no_parts(web: Web) -> None:
    bob = web.basic("bob")
    assert (
        bob.post(
            "/dicom-web/studies", content=b"x", headers={"Content-Type": f'multipart/related; type="{_DICOM}"'}
        ).status_code
        == 400
    )
    assert (
        bob.post(
            "/dicom-web/studies",
            content=b"--x--\r\n",
            headers={"Content-Type": f'multipart/related; type="{_DICOM}"; boundary=x'},
        ).status_code
        == 400
    )


def test_wado_uri(web: Web, files: list[bytes]) -> None:
    bob = web.basic("bob")
    _post(bob, [(_DICOM, files[0])])
    ds = pydicom.dcmread(io.BytesIO(files[0]))
    base = {
        "requestType": "WADO",
        "studyUID": ds.StudyInstanceUID,
        "seriesUID": ds.SeriesInstanceUID,
        "objectUID": ds.SOPInstanceUID,
    }
    jpeg = bob.get("/wado", params=base)
    assert (jpeg.status_code, jpeg.headers["content-type"]) == (200, "image/jpeg")
    png = bob.get(
        "/wado",
        params={
            **base,
            "contentType": "image/png",
            "rows": "64",
            "columns": "64",
            "windowCenter": "300",
            "windowWidth": "600",
        },
    )
    assert max(Image.open(io.BytesIO(png.content)).size) == 64
    dark = bob.get("/wado", params={**base, "contentType": "image/png", "windowCenter": "5000", "windowWidth": "10"})
    assert max(Image.open(io.BytesIO(dark.content)).convert("L").getextrema()) < 30
    region = bob.get("/wado", params={**base, "contentType": "image/png", "region": "0,0,0.5,0.25"})
    width, height = Image.open(io.BytesIO(region.content)).size
    whole_width, whole_height = Image.open(
        io.BytesIO(bob.get("/wado", params={**base, "contentType": "image/png"}).content)
    ).size
    assert abs(width * 2 - whole_width) <= 2
    assert abs(height * 4 - whole_height) <= 4
    stored = bob.get("/wado", params={**base, "contentType": _DICOM, "transferSyntax": "*"})
    assert stored.content == files[0]
    for wrong in (
        {"requestType": "X"},
        {"objectUID": ""},
        {"anonymize": "yes"},
        {"frameNumber": "2"},
        {"rows": "0"},
        {"windowCenter": "1"},
        {"windowCenter": "nan", "windowWidth": "1"},
        {"region": "1,1,0,0"},
        {"imageQuality": "101"},
    ):
        assert bob.get("/wado", params={**base, **wrong}).status_code == 400, wrong
    assert bob.get("/wado", params={**base, "contentType": "text/html"}).status_code == 406
    assert bob.get("/wado", params={**base, "objectUID": "1.2.3"}).status_code == 404
    assert web.dora.get("/wado", params=base).status_code == 404
    assert web.charlie.get("/wado", params={**base, "contentType": _DICOM}).status_code == 403
    assert web.nobody.get("/wado", params=base).status_code == 401
