"""The derived objects of a run: made beside every transaction, noted in one with its transfers."""

import logging
import os
from dataclasses import dataclass, field
from typing import Any

from app.archive import content
from app.archive.arrivals import StoredArrival
from app.db.keys import derive as derive_key
from app.deid import report
from app.deid.errors import CannotClean
from app.deid.profile import resolve
from app.deid.service import CROSSREF_KEY
from app.deid.walker import EditCounts
from app.dicom.header import NotDicom
from app.forward import derived
from app.forward.derived import Made
from app.jobs.context import JobContext
from app.kit.errors import NotFound
from app.kit.phrases import Phrase, of_fault
from app.routing.derive import Maker, send_actions
from app.routing.rule import Anonymize, Rule

log = logging.getLogger(__name__)


@dataclass(slots=True)
class PreparedFiles:
    """Derived objects of a run. forms: which form of the objects (see derive.Leaving.number) -> its files; refused: SOP
    Instance UID -> why nothing may leave for it; reports: what de-identification did, without a value."""

    forms: dict[int, list[Made]] = field(default_factory=dict)
    refused: dict[str, Phrase] = field(default_factory=dict)
    reports: list[dict[str, Any]] = field(default_factory=list)
    uids: bytes | None = None


def derive_objects(ctx: JobContext, run_id: str, rule: Rule, found: list[StoredArrival]) -> PreparedFiles:
    """Every form of every object that a rule sends otherwise than it is stored. Begins anew when a try before it died."""
    store, batch, tally = ctx.archive.store, PreparedFiles(), EditCounts()
    derived.delete_files(store, run_id)
    wanted = {one.number: one.steps for one in send_actions(rule.actions) if one.steps}
    if wanted:
        derived.holder_folder(store, run_id).mkdir(parents=True, mode=0o700)
    total, done = len(wanted) * len(found), 0
    for number, steps in wanted.items():
        maker = Maker(ctx.config, steps)
        batch.forms[number] = []
        for one in found:
            ctx.progress(done, total)
            done += 1
            _derive_object(ctx, run_id, number, maker, one, batch)
        tally.add(maker.tally)
        for step in steps:
            if isinstance(step, Anonymize):
                made = report.build(resolve(step.profile, step.options), maker.tally, len(found), {})
                batch.reports.append({"form": number, **made})
    if tally.uids:
        batch.uids = report.seal_uids(derive_key(ctx.config, CROSSREF_KEY), tally.uids)
    return batch


def _derive_object(
    ctx: JobContext, run_id: str, number: int, maker: Maker, one: StoredArrival, batch: PreparedFiles
) -> None:
    """One object in one form; an object that cannot be derived is not sent, and is reported."""
    store, uid = ctx.archive.store, one.instance.sop_instance_uid
    path = f"{derived.FOLDER}/{run_id}/{number}-{one.instance.id}.dcm"
    store.require_space(one.instance.bytes)
    try:
        with content.open_object(ctx.archive, one.instance) as source, store.full_path(path).open("w+b") as out:
            maker.write(source, out)
            out.flush()
            os.fsync(out.fileno())
        batch.forms[number].append(derived.read(store, path, uid))
    except (CannotClean, NotFound) as fault:
        batch.refused[uid] = fault.detail
        store.full_path(path).unlink(missing_ok=True)
    except NotDicom as fault:
        batch.refused[uid] = of_fault(fault)
        store.full_path(path).unlink(missing_ok=True)
