"""Whether a value that the profile keeps may stay as it is."""

import re

from pydicom._uid_dict import UID_dictionary

from app.deid import terms, texts
from app.deid.identifiers import Identifiers
from app.kit.phrases import NOTHING, Phrase, phrase

_NAMED = phrase("Texts that identified the patient or another person were emptied.")
_UNREADABLE = phrase("Texts that cannot be read in their character set were emptied.")
_UNFIT = phrase("Values that do not conform to their VR were emptied.")
_UID = re.compile(r"[0-9.]*")
_UID_WITHIN = re.compile(r"(?<![\d.])[0-2](?:\.\d+){5,}")  # versions of programs are shorter
_AGE = re.compile(r"(\d{1,3}[DWMY])?")
_MOMENT = re.compile(r"[0-9 .:+\-/\\]*")
_NUMBERS = re.compile(r"[0-9 .,+\-eE\\]*")


def is_uid(text: str) -> bool:
    """Digits and points, which may not be written as PS3.5 9.1 asks."""
    return _UID.fullmatch(text.strip(" \0")) is not None


def _names_object(text: str) -> bool:
    """Whether a text contains a UID that the standard does not register."""
    return any(found[0] not in UID_dictionary for found in _UID_WITHIN.finditer(text))


def fault(tag: int, vr: str, readings: list[str], people: Identifiers, *, only_certain: bool) -> Phrase:
    """Why a text may not stay; "" when it may. only_certain: an option promises to keep it.

    Raises nothing: every VR of texts.TEXTS but UI is judged."""
    best = readings[0]
    if not best:
        return NOTHING
    if texts.UNREADABLE in best:
        return _UNREADABLE
    if vr in ("DA", "DT", "TM"):
        return NOTHING if _MOMENT.fullmatch(best) else _UNFIT
    if vr == "AS":
        return NOTHING if all(_AGE.fullmatch(one.strip()) for one in best.split("\\")) else _UNFIT
    if vr in ("DS", "IS"):
        if not _NUMBERS.fullmatch(best):
            return _UNFIT
        return _NAMED if any(people.is_number(one) for one in best.split("\\")) else NOTHING
    if not only_certain and any(map(_names_object, readings)):
        return _NAMED
    if terms.are_terms(tag, vr, best):
        return NOTHING
    if any(people.holds(text, only_certain=only_certain) for text in readings):
        return _NAMED
    return _UNFIT if vr in ("AE", "CS", "UR") and not best.isascii() else NOTHING
