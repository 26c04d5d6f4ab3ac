"""A structured report as a tree a person can read (PS3.3 C.17.3): pure, header in, nodes out."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pydicom import Dataset

from app.dicom.damage import DAMAGE
from app.dicom.reading import text_of

# A hostile object may nest without end; no report of a person goes deeper.
_DEEPEST = 64


@dataclass(frozen=True, slots=True)
class ContentItem:
    """One content item: the name of its concept, its value in words, and what it contains."""

    name: str
    value: str
    items: list["ContentItem"] = field(default_factory=list)


def tree(report: Dataset) -> ContentItem:
    """The content tree of an SR document, its root first."""
    return _node(report, 0)


def _node(item: Dataset, depth: int) -> ContentItem:
    try:
        children = item.get("ContentSequence") or [] if depth < _DEEPEST else []
        name, value = _meaning(item.get("ConceptNameCodeSequence")), _value(item)
    except DAMAGE:  # of a sequence that ends early, say: the rest of the tree is shown
        return ContentItem("", "", [])
    return ContentItem(name, value, [_node(one, depth + 1) for one in children])


def _value(item: Dataset) -> str:
    kind = str(item.get("ValueType") or "")
    reader = _READERS.get(kind)
    return reader(item) if reader else ""


def _numeric(item: Dataset) -> str:
    measured = _first(item.get("MeasuredValueSequence"))
    if measured is None:
        return ""
    unit = _first(measured.get("MeasurementUnitsCodeSequence"))
    code = str(unit.get("CodeValue") or "") if unit is not None else ""
    # "1" is UCUM for no unit; {...} is an annotation, whose meaning reads better.
    shown = "" if code == "1" else _meaning([unit]) if unit is not None and code.startswith("{") else code
    return f"{_text(measured, 'NumericValue')} {shown}".strip()


def _coordinates(item: Dataset) -> str:
    return f"{_text(item, 'GraphicType')} ({len(item.get('GraphicData') or [])})"


def _reference(item: Dataset) -> str:
    found = _first(item.get("ReferencedSOPSequence"))
    if found is None:
        return ""
    frames = text_of(found, "ReferencedFrameNumber").replace("\\", ", ")
    uid = str(found.get("ReferencedSOPInstanceUID") or "")
    return f"{uid} [{frames}]" if frames else uid


def _text(item: Dataset, keyword: str) -> str:
    return text_of(item, keyword)


def _meaning(codes: Any) -> str:
    code = _first(codes)
    if code is None:
        return ""
    return text_of(code, "CodeMeaning") or text_of(code, "CodeValue") or text_of(code, "LongCodeValue")


def _first(sequence: Sequence[Dataset] | None) -> Dataset | None:
    return sequence[0] if sequence else None


_READERS = {
    "TEXT": lambda item: _text(item, "TextValue"),
    "CODE": lambda item: _meaning(item.get("ConceptCodeSequence")),
    "NUM": _numeric,
    "DATETIME": lambda item: _text(item, "DateTime"),
    "DATE": lambda item: _text(item, "Date"),
    "TIME": lambda item: _text(item, "Time"),
    "UIDREF": lambda item: _text(item, "UID"),
    "PNAME": lambda item: _text(item, "PersonName"),
    "SCOORD": _coordinates,
    "SCOORD3D": _coordinates,
    "IMAGE": _reference,
    "WAVEFORM": _reference,
    "COMPOSITE": _reference,
}
