"""The attributes of an object in groups a person looks for (META-1): pure, header in, rows out."""

from dataclasses import dataclass

from pydicom import DataElement, Dataset
from pydicom.datadict import keyword_for_tag

from app.dicom.reading import element_text

_PATIENT = frozenset((0x0010,))
_STUDY = frozenset(
    [
        "StudyInstanceUID",
        "StudyDate",
        "StudyTime",
        "StudyID",
        "StudyDescription",
        "AccessionNumber",
        "ReferringPhysicianName",
        "PhysiciansOfRecord",
        "RequestedProcedureDescription",
        "NameOfPhysiciansReadingStudy",
    ]
)
_SERIES = frozenset(
    [
        "SeriesInstanceUID",
        "SeriesNumber",
        "SeriesDate",
        "SeriesTime",
        "SeriesDescription",
        "Modality",
        "BodyPartExamined",
        "ProtocolName",
        "Laterality",
        "PatientPosition",
        "FrameOfReferenceUID",
        "PerformingPhysicianName",
        "OperatorsName",
        "SeriesType",
    ]
)
_EQUIPMENT = frozenset(
    [
        "Manufacturer",
        "ManufacturerModelName",
        "DeviceSerialNumber",
        "SoftwareVersions",
        "StationName",
        "InstitutionName",
        "InstitutionAddress",
        "InstitutionalDepartmentName",
        "KVP",
        "XRayTubeCurrent",
        "Exposure",
        "ExposureTime",
        "ConvolutionKernel",
        "FilterType",
        "FocalSpots",
        "MagneticFieldStrength",
        "EchoTime",
        "RepetitionTime",
        "FlipAngle",
        "SequenceName",
        "GantryDetectorTilt",
    ]
)
_IMAGE_GROUPS = frozenset((0x0020, 0x0028))
GROUPS = ("patient", "study", "series", "image", "equipment", "everything")
_LONGEST = 256
_DEEPEST = 8


@dataclass(frozen=True, slots=True)
class Tag:
    """tag: "(0010,0010)". depth: how deep in sequences it lies. value: shortened, binary only by its size."""

    tag: str
    name: str
    keyword: str
    vr: str
    value: str
    depth: int = 0


def groups(header: Dataset) -> dict[str, list[Tag]]:
    """All attributes by group; `everything` holds each of them, nested ones included."""
    found: dict[str, list[Tag]] = {name: [] for name in GROUPS}
    for element in header:
        if element.tag.element == 0:  # group lengths, retired, are not informative
            continue
        one = _tag(element, 0)
        found[_group(element)].append(one)
    found["everything"] = list(_walk(header, 0))
    return found


def _group(element: DataElement) -> str:
    keyword = element.keyword
    if element.tag.group in _PATIENT:
        return "patient"
    for name, keywords in (("study", _STUDY), ("series", _SERIES), ("equipment", _EQUIPMENT)):
        if keyword in keywords:
            return name
    return "image" if element.tag.group in _IMAGE_GROUPS else "everything"


def _walk(header: Dataset, depth: int) -> list[Tag]:
    rows: list[Tag] = []
    for element in header:
        rows.append(_tag(element, depth))
        if element.VR == "SQ" and depth < _DEEPEST:
            for item in element.value or []:
                rows += _walk(item, depth + 1)
    return rows


def _tag(element: DataElement, depth: int) -> Tag:
    tag = element.tag
    return Tag(
        f"({tag.group:04X},{tag.element:04X})",
        element.name,
        keyword_for_tag(tag),
        element.VR,
        _element_text(element),
        depth,
    )


def _element_text(element: DataElement) -> str:
    if element.VR == "SQ":
        return f"[{len(element.value or [])}]"
    value = element.value
    if value is None:
        return ""
    if isinstance(value, bytes):
        return f"[{len(value)} B]"
    words = element_text(value)
    return words if len(words) <= _LONGEST else words[:_LONGEST] + "…"
