"""Path of an object below the store's root: one pure function (ARC-1)."""

import base64
import hashlib
import re

_PLAIN = re.compile(r"[0-9A-Z_-](?:[0-9A-Z ._-]{0,78}[0-9A-Z_-])?")
_FORBIDDEN = re.compile(r"[^0-9A-Za-z._-]")
_RESERVED = re.compile(r"(?:CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|COM[0-9]|LPT[0-9])", re.IGNORECASE)


def safe_part(raw: str) -> str:
    """One folder or file name for any text: as it is where every file system takes it, else cleaned plus `~` and a
    128-bit digest of the raw text.

    Kept as they are: ASCII capitals, digits, `_ - .` and inner spaces, up to 80 characters, no device name of Windows.
    Small letters get the digest too, so that `pat1` and `PAT1` never meet on a file system that ignores case. A plain
    name never holds `~`, so no two texts share a part."""
    if _PLAIN.fullmatch(raw) and not _RESERVED.fullmatch(raw.split(".", 1)[0].strip()):
        return raw
    stem = _FORBIDDEN.sub("_", raw)[:40].strip("._ ") or "_"
    if _RESERVED.fullmatch(stem.split(".", 1)[0]):
        stem = f"_{stem}"
    digest = hashlib.sha256(raw.encode("utf-8", "surrogatepass")).digest()[:16]
    return f"{stem}~{base64.b32encode(digest).decode().rstrip('=').lower()}"


def object_path(patient_id: str, study_uid: str, series_uid: str, instance_uid: str) -> str:
    """`PatientID/StudyUID/SeriesUID/InstanceUID.dcm`, with `/`, relative to the store's root.

    Never empty, never absolute, no part starts with a dot, at most 4 x 80 characters; different inputs never share a path,
    also where case is ignored."""
    folders = "/".join(safe_part(part) for part in (patient_id, study_uid, series_uid))
    return f"{folders}/{safe_part(instance_uid)}.dcm"
