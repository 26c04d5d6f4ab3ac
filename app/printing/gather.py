"""From the archive to pictures: headers, frames and pixels of what an order chose. Preview and print use this one way,
so both show the same window, letters and texts."""

import contextlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

from pydicom.dataset import Dataset
from sqlalchemy.orm import Session

from app.archive import content
from app.archive.drawn import drawn_header
from app.archive.errors import NoFrame
from app.archive.frames import frame_bytes, locate_objects
from app.archive.models import Instance
from app.imaging import ImagingError, PixelSpec, Presentation
from app.kit.errors import NotFound
from app.kit.phrases import NOTHING, Phrase, joined, phrase
from app.printing import facts, pixels, queries, wording
from app.printing.order import OrderItem
from app.printing.pdf import Pixels
from app.printing.pixels import RenderedFrame
from app.printing.queries import PrintableInstance
from app.printing.sheet import FrameShape, Placed, View
from app.viewing import notices, states

UNDRAWABLE = (ImagingError, NoFrame, NotFound)  # the faults of one image
_HEADERS = 2000  # kept in memory at a time, each some 40 KB; one of many frames counts as several

Read = Callable[[], AbstractContextManager[Session]]


class Gatherer:
    """Reads for one order. read: opens a session; each look is a short transaction of its own, for a print of minutes
    must not keep the database from tidying up behind it.

    An image that cannot be drawn (damaged, of a kind no decoder knows, deleted meanwhile) does not end the print: its
    Picture has the reason, and `check` finds it before printing."""

    def __init__(self, read: Read, archive: Any, language: str, uids: Iterable[str]) -> None:
        self._read = read
        self._archive = archive
        self._language = language
        self._words = wording.words(language)
        with read() as session:
            self.found = queries.instances(session, list(dict.fromkeys(uids)))
            self._counts = queries.numbered_throughout(session, {one.series.id for one in self.found.values()})
        self._headers: OrderedDict[str, tuple[Dataset, int]] = OrderedDict()
        self._weight = 0  # of the headers kept
        self._states: dict[str, states.State] = {}
        self._faults: dict[tuple[str, int], Phrase] = {}  # (SOP Instance UID, frame): why it cannot be drawn
        self._lock = threading.Lock()
        self._kept: tuple[tuple[str, int, View], RenderedFrame] | None = None

    def picture(self, item: OrderItem, number: int) -> FrameShape:
        """The facts of one item; number counts from 1 and is named in the error of a missing image."""
        fault = self._faults.get((item.sop_instance_uid, item.frame), NOTHING)
        try:
            return self._undrawable(item, fault) if fault else self._drawable(item, number)
        except UNDRAWABLE as raised:
            return self._undrawable(item, raised.detail)

    def _undrawable(self, item: OrderItem, why: Phrase) -> FrameShape:
        header, position = None, ""
        with contextlib.suppress(*UNDRAWABLE):
            found = self._find_instance(item.sop_instance_uid, 0)
            position = self._position(found, item.frame)
            header = self.header(item.sop_instance_uid)
        known = facts.undrawable(header, item.sop_instance_uid, item.frame, item.view(), position, self._words, why)
        return replace(known, values={**known.values, "Fault": wording.sentence(why, self._language)})

    def check(self, items: Iterable[OrderItem | None]) -> None:
        """Decodes each frame once; `picture` then returns which of them cannot be drawn, and why."""
        for item in items:
            if item is None or (item.sop_instance_uid, item.frame) in self._faults:
                continue
            try:
                self._find_instance(item.sop_instance_uid, 0)
                header = self.header(item.sop_instance_uid)
                state = self._state(item.sop_instance_uid, item.frame, item.view().state)
                pixels.displayed_pixels(
                    self.frame(item.sop_instance_uid, item.frame), header, item.frame, item.view(), state
                )
            except UNDRAWABLE as raised:
                self._faults[item.sop_instance_uid, item.frame] = raised.detail

    def _drawable(self, item: OrderItem, number: int) -> FrameShape:
        """Raises what UNDRAWABLE names."""
        found = self._find_instance(item.sop_instance_uid, number)
        header = self.header(item.sop_instance_uid)
        position = self._position(found, item.frame)
        view = item.view()
        state = self._state(item.sop_instance_uid, item.frame, view.state)
        known = facts.picture(header, item.sop_instance_uid, item.frame, view, position, self._words, state)
        # Only where the caption names no window the header is asked again: it is read a thousand times for a long print.
        plain = item.window is None and state is None and not known.values["Window"]
        if plain and not facts.has_window(header, item.frame):
            window = pixels.computed_window(self.frame(item.sop_instance_uid, item.frame), header, item.frame)
            known = facts.with_window(known, window) if window else known
        known = replace(known, marks=item.marks()) if item.annotations else known
        return self._with_notice(known, found.instance, header)

    def _with_notice(self, known: FrameShape, instance: Instance, header: Dataset) -> FrameShape:
        with self._read() as session:
            [located] = locate_objects(session, [instance])
        found_notices = notices.of_frame(self._archive, located, header, known.frame)
        if not found_notices:
            return known
        shown = " ".join(wording.sentence(text, self._language) for text in found_notices)
        return replace(known, notice=joined(found_notices), values={**known.values, "Notice": shown})

    def _position(self, found: PrintableInstance, frame: int) -> str:
        return wording.position(found.instance, frame, self._counts.get(found.series.id))

    def _find_instance(self, uid: str, number: int) -> PrintableInstance:
        if uid not in self.found:
            raise NotFound(phrase("Image {number} is no longer in the archive.", number=number))
        return self.found[uid]

    def header(self, uid: str) -> Dataset:
        """The data set without pixels, the last used kept. Several threads may ask, and only read what they get."""
        with self._lock:
            if uid in self._headers:
                self._headers.move_to_end(uid)
                return self._headers[uid][0]
        instance = self.found[uid].instance
        with self._read() as session:
            header = drawn_header(session, instance)
        with self._lock:
            if uid not in self._headers:
                self._headers[uid] = (header, 1 + instance.number_of_frames // 5)
                self._weight += self._headers[uid][1]
            while self._weight > _HEADERS and len(self._headers) > 1:
                self._weight -= self._headers.popitem(last=False)[1][1]
        return header

    def frame(self, uid: str, number: int) -> bytes:
        with self._read() as session:
            return frame_bytes(self._archive, session, self.found[uid].instance, number)

    def pixels(self, placed: Placed, dpi: int) -> Pixels:
        """Pixels of the placed picture; several threads may ask. The same image twice in a row is rendered
        once."""
        what = placed.picture
        key = (what.sop_instance_uid, what.frame, what.view)
        kept = self._kept
        if kept is None or kept[0] != key:
            self._kept = kept = key, self.rendered_frame(*key)
        return pixels.cut(kept[1], placed, dpi)

    def rendered_frame(self, uid: str, frame: int, view: View) -> RenderedFrame:
        """A whole frame by this view, which names what is seen in all. Raises what UNDRAWABLE names."""
        state = self._state(uid, frame, view.state)
        return pixels.displayed_pixels(self.frame(uid, frame), self.header(uid), frame, view, state)

    def _state(self, uid: str, frame: int, state_uid: str) -> Presentation | None:
        """The presentation state as it applies to a frame; None where none was chosen. Raises NotFound, DoesNotApply."""
        if not state_uid:
            return None
        if state_uid not in self._states:
            with self._read() as session:
                found = queries.instances(session, [state_uid]).get(state_uid)
                if found is None or found.study.id != self._find_instance(uid, 0).study.id:
                    raise NotFound("The presentation state is no longer in the archive.")
                self._states[state_uid] = states.load(self._archive, session, found.instance)
        return self._states[state_uid].of(uid, PixelSpec.from_dataset(self.header(uid)), frame)

    def dicom_json(self) -> list[dict[str, object]]:
        with self._read() as session:
            return [content.dicom_json(session, found.instance) for found in self.found.values()]

    def file(self, found: PrintableInstance) -> bytes:
        with content.open_object(self._archive, found.instance) as file:
            return file.read()
