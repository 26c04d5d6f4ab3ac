"""Objects of a study at a node, and those stored here: the knowledge a retrieval is planned and judged by."""

import logging
from dataclasses import dataclass

from app.jobs.context import JobContext
from app.kit.numbers import parse_integer
from app.network import statuses
from app.network.settings import DicomSettings
from app.nodes.models import Node
from app.retrieve import plan, sources
from app.retrieve import queries as retrieve_queries
from app.retrieve.plan import ArchivedPart, Scope, There
from app.retrieve.settings import QuerySettings
from app.retrieve.sources import Question, SourceProgress

log = logging.getLogger(__name__)
_MOST_SERIES = 200  # asked one by one for their objects
_MOST_ANSWERS = 20_000


@dataclass(frozen=True, slots=True)
class Look:
    """Asks for one retrieval. method: what was wished; patient_id: for peers with the patient root alone."""

    ctx: JobContext
    node: Node
    scope: Scope
    method: str
    patient_id: str
    settings: DicomSettings
    own: QuerySettings

    def list_remote(self) -> There:
        """Objects that the node reports; nothing known when it does not answer queries. Raises PeerFault when it is
        away."""
        node, scope = self.node, self.scope
        there = There()
        if not sources.can_find(node):
            return there
        try:
            self._series(there, scope)
            here = self.list_local(there)
            partly = set(plan.incomplete(scope, there, here))
            ways = sources.retrieval_methods(node)
            by_get = (self.method if self.method != "auto" else ways[0] if ways else "") == "get"
            for uid in list(there.series)[:_MOST_SERIES]:
                # C-GET must propose the classes of the objects; of a part that is here the others must be named
                if uid in partly or there.series[uid] is None or (by_get and not here.series.get(uid, 0)):
                    self._images(there, uid)
        except statuses.PeerRefused as fault:
            log.info("the node %s refused the query for its objects (%04X)", node.name, fault.dimse_status)
        return there

    def _series(self, there: There, scope: Scope) -> None:
        for answer in self._find("SERIES", {"StudyInstanceUID": scope.study}):
            uid, count = answer["SeriesInstanceUID"], answer.get("NumberOfSeriesRelatedInstances", "")
            if not scope.series or uid == scope.series:
                there.series[uid] = parse_integer(count)
        there.known = True

    def _images(self, there: There, series: str) -> None:
        keys = {"StudyInstanceUID": self.scope.study, "SeriesInstanceUID": series}
        found = self._find("IMAGE", keys)
        there.instances[series] = [answer["SOPInstanceUID"] for answer in found]
        there.sop_classes.update(answer["SOPClassUID"] for answer in found if answer.get("SOPClassUID"))

    def _find(self, level: str, keys: dict[str, str]) -> list[dict[str, str]]:
        self.ctx.check_cancelled()
        patient = {"PatientID": self.patient_id} if self.patient_id else {}
        question = Question(level, keys | patient, (), _MOST_ANSWERS)
        stop = self.ctx.stopped.is_set
        return list(
            sources.query_node(self.node, self.ctx.config, self.settings, self.own, question, SourceProgress(), stop)
        )

    def list_local(self, there: There) -> ArchivedPart:
        """Objects in the archive, without a check of permissions."""
        named = [uid for uids in there.instances.values() for uid in uids] or list(self.scope.instances)
        with self.ctx.database.read() as session:
            return ArchivedPart(
                retrieve_queries.local_series(session, None, self.scope.study),
                frozenset(retrieve_queries.local_instances(session, None, named)),
            )
