"""Walks a data set and does to every attribute what its profile asks, sequences within sequences included."""

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

from pydicom.datadict import dictionary_description, dictionary_has_tag, dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag

from app.deid import codes, content, dummies, iods, moments, people, retained, texts
from app.deid.decide import Action, AttributePlace, decide, is_registered, keeps_uid
from app.deid.profile import Profile
from app.deid.pseudonym import Pseudonyms
from app.deid.table import lookup
from app.dicom.damage import DAMAGE
from app.kit.phrases import Phrase, phrase

PSEUDONYMS = {0x00100010, people.PATIENT_ID}  # name and id: the same pseudonym, so that one patient stays one
_CODE_TAGS = {0x00080100, 0x00080102, 0x00080103, 0x00080104, 0x00080119, 0x00080120, 0x00080121}
_UTF8 = "ISO_IR 192"
_NO_DATA_SET = {
    0x0000,
    0x0002,
    0x0004,
    0xFFFE,
}  # groups of commands, file meta information, DICOMDIR, items (PS3.5 7.1)


@dataclass(slots=True)
class EditCounts:
    """Counts of the actions on one or many objects. Never a value: only tags, actions, counts."""

    actions: Counter[tuple[int, str]] = field(default_factory=Counter)
    warnings: Counter[Phrase] = field(default_factory=Counter)
    uids: dict[str, str] = field(default_factory=dict)

    def add(self, other: "EditCounts") -> None:
        self.actions.update(other.actions)
        self.warnings.update(other.warnings)
        self.uids.update(other.uids)


@dataclass(frozen=True, slots=True)
class _Level:
    """One data set on the way down. promised: inside a sequence that an option retains."""

    path: tuple[int, ...]
    terms: tuple[str, ...]
    promised: bool = False
    others: dict[int, str] = field(default_factory=dict)


class Cleaner:
    """Cleans one object: its file's data set, and what follows its pixels."""

    def __init__(
        self, ds: Dataset, profile: Profile, pseudonyms: Pseudonyms, known: people.Facts = frozenset()
    ) -> None:
        """known: what is known of the patient from other objects."""
        self.profile = profile
        self.pseudonyms = pseudonyms
        self.tally = EditCounts()
        self.sop_class_uid = texts.plain(ds.get_item(0x00080016))
        self.identity = people.identity(ds)
        self.people = people.identifiers(known | people.facts(ds), profile.options)
        time = texts.plain(ds.get_item(moments.STUDY_TIME)).split("\\")[0].strip()
        self.shift = moments.Shift(pseudonyms.shift(self.identity), time or "120000")
        self._terms = people.terms_of(ds)
        self._is_encoded = people.CHARACTER_SET in ds

    def clean(self, ds: Dataset) -> None:
        """Changes the data set in place."""
        self._walk(ds, _Level((), self._terms))

    def declare(self, ds: Dataset) -> None:
        """Specific Character Set of the cleaned object: what is kept beyond ASCII is written in UTF-8."""
        if self._is_encoded:
            ds.SpecificCharacterSet = _UTF8

    def _walk(self, ds: Dataset, level: _Level) -> None:
        is_code = bool(level.path) and codes.is_code(ds)
        if is_code:
            self._code(ds, level)
        level = replace(level, terms=people.terms_of(ds, level.terms), others=self._moments(ds))
        for tag in list(ds.keys()):
            number = int(tag)
            if number == people.CHARACTER_SET or number & 0xFFFF == 0 or number >> 16 in _NO_DATA_SET:
                del ds[tag]  # group lengths (retired) would be wrong now
                continue
            item = ds.get_item(tag)
            vr = _vr(tag, item)
            place = AttributePlace(self.sop_class_uid, (*level.path, number))
            if is_code and number in _CODE_TAGS:
                self._retain(ds, tag, vr, place, level)  # looked at as a whole above
                continue
            action = decide(place, vr, self.profile)
            if content.is_foreign(item, number):
                vr = _own_vr(tag, vr)
                action = "Z" if action in ("K", "R") else action
            self._act(ds, tag, vr, action, place, level)

    def _moments(self, ds: Dataset) -> dict[int, str]:
        if not self.profile.options.retain_modified_dates:
            return {}
        return {
            int(tag): texts.plain(ds.get_item(tag))
            for tag in ds.keys()  # noqa: SIM118 - a data set iterates over elements
            if _vr(tag, ds.get_item(tag)) in ("DA", "TM")
        }

    def _code(self, ds: Dataset, level: _Level) -> None:
        """A coded entry as a whole (PS3.3 8.8)."""
        if not level.promised:
            if codes.clean(ds, self.people):
                self._count(0x00080104, "C")
        elif codes.names_patient(ds, self.people):
            codes.remove(ds)
            self._count(0x00080104, "Z")

    def _act(self, ds: Dataset, tag: BaseTag, vr: str, action: Action, place: AttributePlace, level: _Level) -> None:
        number = int(tag)
        if action in ("K", "R") and vr != "SQ":
            self._retain(ds, tag, vr, place, replace(level, promised=level.promised or action == "R"))
            return
        if action == "X":
            del ds[tag]
        elif vr == "SQ" and action in ("K", "R", "U", "U*", "C"):
            self._sequence(ds, tag, place, replace(level, promised=level.promised or action == "R"))
            if action in ("K", "R"):
                return
        elif action == "U" or action == "U*":
            if not self._uids(ds, tag):
                return
        elif action == "C":
            self._shift(ds, tag, vr, place, level)
        else:
            self._replace(ds, tag, vr, action, place)
        self._count(number, "P" if number in PSEUDONYMS and action in ("Z", "D") else action)

    def _sequence(self, ds: Dataset, tag: BaseTag, place: AttributePlace, level: _Level) -> None:
        if len(level.path) >= people.MAX_DEPTH:
            del ds[tag]
            self.tally.warnings[phrase("Sequences nested deeper than {most} were removed.", most=people.MAX_DEPTH)] += 1
            return
        try:
            items = ds[tag].value
        except DAMAGE:
            del ds[tag]
            self._unreadable(int(tag))
            return
        if not isinstance(items, Sequence):
            ds[tag] = DataElement(tag, "SQ", [])
            return
        filled = [bool(len(item)) for item in items]
        for item in items:
            self._walk(item, replace(level, path=place.path))
        # An item of which nothing may stay is left out; the frames of functional groups are counted, so all stay there.
        if int(tag) in content.PER_FRAME or all(len(item) for item in items):
            return
        kept = [item for item, was_filled in zip(items, filled, strict=True) if len(item) or not was_filled]
        kind = 2 if kept else iods.type_of(self.sop_class_uid, place.path)
        if kind == 3:
            del ds[tag]
        elif kind == 2:
            ds[tag] = DataElement(tag, "SQ", kept)
        else:
            ds[tag] = DataElement(tag, "SQ", dummies.dummy(place.path, "SQ", ds, self.sop_class_uid))

    def _retain(self, ds: Dataset, tag: BaseTag, vr: str, place: AttributePlace, level: _Level) -> None:
        """Kept, unless the patient's own name, number or the like is in it."""
        item = ds.get_item(tag)
        if vr not in texts.TEXTS:
            warning = content.clean(ds, tag, vr, self.people, self.sop_class_uid)
            if warning:
                self._count(int(tag), "C")
                self.tally.warnings[warning] += 1
            return
        if vr == "UI":
            uids = texts.plain(item).split("\\")
            if any(not retained.is_uid(uid) or self._has_number(uid) for uid in uids) and self._uids(ds, tag):
                self._count(int(tag), "U")
            return
        found = texts.readings(item, vr, level.terms)
        fault = retained.fault(int(tag), vr, found, self.people, only_certain=level.promised)
        if not fault:
            if not texts.is_plain(item):
                self._is_encoded = True
                ds[tag] = DataElement(tag, vr, found[0])
            return
        self._empty(ds, tag, vr, found, place, level)
        self._count(int(tag), "Z")
        self.tally.warnings[fault] += 1

    def _empty(
        self, ds: Dataset, tag: BaseTag, vr: str, found: list[str], place: AttributePlace, level: _Level
    ) -> None:
        """Removes the identifying values of a text, as the type of the attribute allows."""
        kind = iods.type_of(self.sop_class_uid, place.path)
        values = [found[0]] if vr in texts.WHOLE else found[0].split("\\")
        named = [bool(retained.fault(int(tag), vr, [one], self.people, only_certain=level.promised)) for one in values]
        if all(named) or not any(named):  # or it is only there in another reading, or in several values together
            if kind == 3:
                del ds[tag]
                return
            if kind == 2:
                ds[tag] = DataElement(tag, vr, dummies.empty(vr))
                return
            named = [True] * len(values)
        spare = str(dummies.dummy(place.path, vr, ds, self.sop_class_uid))
        clean = [spare if has_name else one for one, has_name in zip(values, named, strict=True)]
        self._is_encoded = self._is_encoded or not "".join(clean).isascii()
        ds[tag] = DataElement(tag, vr, clean if len(clean) > 1 else clean[0])

    def _has_number(self, uid: str) -> bool:
        """Whether a component of a UID is a number of the patient."""
        return not is_registered(uid) and any(self.people.is_number(one) for one in uid.split("."))

    def _uids(self, ds: Dataset, tag: BaseTag) -> bool:
        """New UIDs for all but those of the standard; False when nothing had to change."""
        if _vr(tag, ds.get_item(tag)) != "UI":
            del ds[tag]
            return True
        value = texts.plain(ds.get_item(tag))
        new, changed = [], False
        for uid in (part.strip(" \0") for part in value.split("\\")):
            if not uid or is_registered(uid) or (keeps_uid(int(tag), uid) and not self.people.holds(uid)):
                new.append(uid)
                continue
            new.append(self.pseudonyms.uid(uid))
            self.tally.uids[uid] = new[-1]
            changed = True
        if changed:
            ds[tag] = DataElement(tag, "UI", new if len(new) > 1 else new[0])
        return changed

    def _shift(self, ds: Dataset, tag: BaseTag, vr: str, place: AttributePlace, level: _Level) -> None:
        value = texts.plain(ds.get_item(tag))
        moved = moments.shifted(int(tag), vr, value, level.others, self.shift) if value else ""
        if moved is None:
            must = iods.type_of(self.sop_class_uid, place.path) == 1
            moved = dummies.dummy(place.path, vr, ds) if must else ""
        ds[tag] = DataElement(tag, vr, moved)

    def _replace(self, ds: Dataset, tag: BaseTag, vr: str, action: Action, place: AttributePlace) -> None:
        vr = _own_vr(tag, vr)
        if int(tag) in PSEUDONYMS:
            ds[tag] = DataElement(tag, vr, self.pseudonyms.patient(self.identity))
        elif action == "Z" and not (place.tag >> 16) & 1 and iods.is_mandatory(self.sop_class_uid, place.path) != 1:
            ds[tag] = DataElement(tag, vr, dummies.empty(vr))
        else:
            ds[tag] = DataElement(tag, vr, dummies.dummy(place.path, vr, ds, self.sop_class_uid))
            if int(tag) == dummies.DOCUMENT and dummies.DOCUMENT_LENGTH in ds:
                ds[dummies.DOCUMENT_LENGTH] = DataElement(dummies.DOCUMENT_LENGTH, "UL", len(ds[tag].value))

    def _count(self, tag: int, action: str) -> None:
        self.tally.actions[(tag, action)] += 1

    def _unreadable(self, tag: int) -> None:
        self._count(tag, "X")
        self.tally.warnings[phrase("Attributes that cannot be read were removed.")] += 1


def _vr(tag: BaseTag, item: Any) -> str:
    """The VR as written; implicit files and UN take the standard's own."""
    vr = str(item.VR or "") if item is not None else ""
    if vr in ("", "UN") and dictionary_has_tag(tag):
        return dictionary_VR(tag).split(" or ")[0]
    return vr or "UN"


def _own_vr(tag: BaseTag, vr: str) -> str:
    """The VR of what is put in the place of a value: as written, unless the attribute has another."""
    own = dictionary_VR(tag).split(" or ") if dictionary_has_tag(tag) else [vr]
    return vr if vr in own else own[0]


def describe(tag: int) -> str:
    """A tag's name for the report."""
    row = lookup(tag)
    if row is not None and row.name:
        return row.name
    return dictionary_description(tag) if dictionary_has_tag(tag) else "Unknown attribute"
