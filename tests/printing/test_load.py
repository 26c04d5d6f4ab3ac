"""The annotations of an order are bounded together, and refused before anything is made of them."""

from pathlib import Path
from typing import Any

import pytest

from tests.archive.make import ct_bytes
from tests.printing.conftest import Store
from tests.support.client import Web


def _item(uid: str, annotations: int, lines: int, points: int) -> dict[str, Any]:
    line = {"points": [[n % 500, n % 300] for n in range(points)]}
    return {"sop_instance_uid": uid, "annotations": [{"lines": [line] * lines}] * annotations}


def _texts(uid: str, annotations: int, lines: int) -> dict[str, Any]:
    return {
        "sop_instance_uid": uid,
        "annotations": [{"texts": [{"at": [1, 1], "lines": ["5 mm"] * lines}]}] * annotations,
    }


@pytest.mark.parametrize("address", ["/api/v1/prints", "/api/v1/prints/preview"])
@pytest.mark.parametrize(
    ("items", "field", "most"),
    [
        ([_item("1.2", 50, 20, 101)], "items", "100000"),
        ([_item("1.2", 11, 1, 2000)], "items.0.annotations", "20000"),
        ([None, _item("1.2", 1, 1, 2), _item("1.2", 200, 2, 51)], "items.2.annotations", "20000"),
        ([_item("1.2", 10, 1, 2000)] * 5 + [_item("1.2", 1, 1, 2)], "items", "100000"),
        ([_texts("1.2", 51, 20)], "items.0.annotations", "1000"),
        ([_texts("1.2", 50, 20)] * 6, "items", "5000"),
    ],
)
def test_too_much_to_draw_is_refused_with_the_field(
    web: Web, address: str, items: list[dict[str, Any] | None], field: str, most: str
) -> None:
    answer = web.bob.post(address, json={"items": items})
    assert answer.status_code == 422
    said = answer.json()
    assert said["field"] == field and most in said["detail"]


def test_as_much_as_is_taken_is_drawn(web: Web, store: Store, ct: list[Path]) -> None:
    (uid,) = store(ct[:1])
    order = {"items": [_item(uid, 10, 1, 2000)]}
    drawn = web.bob.post("/api/v1/prints/preview", json=order)
    assert drawn.status_code == 200
    assert drawn.json()["svg"]["1"].count('stroke="#fff"') >= 10 * 1990
    assert web.bob.post("/api/v1/prints", json=order).status_code == 202


@pytest.mark.parametrize("wrong", ["x", 5, [5], [{"lines": 5}], [{"lines": [{"points": 5}]}], [[[]]], {"lines": []}])
def test_another_form_is_refused_by_its_own_field(web: Web, wrong: Any) -> None:
    items = [{"sop_instance_uid": "1.2", "annotations": wrong}]
    answer = web.bob.post("/api/v1/prints", json={"items": items})
    assert answer.status_code == 422
    assert answer.json()["field"].startswith("items.0.annotations")


def test_a_study_of_more_frames_than_anybody_arranges_is_refused(web: Web, store: Store, tmp_path: Path) -> None:
    path = tmp_path / "many.dcm"
    size = {"Rows": 1, "Columns": 1, "BitsAllocated": 8, "BitsStored": 8, "HighBit": 7}
    path.write_bytes(ct_bytes(pixels=bytes(100_002), NumberOfFrames=100_001, **size))
    store([path])
    answer = web.bob.get("/print", params={"study": "1.2.3.1"})
    assert answer.status_code == 422 and "100000 images" in answer.text.replace(",", "")
