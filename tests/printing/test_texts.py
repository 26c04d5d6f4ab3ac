"""Templates of the corner texts, and the position of an image in its series."""

from pathlib import Path

import pytest
from pydicom import Dataset

from app.printing.facts import header_values
from app.printing.gather import Gatherer
from app.printing.order import OrderItem
from app.printing.texts import CORNERS, expand
from app.printing.wording import moment, words
from tests.archive.make import ct_bytes
from tests.printing.conftest import Store
from tests.support.client import Web


def test_variables_are_filled_in() -> None:
    assert expand("[PatientName]\n[Window]", {"PatientName": "A, B", "Window": "W 1 L 2"}) == ["A, B", "W 1 L 2"]


def test_what_says_nothing_vanishes_with_its_separators() -> None:
    assert expand("[PatientID], [PatientSex], [StudyDate]", {"PatientSex": "F"}) == ["F"]
    assert expand("[Image] · [Scale]", {"Image": "1 of 2"}) == ["1 of 2"]
    assert expand("[PatientName]\n[PatientID]", {}) == []


def test_a_value_is_never_read_as_a_template() -> None:
    assert expand("[PatientName]", {"PatientName": "[PatientID]", "PatientID": "secret"}) == ["[PatientID]"]


def test_every_ready_made_template_uses_known_variables() -> None:
    import dataclasses
    import re

    known = {*header_values(Dataset(), words("en")), *moment("en", ""), "Image", "Window", "Scale", "Page", "Pages"}
    for corners in CORNERS.values():
        for template in dataclasses.astuple(corners):
            assert set(re.findall(r"\[(\w+)\]", template)) <= known


@pytest.mark.parametrize(
    ("numbers", "positions"),
    [
        ((1, 2, 3), ["1 / 3", "2 / 3", "3 / 3"]),
        ((2, 3, 9), ["2", "3", "9"]),  # "2 / 3" would name the first image as the second
        ((1, 1, 3), ["1", "1", "3"]),
        ((1, 2, None), ["1", "2", ""]),
    ],
)
def test_a_position_of_several_needs_numbers_without_gaps(
    web: Web, store: Store, tmp_path: Path, numbers: tuple[int | None, ...], positions: list[str]
) -> None:
    for n, number in enumerate(numbers):
        (tmp_path / f"{n}.dcm").write_bytes(ct_bytes(f"1.2.3.1.1.{n + 1}", InstanceNumber=number))
    uids = store(sorted(tmp_path.glob("*.dcm")))
    source = Gatherer(web.database.read, web.services.archive, "en", uids)
    assert [source.picture(OrderItem(sop_instance_uid=uid), 1).values["Image"] for uid in uids] == positions
