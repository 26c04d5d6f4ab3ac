"""The little of a data set that reading attributes needs, so that a header as DICOM JSON is read by the same functions."""

from typing import Any, Protocol


class ImageHeader(Protocol):
    """A pydicom Dataset, or a view of the DICOM JSON Model that answers alike (app.viewing.json_header)."""

    def get(self, key: str, default: Any = None, /) -> Any:
        """The value of the attribute with this keyword: a list where it has several, items for a sequence."""

    def __contains__(self, key: Any, /) -> bool:
        """Whether the attribute is there at all, be it empty."""


def frame_item(ds: ImageHeader, sequence: str, frame: int) -> ImageHeader:
    """The functional group macro's item for frame `frame` (from 1): its own, else the shared one (PS3.3 C.7.6.16); the
    header itself where there are no functional groups."""
    per_frame = ds.get("PerFrameFunctionalGroupsSequence") or ()
    shared = ds.get("SharedFunctionalGroupsSequence") or ()
    own = per_frame[frame - 1] if 0 < frame <= len(per_frame) else None
    for group in (own, *shared[:1]):
        items = group.get(sequence) if group is not None else None
        if items:
            item: ImageHeader = items[0]
            return item
    return ds
