"""Reading attributes out of the DICOM JSON Model, and the ones a viewport needs, by functional group where they vary."""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from pydicom.datadict import tag_for_keyword

from app.dicom import numbers
from app.dicom.dicomjson import Model
from app.dicom.matching import vr_of

_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")

# Keywords whose value is a list even when it has one member.
_LISTS = frozenset(
    (
        "ImagePositionPatient",
        "ImageOrientationPatient",
        "PixelSpacing",
        "ImagerPixelSpacing",
        "NominalScannedPixelSpacing",
        "PixelAspectRatio",
        "ImageType",
    )
)
# Image Pixel, Plane, VOI, Modality LUT, General Series and Image, Cine, PET, CT and X-ray attributes of one object.
INSTANCE: tuple[str, ...] = (
    "Rows",
    "Columns",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "PlanarConfiguration",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "PixelAspectRatio",
    "ImageType",
    "FrameOfReferenceUID",
    "RescaleType",
    "LossyImageCompression",
    "BurnedInAnnotation",
    "PatientPosition",
    "AcquisitionNumber",
    "AcquisitionDate",
    "AcquisitionTime",
    "ContentDate",
    "ContentTime",
    "FrameTime",
    "CineRate",
    "RecommendedDisplayFrameRate",
    "SpacingBetweenSlices",
    "StationName",
    "KVP",
    "XRayTubeCurrent",
    "EchoTime",
    "RepetitionTime",
    "MagneticFieldStrength",
    "SliceLocation",
    "Units",
    "DecayCorrection",
    "SUVType",
    "PixelPresentation",
    "DocumentTitle",
    "CompletionFlag",
    "VerificationFlag",
)
# (functional group sequence, keywords in its item); on objects without groups they are in the data set itself.
PER_FRAME: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("PlanePositionSequence", ("ImagePositionPatient",)),
    ("PlaneOrientationSequence", ("ImageOrientationPatient",)),
    ("PixelMeasuresSequence", ("PixelSpacing", "SliceThickness")),
    ("PixelValueTransformationSequence", ("RescaleSlope", "RescaleIntercept", "RescaleType")),
)


@lru_cache(512)
def tag_of(keyword: str) -> str:
    tag = tag_for_keyword(keyword)
    assert tag is not None, keyword
    return f"{tag:08X}"


@lru_cache(512)
def snake(keyword: str) -> str:
    """`PatientName` -> `patient_name`, `SOPInstanceUID` -> `sop_instance_uid`, `KVP` -> `kvp`."""
    return _WORD.sub("_", keyword).lower()


def values(model: Mapping[str, Any], keyword: str) -> list[Any]:
    """The values of an attribute, [] when it is absent, empty or not a list of values."""
    found = model.get(tag_of(keyword), {}).get("Value")
    return found if isinstance(found, list) else []


def first(model: Mapping[str, Any], keyword: str) -> Any:
    """The first value, or the text with its backslashes where an attribute with one value has several; None when there is
    none."""
    found = values(model, keyword)
    if (
        len(found) > 1
        and numbers.multiplicity(int(tag_of(keyword), 16)) == 1
        and all(isinstance(v, str) for v in found)
    ):
        return "\\".join(found)
    return found[0] if found else None


def text(model: Mapping[str, Any], keyword: str) -> str:
    value = first(model, keyword)
    if isinstance(value, dict):
        return "=".join(str(value.get(group, "")) for group in ("Alphabetic", "Ideographic", "Phonetic")).rstrip("=")
    return "" if value is None else str(value)


def item(model: Mapping[str, Any], sequence: str) -> Model | None:
    """The first item of a sequence."""
    found = first(model, sequence)
    return found if isinstance(found, dict) else None


def named_values(model: Mapping[str, Any], keywords: Iterable[str]) -> Iterator[tuple[str, Any]]:
    """(snake_case name, value) of what is there."""
    for keyword in keywords:
        if keyword in _LISTS:
            found = values(model, keyword)
            if found and _is_usable(keyword, found):
                yield snake(keyword), found
        else:
            value = first(model, keyword)
            if value is not None and _is_usable(keyword, [value]):
                yield snake(keyword), value


def _is_usable(keyword: str, found: list[Any]) -> bool:
    """Numbers that are none, or too many or too few of them, are not handed on: they are not numeric."""
    tag = tag_of(keyword)
    if vr_of(tag) not in numbers.TEXT_NUMBERS:
        return True
    return not numbers.is_odd(int(tag, 16), [one if isinstance(one, int | float) else str(one) for one in found])


def functional_group_values(group: Mapping[str, Any], *, plain: bool) -> dict[str, Any]:
    """The attributes of PER_FRAME in a functional group item, or (plain) in a data set without groups."""
    found: dict[str, Any] = {}
    for sequence, keywords in PER_FRAME:
        where = group if plain else item(group, sequence)
        if where is not None:
            found.update(named_values(where, keywords))
    return found
