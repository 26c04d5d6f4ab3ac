"""Objects that leave in place of stored ones: copies without identity, or with attributes changed, made for one run of
a route. Their files are in the store below `.derived/` until their holder has ended; the archive does not know them.

To the lanes each is an archive row that was never stored: its number is negative."""

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from app.archive import rows
from app.archive.models import Instance
from app.archive.store import Store
from app.dicom.header import scan
from app.forward.models import DerivedObject

FOLDER = ".derived"


@dataclass(frozen=True, slots=True)
class Made:
    """A derived object's file, read again. described: the columns of an archive row."""

    original_uid: str
    path: str
    study_instance_uid: str
    series_instance_uid: str
    patient_id: str
    described: dict[str, Any]


def holder_folder(store: Store, holder: str) -> Path:
    """Where the files of one holder lie."""
    return store.full_path(f"{FOLDER}/{holder}")


def read(store: Store, path: str, original_uid: str) -> Made:
    """Properties of a derived file that a lane needs. Raises NotDicom."""
    full = store.full_path(path)
    with full.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        header = scan(file.fileno(), size)
    of = rows.describe(header)
    described = of.instance | {"bytes": size}
    return Made(original_uid, path, header.study_instance_uid, header.series_instance_uid, of.patient_id, described)


def add(session: Session, holder: str, made: Sequence[Made]) -> dict[str, int]:
    """Notes the files of a holder; SOP Instance UID of the stored object -> number of the derived one."""
    found = [
        DerivedObject(
            holder=holder,
            original_uid=one.original_uid,
            sop_instance_uid=one.described["sop_instance_uid"],
            study_instance_uid=one.study_instance_uid,
            series_instance_uid=one.series_instance_uid,
            patient_id=one.patient_id,
            path=one.path,
            described=one.described,
        )
        for one in made
    ]
    session.add_all(found)
    session.flush()
    return {one.original_uid: one.id for one in found}


def as_instance(of: DerivedObject) -> Instance:
    """As lanes and destinations take it; never added to a session."""
    return Instance(id=-of.id, path=of.path, sha256="", warnings=[], **of.described)


def key_of(instance: Instance) -> str:
    """Key of an object in a lane: a derived one may have the UID of the stored one."""
    return f"#{-instance.id}" if instance.id < 0 else instance.sop_instance_uid


def by_id(session: Session, ids: Sequence[int]) -> dict[int, DerivedObject]:
    found: dict[int, DerivedObject] = {}
    for at in range(0, len(ids), 500):
        for one in session.scalars(select(DerivedObject).where(DerivedObject.id.in_(ids[at : at + 500]))):
            found[one.id] = one
    return found


def delete_rows(session: Session, holder: str) -> None:
    """The rows of a holder go; its files after the commit, by `delete_files`."""
    session.execute(delete(DerivedObject).where(DerivedObject.holder == holder))


def delete_files(store: Store, holder: str) -> None:
    """The files of a holder go."""
    shutil.rmtree(holder_folder(store, holder), ignore_errors=True)


def holders_on_disk(store: Store) -> list[str]:
    """Holders with files, for the sweep."""
    base = store.full_path(FOLDER)
    return sorted(path.name for path in base.iterdir()) if base.is_dir() else []


def with_rows(session: Session, holders: Sequence[str]) -> set[str]:
    """Which of these holders have rows."""
    return set(session.scalars(select(DerivedObject.holder).where(DerivedObject.holder.in_(holders)).distinct()))


Derived = Mapping[str, int]  # SOP Instance UID of a stored object -> number of the derived one that leaves for it
