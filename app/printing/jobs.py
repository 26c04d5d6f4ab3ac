"""Background entry point: print.render makes the file of a print request. Safe to run again: it starts anew and the
file takes its place at the end, in one step."""

import json
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from app.archive import content
from app.db.keys import derive, unseal
from app.imaging import ImagingError
from app.jobs.context import Cancelled, JobContext, PermanentFault
from app.kit.clock import now
from app.kit.errors import AppError
from app.printing import facts, pdf, pixels, press, queries, service, wording
from app.printing.models import PrintRequest
from app.printing.order import OrderItem, PrintOrder
from app.printing.queries import Found
from app.printing.sheet import Picture, Placed, Sheet, compose

log = logging.getLogger(__name__)


def render(ctx: JobContext, payload: dict[str, Any]) -> dict[str, Any]:
    """Makes the PDF. The job's result is {"pages", "bytes"}; the reason of a failure is a sentence for people."""
    with ctx.database.read() as session:
        made = session.get(PrintRequest, payload["print_id"])
    if made is None or made.job_id != ctx.job.id:
        raise Cancelled  # deleted, or asked for anew, while it waited
    try:
        return _Work(ctx, made).run()
    except Cancelled:
        raise
    except ImagingError as fault:
        raise PermanentFault(fault.detail) from fault
    finally:
        _tell(ctx, made.id)


def _tell(ctx: JobContext, print_id: str) -> None:
    with ctx.database.write() as session:
        made = session.get(PrintRequest, print_id)
        if made is not None:
            service.changed(session, made)


class _Work:
    """One print on its way to paper."""

    def __init__(self, ctx: JobContext, made: PrintRequest) -> None:
        self.ctx = ctx
        self.made = made
        options = {k: v for k, v in made.options.items() if k != "language"}
        items = [item and OrderItem.model_validate(item) for item in made.items]
        self.order = PrintOrder.model_validate({**options, "items": items})
        self.language = str(made.options.get("language") or "en")
        self._headers: dict[str, Any] = {}
        self._found: dict[str, Found] = {}
        self._kept: tuple[tuple[str, int, Any], pdf.Pixels] | None = None

    def run(self) -> dict[str, Any]:
        with self.ctx.database.read() as session:
            sheet = self.compose(session)
            target = service.folder(self.ctx.config) / f"{self.made.id}-{self.ctx.job.id[-6:]}.pdf"
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            temporary = target.with_suffix(".part")
            try:
                self._write(session, sheet, temporary)
                _settle(temporary, target)
            finally:
                temporary.unlink(missing_ok=True)
        return self._finish(sheet, target)

    def compose(self, session: Session) -> Sheet:
        items = self.order.items or []
        uids = list(dict.fromkeys(item.sop_instance_uid for item in items if item))
        self._found = queries.instances(session, uids)
        words = wording.words(self.language)
        pictures: list[Picture | None] = []
        for number, item in enumerate(items):
            self.ctx.check_cancelled()
            pictures.append(item and self._picture(session, item, number, words))
        options = self.order.sheet_options(**wording.moment(self.language, self.made.created_by))
        return compose(pictures, wording.translated(options, self.language))

    def _picture(self, session: Session, item: OrderItem, number: int, words: facts.Words) -> Picture:
        found = self._found.get(item.sop_instance_uid)
        if found is None:
            raise PermanentFault(f"Image {number + 1} is no longer in the archive.")
        header = self._header(session, item.sop_instance_uid)
        position = wording.position(found.instance, item.frame, found.series.instance_count)
        known = facts.picture(header, item.sop_instance_uid, item.frame, item.view(), position, words)
        if item.window is None and not facts.has_window(header, item.frame):
            window = pixels.computed_window(self._frame(session, item.sop_instance_uid, item.frame), header, item.frame)
            known = facts.with_window(known, window) if window else known
        return known

    def _header(self, session: Session, uid: str) -> Any:
        if uid not in self._headers:
            if len(self._headers) > 200:
                self._headers.clear()
            self._headers[uid] = content.header(session, self._found[uid].instance)
        return self._headers[uid]

    def _frame(self, session: Session, uid: str, number: int) -> bytes:
        return content.frame_bytes(self.ctx.archive, session, self._found[uid].instance, number)

    def _pixels(self, session: Session, placed: Placed) -> pdf.Pixels:
        what = placed.picture
        key = (what.sop_instance_uid, what.frame, what.view)
        if self._kept is None or self._kept[0] != key:  # the same image twice in a row is rendered once
            frame = self._frame(session, what.sop_instance_uid, what.frame)
            header = self._header(session, what.sop_instance_uid)
            self._kept = (key, pixels.seen(frame, header, what.frame, what.view))
        return pixels.cut(self._kept[1], placed, self.order.dpi)

    def _write(self, session: Session, sheet: Sheet, target: Path) -> None:
        password = self.made.password and unseal(derive(self.ctx.config, "print passwords"), self.made.password)
        about = pdf.Document(f"Filmroom print {self.made.id}", self.made.created_at, self.language)
        pdf.write(
            sheet,
            press.shared(),
            lambda placed: self._pixels(session, placed),
            target,
            about,
            attachments=self._attachments(session),
            password=password,
            progress=self.ctx.progress,
        )

    def _attachments(self, session: Session) -> Sequence[pdf.Attachment]:
        if self.order.attach == "json":
            headers = [content.dicom_json(session, found.instance) for found in self._found.values()]
            text = json.dumps(headers, ensure_ascii=False).encode()
            return [pdf.Attachment("metadata.json", text, "application/dicom+json", "DICOM metadata (PS3.18 Annex F)")]
        if self.order.attach == "dicom":
            return [self._object(number, found) for number, found in enumerate(self._found.values(), 1)]
        return []

    def _object(self, number: int, found: Found) -> pdf.Attachment:
        with content.open_object(self.ctx.archive, found.instance) as file:
            return pdf.Attachment(f"IM{number:06}.dcm", file.read(), "application/dicom", "The image as it was received")

    def _finish(self, sheet: Sheet, target: Path) -> dict[str, Any]:
        size = target.stat().st_size
        with self.ctx.database.write() as session:
            made = session.get(PrintRequest, self.made.id)
            if made is None or made.job_id != self.ctx.job.id:  # deleted or asked for anew meanwhile
                target.unlink(missing_ok=True)
                raise Cancelled
            made.state, made.file, made.bytes = "done", target.name, size
            made.finished_at, made.notices = now(), list(sheet.notices)
        return {"pages": len(sheet.pages), "bytes": size}


def _settle(temporary: Path, target: Path) -> None:
    """Synced, private, and under its name in one step."""
    temporary.chmod(0o600)
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    temporary.replace(target)


def sweep(config: Any, session: Session) -> int:
    """Removes files that no row names: what a crash between file and row left. Returns how many."""
    folder = service.folder(config)
    if not folder.is_dir():
        return 0
    known = queries.files(session)
    young = now().timestamp() - 3600
    stray = [p for p in folder.iterdir() if p.name not in known and p.stat().st_mtime < young]
    for path in stray:
        path.unlink(missing_ok=True)
    return len(stray)


__all__ = ["AppError", "render", "sweep"]
