"""Presentation states over WADO-RS, WADO-URI and print: the same picture everywhere, and only within a study one may see."""

import itertools
import json
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pikepdf
import pytest
from PIL import Image

from app.imaging import PixelSpec, RenderParams, presentation, render_frame
from tests.archive.make import part10
from tests.printing.conftest import Printer, Store, printer, store
from tests.support.client import Web
from tests.support.presentation_states import make_graphic, make_image, make_state, voi_window

__all__ = ["printer", "store"]  # fixtures
IMAGE = "/dicom-web/studies/1.2.9/series/1.2.9.0/instances/1.2.9.1"


@pytest.fixture
def state(web: Web, store: Store, tmp_path: Path) -> dict[str, Any]:
    """An image and a state that turns, flips, cuts, inverts, narrows the window and draws a line; both stored."""
    image = make_image()
    made = make_state(image, SoftcopyVOILUTSequence=voi_window(1500, 800), PresentationLUTShape="INVERSE")
    made.ImageRotation, made.ImageHorizontalFlip, made.SOPInstanceUID = 90, "Y", "1.2.9.5.1"
    [area] = made.DisplayedAreaSelectionSequence
    area.DisplayedAreaTopLeftHandCorner, area.DisplayedAreaBottomRightHandCorner = [5, 3], [36, 22]
    made.GraphicAnnotationSequence = [make_graphic("POLYLINE", [10.0, 4.0, 30.0, 20.0])]
    other = make_state(image)
    other.SOPInstanceUID = "1.2.9.5.2"
    other.ReferencedSeriesSequence[0].ReferencedImageSequence[0].ReferencedSOPInstanceUID = "1.2.9.77"
    for name, one in (("image", image), ("state", made), ("other", other)):
        (tmp_path / f"{name}.dcm").write_bytes(part10(one))
    store([tmp_path / f"{name}.dcm" for name in ("image", "state", "other")])
    spec = PixelSpec.from_dataset(image)
    read = presentation.read(made, "1.2.9.1", spec)
    drawn = render_frame(image.PixelData, image, RenderParams(), 1, spec, read)

    def whole(seen: RenderParams) -> np.ndarray[Any, Any]:
        return render_frame(image.PixelData, image, seen, 1, spec, read.without_geometry())

    return {"uid": "1.2.9.5.1", "drawn": drawn, "whole": whole}


def _png(data: bytes) -> np.ndarray[Any, Any]:
    return np.asarray(Image.open(BytesIO(data)))


def _wado(**more: str) -> str:
    query = {"requestType": "WADO", "studyUID": "1.2.9", "seriesUID": "1.2.9.0", "objectUID": "1.2.9.1"} | more
    return "/wado?" + "&".join(f"{name}={value}" for name, value in query.items())


def test_a_state_is_rendered_as_the_image_it_is_about(web: Web, state: dict[str, Any]) -> None:
    address = IMAGE.replace("1.2.9.0/instances/1.2.9.1", f"1.2.9.5/instances/{state['uid']}")
    answer = web.alice.get(f"{address}/rendered", headers={"Accept": "image/png"})
    assert answer.status_code == 200, answer.text
    assert np.array_equal(_png(answer.content), state["drawn"])
    missing = web.alice.get(f"{address[:-1]}2/rendered", headers={"Accept": "image/png"})
    assert missing.status_code == 404 and "not in the archive" in missing.json()["detail"]


def test_an_image_is_rendered_by_a_state_that_is_named(web: Web, state: dict[str, Any]) -> None:
    for place in (IMAGE, f"{IMAGE}/frames/1"):
        answer = web.alice.get(f"{place}/rendered?presentationUID={state['uid']}", headers={"Accept": "image/png"})
        assert answer.status_code == 200, answer.text
        assert np.array_equal(_png(answer.content), state["drawn"])
    place = "/api/v1/instances/1.2.9.1/frames/1/rendered"
    for more in ("", "&presentationSeriesUID=1.2.9.5"):
        answer = web.alice.get(f"{place}?presentationUID={state['uid']}{more}")
        assert np.array_equal(_png(answer.content), state["drawn"])
    assert not np.array_equal(_png(web.alice.get(place).content), state["drawn"])
    assert web.alice.get(f"{place}?presentationUID=1.2.9.77").status_code == 404
    for many in ("/dicom-web/studies/1.2.9", "/dicom-web/studies/1.2.9/series/1.2.9.0"):
        answer = web.alice.get(
            f"{many}/rendered?presentationUID={state['uid']}", headers={"Accept": 'multipart/related; type="image/png"'}
        )
        assert (
            answer.status_code == 200
            and web.alice.get(f"{place}?presentationUID={state['uid']}").content in answer.content
        )
    plain = web.alice.get(f"{IMAGE}/rendered", headers={"Accept": "image/png"})
    assert not np.array_equal(_png(plain.content), state["drawn"]), "and not from the cache of the other"


def test_wado_uri_applies_it(web: Web, state: dict[str, Any]) -> None:
    answer = web.alice.get(
        _wado(contentType="image/png", presentationSeriesUID="1.2.9.5", presentationUID=state["uid"])
    )
    assert answer.status_code == 200, answer.text
    assert np.array_equal(_png(answer.content), state["drawn"])


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"presentationUID": "1.2.9.5.1"}, 400),
        ({"presentationUID": "1.2.9.5.1", "presentationSeriesUID": "1.2.9.0"}, 404),
        ({"presentationUID": "1.2.9.1", "presentationSeriesUID": "1.2.9.0"}, 404),
        ({"presentationUID": "1.2.9.5.2", "presentationSeriesUID": "1.2.9.5"}, 422),
        ({"presentationUID": "1.2.9.5.1", "presentationSeriesUID": "1.2.9.5", "windowCenter": "1", "windowWidth": "2"}, 400),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(web: Web, state: dict[str, Any], more: dict[str, str], status: int) -> None:
    answer = web.alice.get(_wado(contentType="image/png", **more))
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("application/problem+json")


def _printed(data: bytes) -> list[np.ndarray[Any, Any]]:
    with pikepdf.open(BytesIO(data)) as pdf:
        images = pdf.pages[0].Resources.XObject
        streams = [images[name] for name in sorted(images, key=lambda name: int(name[3:]))]
        return [np.frombuffer(one.read_bytes(), np.uint8).reshape(int(one.Height), int(one.Width)) for one in streams]


def test_a_print_shows_what_rendered_shows(web: Web, printer: Printer, state: dict[str, Any]) -> None:
    item = {"sop_instance_uid": "1.2.9.1", "presentation_state_uid": state["uid"]}
    order = {"items": [item], "texts": "standard", "dpi": 300}
    shown = web.bob.post("/api/v1/prints/preview", json=order).json()["svg"]["1"]
    assert f"presentation_state_uid={state['uid']}" in shown and "W 800 L 1500" in shown
    [made] = _printed(printer.file(printer.make(order)))
    assert np.array_equal(made, state["drawn"])


def test_what_is_ordered_comes_on_top_of_the_state(web: Web, printer: Printer, state: dict[str, Any]) -> None:
    """The state turns by 90 degrees and flips; a turn after a flip goes the other way round in the image."""
    ways = list(itertools.product((0, 90, 180, 270), (False, True), (False, True)))
    image = {"sop_instance_uid": "1.2.9.1", "presentation_state_uid": state["uid"]}
    items = [{**image, "rotation": turn, "flip": flip, "invert": invert} for turn, flip, invert in ways]
    found = _printed(printer.file(printer.make({"items": items, "layout": "4x4"})))
    for (turn, flip, invert), made in zip(ways, found, strict=True):
        seen = RenderParams(rotate=float(90 - turn), flip_horizontal=not flip, invert=invert)
        area = np.zeros((24, 40), bool)
        area[2:22, 4:36] = True
        area = np.rot90(np.rot90(area, -1)[:, ::-1], -turn // 90)
        rows, columns = np.nonzero(area[:, ::-1] if flip else area)
        wanted = state["whole"](seen)[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        assert np.array_equal(made, wanted), (turn, flip, invert)


def test_a_print_refuses_a_state_that_does_not_belong(
    web: Web, state: dict[str, Any], store: Store, tmp_path: Path
) -> None:
    for uid, status in (("1.2.9.5.2", 422), ("1.2.9.1", 404), ("9.9.9", 404)):
        item = {"sop_instance_uid": "1.2.9.1", "presentation_state_uid": uid}
        answer = web.bob.post("/api/v1/prints", json={"items": [item]})
        assert answer.status_code == status, answer.text
        assert answer.json()["field"] == "items.0.presentation_state_uid"
        assert "SOP" not in json.dumps(answer.json())


def test_a_state_of_another_facility_is_not_there(web: Web, state: dict[str, Any]) -> None:
    item = {"sop_instance_uid": "1.2.9.1", "presentation_state_uid": state["uid"]}
    assert web.dora.post("/api/v1/prints", json={"items": [item]}).status_code in (403, 404)
    assert web.dora.get(f"{IMAGE}/rendered?presentationUID={state['uid']}").status_code == 404
