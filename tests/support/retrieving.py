"""What tests of C-MOVE and C-GET as SCP share: an archive with studies, nodes, and a caller by pynetdicom that counts."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydicom import Dataset

from app.archive import Source
from app.nodes import service
from app.nodes.service import NodeValues
from app.security.actor import SYSTEM
from tests.support.client import actor, add_cast
from tests.support.dimse import Station
from tests.support.pacs import Made, make_study

PENDING = (0xFF00, 0xFF01)


def fill(station: Station, files: Iterable[Path], facility_id: str | None = None) -> None:
    """Takes the files into the archive."""
    for file in files:
        incoming = station.archive.receive(Source(kind="upload", actor_name="admin", facility_id=facility_id))
        incoming.write(file.read_bytes())
        assert station.archive.ingest(incoming).status == "stored"


def change_on_disk(station: Station, sop_instance_uid: str, how: str) -> None:
    """Makes the stored file another one. how: `pixel` (one bit), `header` (of the name), `shorter` or `longer`."""
    path = station.path(sop_instance_uid)
    raw = bytearray(path.read_bytes())
    if how == "pixel":
        raw[-3] ^= 1
    elif how == "header":
        raw[raw.index(b"PN") + 4] ^= 1
    else:
        raw = raw[:-8] if how == "shorter" else raw + b"\0" * 8
    path.write_bytes(raw)


def add_node(station: Station, title: str, port: int = 104, **more: Any) -> str:
    """A node on this machine; its name is its title in small letters unless given."""
    name = more.pop("name", title.lower())
    with station.database.write() as session:
        return service.create_node(session, SYSTEM, NodeValues(name, title, "127.0.0.1", port, **more)).id


def two_facilities(station: Station, folder: Path) -> tuple[Made, str]:
    """A study of North in the archive and the id of North; nodes NORTHSCU, SOUTHSCU and ANYSCU of North, South and nobody are known."""
    add_cast(station.database)
    north, south = (actor(station.database, name).facility_id for name in ("charlie", "dora"))
    assert north
    made = make_study(folder / "study", 4)
    fill(station, made.files, north)
    for title, facility in (("NORTHSCU", north), ("SOUTHSCU", south), ("ANYSCU", None)):
        add_node(station, title, facility_id=facility)
    return made, north


def keys_of(study: Made, level: str = "STUDY", series: int = 1, image: int = 1) -> dict[str, str]:
    """The hierarchical keys of a level."""
    found = {"QueryRetrieveLevel": level, "StudyInstanceUID": study.uid}
    if level in ("SERIES", "IMAGE"):
        found["SeriesInstanceUID"] = list(study.series)[series - 1]
    if level == "IMAGE":
        found["SOPInstanceUID"] = study.series[found["SeriesInstanceUID"]][image - 1]
    return found


def identifier(keys: Mapping[str, str]) -> Dataset:
    ds = Dataset()
    for keyword, value in keys.items():
        setattr(ds, keyword, value.split("\\") if "\\" in value else value)
    return ds


@dataclass
class Heard:
    """The responses to one retrieval. pending: (remaining, completed, failed, warned) of each pending one; final: its
    command set's values; failed: the Failed SOP Instance UID List."""

    pending: list[tuple[int, int, int, int]] = field(default_factory=list)
    final: Dataset = field(default_factory=Dataset)
    failed: list[str] = field(default_factory=list)

    def take(self, status: Dataset, found: Dataset | None) -> bool:
        """Whether it was the last."""
        if status.get("Status") in PENDING:
            names = ("Remaining", "Completed", "Failed", "Warning")
            counts = [int(status.get(f"NumberOf{name}Suboperations", -1)) for name in names]
            self.pending.append((counts[0], counts[1], counts[2], counts[3]))
            return False
        self.final = status
        if found is not None and "FailedSOPInstanceUIDList" in found:
            value = found.FailedSOPInstanceUIDList
            self.failed = [uid for uid in ([value] if isinstance(value, str) else value or []) if uid]
        return True

    @property
    def status(self) -> int:
        return int(self.final.get("Status", -1))

    @property
    def counts(self) -> tuple[int, int, int]:
        """Completed, failed, warned."""
        names = ("Completed", "Failed", "Warning")
        found = [int(self.final.get(f"NumberOf{name}Suboperations", -1)) for name in names]
        return found[0], found[1], found[2]

    @property
    def comment(self) -> str:
        return str(self.final.get("ErrorComment", ""))
