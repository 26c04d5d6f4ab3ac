"""The viewer's manifest: everything of a study that a viewport needs before its first pixel, in one JSON document.

Pure: rows of the index and DICOM JSON models go in, plain data comes out. Names are DICOM keywords in snake_case."""

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from pydicom.uid import UID

from app.dicom import names
from app.dicom.dates import age_at
from app.dicom.dicomjson import Model
from app.kit.phrases import Phrase
from app.viewing import attributes
from app.viewing.appearance import frame_appearances
from app.viewing.attributes import first, functional_group_values, item, named_values, text, values
from app.viewing.json_header import JsonHeader

_PDF = "1.2.840.10008.5.1.4.1.1.104.1"
_REPORTS, _WAVEFORMS, _PRESENTATIONS = (
    "1.2.840.10008.5.1.4.1.1.88.",
    "1.2.840.10008.5.1.4.1.1.9.",
    "1.2.840.10008.5.1.4.1.1.11.",
)
_VIDEO = tuple(f"1.2.840.10008.1.2.4.{n}" for n in range(100, 109))
_NATIVE = frozenset(
    ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2", "1.2.840.113619.5.2")
)


class Object(Protocol):
    """The columns of `archive.models.Instance` this needs."""

    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    instance_number: int | None
    number_of_frames: int
    rows: int
    columns: int
    bytes: int
    warnings: list[Phrase]


def kind_of(instance: Object) -> str:
    """Kind of an object for a reader: image, video, pdf, sr, waveform, presentation or other."""
    if instance.transfer_syntax_uid.startswith(_VIDEO):
        return "video"
    if instance.number_of_frames > 0 and instance.rows and instance.columns:
        return "image"
    if instance.sop_class_uid == _PDF:
        return "pdf"
    for root, kind in ((_REPORTS, "sr"), (_WAVEFORMS, "waveform"), (_PRESENTATIONS, "presentation")):
        if instance.sop_class_uid.startswith(root):
            return kind
    return "other"


def study_entry(model: Model) -> dict[str, Any]:
    """Study and patient, from the header of any of its instances."""
    study = dict(
        named_values(
            model,
            (
                "StudyInstanceUID",
                "StudyDate",
                "StudyTime",
                "StudyDescription",
                "StudyID",
                "AccessionNumber",
                "InstitutionName",
            ),
        )
    )
    patient = dict(named_values(model, ("PatientID", "PatientSex", "PatientAge", "PatientBirthDate")))
    patient["patient_name"] = text(model, "PatientName")
    # Written as everywhere else, so that viewer, lists and paper show the same.
    patient["patient_name_shown"] = names.display_name(str(patient["patient_name"]))
    age = age_at(*(str(first(model, one) or "") for one in ("PatientBirthDate", "StudyDate", "PatientAge")))
    patient.pop("patient_age", None)
    if age:
        patient["patient_age"] = age
    study["referring_physician_name"] = text(model, "ReferringPhysicianName")
    return {**study, "patient": patient}


def series_entry(series_uid: str, objects: Sequence[tuple[Object, Model]]) -> dict[str, Any]:
    """One series with its instances in display order."""
    instances = [instance_entry(instance, model) for instance, model in objects]
    head = objects[0][1] if objects else {}
    entry = dict(
        named_values(
            head,
            (
                "SeriesNumber",
                "Modality",
                "SeriesDescription",
                "BodyPartExamined",
                "SeriesDate",
                "SeriesTime",
                "ProtocolName",
                "Laterality",
                "Manufacturer",
            ),
        )
    )
    kinds = [one["kind"] for one in instances]
    return {
        **entry,
        "series_instance_uid": series_uid,
        "kind": "image" if "image" in kinds else kinds[0] if kinds else "other",
        "frames": sum(one["number_of_frames"] for one in instances if one["kind"] == "image"),
        "bytes": sum(one["bytes"] for one in instances),
        "instances": instances,
    }


def instance_entry(instance: Object, model: Model) -> dict[str, Any]:
    """One object. Attributes that vary by frame are in per_frame[n - 1] and override those of the instance, those of
    `appearance` (app.viewing.appearance) one by one. per_frame may end before the last frame: a header of a few bytes
    may state millions of them."""
    entry: dict[str, Any] = {
        "sop_instance_uid": instance.sop_instance_uid,
        "sop_class_uid": instance.sop_class_uid,
        "sop_class_name": _class_name(instance.sop_class_uid),
        "kind": kind_of(instance),
        "transfer_syntax_uid": instance.transfer_syntax_uid,
        "native": instance.transfer_syntax_uid in _NATIVE,
        "number_of_frames": max(instance.number_of_frames, 1 if instance.rows else 0),
        "bytes": instance.bytes,
    }
    if instance.warnings:
        entry["warnings"] = instance.warnings
    if instance.instance_number is not None:
        entry["instance_number"] = instance.instance_number
    entry.update(named_values(model, attributes.INSTANCE))
    entry.update(functional_group_values(model, plain=True))
    shared = item(model, "SharedFunctionalGroupsSequence")
    if shared is not None:
        entry.update(functional_group_values(shared, plain=False))
    groups = values(model, "PerFrameFunctionalGroupsSequence")
    if groups:
        count = entry["number_of_frames"]
        items = [functional_group_values(g, plain=False) if isinstance(g, dict) else {} for g in groups[:count]]
        entry["per_frame"] = _only_differing(entry, items) if 0 < len(items) == count else items
    if any("6000" <= tag[:4] <= "601E" and tag[4:] in ("0010", "0100", "3000") for tag in model):
        entry["overlays"] = True  # /instances/{uid}/frames/{n}/overlays has them
    _slide_by_frame(entry, model)
    if entry["kind"] == "image":
        _add_appearance(entry, model)
    if radiopharmaceutical := item(model, "RadiopharmaceuticalInformationSequence"):
        entry["radiopharmaceutical"] = dict(
            named_values(
                radiopharmaceutical, ("RadionuclideTotalDose", "RadionuclideHalfLife", "RadiopharmaceuticalStartTime")
            )
        )
        entry.update(named_values(model, ("PatientWeight",)))
    return entry


def _add_appearance(entry: dict[str, Any], model: Model) -> None:
    shared, own = frame_appearances(JsonHeader(model), entry["transfer_syntax_uid"], entry["number_of_frames"])
    entry["appearance"] = shared
    if own:
        frames: list[dict[str, Any]] = entry.get("per_frame") or [{}] * len(own)
        entry["per_frame"] = [{**frame, "appearance": one} for frame, one in zip(frames, own, strict=True)]


def _only_differing(entry: dict[str, Any], frames: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Values common to all frames move to the instance: a slice of 1000 frames names its spacing once."""
    for name in list(frames[0]):
        value = frames[0][name]
        if all(frame.get(name) == value for frame in frames):
            entry[name] = value
            for frame in frames:
                del frame[name]
    return frames if any(frames) else []


def _slide_by_frame(entry: dict[str, Any], model: Model) -> None:
    """Nuclear medicine and dose grids have one position and a spacing from frame to frame (PS3.3 C.8.8.3.2, C.8.4.15)."""
    offsets = values(model, "GridFrameOffsetVector")
    position, orientation = entry.get("image_position_patient"), entry.get("image_orientation_patient")
    if len(offsets) != entry["number_of_frames"] or len(offsets) < 2 or "per_frame" in entry:
        return
    if not position or not orientation or len(position) != 3 or len(orientation) != 6:
        return
    numbers = [*offsets, *position, *orientation]
    if not all(isinstance(n, int | float) for n in numbers):
        return
    (a, b, c), (d, e, f) = orientation[:3], orientation[3:]
    normal = (b * f - c * e, c * d - a * f, a * e - b * d)
    entry["per_frame"] = [
        {"image_position_patient": [p + n * (offset - offsets[0]) for p, n in zip(position, normal, strict=True)]}
        for offset in offsets
    ]


def _class_name(uid: str) -> str:
    name = UID(uid).name
    return "" if name == uid else name


def assemble(study: dict[str, Any], series: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """The whole document, series in the order given."""
    listed = list(series)
    return {"study": study, "series": listed, "bytes": sum(one["bytes"] for one in listed)}
