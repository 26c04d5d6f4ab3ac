"""The verbs of printing: request, show, cancel, try again, reorder, delete."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from app import audit, events, jobs
from app.archive import content, products
from app.archive.reserve import Reserve
from app.config import Config
from app.db.keys import derive, seal
from app.dicom.identity import patient_of
from app.imaging.geometry import pixel_spacing_mm
from app.kit.clock import now
from app.kit.errors import Conflict, Invalid, NotFound, TooMany
from app.kit.ids import new_id
from app.kit.phrases import phrase
from app.printing import queries, selection
from app.printing.errors import ActualSizeImpossible
from app.printing.models import PrintRequest
from app.printing.order import PrintOrder
from app.printing.queries import PrintRow
from app.printing.settings import PrintSettings
from app.printing.sheet import page_count
from app.security import Actor, Verb, can, owns, require
from app.settings import load

KIND = "print.render"
PRODUCTS = "prints"  # kind of app.archive.products
NOT_ORDERED = ("language", "patients", "studies", "batch")  # keys stored beside the options that are not options
KEY = "print passwords"  # purpose of the key that seals them
MAX_PAGES = 500
MAX_ATTACHED = 256 << 20  # bytes of DICOM files in one PDF
_LOOKED_AT = 50  # headers read while a user waits; the job looks at the others
_RESTARTED_AT_MOST = 3


def folder(config: Config) -> Path:
    """Where finished prints lie."""
    return products.folder(config, PRODUCTS)


def patients_in(request: PrintRequest) -> int:
    """How many patients' images it holds; rows from before this was counted have one."""
    return int(request.options.get("patients", 1))


def is_pdf(request: PrintRequest) -> bool:
    return str(request.options.get("output", "pdf")) == "pdf"


def file_of(config: Config, request: PrintRequest) -> Path:
    return products.path(config, PRODUCTS, request.file)


@dataclass(frozen=True, slots=True)
class Checked:
    """An order that can be printed. pages: how many it will have."""

    order: PrintOrder
    chosen: selection.Selection
    pages: int

    def holds(self, owners: Mapping[str, queries.Owner]) -> bool:
        """Whether every image is still there, of the same facility and patient as when it was checked."""
        return all(owners.get(uid) == queries.owner_of(found.study) for uid, found in self.chosen.found.items())


def check(session: Session, actor: Actor, order: PrintOrder) -> Checked:
    """Checks an order and changes nothing. Raises Invalid (with the field) for what cannot be printed, NotFound for what
    is not stored or not visible to this actor."""
    order.check_output()
    chosen = selection.select(session, actor, order)
    pages = page_count(len(chosen.items), order.sheet_options())
    if pages > MAX_PAGES:
        raise Invalid(
            phrase("The print would have {pages} pages; the maximum is {most}.", pages=pages, most=MAX_PAGES),
            hint=_FEWER,
            field="layout",
        )
    _check_sizes(session, order, chosen)
    _check_attachments(order, chosen)
    return Checked(order, chosen, pages)


def add(
    session: Session, actor: Actor, config: Config, checked: Checked, batch: Mapping[str, str] | None = None
) -> PrintRow:
    """Queues a checked order. batch: key and digests of the batch that it belongs to (`app.printing.batch`). Raises
    StorageFull at the reserve of the disk."""
    Reserve.of(config).require_for_product()
    order, chosen, pages = checked.order, checked.chosen, checked.pages
    first = next(iter(chosen.found.values()))
    facilities = {f.study.facility_id for f in chosen.found.values()}
    facility_id = facilities.pop() if len(facilities) == 1 else None
    patients = len({patient_of(f.study) for f in chosen.found.values()})
    print_id = new_id()
    made = PrintRequest(
        id=print_id,
        job_id=_enqueue(session, print_id, actor, facility_id, order.priority, pages, batch),
        state="",
        items=[item and item.model_dump(mode="json") for item in chosen.items],
        options={
            **order.model_dump(mode="json", exclude={"items", "study_instance_uid", "series_instance_uid", "password"}),
            "language": actor.language,
            "patients": patients,
            "studies": _studies(chosen),
            **({"batch": dict(batch)} if batch else {}),
        },
        password=seal(derive(config, KEY), order.password) if order.password else "",
        pages=pages,
        study_instance_uid=first.study.study_instance_uid,
        patient_name=first.study.patient_name,
        modality=first.series.modality,
        created_by=actor.name,
        owner_id=actor.user_id,
        facility_id=facility_id,
        created_at=now(),
        notices=[],
    )
    session.add(made)
    session.flush()
    _trace(session, actor, made, Verb.STUDY_PRINT, pages=pages, output=order.output)
    notify(session, made)
    return _row(session, actor, print_id)


def check_quota(session: Session, actor: Actor, many: int = 1) -> None:
    """One user cannot fill the queue and the disk for all others. many: prints that are about to be added."""
    most = load(session, PrintSettings).queued_per_user
    queued = queries.unfinished(session, actor)
    if queued >= most:
        raise TooMany(
            phrase("You have {most} prints in the queue, which is the maximum.", most=most),
            hint="Wait until prints are done, or cancel prints.",
            retry_after=30,
        )
    if queued + many > most:
        raise TooMany(
            phrase(
                "{many} prints cannot be added: you have {queued} in the queue, and the maximum is {most}.",
                many=many,
                queued=queued,
                most=most,
            ),
            hint="Wait until prints are done, or print fewer patients at once.",
            retry_after=30,
        )


_FEWER = "Select a layout with more images per page, or fewer images."


def _studies(chosen: selection.Selection) -> list[str]:
    return sorted({f.study.study_instance_uid for f in chosen.found.values()})


def _enqueue(
    session: Session,
    print_id: str,
    actor: Actor,
    facility_id: str | None,
    priority: int,
    pages: int,
    batch: Mapping[str, str] | None = None,
) -> str:
    """batch: kept with the job too, which stays when the print is deleted."""
    return jobs.enqueue(
        session,
        KIND,
        {"print_id": print_id, **({"batch": dict(batch)} if batch else {})},
        actor_name=actor.name,
        owner_id=actor.user_id,
        facility_id=facility_id,
        priority=priority,
        max_attempts=_RESTARTED_AT_MOST,
        total=pages,
    )


def _check_sizes(session: Session, order: PrintOrder, chosen: selection.Selection) -> None:
    """Actual size is refused now where it is cheap to know; the job asks every image again."""
    if order.scaling != "actual":
        return
    looked: set[str] = set()
    for index, item in enumerate(chosen.items):
        if item is None or item.sop_instance_uid in looked or len(looked) >= _LOOKED_AT:
            continue
        looked.add(item.sop_instance_uid)
        header = content.header(session, chosen.found[item.sop_instance_uid].instance)
        if pixel_spacing_mm(header, item.frame) is None:
            raise ActualSizeImpossible(
                phrase(
                    "Image {number} cannot be printed in actual size: its pixel size is unknown.",
                    number=index + 1,
                ),
                hint="Select fit or fill, or remove this image.",
                field="scaling",
                sop_instance_uid=item.sop_instance_uid,
            )


def _check_attachments(order: PrintOrder, chosen: selection.Selection) -> None:
    if order.attach != "dicom":
        return
    total = sum(f.instance.bytes for f in chosen.found.values())
    if total > MAX_ATTACHED:
        raise Invalid(
            phrase(
                "The DICOM files have {size} MB; the limit of a PDF is {most} MB.",
                size=total >> 20,
                most=MAX_ATTACHED >> 20,
            ),
            hint="Attach the metadata only, or export the study.",
            field="attach",
        )


# The queue -------------------------------------------------------------------------------------------------------


def _row(session: Session, actor: Actor, print_id: str) -> PrintRow:
    row = queries.request(session, actor, print_id)
    if row is None:
        raise NotFound("Print not found.")
    return row


def get(session: Session, actor: Actor, print_id: str) -> PrintRow:
    """One print. A print of another facility does not exist for this actor."""
    require(actor, Verb.JOB_OWN)
    return _row(session, actor, print_id)


def list_prints(
    session: Session, actor: Actor, *, state: str | None = None, limit: int = 50, before: str | None = None
) -> tuple[list[PrintRow], int]:
    require(actor, Verb.JOB_OWN)
    return queries.requests(session, actor, state=state, limit=limit, before=before)


def counts(session: Session, actor: Actor) -> dict[str, int]:
    require(actor, Verb.JOB_OWN)
    return queries.counts(session, actor)


def may_change(actor: Actor, row: PrintRow) -> bool:
    """Users cancel and retry their own, administrators any (PRN-10)."""
    return can(actor, Verb.JOB_ALL) or (can(actor, Verb.JOB_OWN) and owns(actor, row.request.owner_id))


def _changeable(session: Session, actor: Actor, print_id: str) -> PrintRow:
    row = get(session, actor, print_id)
    if not may_change(actor, row):
        require(actor, Verb.JOB_ALL)
    return row


def cancel(session: Session, actor: Actor, print_id: str) -> PrintRow:
    row = _changeable(session, actor, print_id)
    if row.state not in ("queued", "running"):
        raise Conflict("This print has already ended.", hint="Nothing to cancel.")
    jobs.cancel(session, row.request.job_id)
    _trace(session, actor, row.request, "print.cancel")
    notify(session, row.request)
    return _reset(session, actor, print_id)


def retry(session: Session, actor: Actor, config: Config, print_id: str) -> PrintRow:
    """Makes a failed or cancelled print again; one that is done is printed anew."""
    require(actor, Verb.STUDY_PRINT)
    row = _changeable(session, actor, print_id)
    if row.state in ("queued", "running"):
        raise Conflict("This print is still running.", hint="Wait until it ends, or cancel it first.")
    check_quota(session, actor)
    made = row.request
    _remove(config, made)
    made.state, made.file, made.bytes, made.finished_at = "", "", 0, None
    made.job_id = _enqueue(session, made.id, actor, made.facility_id, row.priority, made.pages)
    session.flush()
    _trace(session, actor, made, "print.retry")
    notify(session, made)
    return _reset(session, actor, print_id)


def set_priority(session: Session, actor: Actor, print_id: str, priority: int) -> PrintRow:
    """Only administrators change the order of the queue; a higher number is first."""
    require(actor, Verb.JOB_ALL)
    row = _row(session, actor, print_id)
    if row.job is None or row.state != "queued":
        raise Conflict("Only a waiting print can be moved in the queue.", hint="It has already started.")
    row.job.priority = priority
    session.flush()
    _trace(session, actor, row.request, "print.priority", priority=priority)
    notify(session, row.request)
    return _reset(session, actor, print_id)


def delete(session: Session, actor: Actor, config: Config, print_id: str) -> None:
    """Removes the print and its file; one that is under way is cancelled."""
    row = _changeable(session, actor, print_id)
    if row.state in ("queued", "running"):
        jobs.cancel(session, row.request.job_id)
    _remove(config, row.request)
    _trace(session, actor, row.request, "print.delete")
    notify(session, row.request, gone=True)
    session.delete(row.request)


def open_file(session: Session, actor: Actor, config: Config, print_id: str) -> tuple[PrintRow, Path]:
    """The finished file, for whom prints; each look is in the audit trail (it shows images)."""
    require(actor, Verb.STUDY_PRINT)
    row = _row(session, actor, print_id)
    if row.state != "done":
        raise Conflict("This print is not complete.", hint="Check its state and try again later.", state=row.state)
    path = file_of(config, row.request)
    if not path.is_file():
        raise NotFound("The file of this print no longer exists.", hint="Print it again.")
    _trace(session, actor, row.request, "print.read")
    for study in studies_of(row.request):
        audit.mark_recorded(study)
    return row, path


def _remove(config: Config, made: PrintRequest) -> None:
    if made.file:
        file_of(config, made).unlink(missing_ok=True)


def _reset(session: Session, actor: Actor, print_id: str) -> PrintRow:
    session.expire_all()  # the job's row was changed by statements of its own
    return _row(session, actor, print_id)


def notify(session: Session, made: PrintRequest, *, gone: bool = False) -> None:
    """Notifies every open page. Ids only: who may not see the print asks for it in vain."""
    payload: dict[str, Any] = {"id": made.id, "study_instance_uid": made.study_instance_uid, "gone": gone}
    owner = made.owner_id if made.facility_id is None else None
    events.append(session, "print.changed", payload, facility_id=made.facility_id, user_id=owner)


def studies_of(made: PrintRequest) -> list[str]:
    """The studies whose images a print holds."""
    return made.options.get("studies") or [made.study_instance_uid]


def _trace(session: Session, actor: Actor, made: PrintRequest, verb: str, **detail: Any) -> None:
    """One row for each study whose images the print holds: what was done to a study is asked by its UID."""
    for study in studies_of(made):
        audit.by(
            session, actor, verb, "study", study, facility_id=made.facility_id, detail={"print": made.id, **detail}
        )


def as_json(row: PrintRow) -> dict[str, Any]:
    """Representation of long work at Location (DESIGN part 2), with the fields of a print."""
    made = row.request
    done, total = row.progress
    options = {k: v for k, v in made.options.items() if k not in (*NOT_ORDERED, "priority") and v is not None}
    return {
        "id": made.id,
        "state": row.state,
        "progress": {"done": done, "total": total},
        "error": row.error,
        "notices": made.notices,
        "pages": made.pages,
        "images": sum(item is not None for item in made.items),
        "priority": row.priority,
        "options": options,
        "protected": bool(made.password),
        "study_instance_uid": made.study_instance_uid,
        "patient_name": made.patient_name,
        "patients": patients_in(made),
        "modality": made.modality,
        "bytes": made.bytes,
        "created_by": made.created_by,
        "created_at": made.created_at.isoformat(),
        "finished_at": made.finished_at.isoformat() if made.finished_at else None,
        "pdf": f"/api/v1/prints/{made.id}/pdf" if row.state == "done" and is_pdf(made) else None,
        "file": f"/api/v1/prints/{made.id}/file" if row.state == "done" else None,
    }
