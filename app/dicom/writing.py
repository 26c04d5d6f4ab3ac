"""Data sets whose values were read or changed, on their way back to bytes: pydicom writes text by its own tables, which lose
what `charset.py` reads (undeclared UTF-8, misspelt terms, the escape sequences of ISO 2022 IR 58)."""

from collections.abc import Iterator

import pydicom.charset
from pydicom import DataElement, Dataset

from app.dicom import charset
from app.dicom.charset import Terms
from app.dicom.damage import DAMAGE
from app.dicom.identifier import UTF8
from app.dicom.reading import element_text, read_items, terms_of
from app.kit import compat


def settle_character_set(*datasets: Dataset) -> None:
    """Turns data sets that are written together into UTF-8 as a whole (PS3.3 C.12.1.1.2) where any text that was read or
    changed would not be written as it is. datasets: the first declares the character set for all."""
    declared = terms_of(datasets[0])
    if all(_is_safe(dataset, declared) for dataset in datasets):
        return
    for dataset in datasets:
        _read_all(dataset)
        _drop_declarations(dataset)
    datasets[0].SpecificCharacterSet = UTF8


def _is_safe(dataset: Dataset, inherited: Terms) -> bool:
    terms = terms_of(dataset) if "SpecificCharacterSet" in dataset else inherited
    return all(_can_write(element, terms) for element in _texts(dataset)) and all(
        _is_safe(item, terms) for item in read_items(dataset)
    )


def _texts(dataset: Dataset) -> Iterator[DataElement]:
    """The texts that pydicom will write anew; elements that were not accessed are written as the received bytes."""
    for element in compat.stored_elements(dataset):
        if isinstance(element, DataElement) and element.VR in charset.TEXT_VRS:
            yield element


def _can_write(element: DataElement, terms: Terms) -> bool:
    text = element_text(element.value)
    if text.isascii():
        return True
    codec = pydicom.charset.python_encoding.get(terms[0]) if len(terms) == 1 and terms[0] else None
    if codec is None or "ISO 2022" in terms[0] or terms[0] in ("ISO_IR 6", "ISO_IR 13"):
        return False
    try:
        return text.encode(codec).decode(codec) == text
    except UnicodeError:
        return False


def _read_all(dataset: Dataset) -> None:
    """Every element becomes a value while its own character set is still declared; one that is damaged stays as it came."""
    for tag in list(dataset.keys()):
        try:
            element = dataset[tag]
        except DAMAGE:
            continue
        if element.VR == "SQ":
            for item in element.value or ():
                _read_all(item)


def _drop_declarations(dataset: Dataset) -> None:
    if "SpecificCharacterSet" in dataset:
        del dataset.SpecificCharacterSet
    for item in read_items(dataset):
        _drop_declarations(item)
