"""The self-test of nodes that are not DICOM peers: a DICOMweb server by QIDO-RS, STOW-RS and WADO-RS, a folder by a
file that is written, read back and removed."""

import contextlib
import os
import secrets
from pathlib import Path

from app.archive import Source
from app.dicom.paths import object_path
from app.forward import store_lane
from app.forward.stow import WebNode
from app.kit import folders
from app.kit.clock import local, now
from app.kit.errors import PeerFault
from app.kit.phrases import NOTHING, phrase, phrases
from app.network import file_meta
from app.network.find_scu import IMPLICIT_LITTLE
from app.nodes import dicomweb, options
from app.nodes.selftest import OK, PATIENT, PATIENT_ID, WARNED, WRONG
from app.selftest.running import Found, Run
from app.selftest.test_object import TestObject

_TODAY = 50  # studies asked for
_LIMIT = 1 << 20  # bytes of the picture that comes back


def as_file(made: TestObject) -> bytes:
    """The test object as a DICOM file."""
    return file_meta.preamble_and_meta(made.sop_class, made.sop_instance, IMPLICIT_LITTLE) + made.data


class WebSteps:
    """Steps of a DICOMweb server beside its search."""

    def __init__(self, run: Run) -> None:
        self._run, self._node = run, run.node

    def go_on(self) -> None:
        """As with DICOM nodes: what it found, and with consent the way of a picture there and back."""
        run = self._run
        run.step("find", self.find_today)
        if not run.with_object or not run.step("store", self.store):
            return
        run.step("find-back", self.find_back)
        run.step("get", self.get_back)
        run.keeps_object()

    def find_today(self) -> Found:
        with dicomweb.client(self._node, self._run.settings, self._run.ctx.config) as http:
            keys = {"StudyDate": f"{local(now()):%Y%m%d}"}
            count = sum(1 for _ in dicomweb.find(http, self._node.name, "STUDY", keys, limit=_TODAY))
        if count >= _TODAY:
            return OK, phrase("{count} studies of today and more", count=count), NOTHING
        return OK, phrases("{count} study of today", "{count:n} studies of today", count=count), NOTHING

    def store(self) -> Found:
        run = self._run
        made = run.make_object()
        there = WebNode(run.ctx.archive, run.ctx.config, self._node, run.settings, store_lane.BandwidthLimit())
        try:
            outcome = there.store_file(made.sop_instance, as_file(made), IMPLICIT_LITTLE)
        finally:
            there.close()
        if outcome.state in (store_lane.SENT, store_lane.WARNED):
            return OK, outcome.comment or phrase("The picture of {patient} was taken.", patient=PATIENT), NOTHING
        return (
            WRONG,
            phrase("The picture was not taken: {why}", why=outcome.comment),
            phrase("Check on the node whether it accepts objects from this station."),
        )

    def find_back(self) -> Found:
        study = self._run.picture.study

        def is_found() -> bool:
            with dicomweb.client(self._node, self._run.settings, self._run.ctx.config) as http:
                return any(
                    True for _ in dicomweb.find(http, self._node.name, "STUDY", {"StudyInstanceUID": study}, limit=2)
                )

        return self._run.until_found(is_found)

    def get_back(self) -> Found:
        run, made = self._run, self._run.picture
        source = Source(kind="dicomweb", actor_name="self-test", node_id=self._node.id)
        path = f"studies/{made.study}/series/{made.series}/instances/{made.sop_instance}"
        with dicomweb.client(self._node, run.settings, run.ctx.config) as http:
            fetched = dicomweb.retrieve(http, self._node.name, run.ctx.archive, source, path, limit=_LIMIT)
        if fetched.failed or not fetched.stored:
            why = fetched.faults[0] if fetched.faults else phrase("it sent nothing")
            return WRONG, phrase("The test image was not received back: {why}", why=why), NOTHING
        return run.study_returned()


class FolderSteps:
    """A DICOM file in the folder, as a transfer would write it."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._root = Path(options.node_options(run.node).path)
        self._file: Path | None = None

    def go_on(self) -> None:
        run = self._run
        if not run.with_object:
            return
        try:
            if run.step("store", self.store):
                run.step("get", self.get_back)
        finally:
            if self._file is not None:
                run.step("remove", self.remove)

    def store(self) -> Found:
        folders.require_usable(self._root)
        made = self._run.make_object()
        final = self._root / object_path(PATIENT_ID, made.study, made.series, made.sop_instance)
        draft = final.with_name(f".{secrets.token_hex(8)}.part")
        if folders.leaves_folder(final.parent, self._root):
            raise PeerFault("A link in the folder leads out of it.")
        self._file = final
        try:
            final.parent.mkdir(parents=True, exist_ok=True)
            with draft.open("xb") as out:
                out.write(as_file(made))
                out.flush()
                os.fsync(out.fileno())
            draft.rename(final)
        except OSError as fault:
            with contextlib.suppress(OSError):
                draft.unlink()
            raise PeerFault(
                phrase("{path} cannot be written to: {words}.", path=str(self._root), words=fault.strerror or fault),
                hint=phrase("Give the user that Filmroom runs as the right to write there."),
            ) from None
        return OK, phrase("The picture was written below {folder}.", folder=str(self._root / PATIENT_ID)), NOTHING

    def get_back(self) -> Found:
        assert self._file is not None
        try:
            same = self._file.read_bytes() == as_file(self._run.picture)
        except OSError as fault:
            return WRONG, phrase("The picture cannot be read back: {words}.", words=fault.strerror or fault), NOTHING
        if same:
            return OK, phrase("The picture was read back as it was written."), NOTHING
        return (
            WRONG,
            phrase("The test image was received back changed."),
            phrase("Somebody else works on the files of this folder."),
        )

    def remove(self) -> Found:
        """The file and the folders that were made for it; those of others stay."""
        assert self._file is not None
        try:
            self._file.unlink(missing_ok=True)
        except OSError as fault:
            return (
                WARNED,
                phrase("The picture cannot be removed: {words}.", words=fault.strerror or fault),
                phrase("Remove {file} by hand.", file=str(self._file)),
            )
        for folder in list(self._file.parents)[:3]:
            with contextlib.suppress(OSError):  # the patient's may hold another test's
                folder.rmdir()
        return OK, phrase("The picture was removed again."), NOTHING
