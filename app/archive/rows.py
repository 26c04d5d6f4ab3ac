"""A header as rows: which attribute is in which column. Pure."""

import re
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Any

from app.dicom import names
from app.dicom.dates import parse_date
from app.dicom.header import Header
from app.kit.texts import clean_text

Row = dict[str, Any]

# Bits of `study.modmask`: a quick test inside a covering index; the string `modalities` is the truth.
MODALITIES = [
    "CT",
    "MR",
    "CR",
    "DX",
    "US",
    "MG",
    "PT",
    "NM",
    "XA",
    "RF",
    "OT",
    "SC",
    "SR",
    "PR",
    "KO",
    "SEG",
    "RTSTRUCT",
    "RTPLAN",
    "RTDOSE",
    "RTIMAGE",
    "DOC",
    "ECG",
    "ES",
    "SM",
    "GM",
    "XC",
    "IO",
    "PX",
    "OP",
    "OPT",
    "OCT",
    "BI",
    "TG",
    "ST",
    "ASMT",
    "AU",
    "HD",
    "EPS",
    "REG",
    "FID",
    "HC",
    "DG",
    "IVUS",
    "BMD",
    "LEN",
    "OPM",
    "VA",
]
_BITS = {modality: 1 << position for position, modality in enumerate(MODALITIES)}
OTHER_MODALITY = 1 << 62

_EIGHT_DIGITS = re.compile(r"[0-9]{8}")
_NOT_TIME = re.compile(r"[^0-9.]")


def modality_bit(modality: str) -> int:
    return _BITS.get(modality, OTHER_MODALITY)


@dataclass
class ObjectRows:
    """Rows that one object adds to the tables; keys that only the database knows are filled in there. The rows of
    patient, study and series are made when asked for: nearly every object finds its own there already."""

    header: Header
    patient_id: str
    issuer: str
    modality: str
    instance: Row

    def is_other_patient(self, patient_id: str, issuer: str) -> bool:
        """Whether a study of this patient ID and issuer belongs to another person than this object."""
        return self.patient_id != patient_id or bool(self.issuer and issuer and self.issuer != issuer)

    @property
    def identity_without_facility(self) -> str:
        if self.patient_id:
            issuer, patient_id = (self.header.text(tag) for tag in (0x00100021, 0x00100020))
            return f"{_escape_part(issuer)}\\{_escape_part(patient_id)}"
        return f"study\\{self.header.study_instance_uid}"

    @cached_property
    def _person(self) -> Row:
        return _person(self.header, self.patient_id, self.issuer)

    @cached_property
    def patient(self) -> Row:
        return _patient(self.header, self._person)

    @cached_property
    def study(self) -> Row:
        return _study(self.header, self._person)

    @cached_property
    def series(self) -> Row:
        return _series(self.header)


def _escape_part(text: str) -> str:
    """A part of an identity: two texts that are not the same never give the same, whatever they hold and however long they
    are. What is usual stays as it is."""
    plain = clean_text(text, 64)
    escaped = text.replace("\\", "\\\\")
    if plain == text and len(escaped) <= 72:
        return escaped
    return f"{plain[:32]}\\~{sha256(text.encode('utf-8', 'replace')).hexdigest()[:24]}"


def date(text: str) -> str:
    """DA as YYYYMMDD, also from YYYY.MM.DD and YYYY-MM-DD; a value that is not a date is kept as written."""
    day = parse_date(text)
    return f"{day:%Y%m%d}" if day else clean_text(text, 32)


def time(text: str) -> str:
    """TM as HHMMSS[.ffffff], also from the old HH:MM:SS."""
    return _NOT_TIME.sub("", text)[:13]


def sort_key(day: str, clock: str) -> int:
    """YYYYMMDDhhmmss as a number; 0 where there is no date."""
    return int(day + (clock.split(".")[0] + "000000")[:6]) if _EIGHT_DIGITS.fullmatch(day) else 0


def _texts(header: Header, tag: int, length: int) -> str:
    return clean_text("\\".join(header.texts(tag)), length)


def _names(header: Header, tag: int) -> str:
    """All person names of an attribute that may have several, a backslash between."""
    return clean_text("\\".join(name.rstrip("=^ ") for name in header.texts(tag)), 400)


def fold_name(name: str) -> str:
    """Each component group folded, `=` between; so that a pattern can be matched group by group."""
    return clean_text("=".join(names.fold(group) for group in name.split("=")[:3]).rstrip("="), 400)


def fold_id(patient_id: str) -> str:
    return clean_text(names.fold(patient_id), 64)


def describe(header: Header) -> ObjectRows:
    """The columns of PS3.4 C.6 and of PS3.18 10.6.3 that this object has."""
    text = header.text
    return ObjectRows(
        header,
        clean_text(text(0x00100020), 64),
        clean_text(text(0x00100021), 64),
        clean_text(text(0x00080060), 16),
        _instance(header),
    )


def _person(h: Header, pid: str, issuer: str) -> Row:
    name = clean_text(h.name(0x00100010), 400)
    return {
        "patient_id": pid,
        "issuer_of_patient_id": issuer,
        "patient_name": name,
        "birth_date": date(h.text(0x00100030)),
        "sex": clean_text(h.text(0x00100040), 16),
        "fold": fold_name(name),
        "pid_fold": fold_id(pid),
    }


def _patient(h: Header, person: Row) -> Row:
    return person | {
        "birth_time": time(h.text(0x00100032)),
        "ethnic_group": clean_text(h.text(0x00102160), 64),
        "comments": clean_text(h.text(0x00104000), 1024),
        "other_patient_ids": _texts(h, 0x00101000, 400),
        "other_patient_names": _names(h, 0x00101001),
    }


def _study(h: Header, person: Row) -> Row:
    text = h.text
    day, clock = date(text(0x00080020)), time(text(0x00080030))
    modality = clean_text(text(0x00080060), 16)
    return person | {
        "study_instance_uid": h.study_instance_uid,
        "study_date": day,
        "study_time": clock,
        "dt": sort_key(day, clock),
        "accession_number": clean_text(text(0x00080050), 64),
        "study_id": clean_text(text(0x00200010), 64),
        "description": clean_text(text(0x00081030), 256),
        "description_fold": clean_text(names.fold(clean_text(text(0x00081030), 256)), 256),
        "referring_physician": clean_text(h.name(0x00080090), 400),
        "referring_fold": fold_name(clean_text(h.name(0x00080090), 400)),
        "physicians_of_record": _names(h, 0x00081048),
        "reading_physicians": _names(h, 0x00081060),
        "admitting_diagnoses": _texts(h, 0x00081080, 256),
        "patient_age": clean_text(text(0x00101010), 16),
        "patient_size": clean_text(text(0x00101020), 16),
        "patient_weight": clean_text(text(0x00101030), 16),
        "occupation": clean_text(text(0x00102180), 64),
        "patient_history": clean_text(text(0x001021B0), 1024),
        "timezone_offset": clean_text(text(0x00080201), 8),
        "character_set": "\\".join(h.character_sets)[:128],
        "sop_classes": h.sop_class_uid,
        "modalities": modality,
        "modmask": modality_bit(modality) if modality else 0,
    }


def _series(h: Header) -> Row:
    text = h.text
    return {
        "series_instance_uid": h.series_instance_uid,
        "modality": clean_text(text(0x00080060), 16),
        "series_number": h.integer(0x00200011),
        "description": clean_text(text(0x0008103E), 256),
        "body_part": clean_text(text(0x00180015), 64),
        "laterality": clean_text(text(0x00200060), 16),
        "protocol_name": clean_text(text(0x00181030), 256),
        "manufacturer": clean_text(text(0x00080070), 128),
        "model_name": clean_text(text(0x00081090), 128),
        "station_name": clean_text(text(0x00081010), 64),
        "institution": clean_text(text(0x00080080), 128),
        "series_date": date(text(0x00080021)),
        "series_time": time(text(0x00080031)),
        "pps_start_date": date(text(0x00400244)),
        "pps_start_time": time(text(0x00400245)),
        "scheduled_step_id": clean_text(h.request_text(0x00400009), 64),
        "requested_procedure_id": clean_text(h.request_text(0x00401001), 64),
        "performing_physician": _names(h, 0x00081050),
        "operators": _names(h, 0x00081070),
        "frame_of_reference_uid": clean_text(text(0x00200052), 64),
        "timezone_offset": clean_text(text(0x00080201), 8),
    }


def _instance(h: Header) -> Row:
    text = h.text
    frames = 0
    if h.pixel_tag and h.unsigned_short(0x00280010) and h.unsigned_short(0x00280011):
        frames = max(1, h.integer(0x00280008) or 1)
    return {
        "sop_instance_uid": h.sop_instance_uid,
        "sop_class_uid": h.sop_class_uid,
        "transfer_syntax_uid": h.transfer_syntax_uid,
        "instance_number": h.integer(0x00200013),
        "rows": h.unsigned_short(0x00280010),
        "columns": h.unsigned_short(0x00280011),
        "samples": h.unsigned_short(0x00280002) or (1 if frames else 0),
        "bits_allocated": h.unsigned_short(0x00280100),
        "number_of_frames": frames,
        "photometric": clean_text(text(0x00280004), 24),
        "content_date": date(text(0x00080023)),
        "content_time": time(text(0x00080033)),
        "character_set": "\\".join(h.character_sets)[:128],
        "data_set_offset": h.data_set_offset,
        "pixel_offset": h.pixel_offset,
        "pixel_bytes": h.pixel_bytes,
    }
