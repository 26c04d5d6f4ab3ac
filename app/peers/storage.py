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
    ours = named | {uid for uid in TRANSFER_SYNTAXES if uid.startswith("1.2.840.10008.")}
    return frozenset(uid for uid in ours if not uid.startswith(("1.2.840.10008.1.2.6", "1.2.840.10008.1.2.7")))
