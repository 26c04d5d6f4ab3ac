"""pydicom's readers, which here read text as `charset.py` does and do not stumble over one damaged element.

pydicom raises for a value representation that the standard does not know, and with it everything else of the object is
lost to the reader. Here such an element is taken as its tag's own representation, or as UN where there is none (PS3.5
6.2.2). Code that reads external objects imports from here."""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

import pydicom.charset
from pydicom import DataElement, Dataset, filereader, hooks
from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag
from pydicom.valuerep import IS, VR, DSfloat, ISfloat, PersonName

from app.dicom import charset, numbers
from app.dicom.charset import Terms
from app.dicom.damage import DAMAGE
from app.kit import compat

_KNOWN = frozenset(VR)
_ASCII_VRS = frozenset(
    (VR.AE, VR.AS, VR.CS, VR.DA, VR.DT, VR.TM, VR.UR)
)  # what is not ASCII in them reads as text does
_TEXTUAL = charset.TEXT_VRS | {VR.CS}
_MARK = "_filmroom_for_display"
_PART = rb" *(?:[+-]?(?:[0-9]{1,40}\.?[0-9]{0,40}|\.[0-9]{1,40})%b)? *"
_PLAIN = {  # pydicom reads these as `numbers` does, and keeps the text that they are written as
    vr: re.compile(rb"(?:%b)(?:\\(?:%b))*\0?" % (part, part))
    for vr, part in ((VR.IS, _PART % b""), (VR.DS, _PART % rb"(?:[eE][+-]?[0-9]{1,2})?"))
}
_INHERITED = "_filmroom_terms"  # of an item: the defined terms that hold in the data set around it
_CHARACTER_SET = BaseTag(0x00080005)


def dcmread(source: Any, **options: Any) -> Dataset:
    """`pydicom.dcmread`; its sequences know the character set that they inherit."""
    found = pydicom.dcmread(source, **options)
    _pass_on(found, ())
    return found


def read_dataset(source: Any, implicit: bool, little: bool, **options: Any) -> Dataset:
    """`pydicom.filereader.read_dataset`, the same."""
    found: Dataset = filereader.read_dataset(source, implicit, little, **options)
    _pass_on(found, ())
    return found


def terms_of(dataset: Dataset) -> Terms:
    """The defined terms of Specific Character Set that hold in a data set: its own, else those of the one around it (PS3.5
    7.5.3)."""
    element: Any = compat.stored_element(dataset, _CHARACTER_SET)  # pydicom itself asks through this hook
    if element is None:
        inherited: Terms | None = getattr(dataset, _INHERITED, None)
        return _terms_for(compat.inherited_codecs(dataset)) if inherited is None else inherited
    value = element.value
    if isinstance(value, bytes):
        return charset.terms_of(value)
    return tuple(str(term or "").strip() for term in ([value] if isinstance(value, str) else value or ()))


def _terms_for(codecs: str | Iterable[str]) -> Terms:
    """The terms behind pydicom's names of codecs: of items that pydicom alone has read."""
    return tuple(_terms_by_codec().get(codec, "") for codec in ([codecs] if isinstance(codecs, str) else codecs))


@lru_cache(1)
def _terms_by_codec() -> dict[str, str]:
    return {codec: term for term, codec in reversed(pydicom.charset.python_encoding.items())}


def _pass_on(dataset: Dataset, inherited: Terms) -> None:
    """Notes the inherited terms in the items of all sequences that are read already (those of undefined length)."""
    terms = terms_of(dataset) if _CHARACTER_SET in dataset else inherited
    _into_items(read_items(dataset), terms)


def read_items(dataset: Dataset) -> Iterator[Dataset]:
    """The items of the sequences of a data set that are read already: pydicom keeps the bytes of unread ones."""
    for element in compat.stored_elements(dataset):
        if isinstance(element, DataElement) and element.VR == VR.SQ:
            yield from element.value or ()


def _into_items(items: Iterable[Dataset] | None, terms: Terms) -> None:
    for item in items or ():
        object.__setattr__(item, _INHERITED, terms)
        _pass_on(item, terms)


def text_of(dataset: Dataset, name: str | int) -> str:
    """A top-level attribute as people read it: its values with backslashes between, as they are written; "" where it is
    absent or empty. name: keyword or tag."""
    return element_text(dataset[name].value) if name in dataset else ""


def element_text(value: Any) -> str:
    """An element's value as text, several with backslashes between."""
    if isinstance(value, MultiValue | list | tuple):
        return "\\".join("" if one is None else str(one) for one in value)
    return "" if value is None else str(value)


def _known_vr(raw: Any, data: dict[str, Any], **more: Any) -> None:
    hooks.raw_element_vr(raw, data, **more)
    if data["VR"] not in _KNOWN:
        own = dictionary_VR(raw.tag) if dictionary_has_tag(raw.tag) else VR.UN
        data["VR"] = own if own in _KNOWN else VR.UN  # the dictionary has items, which have none
    elif data["VR"] in _TEXTUAL and dictionary_has_tag(raw.tag) and dictionary_VR(raw.tag) in numbers.TEXT_NUMBERS:
        data["VR"] = dictionary_VR(raw.tag)  # a number written as a text is the same characters


def for_display(dataset: Dataset) -> None:
    """Marks a data set that is only looked at: a sequence in it that ends early is read as an empty one. What leaves or
    is written must not lose anything silently, so there pydicom's fault is raised."""
    object.__setattr__(dataset, _MARK, True)


def _value(raw: Any, data: dict[str, Any], *, ds: Dataset | None = None, **more: Any) -> None:
    vr, terms = data["VR"], () if ds is None else terms_of(ds)
    is_text = vr in charset.TEXT_VRS or (vr in _ASCII_VRS and isinstance(raw.value, bytes) and not raw.value.isascii())
    if is_text and isinstance(raw.value, bytes):
        data["value"] = _text(raw.value, terms, vr, more.get("encoding"))
        return
    if vr in numbers.TEXT_NUMBERS and isinstance(raw.value, bytes) and not _PLAIN[vr].fullmatch(raw.value):
        data["value"] = _numbers(raw.value, raw.tag, vr)
        return
    try:
        hooks.raw_element_value(raw, data, ds=ds, **more)
    except DAMAGE:
        if vr != VR.SQ or not getattr(ds, _MARK, False):
            raise
        data["value"] = Sequence()
    if data["VR"] == VR.SQ:
        _into_items(data["value"], terms)


def _text(raw: bytes, terms: Terms, vr: str, encodings: Any) -> Any:
    """As pydicom gives text: one string, several as MultiValue, names as PersonName."""
    found: list[Any] = list(charset.values(raw, terms, vr))
    if vr == VR.PN:
        found = [_name(one, encodings) for one in found or [""]]
        if len(found) == 1:
            found[0].original_string = raw.rstrip(b"\0 ")
        return found[0] if len(found) == 1 else MultiValue(PersonName, found)
    return "" if not found else found[0] if len(found) == 1 else MultiValue(str, found)


def _numbers(raw: bytes, tag: int, vr: str) -> Any:
    """As pydicom gives numbers, each beside the text that it is written as; one that cannot be read stays its text."""
    found = numbers.values(raw.decode("latin-1"), tag)
    made = [one if isinstance(one, str) else _number(one, vr) for one in found]
    return made[0] if len(made) == 1 else MultiValue(lambda one: one, made)


def _number(value: numbers.Number, vr: str) -> Any:
    if vr == VR.DS:
        return DSfloat(value)
    return IS(value) if isinstance(value, int) else ISfloat(value)


def _name(text: str, encodings: Any) -> PersonName:
    return PersonName(text, [encodings] if isinstance(encodings, str) else encodings)


hooks.hooks.register_callback("raw_element_vr", _known_vr)
hooks.hooks.register_callback("raw_element_value", _value)
