"""From attribute to action: the table, the options, the IOD, and a careful rule for what the table leaves out."""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, cast

from pydicom.datadict import dictionary_has_tag, dictionary_is_retired, dictionary_keyword

from app.deid import iods
from app.deid.profile import Profile
from app.deid.table import ProfileEntry, lookup
from app.kit import compat

# K keep, R keep because an option promises it, X remove, Z empty, D dummy, U new UID, U* keep the sequence with new UIDs
# inside, C moment shifted.
Action = Literal["K", "R", "X", "Z", "D", "U", "U*", "C"]
_TEXT = {"ST", "LT", "UT", "UC", "UR", "AE", "AS"}
_MOMENTS = {"DA", "DT", "TM"}
_ARRAYS = {"OW", "OB or OW", "OF", "OD", "OL", "OV"}  # numbers; the content of spectra, surfaces and grids
_BINARY = _ARRAYS | {"OB", "UN"}

# Identifiers that the table leaves out, mostly because they live in objects its authors did not think of.
_IDENTIFYING = {
    "PatientBirthDateInAlternativeCalendar", "PatientDeathDateInAlternativeCalendar", "BreedRegistrationNumber",
    "StrainStockNumber", "ComponentWelderIDs", "DeviceID", "GridID", "NTPSourceAddress", "ContactDisplayName",
    "HangingProtocolCreator", "HangingProtocolUserGroupName", "ProductLotIdentifier", "SubstanceAdministrationDeviceID",
    "ItineraryID", "ItineraryIDAssigningAuthority", "TransducerData", "PrinterName", "AssessmentSetID", "OwnerID",
    "StorageMediaFileSetID", "ImageID", "BoardingPassID", "CarrierID", "RouteID", "RouteIDAssigningAuthority",
    "AssignedLocation", "RadiationMachineName", "InstructionText", "FilmSessionLabel", "WorklistLabel",
    "ProcedureStepLabel", "RTImageName", "RTImageLabel", "PatientSetupLabel", "ResourceDescription",
    "TreatmentProtocols", "ContentDescription", "DataSetDescription", "DataSetName", "DataSetSource", "DigitalSignaturesSequence",
    "CodingSchemeIdentificationSequence",
    "Signature", "EncryptedContent", "RecordKey", "PriorRecordKey", "HPGLDocument",
}  # fmt: skip
# Free text that pictures need to be read, written by machines from a short list.
_HARMLESS = {"ImageDisplayFormat", "FontName"}
_STRUCTURAL_BINARY = {
    "PixelData", "FloatPixelData", "DoubleFloatPixelData", "WaveformData", "ICCProfile", "LUTData",
    "RedPaletteColorLookupTableData", "GreenPaletteColorLookupTableData", "BluePaletteColorLookupTableData",
    "AlphaPaletteColorLookupTableData", "SegmentedRedPaletteColorLookupTableData",
    "SegmentedGreenPaletteColorLookupTableData", "SegmentedBluePaletteColorLookupTableData",
    "SegmentedAlphaPaletteColorLookupTableData", "ExtendedOffsetTable", "ExtendedOffsetTableLengths",
}  # fmt: skip
# Parts of a coded entry (PS3.3 8.8): codes.py looks at whole items, and stray parts go.
CODE_KEYWORDS = {"CodeValue", "LongCodeValue", "URNCodeValue", "CodeMeaning", "CodingSchemeDesignator"} | {
    "CodingSchemeVersion",
    "EquivalentCodeSequence",
}
_UID = re.compile(r"[0-9]+(\.[0-9]+)*")
# SOP Classes and transfer syntaxes of a manufacturer, and of editions of the standard later than the list of them: a root
# and short numbers below it, where instances have dates and serial numbers.
_KINDS = ("SOPClass", "TransferSyntax")
_KIND_UID = re.compile(r"[0-2](\.\d{1,6}){5,14}")
_CODING_UIDS = {"CodingSchemeUID", "ContextUID", "MappingResourceUID"}
# Context groups (PS3.6 table A-3), coding schemes (PS3.16 8), and those of HL7.
_CODING_UID = re.compile(
    r"1\.2\.840\.10008\.(?:6\.1|2\.16|8\.1)\.\d{1,4}|2\.16\.840\.1\.113883\.6\.\d{1,4}(?:\.\d{1,4})*"
)


@dataclass(frozen=True, slots=True)
class AttributePlace:
    """Position of an attribute: its path of tags from the top of an object of this SOP class."""

    sop_class_uid: str
    path: tuple[int, ...]

    @property
    def tag(self) -> int:
        return self.path[-1]


@lru_cache(maxsize=20_000)  # the same few hundred places in every object and frame of a study
def decide(place: AttributePlace, vr: str, profile: Profile) -> Action:
    """The action for one attribute. A code that gives a choice is settled by its type in the IOD (E.1.1 note)."""
    row = lookup(place.tag)
    action = unlisted(place, vr) if row is None else settle(_code(row, vr, profile), place)
    group = place.tag >> 16
    if action != "X" or group & 1 or group & 0xFF00 in (0x5000, 0x6000):
        return action
    # Required attributes are replaced: PS3.15 E.1.1 requires objects that still conform to their IOD. The table knows
    # what may be missing of what it lists, so that conditions count only for the rest.
    sop_class_uid, path = place.sop_class_uid, place.path
    kind = iods.is_mandatory(sop_class_uid, path)
    if row is None and not kind and iods.has(sop_class_uid, path):
        kind = iods.type_of(sop_class_uid, path) or 0
    return "D" if kind == 1 else "Z" if kind == 2 else "X"


def _code(row: ProfileEntry, vr: str, profile: Profile) -> str:
    """The option's code where an option that is chosen has one, else the Basic Profile's."""
    for option in profile.options.chosen():
        code = row.options.get(option)
        if code == "K":
            return "R"
        # C under the dates option means shifted; under others it means cleaned text, which the Basic action outdoes.
        if code == "C" and option == "retain_modified_dates" and vr in _MOMENTS:
            return "C"
    return row.basic


def settle(code: str, place: AttributePlace) -> Action:
    """One action of a combined code: what the IOD can do without goes; where the IOD is not known, a dummy stays."""
    allowed = cast(list[Action], code.split("/"))
    if len(allowed) == 1:
        return allowed[0]
    kind = iods.type_of(place.sop_class_uid, place.path)
    if kind is None:
        return allowed[-1]
    wanted: dict[int, tuple[Action, ...]] = {
        3: ("X", "Z", "D", "U*"),
        2: ("Z", "U*", "D", "X"),
        1: ("D", "U*", "Z", "X"),
    }
    return next(action for action in wanted[kind] if action in allowed)


def unlisted(place: AttributePlace, vr: str) -> Action:
    """An attribute that the table does not list is kept when the standard defines it and it is not a name, date,
    address or free text."""
    tag, group = place.tag, place.tag >> 16
    if group & 0xFF00 == 0x6000 or not dictionary_has_tag(tag):
        return "X"  # without its data an overlay's other attributes describe nothing
    keyword = dictionary_keyword(tag)
    if vr == "SQ":
        return "X" if keyword in _IDENTIFYING else "K"
    if keyword in _IDENTIFYING | CODE_KEYWORDS or vr in _MOMENTS or keyword.endswith(("Comment", "Comments", "Notes")):
        return "X"
    if vr == "PN":
        return "Z"
    if vr == "UI":
        return "U"
    if keyword == "TextValue":
        return "D"
    if vr in _TEXT:
        return "K" if keyword in _HARMLESS else "X"
    if vr in _BINARY and keyword not in _STRUCTURAL_BINARY:
        return "K" if vr in _ARRAYS and iods.has(place.sop_class_uid, place.path) else "X"
    if dictionary_is_retired(tag) and vr in ("LO", "SH", "UN"):
        return "X"
    return "K"


def is_registered(uid: str) -> bool:
    """Whether the standard registers a UID (PS3.6 annex A): one that only begins like them may be anything."""
    return uid in compat.uid_dictionary()


def keeps_uid(tag: int, uid: str) -> bool:
    """UIDs of the standard itself, of coding schemes and of kinds of objects do not identify a person."""
    if is_registered(uid):
        return True
    if not _UID.fullmatch(uid) or not dictionary_has_tag(tag):
        return False
    keyword = dictionary_keyword(tag)
    if any(kind in keyword for kind in _KINDS):
        return _KIND_UID.fullmatch(uid) is not None
    return keyword in _CODING_UIDS and _CODING_UID.fullmatch(uid) is not None
