"""Carries out a self-test, step by step; each is written down as it ends. And the echoes by the clock."""

import io
import time
from typing import Any

from app.archive import Source
from app.jobs.context import JobContext
from app.kit.clock import local, now
from app.kit.phrases import NOTHING, Phrase, phrase, phrases
from app.network import statuses
from app.network.find_scu import IMPLICIT_LITTLE, Finder
from app.network.pdu import Context
from app.network.retrieve_scu import Getter, Mover, RetrieveWatch
from app.network.retrieve_scu import RetrieveOutcome as Retrieved
from app.network.scu import Association
from app.network.settings import DicomSettings
from app.nodes import activity_queries, commitment, options, probe_log, service
from app.nodes.selftest import OK, PATIENT, SKIPPED, WARNED, WRONG
from app.security.actor import SYSTEM
from app.selftest.other_protocols import FolderSteps, WebSteps
from app.selftest.running import Found, Run
from app.settings import load

_COMMIT = 60.0  # seconds to wait for the commitment report
_RETRIEVE = 120.0  # seconds a peer has to give the picture back
_TODAY = 50  # studies asked for
_QUICK = 5  # seconds an echo by the clock waits
DESTINATION_UNKNOWN = 0xA801


class DicomRun(Run):
    """The steps of DICOM nodes."""

    def find_today(self) -> Found:
        with Finder(self.peer, self.settings, options.node_options(self.node).character_set) as finder:
            keys = {"StudyDate": f"{local(now()):%Y%m%d}"}
            count = sum(1 for _ in finder.find("STUDY", keys, _TODAY))
        if count >= _TODAY:
            return OK, phrase("{count} studies of today and more", count=count), NOTHING
        return OK, phrases("{count} study of today", "{count:n} studies of today", count=count), NOTHING

    def store(self) -> Found:
        made = self.make_object()
        with Association(self.peer, [Context(1, made.sop_class, [IMPLICIT_LITTLE])], self.settings) as association:
            if 1 not in association.accepted:
                return WRONG, phrase("It does not take Secondary Capture images."), phrase("Is it set to store?")
            answer = association.store(1, made.sop_class, made.sop_instance, io.BytesIO(made.data), len(made.data))
        if answer.status == 0 or answer.status & 0xF000 == 0xB000:
            status = f"{answer.status:04X} {answer.comment}".strip()
            return OK, phrase("The picture of {patient} was taken ({said}).", patient=PATIENT, said=status), NOTHING
        message = statuses.store_words(answer.status, answer.comment, str(self.peer), own_title=self.own_title)
        return WRONG, message.what, message.hint

    def find_back(self) -> Found:
        study = self.picture.study

        def is_found() -> bool:
            with Finder(self.peer, self.settings, options.node_options(self.node).character_set) as finder:
                return any(True for _ in finder.find("STUDY", {"StudyInstanceUID": study}, 2))

        return self.until_found(is_found)

    def move_back(self) -> Found:
        assert self.made is not None
        with Mover(self.peer, self._response_timeout(), self.own_title, self._watch()) as mover:
            self.address = address = f"{mover.local_host}:{self.ctx.config.dicom_port}"
            ended = mover.retrieve("STUDY", {"StudyInstanceUID": self.made.study})
        return self._study_returned(ended, address)

    def get_back(self) -> Found:
        assert self.made is not None
        source = Source(kind="dimse", calling_ae=self.peer.called, actor_name="self-test", node_id=self.node.id)
        getter = Getter(
            self.peer, self._response_timeout(), self.ctx.archive, source, [self.made.sop_class], self._watch()
        )
        with getter:
            ended = getter.retrieve("STUDY", {"StudyInstanceUID": self.made.study})
        return self._study_returned(ended)

    def _response_timeout(self) -> DicomSettings:
        """One small picture is not waited for as long as a study on tape."""
        return self.settings.model_copy(update={"idle_timeout": self.settings.network_timeout})

    def _watch(self) -> RetrieveWatch:
        until = time.monotonic() + _RETRIEVE
        return RetrieveWatch(stop=lambda: time.monotonic() > until or self.ctx.stopped.is_set())

    def _study_returned(self, ended: Retrieved, address: str = "") -> Found:
        """The peer's word, and whether it is true: the object must be here. It is removed at once. address: the
        listening address as seen by the peer (C-MOVE)."""
        title = self.own_title if address else ""
        if not ended.success or ended.counts.failed:
            message = statuses.describe_status(
                ended.status, ended.comment, str(self.peer), own_title=title, own_address=address
            )
            hint = message.hint or phrase(
                "The node could not send to this station. Check the address and port of this station on the node."
            )
            return WRONG, message.what, self._not_stored() if self.lost else hint
        if not (ended.counts.completed or ended.counts.warning or ended.counts.stored or self.is_stored()):
            return WRONG, phrase("It found nothing to send."), self._not_stored()
        return self.study_returned(address)

    def _not_stored(self) -> Phrase:
        return phrase(
            "The node confirmed the image but did not store it. Ask its administrator whether it accepts unknown "
            "patients and the AE title of this station."
        )

    def commit(self) -> Found:
        assert self.made is not None
        with self.ctx.database.write() as session:
            asked = commitment.request(session, SYSTEM, self.node.id, [(self.made.sop_class, self.made.sop_instance)])
        until = time.monotonic() + _COMMIT
        while time.monotonic() < until:
            with self.ctx.database.read() as session:
                state, reason, error = activity_queries.commitment_state(session, asked)
            if state == commitment.COMMITTED:
                return OK, phrase("It has promised to keep the picture."), NOTHING
            if state == commitment.FAILED or error:  # it is requested again later, without waiting
                return (
                    WRONG,
                    commitment.words_of(reason, error),
                    phrase("Check the address and port of this station on the node."),
                )
            self.ctx.check_cancelled()
            time.sleep(0.3)
        return WARNED, phrase("No answer within {seconds:g} s; it may come later.", seconds=_COMMIT), NOTHING

    # all of it

    def go_on(self) -> None:
        """Services of a DICOM node, and with consent a test object sent and retrieved. Where nothing is taken, nothing
        is waited for."""
        if self.supports("find"):
            self.step("find", self.find_today)
        if not self.with_object or not self.step("store", self.store):
            return
        if self.supports("find"):
            self.step("find-back", self.find_back)
        if self.supports("move"):
            self.step("move", self.move_back)
        if self.supports("get"):
            self.step("get", self.get_back)
        if not (self.supports("move") or self.supports("get")):
            self.step("move", lambda: (SKIPPED, phrase("It offers neither C-MOVE nor C-GET."), NOTHING))
        if self.supports("commitment"):
            self.step("commitment", self.commit)
        self.keeps_object()


def run(ctx: JobContext, payload: dict[str, Any]) -> dict[str, Any]:
    """One self-test, to its end; a step that fails does not keep the others from being tried where they can be."""
    test = DicomRun(ctx, payload["test_id"])
    try:
        probe = service.probed(test.node, test.settings, ctx.config)
        probe_log.log_probe(ctx.database, test.node, probe)
        test.offers = probe.offers
        for step in probe.steps:
            if step.name != "find":  # asked below, for something
                test.add_step(step)
        test.store_result()
        with ctx.database.write() as session:
            service.record_outcome(session, test.node.id, NOTHING if probe.ok else probe.message, "tested")
        if probe.ok:
            {"dicomweb": WebSteps(test).go_on, "folder": FolderSteps(test).go_on}.get(test.protocol, test.go_on)()
    finally:
        test.remove()
    test.store_result(end=True)
    return {"steps": len(test.steps)}


def echo_all(ctx: JobContext, payload: dict[str, Any]) -> dict[str, Any]:
    """Echoes every node without contact for the set time, one after the other (for its status)."""
    with ctx.database.read() as session:
        settings = load(session, DicomSettings)
        due = activity_queries.nodes_to_echo(session, settings.echo_minutes)
    quick = settings.model_copy(update={"connect_timeout": _QUICK, "network_timeout": _QUICK})
    for done, node in enumerate(due):
        ctx.progress(done, len(due))
        found = service.probed(node, quick, ctx.config, quick=True)
        probe_log.log_probe(ctx.database, node, found)
        with ctx.database.write() as session:
            service.record_outcome(session, node.id, NOTHING if found.ok else found.message, "tested")
    return {"nodes": len(due)}
