"""Attributes that record the anonymization (PS3.15 E.1.1 step 6; PS3.3 C.12.1)."""

from typing import Any

from pydicom.dataset import Dataset

from app.deid.profile import Profile
from app.deid.table import EDITION


def record(ds: Any, profile: Profile) -> None:
    """Patient Identity Removed, the method in words and codes, and what became of the dates."""
    ds.PatientIdentityRemoved = "YES"
    ds.DeidentificationMethod = f"Filmroom, PS3.15 {EDITION} table E.1-1, {profile.name}"[:64]
    ds.DeidentificationMethodCodeSequence = [_code(*code) for code in profile.codes()]
    ds.LongitudinalTemporalInformationModified = profile.dates


def _code(value: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "DCM", meaning
    return item
