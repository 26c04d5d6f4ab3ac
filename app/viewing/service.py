"""Verbs of looking at studies: the manifest, pictures, documents. Interfaces open the session; nothing here commits."""

import json
from collections.abc import Sequence
from typing import Any

from pydicom.dataset import Dataset
from sqlalchemy.orm import Session

from app.archive import content, queries
from app.archive.drawn import drawn_header, pet_window
from app.archive.frames import Located, locate_objects
from app.archive.models import Instance, Series
from app.dicom import dicomjson
from app.kit.errors import NotFound
from app.security import Actor, Verb, require
from app.viewing import manifest, notices
from app.viewing.appearance import window_data


def study_manifest(session: Session, actor: Actor, study_uid: str, series_uid: str = "") -> dict[str, Any]:
    """The viewer's manifest of a study, or of one of its series. Raises NotFound."""
    require(actor, Verb.STUDY_VIEW)
    study = queries.study(session, actor, study_uid)
    listed = queries.series_of(session, study)
    if series_uid:
        listed = [one for one in listed if one.series_instance_uid == series_uid]
        if not listed:
            raise NotFound("Series not found.")
    entries: list[dict[str, Any]] = []
    head: dict[str, Any] = {}
    for one in listed:
        instances = queries.instances_of(session, one)
        models = [json.loads(encoded) for encoded in content.encoded_json_of(session, instances)]
        entry = manifest.series_entry(one.series_instance_uid, list(zip(instances, models, strict=False)))
        for instance, made in zip(instances, entry["instances"], strict=False):
            if notice := notices.in_index(instance):
                made["notices"] = [{"frame": frame, "text": text} for frame, text in notice]
        if one.modality == "PT":
            _add_series_window(session, entry, instances)
        entries.append(entry)
        head = head or (models[0] if models else {})
    return manifest.assemble({**manifest.study_entry(head), "study_instance_uid": study_uid}, entries)


def _add_series_window(session: Session, series: dict[str, Any], instances: Sequence[Instance]) -> None:
    """One window for the images of a PET series that name none, as `drawn_header` gives it to their pictures."""
    without = [one["appearance"] for one in series["instances"] if one.get("appearance", {}).get("windows") == []]
    if not without:
        return
    window = pet_window(session, [one for one in instances if one.number_of_frames > 0])
    if window is None:
        return
    for appearance in without:
        appearance["windows"] = [window_data(window)]
        appearance.pop("partial", None)


def located_series(session: Session, actor: Actor, series_uid: str) -> tuple[Series, list[Located]]:
    """Input of `streaming.series_stream` for a series: readable after the session is gone."""
    require(actor, Verb.STUDY_VIEW)
    series = queries.series(session, actor, series_uid)
    return series, locate_objects(session, queries.instances_of(session, series))


def located_instance(session: Session, actor: Actor, instance_uid: str) -> tuple[Located, Dataset]:
    """One object and its header. Raises NotFound."""
    require(actor, Verb.STUDY_VIEW)
    instance = queries.instance(session, actor, instance_uid)
    return locate_objects(session, [instance])[0], drawn_header(session, instance)


def middle_of(session: Session, series: Series) -> Instance | None:
    """The image that represents a series: the one in the middle; any object when there is no image."""
    instances = queries.instances_of(session, series)
    images = [one for one in instances if manifest.kind_of(one) == "image"]
    chosen = images or instances
    return chosen[len(chosen) // 2] if chosen else None


def representative_frame(header: Dataset, instance: Instance) -> int:
    """Representative Frame Number where the header names one (PS3.3 C.7.6.6), else the middle frame."""
    count = max(instance.number_of_frames, 1)
    try:
        named = int(header.get("RepresentativeFrameNumber") or 0)
    except (TypeError, ValueError):
        named = 0
    return named if 1 <= named <= count else (count + 1) // 2


def document(session: Session, header: Dataset, instance: Instance) -> tuple[str, bytes | tuple[int, int]]:
    """The media type of an encapsulated document and its bytes, or (offset, length) of them in the file."""
    media_type = str(header.get("MIMETypeOfEncapsulatedDocument") or "application/pdf").strip().lower()
    length = header.get("EncapsulatedDocumentLength")
    for bulk in content.bulk_values(session, instance):
        if bulk.tag == 0x00420011:
            size = int(length) if isinstance(length, int) and 0 < length <= bulk.length else bulk.length
            return media_type, (bulk.offset, size)
    try:
        _, value = dicomjson.find_bulk(header, "00420011")
    except KeyError:
        raise NotFound("This object contains no document.") from None
    return media_type, value[:length] if isinstance(length, int) and length > 0 else value


__all__ = [
    "document",
    "located_instance",
    "located_series",
    "middle_of",
    "representative_frame",
    "study_manifest",
]
