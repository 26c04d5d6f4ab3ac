"""A folder as a destination: files below it as PatientID/StudyUID/SeriesUID/InstanceUID.dcm (ARC-1).

Each file is written under another name, synced and renamed, so that a program that watches the folder never reads a
partial file. The same file again is delivered; an existing file of the same name with other content is kept, and
reported."""

import contextlib
import filecmp
import os
import secrets
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from app.archive import Archive
from app.archive.models import Instance
from app.dicom.paths import object_path
from app.forward import part10, queue_queries
from app.forward.store_lane import REFUSED, SENT, BandwidthLimit, Check, DeliveryOutcome, OnAnswer
from app.kit import folders
from app.kit.errors import CannotConvert, NotFound, PeerFault
from app.kit.phrases import NOTHING, of_fault, phrase
from app.nodes import options
from app.nodes.models import Node

_CHUNK = 1 << 20


class FolderNode:
    """A destination of the protocol "folder"."""

    def __init__(self, archive: Archive, node: Node, throttle: BandwidthLimit) -> None:
        self._archive, self._throttle = archive, throttle
        self._root, self._preferred = Path(options.node_options(node).path), options.node_options(node).transfer_syntax
        self.in_flight: list[Instance] = []
        self.sent = 0  # bytes so far

    def prepare(self, instances: Sequence[Instance]) -> None:
        """Nothing needs to be known before."""

    def find_existing(self, study_instance_uid: str, series: Sequence[str]) -> set[str]:
        """There is no query: a file that is there already is compared when its turn comes."""
        return set()

    def close(self) -> None:
        """Nothing is open."""

    def abort(self) -> None:
        """Nothing is open."""

    def send(self, instances: Sequence[Instance], on_answer: OnAnswer, check: Check | None = None) -> None:
        """As Lane.send. A folder that is not there (a share that is not mounted) is a PeerFault, not made."""
        with self._archive.database.read() as session:
            places = queue_queries.object_addresses(session, instances)
        for instance in instances:
            if check is not None:
                check()
            if instance.id not in places:
                on_answer(instance, DeliveryOutcome(REFUSED, None, phrase("It is no longer in the archive.")))
                continue
            on_answer(instance, self._put(instance, object_path(*places[instance.id], instance.sop_instance_uid)))

    def _put(self, instance: Instance, below: str) -> DeliveryOutcome:
        folders.require_usable(self._root)
        final = self._root / below
        self.in_flight = [instance]
        try:
            with part10.open_part10(self._archive, instance, self._preferred) as (file, length, syntax):
                if folders.leaves_folder(final.parent, self._root):  # before folders are made where it leads
                    return DeliveryOutcome(REFUSED, None, phrase("A link in the folder leads out of it."))
                final.parent.mkdir(parents=True, exist_ok=True)
                return self._write(file, length, final, syntax)
        except NotFound as gone:
            return DeliveryOutcome(REFUSED, None, gone.detail)
        except CannotConvert as words:
            return DeliveryOutcome(REFUSED, None, of_fault(words))
        except OSError as fault:
            raise PeerFault(
                phrase("{path} cannot be written to: {words}.", path=str(self._root), words=fault.strerror or fault)
            ) from fault

    def _write(self, file: BinaryIO, length: int, final: Path, syntax: str) -> DeliveryOutcome:
        """Writes beside the final name, syncs, and renames it unless the name is taken."""
        draft = final.with_name(f".{secrets.token_hex(8)}.part")
        try:
            with draft.open("xb") as out:
                left = length
                while left > 0 and (piece := file.read(min(_CHUNK, left))):
                    self._throttle.pace(len(piece))
                    out.write(piece)
                    self.sent += len(piece)
                    left -= len(piece)
                out.flush()
                os.fsync(out.fileno())
            if not _named(draft, final):
                if filecmp.cmp(draft, final, shallow=False):
                    return DeliveryOutcome(SENT, None, phrase("The same file was there already."), syntax)
                return DeliveryOutcome(
                    REFUSED, None, phrase("The folder has another file of this name with other content.")
                )
            _sync_folder(final.parent)
            return DeliveryOutcome(SENT, None, NOTHING, syntax)
        finally:
            draft.unlink(missing_ok=True)


def _named(draft: Path, final: Path) -> bool:
    """Gives the draft its final name; False when that is taken. A link never replaces; where the file system knows none
    (some shares) it is looked first."""
    try:
        os.link(draft, final)
    except FileExistsError:
        return False
    except OSError:
        if final.exists():
            return False
        shutil.move(draft, final)
    return True


def _sync_folder(folder: Path) -> None:
    with contextlib.suppress(OSError):  # shares may not know it
        fd = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
