"""pydicom's readers, taught not to stumble over one damaged element.

pydicom raises for a value representation that the standard does not know, and with it everything else of the object is
lost to the reader. Here such an element is taken as its tag's own representation, or as UN where there is none (PS3.5
6.2.2). Whoever reads objects of strangers imports from here."""

from typing import Any

from pydicom import Dataset, dcmread, hooks
from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.filereader import read_dataset
from pydicom.sequence import Sequence
from pydicom.valuerep import VR

from app.dicom.damage import DAMAGE

__all__ = ["dcmread", "for_display", "read_dataset"]

_KNOWN = frozenset(VR)
_MARK = "_filmroom_for_display"


def _known_vr(raw: Any, data: dict[str, Any], **more: Any) -> None:
    hooks.raw_element_vr(raw, data, **more)
    if data["VR"] not in _KNOWN:
        own = dictionary_VR(raw.tag) if dictionary_has_tag(raw.tag) else VR.UN
        data["VR"] = own if own in _KNOWN else VR.UN  # the dictionary has items, which have none


def for_display(dataset: Dataset) -> None:
    """Marks a data set that is only looked at: a sequence in it that ends early is read as an empty one. What leaves or is
    written must not lose anything silently, so there pydicom's fault stands."""
    object.__setattr__(dataset, _MARK, True)


def _value(raw: Any, data: dict[str, Any], *, ds: Dataset | None = None, **more: Any) -> None:
    try:
        hooks.raw_element_value(raw, data, ds=ds, **more)
    except DAMAGE:
        if data["VR"] != VR.SQ or not getattr(ds, _MARK, False):
            raise
        data["value"] = Sequence()


hooks.hooks.register_callback("raw_element_vr", _known_vr)
hooks.hooks.register_callback("raw_element_value", _value)
