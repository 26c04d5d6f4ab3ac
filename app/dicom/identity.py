"""Whether two studies are of the same patient, according to their headers."""

from typing import Protocol

from app.dicom import names


class Identified(Protocol):
    """The columns of `archive.models.Study` this needs."""

    patient_id: str
    issuer_of_patient_id: str
    patient_name: str
    birth_date: str
    study_instance_uid: str


def patient_key(
    patient_id: str, issuer: str = "", patient_name: str = "", birth_date: str = "", study_instance_uid: str = ""
) -> str:
    """Equal keys: taken for the same patient by two identifiers, id and name (what is asked before anything is handed
    to a patient); without an id by name and day of birth; with neither each study has a patient of its own.

    Rather twice the same person than two persons in one: a user who mixes patients is asked, and can continue."""
    name = names.fold(patient_name)
    if patient_id.strip():
        return "\0".join(("id", patient_id.strip(), issuer.strip(), name))
    return "\0".join(("name", name, birth_date)) if name else f"study\0{study_instance_uid}"


def patient_of(study: Identified) -> str:
    """The key of a study's patient."""
    return patient_key(
        study.patient_id, study.issuer_of_patient_id, study.patient_name, study.birth_date, study.study_instance_uid
    )
