"""From the order to the file, through the REST interface and the worker's own loop, with real images on both databases."""

import json
import re
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import httpx
import numpy as np
import page as validator
import pikepdf
import pydicom
import pypdfium2
import pytest
from PIL import Image
from pydicom.multival import MultiValue
from sqlalchemy import update

from app import audit, jobs
from app.imaging import RenderParams, render_frame
from app.jobs.models import Job
from app.printing import service
from app.printing.models import PrintRequest
from tests.archive.make import ct_bytes
from tests.printing.conftest import Printer, Store
from tests.support.client import Web

CASES = Path(__file__).parents[1] / "cases"


def _check(data: bytes) -> None:
    report = validator.validate_pdf_bytes(data, profile="3b")
    assert report.is_compliant, [f"{f.rule_id}: {f.message}" for f in report.failures]


def _images(data: bytes) -> list[list[np.ndarray[Any, Any]]]:
    pages = []
    with pikepdf.open(BytesIO(data)) as pdf:
        for page in pdf.pages:
            found = []
            for name in sorted(page.Resources.XObject, key=lambda n: int(n[3:])):
                stream = page.Resources.XObject[name]
                shape = (int(stream.Height), int(stream.Width))
                shape += (3,) if stream.ColorSpace == "/DeviceRGB" else ()
                found.append(np.frombuffer(stream.read_bytes(), np.uint8).reshape(shape))
            pages.append(found)
    return pages


def _rendered(path: Path, **how: Any) -> np.ndarray[Any, Any]:
    ds = pydicom.dcmread(path)
    return render_frame(ds.PixelData, ds, RenderParams(square_pixels=False, **how))


def test_four_images_on_a_page_with_the_window_as_seen(
    web: Web, printer: Printer, store: Store, ct: list[Path]
) -> None:
    uids = store(ct[:4])
    items = [
        {"sop_instance_uid": uids[0], "frame": 1, "window": [-600, 1500]},
        {"sop_instance_uid": uids[1], "frame": 1},
        {"sop_instance_uid": uids[2], "frame": 1, "invert": True, "rotate": 90, "flip_horizontal": True},
        {"sop_instance_uid": uids[3], "frame": 1, "crop": [0.25, 0.5, 0.75, 0.75]},
    ]
    answer = printer.make({"items": items, "layout": "2x2", "paper": "A4"})
    assert (answer["state"], answer["pages"], answer["progress"]) == ("done", 1, {"done": 1, "total": 1})
    data = printer.file(answer)
    _check(data)
    (found,) = _images(data)
    assert np.array_equal(found[0], _rendered(ct[0], window=(-600, 1500)))
    assert np.array_equal(found[1], _rendered(ct[1]))
    turned = np.rot90(_rendered(ct[2], invert=True), -1)[:, ::-1]
    assert np.array_equal(found[2], turned)
    assert np.array_equal(found[3], _rendered(ct[3])[256:384, 128:384])
    assert not np.array_equal(found[0], _rendered(ct[0])), "the window changed nothing"


def test_a_series_fills_as_many_pages_as_it_needs_in_its_order(
    web: Web, printer: Printer, store: Store, ct: list[Path]
) -> None:
    chosen = sorted(ct, key=lambda p: int(pydicom.dcmread(p, stop_before_pixels=True).InstanceNumber))[:9]
    store(list(reversed(chosen)))
    uid = pydicom.dcmread(ct[0], stop_before_pixels=True).SeriesInstanceUID
    answer = printer.make({"series_instance_uid": uid, "layout": "2x2", "paper": "Letter", "orientation": "landscape"})
    pages = _images(printer.file(answer))
    assert [len(page) for page in pages] == [4, 4, 1]
    flat = [image for page in pages for image in page]
    assert all(np.array_equal(a, _rendered(p)) for a, p in zip(flat, chosen, strict=True))


@pytest.mark.parametrize(
    "name",
    [
        "us_cine_8frames_rgb_implicit.dcm", "mr_heart_16frames.dcm", "us_cine_30frames_jpeg_ybr422.dcm", "sc_face_palette_noheader.dcm",
        "dx_966_mono1_12bit_j2k-lossless.dcm", "mg_digitised_mg1_jpeg-extended-12bit.dcm", "nm_bars_16bit.dcm", "dx_dog_mono1_8bit.dcm",
    ],
)  # fmt: skip
def test_any_kind_of_image_prints(web: Web, printer: Printer, store: Store, shared_data: Path, name: str) -> None:
    path = shared_data / "modality" / name
    try:
        uids = store([path])
    except AssertionError:
        pytest.skip("the archive refuses this file")
    study = pydicom.dcmread(path, stop_before_pixels=True, force=True).StudyInstanceUID
    answer = printer.make({"study_instance_uid": study, "layout": "3x4"})
    assert answer["state"] == "done", answer["error"]
    data = printer.file(answer)
    _check(data)
    images = [image for page in _images(data) for image in page]
    frames = int(pydicom.dcmread(path, stop_before_pixels=True, force=True).get("NumberOfFrames", 1) or 1)
    assert len(images) == frames and len(uids) == 1
    assert all(image.max() > image.min() for image in images[:1]), "a flat picture"


def test_large_images_are_averaged_to_what_the_paper_can_show(
    web: Web, printer: Printer, store: Store, shared_data: Path
) -> None:
    uids = store([shared_data / "modality" / "mg_digitised_mg1_jpeg-extended-12bit.dcm"])
    answer = printer.make({"items": [{"sop_instance_uid": uids[0]}], "layout": "4x5", "dpi": 150})
    ((image,),) = _images(printer.file(answer))
    assert image.shape[0] < 400 and image.shape[0] > 150


def test_actual_size_of_a_real_image(web: Web, printer: Printer, store: Store, ct: list[Path]) -> None:
    uids = store(ct[:1])
    spacing = [float(v) for v in pydicom.dcmread(ct[0], stop_before_pixels=True).PixelSpacing]
    answer = printer.make({"items": [{"sop_instance_uid": uids[0]}], "scaling": "actual", "paper": "A3"})
    assert answer["state"] == "done", answer["error"]
    with pikepdf.open(BytesIO(printer.file(answer))) as pdf:
        content = pikepdf.parse_content_stream(pdf.pages[0])
    # The last matrix before the picture is drawn is its place: width and height in points.
    matrices = [[float(v) for v in op.operands] for op in content if str(op.operator) == "cm"]
    index = [str(op.operator) for op in content].index("Do")
    before = [op for op in content[:index] if str(op.operator) == "cm"][-1]
    width, height = float(before.operands[0]), float(before.operands[3])
    columns, rows = 512, 512
    assert matrices
    if not answer["notices"]:
        assert width / 72 * 25.4 == pytest.approx(columns * spacing[1], abs=0.01)
        assert height / 72 * 25.4 == pytest.approx(rows * spacing[0], abs=0.01)
    else:
        ((image,),) = _images(printer.file(answer))
        assert width / 72 * 25.4 == pytest.approx(image.shape[1] * spacing[1], abs=0.01)
        assert height / 72 * 25.4 == pytest.approx(image.shape[0] * spacing[0], abs=0.01)


def test_actual_size_is_refused_at_once_where_no_spacing_is_known(web: Web, store: Store, shared_data: Path) -> None:
    uids = store([shared_data / "modality" / "us_rgb.dcm"])
    answer = web.bob.post("/api/v1/prints", json={"items": [{"sop_instance_uid": uids[0]}], "scaling": "actual"})
    assert answer.status_code == 422, answer.text
    problem = answer.json()
    assert problem["type"] == "/problems/actual-size-impossible" and problem["field"] == "scaling"
    assert "its pixel size is unknown" in problem["detail"]


def test_metadata_and_files_can_be_attached(web: Web, printer: Printer, store: Store, ct: list[Path]) -> None:
    uids = store(ct[:2])
    items = [{"sop_instance_uid": uid} for uid in uids]
    data = printer.file(printer.make({"items": items, "attach": "dicom"}))
    _check(data)
    with pikepdf.open(BytesIO(data)) as pdf:
        files = [pdf.attachments[name].get_file().read_bytes() for name in sorted(pdf.attachments)]
    assert files == [p.read_bytes() for p in ct[:2]]
    data = printer.file(printer.make({"items": items, "attach": "json"}))
    _check(data)
    with pikepdf.open(BytesIO(data)) as pdf:
        metadata = json.loads(pdf.attachments["metadata.json"].get_file().read_bytes())
    assert [m["00080018"]["Value"][0] for m in metadata] == uids


def test_a_password_is_never_kept_in_clear(web: Web, printer: Printer, store: Store, ct: list[Path]) -> None:
    uids = store(ct[:1])
    answer = printer.make({"items": [{"sop_instance_uid": uids[0]}], "password": "Zebra-Crossing-99"})
    assert answer["protected"] is True and "Zebra" not in json.dumps(answer)
    data = printer.file(answer)
    with pytest.raises(pikepdf.PasswordError):
        pikepdf.open(BytesIO(data))
    with pikepdf.open(BytesIO(data), password="Zebra-Crossing-99") as pdf:
        assert pdf.encryption.R == 6
    with web.database.read() as session:
        row = session.get(PrintRequest, answer["id"])
        assert row and "Zebra" not in row.password and "Zebra" not in json.dumps(row.options)
        assert "Zebra" not in str([e.detail for e in audit.list_events(session)[0]])


@pytest.mark.parametrize(
    ("order", "field"),
    [
        ({"layout": "9x9"}, "layout"), ({"paper": "B4"}, "paper"), ({"orientation": "upright"}, "orientation"),
        ({"margin_mm": 4}, "margin_mm"), ({"margin_mm": 21}, "margin_mm"), ({"scaling": "zoom"}, "scaling"),
        ({"output": "fax"}, "output"), ({"attach": "all"}, "attach"), ({"dpi": 5}, "dpi"), ({"colour": 1}, "colour"),
        ({"output": "printer"}, "output"), ({"output": "film"}, "output"), ({"output": "email"}, "output"),
        ({"items": []}, "items"), ({"items": [None]}, "items"), ({"items": [{"frame": 1}]}, "items.0.sop_instance_uid"),
        ({"items": [{"sop_instance_uid": "UID", "frame": 0}]}, "items.0.frame"),
        ({"items": [{"sop_instance_uid": "UID", "frame": 2}]}, "items.0.frame"),
        ({"items": [{"sop_instance_uid": "UID", "window": [40, 0]}]}, "items.0.window"),
        ({"items": [{"sop_instance_uid": "UID", "window": [40]}]}, "items.0.window.1"),
        ({"items": [{"sop_instance_uid": "UID", "window": [float("nan"), 400]}]}, "items.0.window"),
        ({"items": [{"sop_instance_uid": "UID", "window": [float("inf"), 400]}]}, "items.0.window"),
        ({"items": [{"sop_instance_uid": "UID", "window": [-1e300, 400]}]}, "items.0.window"),
        ({"items": [{"sop_instance_uid": "UID", "crop": [0.5, 0, 0.5, 1]}]}, "items.0.crop"),
        ({"items": [{"sop_instance_uid": "UID", "rotate": 45}]}, "items.0.rotate"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(web: Web, store: Store, ct: list[Path], order: dict[str, Any], field: str) -> None:
    (uid,) = store(ct[:1])
    text = json.dumps({"items": [{"sop_instance_uid": uid}], **order}).replace('"UID"', json.dumps(uid))
    answer = web.bob.post("/api/v1/prints", content=text, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422, answer.text
    assert answer.json()["field"] == field, answer.text
    assert web.bob.get("/api/v1/prints").json()["total"] == 0


def test_exactly_one_source_is_taken(web: Web, store: Store, ct: list[Path]) -> None:
    (uid,) = store(ct[:1])
    for body in ({}, {"items": [{"sop_instance_uid": uid}], "study_instance_uid": "1.2"}):
        answer = web.bob.post("/api/v1/prints", json=body)
        assert answer.status_code == 422 and "exactly one of items" in answer.json()["detail"], answer.text


def test_what_is_not_here_is_not_found(web: Web, store: Store, shared_data: Path) -> None:
    for body in (
        {"items": [{"sop_instance_uid": "1.2.3"}]},
        {"study_instance_uid": "1.2.3"},
        {"series_instance_uid": "1"},
    ):
        assert web.bob.post("/api/v1/prints", json=body).status_code == 404
    report = next((shared_data / "sr").glob("*.dcm"))
    (uid,) = store([report])
    answer = web.bob.post("/api/v1/prints", json={"items": [{"sop_instance_uid": uid}]})
    assert answer.status_code == 422 and answer.json()["code"] == "nothing-to-print"
    study = pydicom.dcmread(report, stop_before_pixels=True).StudyInstanceUID
    assert web.bob.post("/api/v1/prints", json={"study_instance_uid": study}).status_code == 422


def test_too_many_pages_are_refused_before_anything_is_made(web: Web, store: Store, ct: list[Path]) -> None:
    (uid,) = store(ct[:1])
    many = [{"sop_instance_uid": uid}] * (service.MAX_PAGES + 1)
    answer = web.bob.post("/api/v1/prints", json={"items": many})
    assert answer.status_code == 422 and answer.json()["field"] == "layout"
    assert web.bob.post("/api/v1/prints", json={"items": many, "layout": "4x5"}).status_code == 202


# The queue -------------------------------------------------------------------------------------------------------


def _order(web: Web, uid: str, name: str = "bob", **more: Any) -> str:
    answer = getattr(web, name).post("/api/v1/prints", json={"items": [{"sop_instance_uid": uid}], **more})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def test_a_print_waits_is_cancelled_tried_again_and_deleted(
    web: Web, printer: Printer, store: Store, ct: list[Path]
) -> None:
    (uid,) = store(ct[:1])
    one = _order(web, uid)
    here = f"/api/v1/prints/{one}"
    assert web.bob.get(here).json()["state"] == "queued"
    assert web.bob.get(f"{here}/pdf").status_code == 409
    assert web.bob.post(f"{here}/retry").status_code == 409
    assert web.bob.post(f"{here}/cancel").json()["state"] == "cancelled"
    assert web.bob.post(f"{here}/cancel").status_code == 409
    assert printer.work() == 0
    assert web.bob.post(f"{here}/retry").json()["state"] == "queued"
    assert printer.work() == 1
    assert web.bob.get(here).json()["state"] == "done"
    files = list(service.folder(web.services.config).iterdir())
    assert len(files) == 1 and files[0].stat().st_mode & 0o777 == 0o600
    assert web.bob.post(f"{here}/retry").status_code == 202, "reprint"
    assert printer.work() == 1 and len(list(service.folder(web.services.config).iterdir())) == 1
    assert web.bob.delete(here).status_code == 204
    assert web.bob.get(here).status_code == 404
    assert list(service.folder(web.services.config).iterdir()) == []
    with web.database.read() as session:
        verbs = [e.verb for e in audit.list_events(session, limit=500)[0] if e.detail.get("print") == one]
    assert verbs[::-1] == ["study.print", "print.cancel", "print.retry", "print.retry", "print.delete"]


def test_a_print_that_fails_says_why(web: Web, printer: Printer, store: Store, ct: list[Path]) -> None:
    (uid,) = store(ct[:1])
    one = _order(web, uid)
    for file in web.services.config.store.rglob("*"):
        if file.is_file() and file.stat().st_size > 100_000:
            file.unlink()
    printer.work()
    answer = web.bob.get(f"/api/v1/prints/{one}").json()
    assert answer["state"] == "failed" and "file of this object is missing" in answer["error"], answer


def test_a_worker_that_dies_half_way_leaves_nothing_and_the_print_is_made(
    web: Web, printer: Printer, store: Store, ct: list[Path]
) -> None:
    (uid,) = store(ct[:1])
    one = _order(web, uid)
    claimed = printer.worker._claim(["print.render"])
    assert claimed  # and here it dies: nothing more is heard of it
    assert web.bob.get(f"/api/v1/prints/{one}").json()["state"] == "running"
    with web.database.write() as session:
        session.execute(update(Job).values(heartbeat_at=None))
        assert jobs.release_abandoned(session) == 1
    assert printer.work() == 1
    assert web.bob.get(f"/api/v1/prints/{one}").json()["state"] == "done"


def test_a_deleted_print_is_not_made(web: Web, printer: Printer, store: Store, ct: list[Path]) -> None:
    (uid,) = store(ct[:1])
    one = _order(web, uid)
    assert web.bob.delete(f"/api/v1/prints/{one}").status_code == 204
    printer.work()
    assert list(service.folder(web.services.config).iterdir()) == []


def test_priority_is_for_administrators_and_changes_the_order(
    web: Web, printer: Printer, store: Store, ct: list[Path]
) -> None:
    (uid,) = store(ct[:1])
    first, second = _order(web, uid), _order(web, uid)
    assert web.bob.patch(f"/api/v1/prints/{second}", json={"priority": 9}).status_code == 403
    assert web.admin.patch(f"/api/v1/prints/{second}", json={"priority": 9}).json()["priority"] == 9
    claimed = printer.worker._claim(["print.render"])
    assert claimed and claimed.payload == {"print_id": second} and first != second


def test_facilities_do_not_see_each_other(web: Web, printer: Printer, store: Store, ct: list[Path]) -> None:
    (north,) = store(ct[:1], "North")
    (south,) = store([ct[0].parent.parent / "mr_head_t1" / "001.dcm"], "South")
    of_north, of_south = _order(web, north, "bob"), _order(web, south, "alice")
    assert printer.work() == 2

    def seen(name: str) -> set[str]:
        return {item["id"] for item in getattr(web, name).get("/api/v1/prints").json()["items"]}

    assert seen("charlie") == seen("bob") == {of_north}
    assert seen("dora") == {of_south}
    assert seen("alice") == seen("admin") == {of_north, of_south}
    assert web.dora.get(f"/api/v1/prints/{of_north}").status_code == 404
    assert web.charlie.get(f"/api/v1/prints/{of_north}").status_code == 200
    assert web.charlie.get(f"/api/v1/prints/{of_north}/pdf").status_code == 403, "facility users do not print"
    assert web.charlie.delete(f"/api/v1/prints/{of_north}").status_code == 403, "not his own"
    assert web.bob.get(f"/api/v1/prints/{of_south}/pdf").status_code == 404
    assert web.bob.post("/api/v1/prints", json={"items": [{"sop_instance_uid": south}]}).status_code == 404
    assert web.nobody.get("/api/v1/prints").status_code == 401


def test_lists_page_and_filter(web: Web, store: Store, ct: list[Path]) -> None:
    (uid,) = store(ct[:1])
    ids = [_order(web, uid) for _ in range(5)]
    web.bob.post(f"/api/v1/prints/{ids[0]}/cancel")
    first = web.bob.get("/api/v1/prints", params={"limit": 2}).json()
    assert [i["id"] for i in first["items"]] == ids[:2:-1] and first["total"] == 5
    second = web.bob.get("/api/v1/prints", params={"limit": 2, "cursor": first["next"]}).json()
    assert [i["id"] for i in second["items"]] == ids[2:0:-1]
    cancelled = web.bob.get("/api/v1/prints", params={"state": "cancelled"}).json()
    assert [i["id"] for i in cancelled["items"]] == ids[:1] and cancelled["total"] == 1


@pytest.mark.parametrize(("kind", "ending"), [("jpeg", "jpg"), ("png", "png"), ("tiff", "tif")])
def test_pages_as_image_files_have_their_true_size(
    web: Web, printer: Printer, store: Store, ct: list[Path], kind: str, ending: str
) -> None:
    uids = store(ct[:3])
    items = [{"sop_instance_uid": uid} for uid in uids]
    order = {"items": items, "layout": "1x2", "output": "images", "image_format": kind, "dpi": 100, "paper": "A5"}
    answer = printer.make(order)
    assert answer["state"] == "done" and answer["pdf"] is None, answer
    assert web.bob.get(f"/api/v1/prints/{answer['id']}/pdf").status_code == 404
    found = web.bob.get(answer["file"])
    assert found.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(BytesIO(found.content)) as archive:
        assert archive.namelist() == [f"page-001.{ending}", f"page-002.{ending}"]
        page = Image.open(BytesIO(archive.read(archive.namelist()[0])))
    assert page.size == pytest.approx((148 / 25.4 * 100, 210 / 25.4 * 100), abs=1)
    assert page.info["dpi"][0] == pytest.approx(100, abs=0.1)
    grey = np.asarray(page.convert("L"))
    assert grey[0, 0] == 255 and grey[200:300, 200:300].min() < 100, "a white page"


@pytest.mark.parametrize("more", [{"password": "x"}, {"attach": "json"}])
def test_image_files_take_neither_password_nor_attachments(
    web: Web, store: Store, ct: list[Path], more: dict[str, str]
) -> None:
    (uid,) = store(ct[:1])
    order = {"items": [{"sop_instance_uid": uid}], "output": "images", **more}
    answer = web.bob.post("/api/v1/prints", json=order)
    assert answer.status_code == 422 and answer.json()["field"] == next(iter(more))


# Previews --------------------------------------------------------------------------------------------------------


def test_a_preview_picture_is_what_imaging_renders(web: Web, store: Store, ct: list[Path]) -> None:
    (uid,) = store(ct[:1])
    address = "/api/v1/prints/preview/picture"
    query = {"sop": uid, "window": "-600,1500", "part": "128,64,256,128", "size": 512}
    answer = web.bob.get(address, params=query)
    assert answer.headers["content-type"] == "image/jpeg", answer.text
    shown = np.asarray(Image.open(BytesIO(answer.content)), float)
    wanted = _rendered(ct[0], window=(-600, 1500))[64:192, 128:384].astype(float)
    assert shown.shape == wanted.shape and np.abs(shown - wanted).mean() < 3
    assert web.dora.get(address, params=query).status_code == 404, "another facility"
    assert web.nobody.get(address, params=query).status_code == 401
    for wrong in ({"window": "a,b"}, {"part": "1,2"}, {"rotate": 45}, {"size": 9000}, {"part": "900,900,5,5"}):
        assert web.bob.get(address, params={**query, **wrong}).status_code == 422, wrong


def test_the_facts_an_editor_needs(web: Web, store: Store, ct: list[Path]) -> None:
    (uid,) = store(ct[:1])
    ds = pydicom.dcmread(ct[0])
    address = "/api/v1/prints/preview/image"
    known = web.bob.get(address, params={"sop": uid}).json()
    assert (known["rows"], known["columns"], known["measured"]) == (ds.Rows, ds.Columns, True)
    assert known["pixel"] == [float(v) for v in ds.PixelSpacing]
    center, width = (v[0] if isinstance(v, MultiValue) else v for v in (ds.WindowCenter, ds.WindowWidth))
    assert known["window"] == [float(center), float(width)]
    assert web.bob.get(address, params={"sop": "1.2.3"}).status_code == 404
    assert web.dora.get(address, params={"sop": uid}).status_code == 403, "a facility user does not print"
    assert web.bob.get(address, params={"sop": uid, "frame": 99}).status_code == 404


def test_a_preview_page_is_safe_svg(web: Web, store: Store, tmp_path: Path, ct: list[Path]) -> None:
    ds = pydicom.dcmread(ct[0])
    ds.PatientName = '<script>alert("x")</script>&amp;'
    ds.SeriesDescription = "]]><img src=x onerror=alert(1)>"
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4.5"
    ds.save_as(tmp_path / "evil.dcm")
    (uid,) = store([tmp_path / "evil.dcm"])
    order = {"items": [{"sop_instance_uid": uid}, None, {"sop_instance_uid": uid}], "layout": "1x2", "texts": "full"}
    answer = web.bob.post("/api/v1/prints/preview", params={"pages": 5}, json=order)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert (body["pages"], body["images"], sorted(body["svg"])) == (2, 2, ["1", "2"])
    for text in body["svg"].values():
        tree = ElementTree.fromstring(text)
        names = {element.tag.rpartition("}")[2] for element in tree.iter()}
        assert names <= {"svg", "g", "rect", "image", "text", "line"}, names
        assert not any(a in ("style", "onload", "onerror") for element in tree.iter() for a in element.attrib)
    assert "alert" in body["svg"]["1"], "the name is shown, as text"
    assert web.dora.post("/api/v1/prints/preview", json=order).status_code == 403, "a facility user does not print"
    assert web.bob.post("/api/v1/prints/preview", json={**order, "layout": "7x7"}).status_code == 422


def test_the_composer_page_begins_with_what_was_chosen(web: Web, store: Store, ct: list[Path]) -> None:
    uids = store(ct[:4])
    study = pydicom.dcmread(ct[0], stop_before_pixels=True).StudyInstanceUID
    answer = web.bob.get("/print", params={"study": study, "items": f"{uids[0]}:1:40:400,{uids[1]},{uids[2]}::"})
    assert answer.status_code == 200
    data = json.loads(re.findall(r'id="composer-data">(.*?)</script>', answer.text, re.DOTALL)[0])
    assert data["items"] == [
        {"sop_instance_uid": uids[0], "frame": 1, "window": [40.0, 400.0]},
        {"sop_instance_uid": uids[1], "frame": 1},
        {"sop_instance_uid": uids[2], "frame": 1},
    ]
    assert len(data["series"][0]["frames"]) == 4 and " style=" not in answer.text
    assert web.bob.get("/print", params={"study": study, "items": "1.2:x"}).status_code == 422
    assert web.dora.get("/print", params={"study": study}).status_code == 403
    assert web.bob.get("/print", params={"study": "1.2.3"}).status_code == 404
    with web.database.read() as session:
        verbs = [e.verb for e in audit.list_events(session, thing_id=study)[0]]
    assert "study.view" in verbs, "the composer shows images"


def _composer(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = json.loads(re.findall(r'id="composer-data">(.*?)</script>', answer.text, re.DOTALL)[0])
    return found


def test_the_composer_takes_several_studies_and_tells_patients_apart(
    web: Web, store: Store, ct: list[Path], shared_data: Path, tmp_path: Path
) -> None:
    earlier = pydicom.dcmread(ct[0])  # the same patient on another day
    study = str(earlier.StudyInstanceUID)
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
        setattr(earlier, keyword, f"{str(getattr(earlier, keyword))[:60]}.9")
    earlier.file_meta.MediaStorageSOPInstanceUID = earlier.SOPInstanceUID
    earlier.save_as(tmp_path / "earlier.dcm")
    other = shared_data / "modality" / "cr_rg2_mono2_10bit_jpeg-lossless.dcm"
    store([*ct[:2], tmp_path / "earlier.dcm", other])
    another = str(pydicom.dcmread(other, stop_before_pixels=True).StudyInstanceUID)
    data = _composer(web.bob.get("/print", params={"study": [study, earlier.StudyInstanceUID]}))
    assert [one["patient"] for one in data["studies"]] == [0, 0] and len(data["items"]) == 3
    data = _composer(web.bob.get("/print", params={"study": [study, another, earlier.StudyInstanceUID, study]}))
    assert [one["patient"] for one in data["studies"]] == [0, 1, 0] and len(data["patients"]) == 2
    assert [one["study"] for one in data["series"]] == [0, 1, 2] and len(data["items"]) == 4
    assert web.bob.get("/print", params={"study": [study, "1.2.3"]}).status_code == 404
    assert web.bob.get("/print", params={"study": [f"1.2.{n}" for n in range(31)]}).status_code == 422
    assert web.bob.get("/print").status_code == 422


def test_a_chosen_study_without_images_is_named_with_the_reason(
    web: Web, store: Store, ct: list[Path], tmp_path: Path
) -> None:
    """Its patient must not be missing from the paper without a word."""
    (tmp_path / "empty.dcm").write_bytes(ct_bytes("1.2.88.1.1", "1.2.88", "1.2.88.1", pixels=None))
    store([ct[0], tmp_path / "empty.dcm", CASES / "H60" / "sr.dcm"])
    drawn, report = (
        str(pydicom.dcmread(path, stop_before_pixels=True).StudyInstanceUID)
        for path in (ct[0], CASES / "H60" / "sr.dcm")
    )
    asked = {"study": [drawn, "1.2.88", report]}
    empty, documents = web.bob.get("/print/_unprinted", params=asked).json()
    assert empty == "Not printed: Doe, Jane · P1 (Chest, 2 Jan 2024). Its images contain no pixel data."
    assert documents.endswith("It contains only reports and other documents.")
    assert _composer(web.bob.get("/print", params=asked))["unprinted"] == [empty, documents]
    alone = web.bob.get("/print", params={"study": "1.2.88"}).text
    assert re.search(r'<button class="btn primary"\s+type="submit"\s+disabled>', alone)
    refused = web.bob.post("/api/v1/prints", json={"study_instance_uid": "1.2.88"}).json()
    assert refused["hint"] == "The selected images contain no pixel data."
    assert web.dora.get("/print/_unprinted", params=asked).status_code == 403


def test_a_print_counts_its_patients_and_says_when_it_mixes_them(
    web: Web, printer: Printer, store: Store, ct: list[Path], shared_data: Path
) -> None:
    uids = store([ct[0], shared_data / "modality" / "cr_rg2_mono2_10bit_jpeg-lossless.dcm"])
    order = {"items": [{"sop_instance_uid": uid} for uid in uids], "layout": "1x2", "texts": "none"}
    made = printer.make(order)
    assert made["state"] == "done" and made["patients"] == 2
    assert made["notices"] == ["Page 1 contains images of 2 patients; the patient name is printed with each image."]
    assert "patients" not in made["options"]
    assert "2 patients" in web.bob.get("/prints/_queue").text
    assert printer.make({**order, "items": order["items"][:1]})["patients"] == 1


def test_the_queue_part_shows_states_and_what_may_be_done(
    web: Web, printer: Printer, store: Store, ct: list[Path]
) -> None:
    (uid,) = store(ct[:1])
    waiting = _order(web, uid)
    shown = web.bob.get("/prints/_queue", headers={"HX-Request": "true"}).text
    assert "Waiting" in shown and f"/api/v1/prints/{waiting}/cancel" in shown and " style=" not in shown
    assert f"/api/v1/prints/{waiting}/cancel" not in web.charlie.get("/prints/_queue").text
    ct_header = pydicom.dcmread(ct[0], stop_before_pixels=True)
    assert ct_header.PatientID in shown and "password-protected" not in shown
    locked = _order(web, uid, password="Zebra-Crossing-99")
    assert web.bob.get("/prints/_queue").text.count("password-protected") == 1
    assert web.bob.delete(f"/api/v1/prints/{locked}").status_code == 204
    printer.work()
    shown = web.bob.get("/prints").text
    assert "Done" in shown and f"/api/v1/prints/{waiting}/pdf" in shown
    assert f"/api/v1/prints/{waiting}/pdf" not in web.charlie.get("/prints").text
    assert waiting not in web.dora.get("/prints").text


@pytest.fixture
def mixed(store: Store) -> tuple[str, list[str]]:
    """Case H60: a study of two images, one that cannot be decoded, and documents: its UID and those of the three images."""
    folder = CASES / "H60"
    store([folder / f"{name}.dcm" for name in ("ko", "pdf", "pr", "rt", "sr")])
    uids = store([folder / f"{name}.dcm" for name in ("ct1", "bad", "ct2")])
    return str(pydicom.dcmread(folder / "ct1.dcm", stop_before_pixels=True).StudyInstanceUID), uids


def _text(data: bytes) -> str:
    with pypdfium2.PdfDocument(data) as pdf:
        return "\n".join(page.get_textpage().get_text_bounded() for page in pdf)


def test_an_image_that_cannot_be_drawn_leaves_the_others_on_paper(
    web: Web, printer: Printer, mixed: tuple[str, list[str]]
) -> None:
    answer = printer.make({"study_instance_uid": mixed[0], "layout": "2x2"})
    assert answer["state"] == "done", answer["error"]
    data = printer.file(answer)
    _check(data)
    assert [len(page) for page in _images(data)] == [2]
    said = _text(data)
    assert "This image cannot be displayed." in said
    (notice,) = answer["notices"]
    assert re.match(r"Image [123] \(.*\) cannot be displayed: \w", notice), notice
    why = notice.split("displayed: ")[1]
    assert why.split()[0] in said, "the cell says why"
    row = web.bob.get("/prints/_queue").text
    assert "cannot be displayed" in row


def test_the_preview_says_beforehand_what_cannot_be_drawn(
    web: Web, printer: Printer, mixed: tuple[str, list[str]]
) -> None:
    _study, images = mixed
    order = {"items": [{"sop_instance_uid": one} for one in images], "layout": "2x2"}
    shown = web.bob.post("/api/v1/prints/preview", json=order).json()
    assert [n for n in shown["notices"] if n.startswith("Image 2 ") and "cannot be displayed: " in n], shown["notices"]
    drawing = ElementTree.fromstring(shown["svg"]["1"])
    (cell,) = [g for g in drawing.iter() if g.get("class") == "cell undrawable"]
    assert cell.get("data-cell") == "1"
    assert "This image cannot be displayed." in "".join(cell.itertext())
    assert not [e for e in cell.iter() if e.tag.endswith("image")]
    assert shown["notices"] == printer.make(order)["notices"], "the preview says what the print will say"


def test_the_reason_is_in_the_language_of_who_orders(web: Web, mixed: tuple[str, list[str]]) -> None:
    order = {"items": [{"sop_instance_uid": mixed[1][1]}]}
    web.bob.post("/preferences/language", data={"language": "es"})
    shown = web.bob.post("/api/v1/prints/preview", json=order).json()
    assert "This image" not in shown["svg"]["1"]


def test_images_that_are_deleted_while_a_print_waits_are_named(
    web: Web, printer: Printer, store: Store, ct: list[Path]
) -> None:
    uids = store(ct[:3])
    accepted = web.bob.post("/api/v1/prints", json={"items": [{"sop_instance_uid": u} for u in uids], "layout": "2x2"})
    assert web.admin.delete(f"/api/v1/instances/{uids[1]}").status_code in (200, 204)
    printer.work()
    answer = web.bob.get(accepted.headers["Location"]).json()
    assert answer["state"] == "done", answer["error"]
    assert [n for n in answer["notices"] if n.startswith("Image 2 ")]
    assert [len(page) for page in _images(printer.file(answer))] == [2]


def test_a_print_without_any_image_that_can_be_drawn_fails(
    web: Web, printer: Printer, mixed: tuple[str, list[str]]
) -> None:
    answer = printer.make({"items": [{"sop_instance_uid": mixed[1][1]}] * 3, "layout": "1x1"})
    assert answer["state"] == "failed"
    assert "cannot be displayed" in answer["error"]
