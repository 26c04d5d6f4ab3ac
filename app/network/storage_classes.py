"""Storage SOP classes and the transfer syntaxes that C-STORE can use, both of PS3.6 Annex A. Pure."""

from functools import cache

from app.dicom.registry import registry
from app.dicom.uids import TRANSFER_SYNTAXES

# Named "Storage" in PS3.6 but no objects that C-STORE carries.
_NO_OBJECTS = {"1.2.840.10008.1.3.10", "1.2.840.10008.1.20.1", "1.2.840.10008.1.20.2"}


@cache
def storage_classes() -> frozenset[str]:
    """Every storage SOP class of PS3.6 Annex A, retired ones too: old modalities still send them."""
    return frozenset(
        uid
        for uid, entry in registry().items()
        if entry.kind == "SOP Class" and "Storage" in entry.name and uid not in _NO_OBJECTS
    )


@cache
def transfer_syntaxes() -> frozenset[str]:
    """Every transfer syntax of the standard that C-STORE can use: the retired JPEG processes too, but not the MIME, XML
    and live video ones (1.2.840.10008.1.2.6 and .7), which carry no data set."""
    named = {uid for uid, entry in registry().items() if entry.kind == "Transfer Syntax"}
    supported = named | {uid for uid in TRANSFER_SYNTAXES if uid.startswith("1.2.840.10008.")}
    return frozenset(uid for uid in supported if not uid.startswith(("1.2.840.10008.1.2.6", "1.2.840.10008.1.2.7")))


# The classes a C-GET proposes when the objects of a study are not known: 63, so that each can have two contexts.
_SUFFIXES = (
    "1 1.1 1.1.1 1.2 1.2.1 1.3 2 2.1 2.2 3.1 4 4.1 4.2 4.3 4.4 6.1 6.2 7 7.1 7.2 7.3 7.4 9.1.1 9.1.2 9.2.1 11.1 11.2"
    " 11.3 11.4 12.1 12.1.1 12.2 12.2.1 13.1.1 13.1.3 20 30 66 66.1 66.4 67 77.1.1 77.1.4 77.1.5.1 77.1.5.4 77.1.6"
    " 88.11 88.22 88.33 88.34 88.50 88.59 88.67 88.68 104.1 128 130 481.1 481.2 481.3 481.5 481.7 481.8"
)
COMMON_CLASSES = tuple(f"1.2.840.10008.5.1.4.1.1.{suffix}" for suffix in _SUFFIXES.split())

# The compressed syntaxes archives really hold, the lossless ones first; video last.
COMPRESSED = tuple(
    f"1.2.840.10008.1.2.{suffix}"
    for suffix in [
        "4.70",
        "4.57",
        "4.90",
        "4.80",
        "4.201",
        "4.202",
        "5",
        "4.50",
        "4.51",
        "4.91",
        "4.81",
        "4.203",
        "4.102",
        "4.103",
        "4.100",
        "4.101",
    ]
)
