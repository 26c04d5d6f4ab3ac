"""Rows of the Query/Retrieve page: chips of nodes, matches, series, images, the retrieval queue; and what its filter
row means as DICOM keys."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

from app.dicom.names import display_name as name_shown
from app.http.i18n import format_days, format_number, translate
from app.http.i18n import gettext as _
from app.http.i18n import ngettext as _n
from app.kit.clock import local, now
from app.nodes import options
from app.nodes.models import Node
from app.pages import rows
from app.pages.listing import between
from app.retrieve import sources
from app.retrieve.models import RemoteQuery, Retrieval
from app.retrieve.query_states import QueryNodeState
from app.retrieve.remote_queries import Match

__all__ = ["Chip", "ImageRow", "MatchRow", "RetrievalQueueRow", "SeriesRow", "TypedQuery"]


@dataclass(frozen=True, slots=True)
class Chip:
    """A node to ask. indicator: "", warn, bad or off; note: its answer time or what is the matter, in a word or two."""

    id: str
    name: str
    indicator: str
    word: str
    note: str
    on: bool


@dataclass(frozen=True, slots=True)
class TypedQuery:
    """The filter row as typed."""

    name: str = ""
    id: str = ""
    born: str = ""
    date: str = ""
    mod: tuple[str, ...] = ()
    desc: str = ""
    acc: str = ""

    def keys(self) -> dict[str, str]:
        """As matching keys of PS3.4 C.2.2.2: the typed text is a prefix unless it has wildcards; words of a name may
        have any distance; dates are days, months, years or two of them."""
        days, born = between(self.date), between(self.born)
        return {
            "PatientName": _name(self.name),
            "PatientID": self.id,
            "PatientBirthDate": _range(born),
            "StudyDate": _range(days),
            "StudyDescription": f"*{'*'.join(self.desc.split())}*" if self.desc else "",
            "AccessionNumber": self.acc,
        }

    @property
    def wrong(self) -> dict[str, str]:
        """Field -> what is wrong with it."""
        message = _("Enter a day, a month, a year, or a range: 2026, 2026-11, 2026-11-01..2026-11-20")
        return {name: message for name in ("date", "born") if getattr(self, name) and not between(getattr(self, name))}

    @classmethod
    def of(cls, query: RemoteQuery) -> "TypedQuery":
        """The typed values for these keys."""
        keys = query.keys
        return cls(
            name=keys.get("PatientName", ""),
            id=keys.get("PatientID", ""),
            born=_days(keys.get("PatientBirthDate", "")),
            date=_days(keys.get("StudyDate", "")),
            mod=tuple(query.modalities),
            desc=keys.get("StudyDescription", "").strip("*").replace("*", " "),
            acc=keys.get("AccessionNumber", ""),
        )


def _name(text: str) -> str:
    if not text:
        return ""
    joined = "^".join("*".join(part.split()) for part in text.split(",", 1))
    return joined if "*" in text or "?" in text else f"{joined}*"


def _range(days: tuple[str, str] | None) -> str:
    if days is None:
        return ""
    return days[0] if days[0] == days[1] else f"{days[0]}-{days[1]}"


def _days(key: str) -> str:
    low, _sep, high = key.partition("-")
    dates = [f"{day[:4]}-{day[4:6]}-{day[6:8]}" for day in (low, high) if len(day) == 8]
    if len(dates) == 2 and low[4:] == "0101" and high[4:] == "1231" and low[:4] == high[:4]:
        return low[:4]
    return "..".join(dates)


def presets() -> list[tuple[str, str]]:
    """(dates to put into the field, words)."""
    today = local(now()).date()

    def back(days: int) -> str:
        return f"{today - timedelta(days=days)}..{today}"

    yesterday = today - timedelta(days=1)
    years = [(_("1 year"), 1), (_("2 years"), 2), (_("5 years"), 5)]
    return [
        (f"{today}", _("Today")),
        (f"{yesterday}", _("Yesterday")),
        (back(6), _("7 days")),
        (back(29), _("30 days")),
        *((f"{_years_ago(today, n)}..{today}", word) for word, n in years),
        ("", _("All")),
    ]


def _years_ago(day: date, years: int) -> date:
    return date(day.year - years, day.month, min(day.day, 28))


def date_word(typed: TypedQuery) -> str:
    days = between(typed.date)
    return format_days(*days) if days else ""


def node_chip(node: Node, asked: QueryNodeState | None, on: bool) -> Chip:
    """asked: how the shown query went at this node."""
    if asked is not None and asked.state in ("waiting", "searching"):
        return Chip(node.id, node.name, "off", _("Searching"), _("searching"), on)
    if asked is not None and asked.state == "failed":
        note = _("incomplete") if asked.node.answers else _("no response")
        return Chip(node.id, node.name, "bad", translate(asked.error) or _("No response"), note, on)
    if asked is not None and asked.state == "done":
        seconds = asked.node.seconds
        slow = seconds >= 1
        time = f"{format_number(seconds, 1)} s" if slow else f"{max(1, round(seconds * 1000))} ms"
        note = _("slow, %(time)s") % {"time": time} if slow else time
        return Chip(node.id, node.name, "warn" if slow else "", _("Responds"), note, on)
    web = "DICOMweb" if options.node_options(node).protocol == "dicomweb" else ""
    if node.last_fault:
        return Chip(node.id, node.name, "bad", node.last_fault, web or _("no response"), on)
    return Chip(
        node.id,
        node.name,
        "" if node.last_ok_at else "off",
        _("Responds") if node.last_ok_at else _("Not searched yet"),
        web,
        on,
    )


def queryable_nodes(nodes: Sequence[Node]) -> list[Node]:
    return [node for node in nodes if node.enabled and sources.can_find(node)]


@dataclass(frozen=True, slots=True)
class HereWord:
    """The column "here already". kind: "" or what `ui.state` takes."""

    kind: str
    word: str


def local_word(match: Match) -> HereWord:
    here = match.here
    count = format_number(here.have)
    of = _("%(have)s of %(all)s") % {"have": count, "all": format_number(match.images)} if match.images else count
    if here.retrieving:
        return HereWord("running", of)
    if here.state == "all":
        return HereWord("ok", _("Stored"))
    return HereWord("warn", f"{_('Partial')}, {of}") if here.state == "part" else HereWord("", _("Not stored"))


@dataclass(frozen=True, slots=True)
class MatchRow:
    """One study of the answers. images: "" where no node returned one; here: some of it is, so it can be opened."""

    uid: str
    name: str
    other_name: str
    patient_id: str
    birth_date: str
    date: str
    time: str
    modalities: list[str]
    description: str
    accession: str
    images: int | None
    where: list[str]
    here: bool
    word: HereWord


def match_row(match: Match) -> MatchRow:
    values = match.values
    name, other = rows.names_of(values.get("PatientName", ""))
    return MatchRow(
        uid=match.key,
        name=name,
        other_name=other,
        patient_id=values.get("PatientID", ""),
        birth_date=values.get("PatientBirthDate", ""),
        date=values.get("StudyDate", ""),
        time=values.get("StudyTime", ""),
        modalities=[m for m in values.get("ModalitiesInStudy", "").split("\\") if m],
        description=values.get("StudyDescription", ""),
        accession=values.get("AccessionNumber", ""),
        images=match.images,
        where=match.where,
        here=match.here.have > 0,
        word=local_word(match),
    )


@dataclass(frozen=True, slots=True)
class SeriesRow:
    uid: str
    number: str
    modality: str
    description: str
    images: int | None
    where: list[str]
    word: HereWord


def series_row(match: Match) -> SeriesRow:
    values = match.values
    words = values.get("SeriesDescription") or values.get("ProtocolName") or values.get("BodyPartExamined", "")
    return SeriesRow(
        match.key,
        values.get("SeriesNumber", ""),
        values.get("Modality", ""),
        words or _("No description"),
        match.images,
        match.where,
        local_word(match),
    )


@dataclass(frozen=True, slots=True)
class ImageRow:
    uid: str
    number: str
    frames: str
    where: list[str]
    word: HereWord


def image_row(match: Match) -> ImageRow:
    values = match.values
    return ImageRow(
        match.key, values.get("InstanceNumber", ""), values.get("NumberOfFrames", ""), match.where, local_word(match)
    )


@dataclass(frozen=True, slots=True)
class RetrievalQueueRow:
    """One retrieval. kind, word: its state; title: all of the words; bar: "" or bad."""

    id: str
    study: str
    name: str
    other_name: str
    modalities: list[str]
    about: str
    date: str
    node: str
    state: str
    done: int
    total: int
    kind: str
    word: str
    title: str
    here: bool
    part: str = field(default="")


def queue_row(row: Retrieval, node: str, state: str, error: str, hints: Mapping[str, str]) -> RetrievalQueueRow:
    """hints: hint of the row and the like, already in the reader's language."""
    about = row.about
    name, other = rows.names_of(about.get("PatientName", ""))
    kind, word = _state(row, state, error)
    part = ""
    if row.sop_instance_uids:
        part = _n("%(n)s image", "%(n)s images", len(row.sop_instance_uids)) % {"n": len(row.sop_instance_uids)}
    elif row.series_instance_uid:
        part = _("one series")
    return RetrievalQueueRow(
        id=row.id,
        study=row.study_instance_uid,
        name=name if about else row.study_instance_uid,
        other_name=other if about else "",
        modalities=[m for m in about.get("ModalitiesInStudy", "").split("\\") if m][:3],
        about=about.get("StudyDescription", ""),
        date=about.get("StudyDate", ""),
        node=f"{node} → {row.destination}" if row.destination else node,
        state=state,
        done=row.done,
        total=row.total,
        kind=kind,
        word=word,
        title=" ".join(part for part in (error, hints.get("hint", "")) if part),
        here=row.done > 0 and not row.destination,
        part=part,
    )


def _state(row: Retrieval, state: str, error: str) -> tuple[str, str]:
    if state == "running":
        return "running", _rate(row)
    if state == "queued":
        return ("warn", _("Retry pending: %(why)s") % {"why": error}) if error else ("wait", _("Waiting"))
    if state == "failed":
        return "bad", error or _("Failed")
    return ("paused", _("Stopped")) if state == "cancelled" else ("ok", _("Stored"))


def _rate(row: Retrieval) -> str:
    """Images per second of this try and the remaining time, once both are known."""
    seconds = (now() - row.started_at).total_seconds() if row.started_at else 0
    came = row.done - row.done_before
    if came <= 0 or seconds < 1:
        return _("Searching")
    rate = came / seconds
    rate_text = _("%(n)s images/s") % {"n": format_number(rate, 0 if rate >= 10 else 1)}
    left = row.total - row.done
    return (
        rate_text if left <= 0 else _("%(rate)s, %(n)s s left") % {"rate": rate_text, "n": format_number(left / rate)}
    )


def plain_name(values: Mapping[str, str]) -> str:
    """For labels."""
    return name_shown(values.get("PatientName", "")) or _("No name")


def counts_word(counted: Mapping[str, int]) -> str:
    """ "2 running, 1 waiting, 1 failed"; empty when there is nothing to do."""
    words = (("running", _("running")), ("queued", _("waiting")), ("failed", _("failed")))
    return ", ".join(f"{format_number(counted[state])} {word}" for state, word in words if counted.get(state))
