"""Corner texts and page lines from templates with variables: "[PatientName]" and the like.

A line whose variables are all empty vanishes together with its separators, so that ", , 12" is never printed."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

_VARIABLE = re.compile(r"\[([A-Za-z]+)\]")
_SEPARATORS = ",·;|/ "


@dataclass(frozen=True, slots=True)
class Corners:
    """Lines for the four corners of a cell; lines are separated by a newline."""

    top_left: str = ""
    top_right: str = ""
    bottom_left: str = ""
    bottom_right: str = ""


CORNERS: dict[str, Corners] = {
    "none": Corners(),
    "standard": Corners(
        top_left="[SeriesDescription]",
        bottom_left="[Window]",
        bottom_right="[Image] · [Scale]",
    ),
    "full": Corners(
        top_left="[PatientName]\n[PatientID]\n[PatientBirthDate] · [PatientSex]",
        top_right="[InstitutionName]\n[StudyDescription]\n[StudyDate]",
        bottom_left="[SeriesDescription]\n[Window]",
        bottom_right="[Image]\n[Scale]",
    ),
}


def expand(template: str, values: Mapping[str, str]) -> list[str]:
    """The template's lines with their variables filled in; empty lines are left out."""
    lines = []
    for line in template.split("\n"):
        parts = re.split(r"( [·|/;] |, )", line)
        kept: list[str] = []
        for n in range(0, len(parts), 2):
            text = _VARIABLE.sub(lambda match: values.get(match[1], ""), parts[n]).strip()
            if text:
                kept += ([parts[n - 1]] if kept else []) + [text]
        if whole := "".join(kept).strip(_SEPARATORS):
            lines.append(whole)
    return lines
