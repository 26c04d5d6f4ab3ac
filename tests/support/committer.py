"""A node that commits, by pynetdicom: tells the truth, or not; on the association of the request, on another, or never."""

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from pydicom import Dataset
from pynetdicom import AE, evt
from pynetdicom.pdu_primitives import SCP_SCU_RoleSelectionNegotiation
from pynetdicom.sop_class import StorageCommitmentPushModel

from tests.support.postgres import free_port

INSTANCE = "1.2.840.10008.1.20.1.1"
How = Literal["same", "separate", "never"]


@dataclass
class Committer:
    """how: where it reports. refuse: SOP Instance UIDs it says it has not; action: the status of its N-ACTION response;
    silent_about: UIDs its report leaves out. heard: the requests; said: statuses our side answered its reports with."""

    port: int
    our_port: int
    title: str
    how: How = "same"
    refuse: set[str] = field(default_factory=set)
    silent_about: set[str] = field(default_factory=set)
    action: int = 0
    heard: list[Dataset] = field(default_factory=list)
    reports: list[tuple[int, Dataset]] = field(default_factory=list)
    stored: list[str] = field(default_factory=list)
    said: list[int] = field(default_factory=list)
    answer_reports: int = 0

    def store(self, event: Any) -> int:
        self.stored.append(str(event.request.AffectedSOPInstanceUID))
        return 0

    def asked(self, event: Any) -> tuple[int, None]:
        if self.action:
            return self.action, None
        request = event.action_information
        self.heard.append(request)
        if self.how != "never":
            threading.Thread(target=self._report, args=(event.assoc, request), daemon=True).start()
        return 0, None

    def _report(self, association: Any, request: Dataset) -> None:
        report = self.report_of(request)
        time.sleep(0.1)  # the answer to the request goes first
        if self.how == "same":
            self._say(association, report)
        else:
            self.call(report)

    def report_of(self, request: Dataset) -> Dataset:
        report, good, bad = Dataset(), [], []
        report.TransactionUID = request.TransactionUID
        for item in request.ReferencedSOPSequence:
            if item.ReferencedSOPInstanceUID in self.silent_about:
                continue
            if item.ReferencedSOPInstanceUID in self.refuse:
                item.FailureReason = 0x0112
                bad.append(item)
            else:
                good.append(item)
        if good:
            report.ReferencedSOPSequence = good
        if bad:
            report.FailedSOPSequence = bad
        return report

    def call(self, report: Dataset, title: str | None = None) -> int:
        """Reports over an association of its own; the status it was answered with, -1 when it was not let in."""
        ae = AE(ae_title=title or self.title)
        ae.add_requested_context(StorageCommitmentPushModel)
        role = SCP_SCU_RoleSelectionNegotiation()
        role.sop_class_uid, role.scu_role, role.scp_role = StorageCommitmentPushModel, False, True
        association = ae.associate("127.0.0.1", self.our_port, ae_title="FILMROOM", ext_neg=[role])
        if not association.is_established:
            return -1
        try:
            return self._say(association, report)
        finally:
            association.release()

    def _say(self, association: Any, report: Dataset) -> int:
        event = 2 if "FailedSOPSequence" in report else 1
        status, _ = association.send_n_event_report(report, event, StorageCommitmentPushModel, INSTANCE)
        self.said.append(int(status.Status) if "Status" in status else -1)
        return self.said[-1]

    def told(self, event: Any) -> tuple[int, None]:
        self.reports.append((int(event.request.EventTypeID), event.event_information))
        return self.answer_reports, None


@contextlib.contextmanager
def committer(our_port: int, title: str = "COMMITTER", port: int = 0, **how: Any) -> Iterator[Committer]:
    """A running one: takes CT, requests (as SCP) and reports (as SCU), echoes too."""
    made = Committer(port or free_port(), our_port, title, **how)
    ae = AE(ae_title=title)
    ae.add_supported_context(StorageCommitmentPushModel, scu_role=True, scp_role=True)
    ae.add_supported_context("1.2.840.10008.1.1")
    ae.add_supported_context("1.2.840.10008.5.1.4.1.1.2", ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2"])
    handlers = [(evt.EVT_C_STORE, made.store), (evt.EVT_N_ACTION, made.asked), (evt.EVT_N_EVENT_REPORT, made.told)]
    server = ae.start_server(("127.0.0.1", made.port), block=False, evt_handlers=handlers)
    try:
        yield made
    finally:
        server.shutdown()
