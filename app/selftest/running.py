"""One self-test under way: what the steps of every protocol need. Each step is written down as it ends."""

import contextlib
import time
from collections.abc import Callable
from typing import Any

from sqlalchemy.orm import Session

from app import audit
from app.archive import service as archive_service
from app.jobs.context import JobContext, PermanentFault
from app.kit.clock import local, now
from app.kit.errors import AppError, PeerFault
from app.kit.phrases import NOTHING, Phrase, phrase
from app.network.probe import ProbeStep
from app.network.settings import DicomSettings
from app.nodes import activity_queries, options, probe_log, selftest, service
from app.nodes.models import Node, NodeTest
from app.nodes.selftest import DONE, OK, PATIENT, PATIENT_ID, RUNNING, WARNED, WRONG
from app.security.actor import SYSTEM
from app.selftest import test_object
from app.selftest.test_object import TestObject
from app.settings import load

_ARRIVE = 20.0  # seconds until the object must return after the peer reported it as sent
_INDEX = 8.0  # seconds a PACS may take until its index knows what it has stored

Found = tuple[str, Phrase, Phrase]  # state, words, hint


class Run:
    """Shared state of the steps."""

    def __init__(self, ctx: JobContext, test_id: str) -> None:
        self.ctx = ctx
        with ctx.database.write() as session:
            test = session.get(NodeTest, test_id)
            node = session.get(Node, test.node_id) if test is not None else None
            if test is None or node is None:
                raise PermanentFault("This test or its node has been removed.")
            test.state, test.steps = RUNNING, []
            self.test_id, self.with_object = test.id, test.with_object
            self.node, self.settings = node, load(session, DicomSettings)
        self.peer = service.peer_of(self.node, ctx.config.aet, self.settings)
        self.own_title = self.peer.calling
        self.protocol = options.node_options(self.node).protocol
        self.steps: list[dict[str, Any]] = []
        self.offers: list[str] = []
        self.made: TestObject | None = None
        self.lost = False  # it took the picture but does not find it
        self.address = ""  # the listening address as seen by the peer

    @property
    def picture(self) -> TestObject:
        """The test object; a step has made it."""
        assert self.made is not None
        return self.made

    def make_object(self) -> TestObject:
        """The test object, noted before it goes anywhere: what comes back of it goes nowhere from here."""
        self.made = test_object.make(PATIENT, PATIENT_ID, local(now()))
        self.store_result(study=self.made.study)
        return self.made

    def store_result(self, end: bool = False, study: str = "") -> None:
        with self.ctx.database.write() as session:
            test = session.get(NodeTest, self.test_id)
            node = session.get(Node, self.node.id)
            if test is None or node is None:
                raise PermanentFault("This test or its node has been removed.")
            test.steps = [dict(step) for step in self.steps]
            test.study_instance_uid = study or test.study_instance_uid
            if end:
                test.state, test.finished_at = DONE, now()
            selftest.notify(session, node)

    def add_step(self, step: ProbeStep) -> None:
        """A step that the probe has done."""
        state = OK if step.ok else WARNED if step.name == "offers" else WRONG
        self.steps.append(
            {"step": step.name, "state": state, "words": step.words, "hint": step.hint, "seconds": step.seconds}
        )

    def step(self, name: str, work: Callable[[], Found]) -> bool:
        """Does one step and writes it down, before and after; whether it went well."""
        self.ctx.check_cancelled()
        entry: dict[str, Any] = {"step": name, "state": RUNNING, "words": NOTHING, "hint": NOTHING, "seconds": 0.0}
        self.steps.append(entry)
        self.store_result()
        begun = time.monotonic()
        try:
            entry["state"], entry["words"], entry["hint"] = work()
        except PeerFault as fault:
            entry["state"], entry["words"], entry["hint"] = WRONG, fault.detail, fault.hint or self.setup_hint()
        entry["seconds"] = round(time.monotonic() - begun, 4)
        self.store_result()
        well = bool(entry["state"] == OK)
        probe_log.log_step(self.ctx.database, self.node, name, well, entry["seconds"], entry["words"])
        return well

    def setup_hint(self) -> Phrase:
        """Hint for the peer's administrator who has not configured this station: the echo succeeded, so permissions are
        missing."""
        if self.protocol != "dicom":
            return NOTHING
        return phrase(
            "Ask its administrator whether this station is configured there (AE title {title}{where}) and which services it may use.",
            title=self.own_title,
            where=f" ({self.address})" if self.address else "",
        )

    def supports(self, ability: str) -> bool:
        """Whether it offers this, or is set to have it: then a refusal is worth a step."""
        return ability in self.offers or ability in options.node_options(self.node).capabilities

    def until_found(self, is_found: Callable[[], bool]) -> Found:
        """A PACS may take a while until its index knows what it has stored."""
        until = time.monotonic() + _INDEX
        while True:
            if is_found():
                return OK, phrase("The test study is found."), NOTHING
            if time.monotonic() > until:
                self.lost = True
                return (
                    WRONG,
                    phrase("It took the picture but does not find its study."),
                    phrase("Some archives keep new studies aside until somebody has looked at them."),
                )
            self.ctx.check_cancelled()
            time.sleep(0.5)

    def study_returned(self, address: str = "") -> Found:
        """Whether the picture is here; it is removed at once."""
        title = self.own_title if address else ""
        until = time.monotonic() + _ARRIVE
        while not self.is_stored():
            if time.monotonic() > until:
                hint = (
                    phrase("Does it have {title} at {address}?", title=title, address=address) if address else NOTHING
                )
                return WRONG, phrase("The node reported the image as sent, but nothing was received."), hint
            self.ctx.check_cancelled()
            time.sleep(0.2)
        self.remove()
        return OK, phrase("The test image was received back and deleted here."), NOTHING

    def keeps_object(self) -> None:
        """Whether the administrator allowed the object to stay."""
        words = phrase("The study of {patient} ({id}) stays on the PACS.", patient=PATIENT, id=PATIENT_ID)
        self.step("stays", lambda: (WARNED, words, phrase("Have it deleted there if it disturbs.")))

    # what must not stay

    def is_stored(self) -> bool:
        assert self.made is not None
        with self.ctx.database.read() as session:
            return activity_queries.is_stored(session, self.made.sop_instance)

    def remove(self) -> None:
        """Removes the test study from the archive, if it is stored."""
        if self.made is None or not self.is_stored():
            return
        with contextlib.suppress(AppError), self.ctx.database.write() as session:
            archive_service.delete_study(session, SYSTEM, self.made.study)
            _record_removal(session, self.made.study, self.node.name)


def _record_removal(session: Session, study: str, node_name: str) -> None:
    audit.by(session, SYSTEM, "study.delete", "study", study, detail={"self_test_of": node_name})
