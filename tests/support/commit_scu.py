"""A node that asks for storage commitment."""

import contextlib
from dataclasses import dataclass, field
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from pynetdicom import AE, evt
from pynetdicom.sop_class import StorageCommitmentPushModel as PUSH_MODEL
from sqlalchemy import select

from app.nodes.models import Commitment
from tests.support.committer import INSTANCE
from tests.support.dimse import Station
from tests.support.pacs import CT
from tests.support.waiting import eventually


@dataclass
class Asker:
    """A modality that asks us. stay: seconds its association stays open for a report; answer: the status it answers
    a report with."""

    title: str = "MODALITY"
    stay: float = 30.0
    answer: int = 0
    reports: list[tuple[int, Dataset]] = field(default_factory=list)

    def ask(self, station: Station, uids: list[str], sop_class: str = CT, called: str = "FILMROOM", **odd: Any) -> int:
        """The status of the N-ACTION response."""
        ae = AE(ae_title=self.title)
        ae.add_requested_context(PUSH_MODEL)
        association = ae.associate(
            "127.0.0.1",
            station.port,
            ae_title=called,
            evt_handlers=[(evt.EVT_N_EVENT_REPORT, self._told)],
        )
        assert association.is_established
        request = Dataset()
        request.TransactionUID = self.transaction = odd.get("transaction") or generate_uid()
        request.ReferencedSOPSequence = []
        for uid in uids:
            item = Dataset()
            item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, uid
            request.ReferencedSOPSequence.append(item)
        instance = odd.get("instance", INSTANCE)
        status, _ = association.send_n_action(request, odd.get("action", 1), PUSH_MODEL, instance)
        with contextlib.suppress(AssertionError):  # the report may come on an association of the station's own
            eventually(lambda: status.Status or self.reports, "a report", seconds=self.stay)
        if self.reports and not self.answer:
            station.wait(lambda: commitment_state(station) == "done")
        association.release()
        return int(status.Status)

    def _told(self, event: Any) -> tuple[int, None]:
        self.reports.append((int(event.request.EventTypeID), event.event_information))
        return self.answer, None


def commitment_state(station: Station) -> str:
    with station.database.read() as session:
        return session.scalars(select(Commitment.state).order_by(Commitment.id.desc()).limit(1)).one()
