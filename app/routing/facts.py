"""Values of a stored object, or of a header dropped on the test bench, for conditions."""

from dataclasses import dataclass, field
from datetime import datetime

from app.archive.arrivals import StoredArrival
from app.dicom.lookup import Attributes, parse
from app.kit.clock import local
from app.routing.rule import VIRTUAL, WEEKDAYS


@dataclass(frozen=True, slots=True)
class Names:
    """Names of nodes and facilities by id, as people write them in conditions."""

    nodes: dict[str, str]
    facilities: dict[str, str]


@dataclass(slots=True)
class ObjectFacts:
    """The values of one object. at: the moment whose time of day and weekday count, in the time zone of the site."""

    header: bytes
    virtual: dict[str, str]
    at: datetime
    _attributes: Attributes | None = None
    _known: dict[str, list[str] | None] = field(default_factory=dict)

    def values(self, name: str) -> list[str] | None:
        if name in VIRTUAL:
            return self._virtual(name)
        if name not in self._known:
            if self._attributes is None:
                self._attributes = Attributes(self.header)
            self._known[name] = self._attributes.values(parse(name))
        return self._known[name]

    def _virtual(self, name: str) -> list[str] | None:
        if name in ("time", "weekday"):
            at = local(self.at)
            return [at.strftime("%H:%M:%S") if name == "time" else WEEKDAYS[at.weekday()]]
        found = self.virtual.get(name, "")
        return [found] if found else None


def of_stored(one: StoredArrival, names: Names) -> ObjectFacts:
    """The time of day is that of the object's arrival: a rule means the same whenever it is looked at."""
    source = one.source
    virtual = {"facility": names.facilities.get(one.study.facility_id or "", "")}
    if source is not None:
        virtual |= {"source": source.kind, "calling": source.calling_ae, "called": source.called_ae}
        virtual["node"] = names.nodes.get(source.node_id, "")
    return ObjectFacts(one.header, virtual, one.instance.received_at)
