"""The sections, rows and words of choices of the form of a node. Pure."""

from app.kit.phrases import phrase
from app.nodes.option_kit import Choices
from app.trust import tls

SECTIONS = {"": "", "sending": phrase("Delivery"), "connection": phrase("Connection"), "advanced": phrase("Advanced")}

# Key -> section and help of a row of the form, in the order of the form.
ROWS: dict[str, tuple[str, str]] = {
    "name": ("", phrase("The name shown to users, and the protocol used with this node.")),
    "address": (
        "",
        phrase(
            "The AE title has up to 16 characters and is case-sensitive. Standard ports: 104, 11112; with TLS 2762."
        ),
    ),
    "service": (
        "",
        phrase(
            "The address of the DICOMweb service. Password and token are stored encrypted and never shown again; a token is used instead of user and password."
        ),
    ),
    "folder": (
        "",
        phrase("A folder of this server or a mounted share. Studies are written there as DICOM files."),
    ),
    "access": ("", phrase("Objects received from this node belong to the facility.")),
    "services": (
        "",
        phrase(
            "The node is offered for these services only. Test shows which ones it accepts. Worklist and Print are not used in this version."
        ),
    ),
    "syntax": (
        "sending",
        phrase(
            "Objects are sent as stored where the node accepts that; a preferred syntax is used where both support it."
        ),
    ),
    "load": (
        "sending",
        phrase(
            "More associations are faster where the node accepts them; a bandwidth limit keeps a slow line free (0: no limit). A higher priority is sent first."
        ),
    ),
    "hours": (
        "sending",
        phrase("Sending hours, such as 22:00-06:00; empty: always. While paused, transfers stay queued."),
    ),
    "retries": (
        "sending",
        phrase(
            "Retries of a failed delivery; empty: the value of the network settings. Retry until delivered continues at a longer interval."
        ),
    ),
    "delivery": (
        "sending",
        phrase(
            "A query finds which objects are missing. With storage commitment, an object counts as delivered when the node has committed to store it."
        ),
    ),
    "tls": ("connection", phrase("DICOM TLS usually uses port 2762.")),
    "certificate": (
        "connection",
        phrase(
            "Outgoing: a certificate of a trusted authority with the host name is safest. Incoming with TLS: the certificate required from callers with this AE title."
        ),
    ),
    "own": (
        "connection",
        phrase(
            "Sent when the node requests a client certificate. If none is selected, DICOM nodes receive the certificate in use and DICOMweb servers none."
        ),
    ),
    "timeouts": ("connection", phrase("Empty: the values of the network settings. The proxy is set in the settings.")),
    "retrieve": (
        "advanced",
        phrase(
            "Leave empty to use the default AE title. C-GET needs no configuration on the node, but is slower with many archives."
        ),
    ),
    "limits": (
        "advanced",
        phrase(
            "For systems with problems with large PDUs or UTF-8 in queries. Empty: the value of the network settings."
        ),
    ),
    "comment": ("advanced", ""),
}

SYNTAX_WORDS: Choices = (
    ("stored", phrase("As stored, otherwise uncompressed")),
    ("uncompressed", phrase("Always uncompressed")),
    ("jpeg-ls", phrase("JPEG-LS lossless, if accepted")),
    ("jpeg2000", phrase("JPEG 2000 lossless, if accepted")),
    ("htj2k", phrase("HTJ2K lossless, if accepted")),
    ("rle", phrase("RLE, if accepted")),
)
# Defined terms of Specific Character Set (PS3.3 C.12.1.1.2) that queries can be written in.
CHARACTER_SETS = (
    *("ISO_IR 192", "ISO_IR 100", "ISO_IR 101", "ISO_IR 109", "ISO_IR 110", "ISO_IR 126", "ISO_IR 127", "ISO_IR 138"),
    *("ISO_IR 144", "ISO_IR 148", "ISO_IR 203", "ISO_IR 13", "ISO_IR 166", "ISO 2022 IR 87", "ISO 2022 IR 149"),
    *("GB18030", "GBK"),
)
SERVICES: Choices = (
    ("store", phrase("Store")),
    ("find", phrase("Find")),
    ("move", phrase("Move")),
    ("get", phrase("Get")),
    ("worklist", phrase("Worklist")),
    ("commitment", phrase("Commitment")),
    ("print", phrase("Print")),
)
TLS_PROFILES: Choices = (("", phrase("Use global setting")), *tls.TITLES.items())
TLS_CHECKS: Choices = (
    ("name", phrase("Trusted authority and host name")),
    ("ca", phrase("Trusted authority")),
    ("fingerprint", phrase("Fingerprint below")),
)
TLS_CALLERS: Choices = (
    ("", phrase("None")),
    ("trusted", phrase("Any trusted certificate")),
    ("fingerprint", phrase("Fingerprint below")),
    ("authority", phrase("Signed by the authority below")),
)
