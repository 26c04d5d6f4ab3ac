"""Where transfers go to, by the node's protocol: each takes objects one after another and reports the outcome of
each."""

from collections.abc import Sequence
from typing import Protocol

from app.archive import Archive
from app.archive.models import Instance
from app.config import Config
from app.forward.store_lane import BandwidthLimit, Check, Lane, OnAnswer
from app.kit.errors import PeerFault
from app.network import find_scu
from app.network.settings import DicomSettings
from app.nodes import options, service
from app.nodes.models import Node

_MANY = 100_000  # objects of a study that a query may name


class Destination(Protocol):
    """One way to one node, kept open while there is something to send. Used by one thread."""

    in_flight: list[Instance]  # what was on its way when a PeerFault was raised

    @property
    def sent(self) -> int:
        """Bytes that have left so far; any thread may look."""

    def prepare(self, instances: Sequence[Instance]) -> None:
        """Announces the objects that will be sent next."""

    def send(self, instances: Sequence[Instance], on_answer: OnAnswer, check: Check | None = None) -> None:
        """As Lane.send."""

    def find_existing(self, study_instance_uid: str, series: Sequence[str]) -> set[str]:
        """Which objects of the study it has already. Raises PeerFault."""

    def close(self) -> None:
        """Ends in peace."""

    def abort(self) -> None:
        """Ends at once."""


class DicomNode(Lane):
    """C-STORE, and C-FIND for what is there."""

    def __init__(
        self, archive: Archive, node: Node, settings: DicomSettings, title: str, throttle: BandwidthLimit | None = None
    ) -> None:
        peer = service.peer_of(node, title, settings)
        super().__init__(
            archive, peer, settings, preferred=options.node_options(node).transfer_syntax, throttle=throttle
        )
        self._character_set = options.node_options(node).character_set

    def find_existing(self, study_instance_uid: str, series: Sequence[str]) -> set[str]:
        """Asked at the image level, series by series (PS3.4 C.4.1.3: hierarchical queries name the levels above)."""
        found: set[str] = set()
        with find_scu.Finder(self.peer, self._settings, self._character_set) as finder:
            for uid in series:
                keys = {"StudyInstanceUID": study_instance_uid, "SeriesInstanceUID": uid}
                found |= {one["SOPInstanceUID"] for one in finder.find("IMAGE", keys, limit=_MANY)}
        return found


def open_destination(
    archive: Archive, config: Config, node: Node, settings: DicomSettings, throttle: BandwidthLimit
) -> Destination:
    """The way to a node. Raises PeerFault for an unknown protocol."""
    protocol = options.node_options(node).protocol
    if protocol == "dicom":
        return DicomNode(archive, node, settings, config.aet, throttle)
    if protocol == "dicomweb":
        from app.forward.stow import WebNode  # here: httpx is loaded when the first such node is sent to

        return WebNode(archive, config, node, settings, throttle)
    if protocol == "folder":
        from app.forward.folder import FolderNode

        return FolderNode(archive, node, throttle)
    raise PeerFault("This node speaks a protocol that is not known here.")
