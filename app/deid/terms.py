"""Values from the short lists of the standard (enumerated values and defined terms, PS3.5 6.1.3) that are also names of
people: "Hu", "No", "Long". In an attribute that has such a list they are its term."""

_MODALITIES = """
    AR ASMT AU BI BMD CFM CR CT DG DMS DOC DX ECG EEG EMG EOG EPS ES FID GM HC HD IO IOL IVOCT IVUS KER KO LEN LS M3D MG MR NM
    OAM OCT OP OPM OPT OPTBSV OPTENF OPV OSS OT PA PLAN POS PR PT PX REG RESP RF RG RTDOSE RTIMAGE RTINTENT RTPLAN RTRAD
    RTRECORD RTSEGANN RTSTRUCT RWV SEG SM SMR SR SRF STAIN TEXTUREMAP TG US VA XA XAPROTOCOL XC
"""
_UNITS = "HU OD US MGML Z_EFF ED EDW HU_MOD PCT BQML CNTS NONE CM2 PROPCNTS"
# Tag -> its list, where a term is as likely a name.
_LISTS = {
    tag: frozenset(terms.split())
    for tags, terms in (
        ((0x00080060, 0x00080061), _MODALITIES),
        ((0x00281054, 0x00541001, 0x00283003), _UNITS),
        ((0x00185100,), "HFS HFP HFDR HFDL FFS FFP FFDR FFDL LFP LFS RFP RFS AFDR AFDL PFDR PFDL"),
        ((0x00185101,), "AP PA LL RL RLD LLD RLO LLO LAT"),
        ((0x00180020,), "SE IR GR EP RM"),
        ((0x00180021,), "SK MTC SS TRSS SP MP OSP NONE"),
        ((0x00180022,), "PER RG CG PPG FC PFF PFP SP FS"),
        ((0x00540081,), "NONE"),
    )
    for tag in tags
}
# Of any attribute with the VR CS.
TERMS = frozenset(
    """
    YES NO NONE MIXED UNKNOWN OTHER ORIGINAL DERIVED PRIMARY SECONDARY AXIAL LOCALIZER LINEAR LINEAR_EXACT SIGMOID LOG NORMAL
    IDENTITY INVERSE HEAD NECK CHEST BREAST ABDOMEN PELVIS SPINE CSPINE TSPINE LSPINE SSPINE HIP KNEE LEG FOOT ANKLE TOE HAND
    WRIST FINGER ARM ELBOW SHOULDER SKULL JAW NOSE EYE EAR HEART LIVER BRAIN AORTA BLADDER WHOLEBODY EXTREMITY PLANAR SPIRAL
    VOLUME FIXED LONG SHORT SMALL LARGE MIN MAX MEAN OFF ON MANUAL AUTO ROW COLUMN SINGLE DYNAMIC STATIC GATED TOMO REAL
    IMAGINARY PHASE MAGNITUDE MASK LIVE REST STRESS EDGE ALL CONTAINS CODE DATE TIME TEXT NUM PNAME CONTAINER COMPOSITE IMAGE
    WAVEFORM SEPARATE CONTINUOUS COMPLETE PARTIAL VERIFIED UNVERIFIED POINT CIRCLE ELLIPSE PIXEL DISPLAY GEOMETRY FAST FULL
    GRID PARALLEL FAN ROUND CINE STEP DOSE BEAM
    """.split()  # noqa: SIM905 - a long list of words is easier to read this way
)


def is_term(tag: int, vr: str, value: str) -> bool:
    """Whether a value of this attribute is a term rather than free text."""
    value = value.strip()
    if tag in _LISTS and value in _LISTS[tag]:
        return True
    return vr == "CS" and value.isascii() and (len(value) <= 1 or value in TERMS)


def are_terms(tag: int, vr: str, text: str) -> bool:
    """The same for all values of an attribute."""
    return all(is_term(tag, vr, value) for value in text.split("\\"))
