"""REST over real studies: lists, manifest, streams, imports, exports, deletion, isolation; on both databases."""

import io
import json
import struct
import zipfile
from pathlib import Path
from typing import Any

import pydicom
import pytest

from app import audit
from app.viewing import pictures
from tests.support.client import Web

CT, MR = "series/ct_chest_lidc0314", "series/mr_head_t1"


def _files(folder: Path, count: int = 99) -> list[tuple[str, bytes]]:
    return [(p.name, p.read_bytes()) for p in sorted(folder.glob("*.dcm"))[:count]]


def _upload(web: Web, files: list[tuple[str, bytes]], who: str = "admin") -> list[dict[str, object]]:
    client = getattr(web, who)
    answer = client.post("/api/v1/imports", files=[("files", (n, d, "application/dicom")) for n, d in files])
    assert answer.status_code == 200, answer.text
    return answer.json()["results"]


@pytest.fixture
def ct(web: Web, shared_data: Path) -> pydicom.Dataset:
    """Five slices of a CT, uploaded by bob of North."""
    files = _files(shared_data / CT, 5)
    assert [r["status"] for r in _upload(web, files, "bob")] == ["stored"] * 5
    return pydicom.dcmread(io.BytesIO(files[0][1]))


def test_an_upload_says_what_became_of_each_file(web: Web, shared_data: Path) -> None:
    (name, data), *_ = _files(shared_data / CT, 1)
    changed = data[:-2] + b"\x01\x02"
    results = _upload(web, [(name, data), ("again.dcm", data), ("other.dcm", changed), ("x.txt", b"hello")])
    by_name = {r["name"]: r for r in results}
    assert {by_name[name]["status"], by_name["again.dcm"]["status"]} <= {"stored", "duplicate", "conflict"}
    assert sorted(str(r["status"]) for r in results[:3]) in (
        ["conflict", "duplicate", "stored"],
        ["conflict", "conflict", "stored"],
    )
    assert by_name["x.txt"]["status"] == "refused"
    assert "DICOM" in str(by_name["x.txt"]["reason"])


def test_a_zip_with_folders_is_read_and_its_bad_members_are_refused(web: Web, shared_data: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in _files(shared_data / MR, 6):
            archive.writestr(f"DICOM/S1/{name}", data)
        archive.writestr("DICOM/../../evil.dcm", b"x")
        archive.writestr("readme.txt", b"hello")
        archive.writestr("inner.zip", b"PK\x03\x04" + bytes(200))
        archive.writestr("bomb.dcm", bytes(80 << 20))
    results = _upload(web, [("disc.zip", packed.getvalue())])
    assert [r["status"] for r in results] == ["stored"] * 6 + ["refused"] * 4
    assert results[0]["name"] == "disc.zip/DICOM/S1/" + _files(shared_data / MR, 1)[0][0]
    assert all(r["reason"] for r in results[6:])
    assert not list(Path(web.services.config.data).rglob("evil*"))
    assert not list((web.services.config.cache / "uploads").iterdir())


@pytest.mark.parametrize("kind", ["application/dicom", "application/octet-stream"])
def test_one_body_is_one_object(web: Web, shared_data: Path, kind: str) -> None:
    data = (shared_data / "sr/sr_basic_text.dcm").read_bytes()
    answer = web.bob.post("/api/v1/imports", content=data, headers={"Content-Type": kind})
    assert [r["status"] for r in answer.json()["results"]] == ["stored"]


def test_a_body_of_another_kind_or_none_is_told(web: Web) -> None:
    assert web.bob.post("/api/v1/imports", content=b"x", headers={"Content-Type": "text/plain"}).status_code == 415
    assert web.bob.post("/api/v1/imports", data={"a": "b"}, files={}).status_code in (400, 415)
    cut = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\nabc'
    broken = web.bob.post("/api/v1/imports", content=cut, headers={"Content-Type": "multipart/form-data; boundary=x"})
    assert broken.status_code == 400
    assert not any((web.services.config.store / ".incoming").rglob("0*"))


def test_lists_filter_page_and_count(web: Web, ct: pydicom.Dataset) -> None:
    page = web.bob.get("/api/v1/studies", params={"patient_id": ct.PatientID}).json()
    assert [s["study_instance_uid"] for s in page["items"]] == [ct.StudyInstanceUID]
    assert page["items"][0]["instance_count"] == 5
    assert page["items"][0]["modalities"] == ["CT"]
    for query in ({"modality": "MR"}, {"patient_name": "Nobody*"}, {"study_date": "19500101-19500102"}):
        assert web.bob.get("/api/v1/studies", params=query).json()["items"] == []
    first = web.bob.get("/api/v1/instances", params={"series_instance_uid": ct.SeriesInstanceUID, "limit": 3}).json()
    second = web.bob.get(
        "/api/v1/instances", params={"series_instance_uid": ct.SeriesInstanceUID, "limit": 3, "cursor": first["next"]}
    ).json()
    assert first["total"] == 5
    assert len(first["items"]) == 3
    assert len(second["items"]) == 2
    assert second["next"] is None
    assert len({i["sop_instance_uid"] for i in first["items"] + second["items"]}) == 5
    assert web.bob.get(f"/api/v1/studies/{ct.StudyInstanceUID}").json()["series"][0]["modality"] == "CT"
    assert (
        web.bob.get("/api/v1/patients", params={"text": str(ct.PatientID)[:4]}).json()["items"][0]["patient_id"]
        == ct.PatientID
    )
    assert web.bob.get("/api/v1/studies", params={"study_date": "x"}).status_code == 422
    assert web.bob.get("/api/v1/series", params={"cursor": "x"}).status_code == 400


def test_another_facility_sees_nothing(web: Web, ct: pydicom.Dataset) -> None:
    assert web.dora.get("/api/v1/studies").json()["items"] == []
    assert web.dora.get("/api/v1/patients").json()["items"] == []
    assert web.dora.get("/api/v1/instances").json()["items"] == []
    assert web.dora.get("/dicom-web/instances").json() == []
    uid, series, one = ct.StudyInstanceUID, ct.SeriesInstanceUID, ct.SOPInstanceUID
    for path in (
        f"/api/v1/studies/{uid}",
        f"/api/v1/studies/{uid}/manifest",
        f"/api/v1/series/{series}/frames",
        f"/api/v1/series/{series}/thumbnail",
        f"/api/v1/instances/{one}/frames/1",
        f"/api/v1/instances/{one}/frames/1/preview",
        f"/api/v1/instances/{one}/attributes",
        f"/dicom-web/studies/{uid}/metadata",
        f"/dicom-web/studies/{uid}/series/{series}/instances/{one}/frames/1",
        f"/dicom-web/studies/{uid}/series/{series}/instances/{one}/bulkdata/7FE00010",
        f"/dicom-web/studies/{uid}/rendered",
        f"/wado?requestType=WADO&studyUID={uid}&seriesUID={series}&objectUID={one}",
    ):
        assert web.dora.get(path).status_code == 404, path
        assert web.charlie.get(path).status_code == 200, path


def test_the_manifest_opens_a_viewport(web: Web, ct: pydicom.Dataset) -> None:
    made = web.bob.get(f"/api/v1/studies/{ct.StudyInstanceUID}/manifest").json()
    assert made["study"]["patient"]["patient_id"] == ct.PatientID
    (series,) = made["series"]
    assert (series["modality"], series["kind"], series["frames"]) == ("CT", "image", 5)
    by_uid = {i["sop_instance_uid"]: i for i in series["instances"]}
    one = by_uid[ct.SOPInstanceUID]
    assert one["image_position_patient"] == [float(v) for v in ct.ImagePositionPatient]
    assert one["image_orientation_patient"] == [float(v) for v in ct.ImageOrientationPatient]
    assert one["pixel_spacing"] == [float(v) for v in ct.PixelSpacing]
    assert (one["rows"], one["columns"], one["bits_stored"], one["native"]) == (512, 512, ct.BitsStored, True)
    shown = one["appearance"]
    assert (shown["slope"], shown["intercept"]) == (float(ct.RescaleSlope), float(ct.RescaleIntercept))
    assert (shown["spacing"]["row"], shown["spacing"]["plane"]) == (float(ct.PixelSpacing[0]), "patient")
    assert shown["letters"] == ["R", "L", "A", "P"]
    assert "partial" not in shown


def test_one_stream_holds_every_frame(web: Web, ct: pydicom.Dataset, shared_data: Path) -> None:
    manifest = web.bob.get(f"/api/v1/studies/{ct.StudyInstanceUID}/manifest").json()
    uids = [i["sop_instance_uid"] for i in manifest["series"][0]["instances"]]
    pixels = {
        ds.SOPInstanceUID: ds.PixelData
        for ds in (pydicom.dcmread(io.BytesIO(d)) for _, d in _files(shared_data / CT, 5))
    }
    for start in (0, 3):
        answer = web.bob.get(f"/api/v1/series/{ct.SeriesInstanceUID}/frames", params={"from": start})
        assert answer.headers["cache-control"] == "no-store"
        frames = _split(answer.content)
        assert [place for place, _, _ in frames] == [(n + start) % 5 for n in range(5)]
        for place, n, data in frames:
            assert n == 1
            assert data == pixels[uids[place]]
    only = _split(web.bob.get(f"/api/v1/series/{ct.SeriesInstanceUID}/frames", params={"instance": uids[2]}).content)
    assert [(place, n) for place, n, _ in only] == [(2, 1)]


def _split(stream: bytes) -> list[tuple[int, int, bytes]]:
    frames, at = [], 0
    while at < len(stream):
        place, n, length = struct.unpack_from("<IIQ", stream, at)
        frames.append((place, n, stream[at + 16 : at + 16 + length]))
        at += 16 + length
    return frames


def test_previews_are_made_once_and_gone_with_the_study(web: Web, ct: pydicom.Dataset) -> None:
    path = f"/api/v1/instances/{ct.SOPInstanceUID}/frames/1/preview"
    first = web.bob.get(path, params={"size": 128})
    assert first.headers["content-type"] == "image/jpeg"
    cached = [p for p in (web.services.config.cache / "pictures").rglob("*") if p.is_file()]
    assert len(cached) == 1
    assert web.bob.get(path, params={"size": 128}).content == first.content
    assert web.bob.get(path, params={"size": 128}, headers={"If-None-Match": first.headers["etag"]}).status_code == 304
    assert web.bob.get(f"/api/v1/instances/{ct.SOPInstanceUID}/frames/2/preview").status_code == 404
    assert web.admin.delete(f"/api/v1/studies/{ct.StudyInstanceUID}").status_code == 204
    assert not any(p.is_file() for p in (web.services.config.cache / "pictures").rglob("*"))


def test_no_picture_stays_of_an_object_whose_file_goes_while_it_is_drawn(
    web: Web, ct: pydicom.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = pictures.preview_jpeg
    stored = [p for p in web.services.config.store.rglob("*") if p.is_file() and p.stat().st_size > 1000]
    [file] = [
        p for p in stored if pydicom.dcmread(p, specific_tags=["SOPInstanceUID"]).SOPInstanceUID == ct.SOPInstanceUID
    ]

    def drawn_too_late(*asked: Any) -> bytes:
        made = draw(*asked)
        file.unlink()
        return made

    monkeypatch.setattr(pictures, "preview_jpeg", drawn_too_late)
    assert web.bob.get(f"/api/v1/instances/{ct.SOPInstanceUID}/frames/1/preview").status_code == 200
    assert not any(p.is_file() for p in (web.services.config.cache / "pictures").rglob("*"))


def test_the_file_comes_back_byte_for_byte_also_in_ranges(web: Web, ct: pydicom.Dataset, shared_data: Path) -> None:
    data = _files(shared_data / CT, 1)[0][1]
    path = f"/api/v1/instances/{ct.SOPInstanceUID}/file"
    assert web.bob.get(path).content == data
    part = web.bob.get(path, headers={"Range": "bytes=100-199"})
    assert (part.status_code, part.content) == (206, data[100:200])
    assert part.headers["content-range"] == f"bytes 100-199/{len(data)}"
    assert web.bob.get(path, headers={"Range": "bytes=-10"}).content == data[-10:]
    assert web.bob.get(path, headers={"Range": f"bytes={len(data)}-"}).status_code == 416
    assert web.bob.get(path, headers={"Range": "bytes=0-1,5-6"}).status_code == 200
    assert web.charlie.get(path).status_code == 403


def test_a_study_is_exported_as_a_zip_of_the_same_bytes(web: Web, ct: pydicom.Dataset, shared_data: Path) -> None:
    answer = web.bob.get(f"/api/v1/studies/{ct.StudyInstanceUID}/archive")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        packed = sorted(archive.read(i) for i in archive.infolist())
    assert packed == sorted(d for _, d in _files(shared_data / CT, 5))


def test_documents_and_reports_are_given_as_themselves(web: Web, shared_data: Path) -> None:
    _upload(
        web,
        [
            (p.name, p.read_bytes())
            for p in (shared_data / "pdf/encapsulated_pdf.dcm", shared_data / "sr/sr_basic_text.dcm")
        ],
    )
    pdf = pydicom.dcmread(shared_data / "pdf/encapsulated_pdf.dcm")
    answer = web.alice.get(f"/api/v1/instances/{pdf.SOPInstanceUID}/document")
    assert answer.headers["content-type"] == "application/pdf"
    assert answer.content.startswith(b"%PDF")
    assert answer.content.rstrip(b"\0") == pdf.EncapsulatedDocument.rstrip(b"\0")
    sr = pydicom.dcmread(shared_data / "sr/sr_basic_text.dcm")
    tree = web.alice.get(f"/api/v1/instances/{sr.SOPInstanceUID}/report").json()
    assert tree["items"]
    assert web.alice.get(f"/api/v1/instances/{sr.SOPInstanceUID}/document").status_code == 404


def test_only_who_may_deletes_and_it_is_written_down(web: Web, ct: pydicom.Dataset) -> None:
    path = f"/api/v1/instances/{ct.SOPInstanceUID}"
    assert web.bob.delete(path).status_code == 403
    assert web.admin.delete(path).status_code == 204
    assert web.bob.get(path).status_code == 404
    assert web.bob.get(f"/api/v1/studies/{ct.StudyInstanceUID}").json()["instance_count"] == 4
    assert web.admin.delete(f"/api/v1/series/{ct.SeriesInstanceUID}").status_code == 204
    assert web.bob.get(f"/api/v1/studies/{ct.StudyInstanceUID}").status_code == 404
    with web.database.read() as session:
        rows, _ = audit.list_events(session, verb="study.delete")
    done = [(r.thing, r.actor_name) for r in rows if r.outcome == "success"]
    assert done == [("series", "admin"), ("instance", "admin")]


def test_looking_is_written_down_once(web: Web, ct: pydicom.Dataset) -> None:
    for _ in range(3):
        web.bob.get(f"/api/v1/studies/{ct.StudyInstanceUID}/manifest")
        web.bob.get(f"/api/v1/instances/{ct.SOPInstanceUID}/frames/1")
    web.bob.get(f"/api/v1/studies/{ct.StudyInstanceUID}/archive")
    with web.database.read() as session:
        views, _ = audit.list_events(session, verb="study.view", thing_id=ct.StudyInstanceUID)
        exports, _ = audit.list_events(session, verb="study.export", thing_id=ct.StudyInstanceUID)
        imports, _ = audit.list_events(session, verb="study.import", thing_id=ct.StudyInstanceUID)
    assert (len(views), len(exports), len(imports)) == (1, 1, 1)
    assert imports[0].detail["stored"] == 5


def test_an_administrator_decides_conflicts(web: Web, ct: pydicom.Dataset, shared_data: Path) -> None:
    data = _files(shared_data / CT, 1)[0][1]
    (result,) = _upload(web, [("changed.dcm", data[:-2] + b"\x07\x07")], "bob")
    assert result["status"] == "conflict"
    assert web.bob.get("/api/v1/conflicts").status_code == 403
    (conflict,) = web.admin.get("/api/v1/conflicts").json()["items"]
    assert conflict["sop_instance_uid"] == ct.SOPInstanceUID
    assert conflict["differences"] == ["PixelData"]
    path = f"/api/v1/conflicts/{conflict['id']}/decision"
    assert web.admin.post(path, json={"decision": "maybe"}).status_code == 422
    assert web.admin.post(path, json={"decision": "keep-first"}).json()["state"] == "kept-first"
    assert web.admin.post(path, json={"decision": "overwrite"}).status_code == 409


def test_attributes_are_dicom_json(web: Web, ct: pydicom.Dataset) -> None:
    model = web.bob.get(f"/api/v1/instances/{ct.SOPInstanceUID}/attributes").json()
    assert model["00100020"] == {"vr": "LO", "Value": [ct.PatientID]}
    assert "7FE00010" not in model
    assert "bulkdata:" not in json.dumps(model)
