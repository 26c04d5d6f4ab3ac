"""Walks a data set and does to every attribute what its profile asks, sequences within sequences included."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from pydicom.datadict import dictionary_description, dictionary_has_tag, dictionary_VR
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag

from app.deid import codes, dummies
from app.deid.decide import Action, Place, decide, keeps_uid
from app.deid.profile import Profile
from app.deid.pseudonym import Pseudonyms, shifted
from app.deid.table import lookup
from app.kit.phrases import phrase

MAX_DEPTH = 64
_ID = 0x00100020
PSEUDONYMS = {0x00100010, _ID}  # name and id: the same pseudonym, so that one patient stays one
_CODE_TAGS = {0x00080100, 0x00080102, 0x00080103, 0x00080104, 0x00080119, 0x00080120, 0x00080121}


@dataclass(slots=True)
class Tally:
    """What was done to one or many objects. Never a value: only tags, actions, counts."""

    actions: Counter[tuple[int, str]] = field(default_factory=Counter)
    warnings: Counter[str] = field(default_factory=Counter)
    uids: dict[str, str] = field(default_factory=dict)

    def add(self, other: "Tally") -> None:
        self.actions.update(other.actions)
        self.warnings.update(other.warnings)
        self.uids.update(other.uids)


class Cleaner:
    """Cleans one object: its file's data set, and what follows its pixels."""

    def __init__(self, ds: Dataset, profile: Profile, pseudonyms: Pseudonyms) -> None:
        self.profile = profile
        self.pseudonyms = pseudonyms
        self.tally = Tally()
        self.sop_class_uid = str(ds.get("SOPClassUID") or "")
        self.identity = _identity(ds)
        self.days = pseudonyms.shift(self.identity)
        self.tokens = known_identifiers(ds)

    def clean(self, ds: Dataset) -> None:
        """Changes the data set in place."""
        self._walk(ds, (), 0)

    def _walk(self, ds: Dataset, path: tuple[int, ...], depth: int) -> None:
        if path and codes.is_code(ds) and codes.clean(ds):
            self._count(0x00080104, "C")
        for tag in list(ds.keys()):
            number = int(tag)
            if number & 0xFFFF == 0 and number >> 16 != 0:
                del ds[tag]  # group lengths (retired) would be wrong now
                continue
            item = ds.get_item(tag)
            vr = _vr(tag, item)
            if path and number in _CODE_TAGS and codes.is_code(ds):
                continue  # looked at as a whole above
            where = (*path, number)
            action = decide(Place(self.sop_class_uid, where), vr, self.profile)
            self._act(ds, tag, vr, action, where, depth)

    def _act(self, ds: Dataset, tag: BaseTag, vr: str, action: Action, path: tuple[int, ...], depth: int) -> None:
        number = int(tag)
        if action == "K" and vr != "SQ":
            self._keep(ds, tag, vr)
            return
        if action == "X":
            del ds[tag]
        elif vr == "SQ" and action in ("K", "U", "U*", "C"):
            self._sequence(ds, tag, path, depth)
            if action == "K":
                return
        elif action == "U" or action == "U*":
            if not self._uids(ds, tag):
                return
        elif action == "C":
            self._shift(ds, tag, vr)
        else:
            self._replace(ds, tag, vr, action)
        self._count(number, "P" if number in PSEUDONYMS and action in ("Z", "D") else action)

    def _sequence(self, ds: Dataset, tag: BaseTag, path: tuple[int, ...], depth: int) -> None:
        if depth >= MAX_DEPTH:
            del ds[tag]
            self.tally.warnings[phrase("Sequences nested deeper than {most} were removed.", most=MAX_DEPTH)] += 1
            return
        try:
            items = ds[tag].value
        except Exception:  # noqa: BLE001 - pydicom raises anything over damaged bytes; what cannot be read must not leave
            del ds[tag]
            self._unreadable(int(tag))
            return
        if not isinstance(items, Sequence):
            ds[tag] = DataElement(tag, "SQ", [])
            return
        for item in items:
            self._walk(item, path, depth + 1)

    def _keep(self, ds: Dataset, tag: BaseTag, vr: str) -> None:
        """Kept, unless the patient's own name, number or the like stands in its text."""
        raw = _raw_text(ds.get_item(tag), vr)
        if raw is not None and any(token in raw for token in self.tokens):
            ds[tag] = DataElement(tag, vr, dummies.empty(vr))
            self._count(int(tag), "Z")
            self.tally.warnings["Texts that named the patient or a person were emptied."] += 1

    def _uids(self, ds: Dataset, tag: BaseTag) -> bool:
        """New UIDs for all but those of the standard; False when nothing had to change."""
        if _vr(tag, ds.get_item(tag)) != "UI":
            del ds[tag]
            return True
        value = _text(ds.get_item(tag))
        new, changed = [], False
        for uid in (part.strip(" \0") for part in value.split("\\")):
            if not uid or keeps_uid(int(tag), uid):
                new.append(uid)
                continue
            new.append(self.pseudonyms.uid(uid))
            self.tally.uids[uid] = new[-1]
            changed = True
        if changed:
            ds[tag] = DataElement(tag, "UI", new if len(new) > 1 else new[0])
        return changed

    def _shift(self, ds: Dataset, tag: BaseTag, vr: str) -> None:
        if vr == "TM":
            self._only_time(ds, tag)
            return
        parts = [shifted(part, self.days) for part in _text(ds.get_item(tag)).strip(" \0").split("\\")]
        dates = [part for part in parts if part is not None and dummies.is_moment(part, vr)]
        if len(dates) == len(parts):
            ds[tag] = DataElement(tag, vr, dates if len(dates) > 1 else dates[0])
        else:
            ds[tag] = DataElement(tag, vr, "")

    def _only_time(self, ds: Dataset, tag: BaseTag) -> None:
        """Times of day stay when they are times."""
        parts = [part.strip() for part in _text(ds.get_item(tag)).strip(" \0").split("\\")]
        if not all(dummies.is_moment(part, "TM") for part in parts):
            ds[tag] = DataElement(tag, "TM", "")

    def _replace(self, ds: Dataset, tag: BaseTag, vr: str, action: Action) -> None:
        number = int(tag)
        if number in PSEUDONYMS:
            ds[tag] = DataElement(tag, vr, self.pseudonyms.patient(self.identity))
        elif action == "Z":
            ds[tag] = DataElement(tag, vr, dummies.empty(vr))
        else:
            ds[tag] = DataElement(tag, vr, dummies.dummy(number, vr, ds))

    def _count(self, tag: int, action: str) -> None:
        self.tally.actions[(tag, action)] += 1

    def _unreadable(self, tag: int) -> None:
        self._count(tag, "X")
        self.tally.warnings["Attributes that cannot be read were removed."] += 1


def _vr(tag: BaseTag, item: Any) -> str:
    """The VR as written; implicit files and UN take the standard's own."""
    vr = str(item.VR or "") if item is not None else ""
    if vr in ("", "UN") and dictionary_has_tag(tag):
        return dictionary_VR(tag).split(" or ")[0]
    return vr or "UN"


def _text(item: Any) -> str:
    """A value as text, however it came."""
    value = item.value if item is not None else None
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return "\\".join(str(part) for part in value) if hasattr(value, "__iter__") else str(value)


def _raw_text(item: Any, vr: str) -> bytes | None:
    """Lower-case bytes of a text to look for names in; None for what is no free text."""
    if vr not in ("LO", "SH", "ST", "LT", "UT", "UC", "PN") or item is None:
        return None
    value = item.value
    if isinstance(item, RawDataElement) and isinstance(value, bytes):
        return value.lower()
    return _text(item).encode("utf-8", "replace").lower()


def _identity(ds: Dataset) -> str:
    """What makes a patient the same one: issuer and id, else the study."""
    patient = _text(ds.get_item(_ID)).strip(" \0")
    if not patient:
        return _text(ds.get_item(0x0020000D)).strip(" \0")
    issuer = _text(ds.get_item(0x00100021)).strip(" \0")
    return f"{issuer}|{patient}"


_PEOPLE = (0x00100010, 0x00101001, 0x00101005, 0x00101060, 0x00080090, 0x00081048, 0x00081050, 0x00081060, 0x00081070)
_NUMBERS = (0x00100020, 0x00101000, 0x00080050, 0x00100030, 0x00380010, 0x00081010, 0x00080080)


def known_identifiers(ds: Dataset) -> tuple[bytes, ...]:
    """Names and numbers of this object's own people, to be looked for in texts that are kept.

    Four letters or more: shorter ones would find themselves in every other word."""
    found: set[bytes] = set()
    for tag in _PEOPLE:
        for part in _text(ds.get_item(tag)).replace("\\", "^").replace("=", "^").replace(" ", "^").split("^"):
            found.add(part.strip(" \0,.").lower().encode("latin-1", "replace"))
    for tag in _NUMBERS:
        for part in _text(ds.get_item(tag)).split("\\"):
            found.add(part.strip(" \0").lower().encode("latin-1", "replace"))
    return tuple(sorted(token for token in found if len(token) >= 4))


def describe(tag: int) -> str:
    """A tag's name for the report."""
    row = lookup(tag)
    if row is not None and row.name:
        return row.name
    return dictionary_description(tag) if dictionary_has_tag(tag) else "Unknown attribute"
