"""Carries out a self-test, step by step; each is written down as it ends. And the echoes by the clock."""

import contextlib
import io
import time
from collections.abc import Callable
from typing import Any

from sqlalchemy.orm import Session

from app import audit
from app.archive import Source
from app.archive import service as archive_service
from app.jobs.context import JobContext, PermanentFault
from app.kit.clock import now
from app.kit.errors import AppError
from app.kit.phrases import phrase
from app.peers import commitment, node_queries, options, selftest, service, statuses, test_object, tried, waking
from app.peers.errors import PeerFault
from app.peers.finding import IMPLICIT_LITTLE, Finder
from app.peers.models import Node, NodeTest
from app.peers.pdu import Context
from app.peers.probe import Step
from app.peers.retrieving import Getter, Mover
from app.peers.retrieving import Outcome as Retrieved
from app.peers.scu import Association
from app.peers.selftest import DONE, OK, PATIENT, PATIENT_ID, RUNNING, SKIPPED, WARNED, WRONG
from app.peers.settings import DicomSettings
from app.peers.test_object import TestObject
from app.security.actor import SYSTEM
from app.settings import load

_ARRIVE = 20.0  # seconds the object may take to come back after the peer has said that it sent it
_INDEX = 10.0  # seconds a PACS may take until its index knows what it has stored
_COMMIT = 60.0  # seconds until we stop waiting for the promise to keep it
_TODAY = 50  # studies asked for
_QUICK = 5  # seconds an echo by the clock waits
DESTINATION_UNKNOWN = 0xA801

Found = tuple[str, str, str]  # state, words, hint


class _Run:
    """One test."""

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
        self.steps: list[dict[str, Any]] = []
        self.offers: list[str] = []
        self.made: TestObject | None = None
        self.address = ""  # where we listen, as the peer reaches us

    def keep(self, end: bool = False, study: str = "") -> None:
        with self.ctx.database.write() as session:
            test = session.get(NodeTest, self.test_id)
            node = session.get(Node, self.node.id)
            if test is None or node is None:
                raise PermanentFault("This test or its node has been removed.")
            test.steps = [dict(step) for step in self.steps]
            test.study_instance_uid = study or test.study_instance_uid
            if end:
                test.state, test.finished_at = DONE, now()
            selftest.tell(session, node)

    def take(self, step: Step) -> None:
        """A step that the probe has done."""
        state = OK if step.ok else WARNED if step.name == "offers" else WRONG
        self.steps.append(
            {"step": step.name, "state": state, "words": step.words, "hint": step.hint, "seconds": step.seconds}
        )

    def step(self, name: str, work: Callable[[], Found]) -> bool:
        """Does one step and writes it down, before and after; whether it went well."""
        self.ctx.check_cancelled()
        entry: dict[str, Any] = {"step": name, "state": RUNNING, "words": "", "hint": "", "seconds": 0.0}
        self.steps.append(entry)
        self.keep()
        begun = time.monotonic()
        try:
            entry["state"], entry["words"], entry["hint"] = work()
        except PeerFault as fault:
            entry["state"], entry["words"], entry["hint"] = WRONG, fault.detail, fault.hint or self.introduce()
        entry["seconds"] = round(time.monotonic() - begun, 4)
        self.keep()
        well = bool(entry["state"] == OK)
        tried.step(self.ctx.database, self.node, name, well, entry["seconds"], entry["words"])
        return well

    def introduce(self) -> str:
        """What to ask an administrator who has not heard of us: the echo went well, so it is about what we may."""
        return phrase(
            "Ask its administrator whether it knows us: AE title {title}{where}, and what we may do there.",
            title=self.own_title,
            where=f" ({self.address})" if self.address else "",
        )

    def can(self, ability: str) -> bool:
        """Whether it offers this, or is set to have it: then a refusal is worth a step."""
        return ability in self.offers or ability in options.of(self.node).capabilities

    # the steps

    def find_today(self) -> Found:
        with Finder(self.peer, self.settings, options.of(self.node).character_set) as finder:
            keys = {"StudyDate": f"{now().astimezone():%Y%m%d}"}
            count = sum(1 for _ in finder.find("STUDY", keys, _TODAY))
        if count >= _TODAY:
            return OK, phrase("{count} studies of today and more", count=count), ""
        return OK, phrase("{count} studies of today", count=count), ""

    def store(self) -> Found:
        made = self.made = test_object.make(PATIENT, PATIENT_ID, now().astimezone())
        self.keep(study=made.study)
        with Association(self.peer, [Context(1, made.sop_class, [IMPLICIT_LITTLE])], self.settings) as association:
            if 1 not in association.accepted:
                return WRONG, phrase("It does not take Secondary Capture images."), phrase("Is it set to store?")
            answer = association.store(1, made.sop_class, made.sop_instance, io.BytesIO(made.data), len(made.data))
        said = f"{answer.status:04X} {answer.comment}".strip()
        if answer.status == 0 or answer.status & 0xF000 == 0xB000:
            return OK, phrase("The picture of {patient} was taken ({said}).", patient=PATIENT, said=said), ""
        return WRONG, phrase("The picture was not taken: {said}.", said=said), phrase("Is it set to take what we send?")

    def find_back(self) -> Found:
        assert self.made is not None
        until = time.monotonic() + _INDEX
        while True:
            with Finder(self.peer, self.settings, options.of(self.node).character_set) as finder:
                if any(True for _ in finder.find("STUDY", {"StudyInstanceUID": self.made.study}, 2)):
                    return OK, phrase("The test study is found."), ""
            if time.monotonic() > until:
                return (
                    WRONG,
                    phrase("It took the picture but does not find its study."),
                    phrase("Some archives keep new studies aside until somebody has looked at them."),
                )
            self.ctx.check_cancelled()
            time.sleep(0.5)

    def move_back(self) -> Found:
        assert self.made is not None
        with Mover(self.peer, self.settings, self.own_title) as mover:
            self.address = address = f"{mover.local_host}:{self.ctx.config.dicom_port}"
            ended = mover.retrieve("STUDY", {"StudyInstanceUID": self.made.study})
        return self._came_back(ended, address)

    def get_back(self) -> Found:
        assert self.made is not None
        source = Source(kind="dimse", calling_ae=self.peer.called, actor_name="self-test", node_id=self.node.id)
        getter = Getter(self.peer, self.settings, self.ctx.archive, source, [self.made.sop_class])
        with getter:
            ended = getter.retrieve("STUDY", {"StudyInstanceUID": self.made.study})
        return self._came_back(ended)

    def _came_back(self, ended: Retrieved, address: str = "") -> Found:
        """The peer's word, and whether it is true: the object must be here. It is removed at once. address: where we
        listen, as the peer reaches us (C-MOVE)."""
        assert self.made is not None
        title = self.own_title if address else ""
        if not ended.success or ended.counts.failed:
            told = statuses.words(ended.status, ended.comment, str(self.peer), own_title=title, own_address=address)
            hint = told.hint or phrase("It could not send to us: does it know our address and port rightly?")
            return WRONG, told.what, hint
        until = time.monotonic() + _ARRIVE
        while not self.is_here():
            if time.monotonic() > until:
                hint = phrase("Does it have {title} at {address}?", title=title, address=address) if address else ""
                return WRONG, phrase("It says that it sent the picture, but nothing came."), hint
            self.ctx.check_cancelled()
            time.sleep(0.2)
        self.remove()
        return OK, phrase("The picture came back and was removed here again."), ""

    def commit(self) -> Found:
        assert self.made is not None
        with self.ctx.database.write() as session:
            asked = commitment.request(session, SYSTEM, self.node.id, [(self.made.sop_class, self.made.sop_instance)])
        until = time.monotonic() + _COMMIT
        while time.monotonic() < until:
            with self.ctx.database.read() as session:
                state, reason, error = node_queries.committed(session, asked)
            if state == commitment.COMMITTED:
                return OK, phrase("It has promised to keep the picture."), ""
            if state == commitment.FAILED:
                return WRONG, commitment.words_of(reason, error), phrase("Does it know our address and port rightly?")
            self.ctx.check_cancelled()
            time.sleep(0.3)
        return WARNED, phrase("No answer within {seconds:g} s; it may come later.", seconds=_COMMIT), ""

    # what must not stay

    def is_here(self) -> bool:
        assert self.made is not None
        with self.ctx.database.read() as session:
            return node_queries.is_stored(session, self.made.sop_instance)

    def remove(self) -> None:
        """Takes the test study out of our archive, if it is there."""
        if self.made is None or not self.is_here():
            return
        with contextlib.suppress(AppError), self.ctx.database.write() as session:
            archive_service.delete_study(session, SYSTEM, self.made.study)
            _record_removal(session, self.made.study, self.node.name)


def _record_removal(session: Session, study: str, node_name: str) -> None:
    audit.record(
        session,
        actor_name=SYSTEM.name,
        actor_kind=SYSTEM.kind,
        verb="study.delete",
        thing="study",
        thing_id=study,
        detail={"self_test_of": node_name},
    )


def run(ctx: JobContext, payload: dict[str, Any]) -> dict[str, Any]:
    """One self-test, to its end; a step that fails does not keep the others from being tried where they can be."""
    test = _Run(ctx, payload["test_id"])
    try:
        probe = service.probed(test.node, test.settings, ctx.config)
        tried.probed(ctx.database, test.node, probe)
        test.offers = probe.offers
        for step in probe.steps:
            if step.name != "find":  # asked below, for something
                test.take(step)
        test.keep()
        with ctx.database.write() as session:
            service.note_outcome(session, test.node.id, "" if probe.ok else probe.message, waking.TESTED)
        if probe.ok and options.of(test.node).protocol == "dicom":
            _go_on(test)
    finally:
        test.remove()
    test.keep(end=True)
    return {"steps": len(test.steps)}


def _go_on(test: _Run) -> None:
    if test.can("find"):
        test.step("find", test.find_today)
    if not test.with_object:
        return
    if not test.step("store", test.store):
        return
    if test.can("find"):
        test.step("find-back", test.find_back)
    if test.can("move"):
        test.step("move", test.move_back)
    if test.can("get"):
        test.step("get", test.get_back)
    if not (test.can("move") or test.can("get")):
        test.step("move", lambda: (SKIPPED, phrase("It offers neither C-MOVE nor C-GET."), ""))
    if test.can("commitment"):
        test.step("commitment", test.commit)
    test.step("stays", lambda: (WARNED, _stays(), phrase("Have it deleted there if it disturbs.")))


def _stays() -> str:
    return phrase("The study of {patient} ({id}) stays on the PACS.", patient=PATIENT, id=PATIENT_ID)


def echo_all(ctx: JobContext, payload: dict[str, Any]) -> dict[str, Any]:
    """Echoes every node that has not been heard of for the time that is set, one after the other (its lamp)."""
    with ctx.database.read() as session:
        settings = load(session, DicomSettings)
        due = node_queries.nodes_to_echo(session, settings.echo_minutes)
    quick = settings.model_copy(update={"connect_timeout": _QUICK, "network_timeout": _QUICK})
    for done, node in enumerate(due):
        ctx.progress(done, len(due))
        found = service.probed(node, quick, ctx.config, quick=True)
        tried.probed(ctx.database, node, found)
        with ctx.database.write() as session:
            service.note_outcome(session, node.id, "" if found.ok else found.message, waking.TESTED)
    return {"nodes": len(due)}
