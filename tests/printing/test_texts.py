"""Templates of the corner texts."""

from pydicom import Dataset

from app.printing.facts import header_values
from app.printing.texts import CORNERS, expand
from app.printing.wording import moment, words


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
