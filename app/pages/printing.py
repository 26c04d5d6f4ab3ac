"""The composer, and the print queue as page and as part of others."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import quote, urlsplit

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from app.archive.models import Study
from app.dicom.identity import patient_of
from app.http import ReadSession, allow, render, services
from app.http.i18n import format_date, format_person
from app.http.i18n import gettext as _
from app.kit.errors import Invalid
from app.kit.phrases import Phrase, phrase
from app.pages.shell import fields
from app.printing import papers, preview, queries, service
from app.printing.order import OUTPUTS_LATER
from app.printing.queries import PrintRow
from app.security import Actor, Verb

router = APIRouter(include_in_schema=False)
Printer = Annotated[Actor, Depends(allow(Verb.STUDY_PRINT))]
Owner = Annotated[Actor, Depends(allow(Verb.JOB_OWN))]
SHOWN = 50
FILLED_BY_ITSELF = 100  # images of a study that are placed when none was chosen
STUDIES = 30  # at once in one composer
_OPENED_FROM = ("/", "/storage", "/query", "/viewer", "/prints")
# Default paper of a modality (PRN-2).
PRESETS = {"CR": "1x1", "DX": "1x1", "MG": "1x1", "CT": "4x4", "MR": "4x4", "US": "2x3", "PT": "3x4", "NM": "2x2"}


@dataclass(frozen=True, slots=True)
class LayoutChoice:
    """name: 2x2; cells: rectangles in a drawing 30 wide and 40 high."""

    name: str
    cells: list[tuple[float, float, float, float]]


@dataclass(frozen=True, slots=True)
class ComposerPage:
    """studies: in the order chosen; patients: how many they are of; data: what web/src/composer reads; layout: the one
    to begin with; outputs_later: outputs that come later; back: address of the page before."""

    studies: list[Any]
    patients: int
    data: dict[str, Any]
    layouts: list[LayoutChoice]
    layout: str
    papers: list[tuple[str, str]]
    outputs_later: list[tuple[str, str]]
    back: str


def _back(request: Request, uids: list[str]) -> str:
    """The page that the composer was opened from; else the viewer for one study, the local storage for several."""
    before = urlsplit(request.headers.get("referer", ""))
    if before.netloc == request.url.netloc and before.path in _OPENED_FROM:
        return f"{before.path}?{before.query}" if before.query else before.path
    return f"/viewer?study={quote(uids[0])}" if len(uids) == 1 else "/storage"


def _layouts() -> list[LayoutChoice]:
    made = []
    for name in papers.LAYOUTS:
        cells = papers.cells_of(name, landscape=False)
        boxes = [(round(x * 30, 2), round(y * 40, 2), round(w * 30, 2), round(h * 40, 2)) for x, y, w, h in cells]
        made.append(LayoutChoice(name, boxes))
    return made


def chosen_items(text: str) -> list[dict[str, Any]]:
    """`SOPUID:frame:center:width:invert:rotation:flip:x:y:width:height,...` as the viewer and the list send it; all but the
    UID may be left out. The last four are the part of the image that is shown."""
    try:
        return [_chosen_item(part) for part in text.split(",") if part]
    except ValueError:
        raise Invalid(
            "The images to print could not be read.", hint="Select the images again.", field="items"
        ) from None


def _chosen_item(text: str) -> dict[str, Any]:
    """One of them by the names of web/src/composer/state.ts. Raises ValueError."""
    uid, *fields = text.split(":")
    fields += [""] * (10 - len(fields))
    frame, center, width, invert, rotation, flip, *crop = fields[:10]
    item: dict[str, Any] = {"sop_instance_uid": uid, "frame": int(frame or 1)}
    if center and width:
        item["window"] = [_finite(center), _finite(width)]
    if invert == "1":
        item["invert"] = True
    if rotation:
        item["rotation"] = int(rotation)
    if flip == "1":
        item["flip"] = True
    if all(crop):
        item["crop"] = [_finite(n) for n in crop]
    return item


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def fitting_layout(preset: str, images: int, cells: dict[str, int]) -> str:
    """The preset of the modality, or the smallest layout that holds all images of a patient where these leave cells of the
    preset empty. web/src/composer/state.ts has the same rule. cells: by layout, in the order in which layouts are listed."""
    if not 0 < images < cells[preset]:
        return preset
    return min((name for name in cells if cells[name] >= images), key=lambda name: cells[name])


def _preset(series: Sequence[preview.PrintStripSeries]) -> str:
    """The layout for the modality with most images; of several with as many the first in display order."""
    many: Counter[str] = Counter()
    for one in series:
        many[one.modality] += len(one.frames)
    return PRESETS.get(many.most_common(1)[0][0] if many else "", "2x2")


@router.get("/print")
def composer(
    request: Request,
    actor: Printer,
    study: Annotated[list[str], Query()],
    series: str = "",
    items: str = "",
) -> Response:
    """Arranges images on pages. study: one or several; series: begins with all of its images; items: with these.
    Images of different patients begin on pages of their own (web/src/composer/state.ts)."""
    uids = list(dict.fromkeys(study))
    if len(uids) > STUDIES:
        raise Invalid(
            phrase("{many} studies are selected; a print can contain at most {most}.", many=len(uids), most=STUDIES),
            hint="Select fewer studies.",
            field="study",
        )
    opened = [preview.strip(services(request).database, actor, uid) for uid in uids]
    patients = list(dict.fromkeys(patient_of(one) for one, _strip in opened))
    strip = [(number, one) for number, (_study, cards) in enumerate(opened) for one in cards]
    begin = [one for _number, one in strip if not series or one.uid == series]
    chosen = chosen_items(items)
    if not chosen:
        frames = [frame for one in begin for frame in one.frames]
        if series or len(frames) <= FILLED_BY_ITSELF * len(uids):
            chosen = [{"sop_instance_uid": uid, "frame": frame} for uid, frame, _number in frames]
    cells = {name: len(papers.cells_of(name, False)) for name in papers.LAYOUTS}
    whose = {sop: patients.index(patient_of(opened[n][0])) for n, one in strip for sop, _frame, _number in one.frames}
    most = max(Counter(whose.get(one["sop_instance_uid"], 0) for one in chosen).values(), default=0)
    layout = fitting_layout(_preset(begin), most, cells)
    data = {
        "studies": [
            {"uid": one.study_instance_uid, "title": _title(one), "patient": patients.index(patient_of(one))}
            for one, _strip in opened
        ],
        "patients": _patients([one for one, _strip in opened]),
        "series": [
            {"uid": s.uid, "study": number, "title": s.title, "modality": s.modality, "frames": s.frames}
            for number, s in strip
        ],
        "first": series or (strip[0][1].uid if strip else ""),
        "items": chosen,
        "unprinted": _unprinted(request, actor, uids),
        "cells": cells,
        "presets": PRESETS,
    }
    sizes = [(name, name.replace("INX", " × ").replace("IN", " in")) for name in papers.PAPERS]
    later = [(name, word) for name, word in _outputs() if name in OUTPUTS_LATER]
    page = ComposerPage(
        [one for one, _strip in opened], len(patients), data, _layouts(), layout, sizes, later, _back(request, uids)
    )
    return render(request, "printing/composer.html", fields(page))


@router.get("/print/_unprinted")
def unprinted(request: Request, actor: Printer, study: Annotated[list[str], Query(max_length=STUDIES)]) -> list[str]:
    """A sentence for each of these studies that has nothing to print, before the composer is opened."""
    return _unprinted(request, actor, list(dict.fromkeys(study)))


def _unprinted(request: Request, actor: Actor, uids: list[str]) -> list[str]:
    notices = []
    for one in preview.unprinted(services(request).database, actor, uids):
        (patient,) = _patients([one.study])
        named = f"{patient} ({_title(one.study)})"
        if one.images:
            notices.append(_("Not printed: %(study)s. Its images contain no pixel data.") % {"study": named})
        else:
            notices.append(
                _("Not printed: %(study)s. It contains only reports and other documents.") % {"study": named}
            )
    return notices


def _title(study: Study) -> str:
    """A study in the list of series, where several are open."""
    title = (study.description or _("No description"), format_date(study.study_date))
    return ", ".join(part for part in title if part)


def _patients(studies: list[Study]) -> list[str]:
    """Names of the patients, in the order of their first study; the id distinguishes patients of the same name."""
    named: dict[str, str] = {}
    for one in studies:
        names = (format_person(one.patient_name) or _("No name"), one.patient_id)
        named.setdefault(patient_of(one), " · ".join(part for part in names if part))
    return list(named.values())


def _outputs() -> list[tuple[str, str]]:
    return [
        ("printer", _("Printer")),
        ("film", _("Film")),
        ("email", _("E-mail")),
    ]


@dataclass(frozen=True, slots=True)
class PrintQueueRow:
    """One print as the queue shows it. kind: of the state's icon; may: the reader may cancel, retry and delete it.
    patient_id, study: distinguish prints of patients without a name, empty where there are several or the study is
    gone; protected: the file asks for a password."""

    id: str
    patient: str
    patients: int
    modality: str
    kind: str
    state: str
    word: str
    done: int
    total: int
    paper: str
    pages: int
    by: str
    at: Any
    error: str
    notices: list[Phrase]
    may: bool
    readable: bool
    output: str
    patient_id: str
    study: str
    protected: bool


@dataclass(frozen=True, slots=True)
class PrintQueuePart:
    rows: list[PrintQueueRow]
    running: int
    waiting: int
    failed: int
    whole: bool


_KINDS = {"queued": "wait", "running": "running", "done": "ok", "failed": "bad", "cancelled": "paused"}


def _row(actor: Actor, row: PrintRow, study: Study | None) -> PrintQueueRow:
    words = {
        "queued": _("Waiting"),
        "running": _("Printing"),
        "done": _("Done"),
        "failed": _("Failed"),
        "cancelled": _("Cancelled"),
    }
    done, total = row.progress
    made = row.request
    patients = service.patients_in(made)
    one_study = study if patients == 1 and len(made.options.get("studies") or [0]) == 1 else None
    return PrintQueueRow(
        id=made.id,
        patient=made.patient_name,
        patients=patients,
        modality=made.modality,
        kind=_KINDS[row.state],
        state=row.state,
        word=words[row.state],
        done=done,
        total=total,
        paper=str(made.options.get("paper", "")),
        pages=made.pages,
        by=made.created_by,
        at=made.created_at,
        error=row.error or "",
        notices=list(made.notices),
        may=service.may_change(actor, row),
        output="PDF/A" if service.is_pdf(made) else str(made.options.get("image_format") or "jpeg").upper(),
        readable=row.state == "done" and Verb.STUDY_PRINT in actor.verbs,
        patient_id=study.patient_id if study and patients == 1 else "",
        study=_title(one_study) if one_study else "",
        protected=bool(made.password),
    )


def _queue(session: ReadSession, actor: Actor, whole: bool) -> PrintQueuePart:
    rows, _total = service.list_prints(session, actor, limit=SHOWN if whole else SHOWN // 2)
    counts = service.counts(session, actor)
    studies = queries.studies(session, list({row.request.study_instance_uid for row in rows}))
    return PrintQueuePart(
        rows=[_row(actor, row, studies.get(row.request.study_instance_uid)) for row in rows],
        running=counts.get("running", 0),
        waiting=counts.get("queued", 0),
        failed=counts.get("failed", 0),
        whole=whole,
    )


@router.get("/prints")
def prints(request: Request, actor: Owner, session: ReadSession) -> Response:
    """The print queue on a page of its own."""
    return render(request, "printing/queue.html", fields(_queue(session, actor, whole=True)))


@router.get("/prints/_queue")
def queue(request: Request, actor: Owner, session: ReadSession, whole: bool = False) -> Response:
    """The queue as a part: the right third of Incoming, and the live part of its own page."""
    return render(request, "printing/_queue.html", fields(_queue(session, actor, whole)))
