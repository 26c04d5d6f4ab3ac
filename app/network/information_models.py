"""The SOP classes of Query/Retrieve (PS3.4 C.6) and of Storage Commitment (PS3.4 J), and their services."""

from dataclasses import dataclass
from typing import Literal

Root = Literal["patient", "study", "patient-study"]
Service = Literal["find", "move", "get"]
Level = Literal["PATIENT", "STUDY", "SERIES", "IMAGE"]

VERIFICATION = "1.2.840.10008.1.1"
STORAGE_COMMITMENT = "1.2.840.10008.1.20.1"
_QUERY_RETRIEVE = "1.2.840.10008.5.1.4.1.2"


@dataclass(frozen=True, slots=True)
class InformationModel:
    """One of the nine SOP classes. levels: from the top down, as Query/Retrieve Level (0008,0052) names them."""

    root: Root
    service: Service
    levels: tuple[Level, ...]


_LEVELS: dict[Root, tuple[Level, ...]] = {
    "patient": ("PATIENT", "STUDY", "SERIES", "IMAGE"),
    "study": ("STUDY", "SERIES", "IMAGE"),
    "patient-study": ("PATIENT", "STUDY"),  # retired, still asked for
}
_ROOTS: tuple[Root, ...] = ("patient", "study", "patient-study")
_SERVICES: tuple[Service, ...] = ("find", "move", "get")

MODELS: dict[str, InformationModel] = {
    f"{_QUERY_RETRIEVE}.{r}.{s}": InformationModel(root, service, _LEVELS[root])
    for r, root in enumerate(_ROOTS, 1)
    for s, service in enumerate(_SERVICES, 1)
}
UNIQUE_KEYS: dict[Level, int] = {"PATIENT": 0x00100020, "STUDY": 0x0020000D, "SERIES": 0x0020000E, "IMAGE": 0x00080018}
