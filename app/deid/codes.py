"""Coded entries (PS3.3 8.8): codes of public schemes stay with the meaning their scheme gives them, local ones go.

Table E.1-1 leaves codes alone; but a local code's value and meaning are free text in all but name."""

import re
from functools import cache
from typing import Any

from pydicom.dataset import Dataset

from app.deid.identifiers import Identifiers

# Schemes anybody can look up (PS3.16 8). Their codes are checked against pydicom's copy of PS3.16, else by form.
_PUBLIC = {
    "DCM": r"\d{6}",
    "SCT": r"\d{6,18}",
    "SRT": r"[A-Z]-[A-Z0-9]{4,6}",
    "SNM3": r"[A-Z]-[A-Z0-9]{4,6}",
    "99SDM": r"[A-Z]-[A-Z0-9]{4,6}",
    "LN": r"\d{1,7}-\d",
    "UCUM": r"1|%|m?[mcgsl]{1,2}[23]?",
    "FMA": r"\d{1,7}",
    "RADLEX": r"RID\d{1,6}",
    "UMLS": r"C\d{7}",
    "NCIt": r"C\d{1,7}",
}
REMOVED = "REMOVED"
_TEXTS = (
    "CodeValue", "LongCodeValue", "URNCodeValue", "CodeMeaning", "CodingSchemeDesignator", "CodingSchemeVersion",
    "ExtendedCodeValue", "ExtendedCodeMeaning",
)  # fmt: skip


@cache
def _meanings() -> dict[tuple[str, str], str]:
    """(scheme, value) -> meaning, from pydicom's copy of PS3.16."""
    from pydicom.sr import _concepts_dict

    concepts: Any = _concepts_dict.concepts

    return {
        (scheme, value): meaning
        for scheme, keywords in concepts.items()
        for values in keywords.values()
        for value, (meaning, _) in values.items()
    }


def is_code(item: Dataset) -> bool:
    return any(tag in item for tag in (0x00080100, 0x00080119, 0x00080120))


def clean(item: Dataset, people: Identifiers) -> bool:
    """Makes a coded entry safe in place; True when something of it had to go."""
    scheme = str(item.get("CodingSchemeDesignator") or "").strip()
    value = str(item.get("CodeValue") or item.get("LongCodeValue") or "").strip()
    pattern = _PUBLIC.get(scheme)
    known = _meanings().get((scheme, value)) or _meanings().get(("SCT" if scheme == "SRT" else scheme, value))
    formed = pattern is not None and re.fullmatch(pattern, value) and not people.holds(value)
    if not (known or formed) or "URNCodeValue" in item:
        remove(item)
        return True
    meaning = str(item.get("CodeMeaning") or "")
    version = str(item.get("CodingSchemeVersion") or "")
    dirty = bool(version) and (not re.fullmatch(r"[\w.-]{1,16}", version) or people.holds(version))
    if dirty:
        del item.CodingSchemeVersion
    if meaning and meaning != known:
        # A code that the dictionary does not list cannot be distinguished from a name; the code itself still has the
        # meaning.
        item.CodeMeaning = known or value
        dirty = True
    return dirty


def names_patient(item: Dataset, people: Identifiers) -> bool:
    """Whether a coded entry that the profile promises to keep holds the patient's own name or number."""
    return any(people.holds(str(item.get(keyword) or ""), only_certain=True) for keyword in _TEXTS)


def remove(item: Dataset) -> None:
    """Replaces a coded entry by a code without information."""
    for keyword in (*_TEXTS, "EquivalentCodeSequence"):
        if keyword in item:
            del item[keyword]
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = REMOVED, "99REMOVED", REMOVED
