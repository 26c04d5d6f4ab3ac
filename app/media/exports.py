"""A study as a zip of its files, byte for byte as they were received."""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy.orm import Session

from app.archive import Archive, content, queries
from app.archive.models import Instance
from app.media import zipping
from app.security import Actor, Verb, require


@dataclass(frozen=True, slots=True)
class Exported:
    """One file of an export. name: its path in the zip; holds numbers and UIDs, never names of people."""

    name: str
    instance: Instance


def members(session: Session, actor: Actor, study_uid: str) -> list[Exported]:
    """The files of a study in display order. Raises NotFound."""
    require(actor, Verb.STUDY_EXPORT)
    study = queries.study(session, actor, study_uid)
    found: list[Exported] = []
    for place, series in enumerate(queries.series_of(session, study), 1):
        modality = "".join(c for c in series.modality if c.isascii() and c.isalnum()) or "XX"
        folder = f"{study_uid}/{place:04d}_{modality}"
        for n, instance in enumerate(queries.instances_of(session, series), 1):
            found.append(Exported(f"{folder}/{n:06d}.dcm", instance))
    return found


def study_zip(archive: Archive, exported: list[Exported]) -> Iterator[bytes]:
    """The zip, made while it is sent."""
    return zipping.stream(
        (one.name, one.instance.bytes, content.iter_object(archive, one.instance)) for one in exported
    )
