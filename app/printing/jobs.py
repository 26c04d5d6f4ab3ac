"""Background entry point: print.render makes the file of a print request. Safe to run again: it starts anew and the
file takes its place at the end, in one step."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from app.archive import products
from app.config import Config
from app.db.keys import derive, unseal
from app.jobs.context import Cancelled, JobContext, PermanentFault
from app.kit.clock import now
from app.printing import images, pdf, press, queries, service, wording
from app.printing.gather import UNDRAWABLE, Gatherer
from app.printing.models import PrintRequest
from app.printing.order import OrderItem, PrintOrder
from app.printing.sheet import FrameShape, Sheet, compose


def render(ctx: JobContext, payload: dict[str, Any]) -> dict[str, Any]:
    """Makes the PDF. The job's result is {"pages", "bytes"}; the reason of a failure is a sentence for people."""
    with ctx.database.read() as session:
        made = session.get(PrintRequest, payload["print_id"])
    if made is None or made.job_id != ctx.job.id:
        raise Cancelled  # deleted, or asked for anew, while it waited
    _notify(ctx, made.id)
    try:
        return _PrintWork(ctx, made).run()
    finally:
        press.shared().rest()
        _notify(ctx, made.id)


def _notify(ctx: JobContext, print_id: str) -> None:
    with ctx.database.write() as session:
        made = session.get(PrintRequest, print_id)
        if made is not None:
            service.notify(session, made)


class _PrintWork:
    """One print on its way to paper."""

    def __init__(self, ctx: JobContext, made: PrintRequest) -> None:
        self.ctx = ctx
        self.made = made
        options = {k: v for k, v in made.options.items() if k not in service.NOT_ORDERED}
        self.items = [OrderItem.model_validate(item) if item else None for item in made.items]
        self.order = PrintOrder.model_validate({**options, "items": self.items})
        self.language = str(made.options.get("language") or "en")
        uids = [item.sop_instance_uid for item in self.items if item]
        self.source = Gatherer(ctx.database.read, ctx.archive, self.language, uids)

    def run(self) -> dict[str, Any]:
        sheet = self._drawable(self.compose())
        target = service.folder(self.ctx.config) / f"{self.made.id}-{self.ctx.job.id[-6:]}.{self.order.ending}"
        temporary = target.with_suffix(".part")
        try:
            sheet = self._write_what_can_be_drawn(sheet, temporary)
            if self.order.output == "images":
                self._to_images(temporary)
            _move_into_place(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)
        return self._finish(sheet, target)

    def compose(self) -> Sheet:
        pictures: list[FrameShape | None] = []
        for number, item in enumerate(self.items, 1):
            self.ctx.check_cancelled()
            pictures.append(self.source.picture(item, number) if item else None)
        options = self.order.sheet_options(**wording.moment(self.language, self.made.created_by))
        return compose(pictures, wording.translated(options, self.language))

    def _write_what_can_be_drawn(self, sheet: Sheet, target: Path) -> Sheet:
        """Writes the sheet; where an image cannot be drawn, each is looked at once and the sheet is made again with the
        reason in the cells of those. Answers the sheet that was written."""
        try:
            self._write(sheet, target)
        except UNDRAWABLE:
            for item in self.items:
                self.ctx.check_cancelled()
                self.source.check([item])
            sheet = self._drawable(self.compose())
            self._write(sheet, target)
        return sheet

    def _drawable(self, sheet: Sheet) -> Sheet:
        """The sheet. Raises PermanentFault where none of its images can be drawn: a print without images is useless."""
        cells = [cell for page in sheet.pages for cell in page.cells]
        if not any(cell.placed for cell in cells) and any(cell.undrawable for cell in cells):
            raise PermanentFault(sheet.notices[0])
        return sheet

    def _write(self, sheet: Sheet, target: Path) -> None:
        password = self.made.password and unseal(derive(self.ctx.config, service.KEY), self.made.password)
        about = pdf.PdfProperties(f"Filmroom print {self.made.id}", self.made.created_at, self.language)
        pdf.write(
            sheet,
            press.shared(),
            lambda placed: self.source.pixels(placed, self.order.dpi),
            target,
            about,
            attachments=self._attachments(),
            password=password,
            progress=self.ctx.progress,
            require_space=self.ctx.archive.store.require_space,
        )

    def _to_images(self, made: Path) -> None:
        pages = made.with_suffix(".pages")
        try:
            images.write(made, pages, self.order.image_format or "jpeg", self.order.dpi, self._page_written)
            pages.replace(made)
        finally:
            pages.unlink(missing_ok=True)

    def _page_written(self, done: int, total: int) -> None:
        self.ctx.archive.store.require_space(0)
        self.ctx.progress(done, total)

    def _attachments(self) -> Sequence[pdf.Attachment]:
        if self.order.attach == "json":
            text = json.dumps(self.source.dicom_json(), ensure_ascii=False).encode()
            return [pdf.Attachment("metadata.json", text, "application/dicom+json", "DICOM metadata (PS3.18 Annex F)")]
        if self.order.attach == "dicom":
            description = "The image as it was received"
            return [
                pdf.Attachment(f"IM{number:06}.dcm", self.source.file(found), "application/dicom", description)
                for number, found in enumerate(self.source.found.values(), 1)
            ]
        return []

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


def _move_into_place(temporary: Path, target: Path) -> None:
    """Synced, private, and under its name in one step."""
    temporary.chmod(0o600)
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    temporary.replace(target)


def sweep(config: Config, session: Session) -> int:
    """Removes files that no row names: what a crash between file and row left. Returns how many."""
    return products.remove_strays(config, service.PRODUCTS, queries.files(session))
