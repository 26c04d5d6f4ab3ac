"""Background entry point: anonymize.study makes the zip of a copy. Safe to run again: it starts anew, the zip takes its
place in one step, and what went into the archive is there under the same new UIDs (a duplicate the second time)."""

import itertools
import os
import secrets
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset
from sqlalchemy.orm import Session

from app.archive import Source, content, products
from app.archive import queries as archive
from app.archive.models import Instance, Study
from app.config import Config
from app.db.keys import derive
from app.deid import people, queries, report, service
from app.deid.errors import CannotClean
from app.deid.files import anonymize, facts
from app.deid.models import Anonymization
from app.deid.profile import resolve
from app.deid.pseudonym import Pseudonyms
from app.deid.walker import EditCounts
from app.jobs.context import Cancelled, JobContext, PermanentFault
from app.kit.clock import now
from app.kit.errors import NotFound
from app.kit.phrases import Phrase, joined, phrase
from app.security import SYSTEM

_MOST_NAMES = 50  # of one patient; an ID with more is "0000" or the like


def anonymize_study(ctx: JobContext, payload: dict[str, Any]) -> dict[str, Any]:
    """Makes the copy. The job's result is {"instances", "skipped", "bytes"}."""
    with ctx.database.read() as session:
        made = session.get(Anonymization, payload["anonymization_id"])
        if made is None or made.job_id != ctx.job.id:
            raise Cancelled
        try:
            study = archive.study(session, SYSTEM, made.study_instance_uid)
        except NotFound:
            raise PermanentFault("The study is no longer stored.") from None
        instances = archive.instances_of_study(session, study)
        names = _names(session, study)
        session.expunge_all()
    try:
        return _CopyWork(ctx, made, instances, names).run()
    finally:
        _notify(ctx, made.id)


def _names(session: Session, study: Study) -> set[str]:
    """Names of the patient in this and other stored studies; only in this one where an ID is shared by many."""
    others = archive.studies_of_patient(session, SYSTEM, study.patient_id) if study.patient_id else []
    found = {one.patient_name for one in others if one.issuer_of_patient_id == study.issuer_of_patient_id}
    return found if len(found) <= _MOST_NAMES else {study.patient_name}


def _notify(ctx: JobContext, anonymization_id: str) -> None:
    with ctx.database.write() as session:
        made = session.get(Anonymization, anonymization_id)
        if made is not None:
            service.notify(session, made)


class _CopyWork:
    """One copy being made."""

    def __init__(self, ctx: JobContext, made: Anonymization, instances: list[Instance], names: set[str]) -> None:
        self.ctx, self.made, self.instances = ctx, made, instances
        self.profile = resolve(made.profile, made.options)
        self.pseudonyms = Pseudonyms(derive(ctx.config, service.UID_KEY), made.project)
        self.tally, self.skipped = EditCounts(), Counter[Phrase]()
        self.count = 0
        self.series: dict[str, int] = {}
        self.known = people.patient_facts(names)

    def run(self) -> dict[str, Any]:
        target = service.folder(self.ctx.config) / f"{self.made.id}-{secrets.token_hex(3)}.zip"
        temporary, scratch = target.with_suffix(".part"), target.with_suffix(".one")
        try:
            self.known = people.merge_facts(itertools.chain([self.known], self._facts()))
            with zipfile.ZipFile(temporary, "x", zipfile.ZIP_STORED, allowZip64=True) as bundle:
                for number, instance in enumerate(self.instances):
                    self.ctx.progress(number, len(self.instances))
                    self._clean_object(instance, bundle, scratch)
            if not self.count:
                reasons = joined(self.skipped, "; ") or phrase("it has no objects")
                raise PermanentFault(phrase("Nothing of this study could be copied: {reasons}", reasons=reasons))
            _move_into_place(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)
            scratch.unlink(missing_ok=True)
        return self._finish(target)

    def _facts(self) -> Iterator[people.Facts]:
        """Identifying values of each object: a name in one may be in a text of another."""
        for number, instance in enumerate(self.instances):
            if number % 50 == 0:
                self.ctx.progress(0, len(self.instances))
            try:
                with content.open_object(self.ctx.archive, instance) as source:
                    yield facts(source)
            except NotFound:
                continue  # left out and reported later

    def _clean_object(self, instance: Instance, bundle: zipfile.ZipFile, scratch: Path) -> None:
        """Cleans one object into a scratch file, then into the zip and perhaps the archive: never half of one."""
        self.ctx.archive.store.require_space(2 * instance.bytes)
        try:
            with content.open_object(self.ctx.archive, instance) as source, scratch.open("w+b") as out:
                ds, tally = anonymize(source, out, self.profile, self.pseudonyms, self.known)
        except (CannotClean, NotFound) as fault:  # the file is missing, damaged, or cannot be cleaned
            self.skipped[fault.detail] += 1
            return
        self.tally.add(tally)
        self.count += 1
        bundle.write(scratch, self._name(ds))
        if self.made.to_archive:
            self._ingest(scratch)

    def _name(self, ds: Dataset) -> str:
        """By order, not by anything that stood in the file; at most eight characters a part (PS3.10 8.2)."""
        series = str(ds.get("SeriesInstanceUID") or "")
        number = self.series.setdefault(series, len(self.series) + 1)
        return f"DICOM/SE{number:06}/IM{self.count:06}.dcm"

    def _ingest(self, path: Path) -> None:
        incoming = self.ctx.archive.receive(
            Source("job", actor_name=self.made.created_by, facility_id=self.made.facility_id)
        )
        with path.open("rb") as file:
            while piece := file.read(1 << 20):
                incoming.write(piece)
        outcome = self.ctx.archive.ingest(incoming)
        if outcome.status not in ("stored", "duplicate"):
            self.tally.warnings[
                phrase("An anonymized object could not be stored in the archive: {status}.", status=outcome.status)
            ] += 1

    def _finish(self, target: Path) -> dict[str, Any]:
        size = target.stat().st_size
        summary = report.build(self.profile, self.tally, self.count, dict(self.skipped))
        sealed = report.seal_uids(derive(self.ctx.config, service.CROSSREF_KEY), self.tally.uids)
        with self.ctx.database.write() as session:
            made = session.get(Anonymization, self.made.id)
            if made is None or made.job_id != self.ctx.job.id:
                target.unlink(missing_ok=True)
                raise Cancelled
            made.state, made.file, made.bytes = "done", target.name, size
            made.report, made.uids, made.finished_at = summary, sealed, now()
        return {"instances": self.count, "skipped": sum(self.skipped.values()), "bytes": size}


def _move_into_place(temporary: Path, target: Path) -> None:
    """Synced, private, and under its name in one step."""
    temporary.chmod(0o600)
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    temporary.replace(target)


def sweep(config: Config, session: Session) -> int:
    """Removes files that no row names: what a crash between file and row left. Returns how many."""
    return products.remove_strays(config, service.PRODUCTS, queries.files(session))
