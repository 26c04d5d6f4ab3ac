"""A person who exists nowhere, to be sent through everything; afterwards no log may know them (SEC-5).

dataset.update(MARKED)            # pydicom Dataset or a dict of JSON fields
...
assert_not_in_logs(config.logs, console_output)"""

from collections.abc import Iterable
from pathlib import Path

MARKED = {
    "PatientName": "Quixmark^Dulcinea",
    "PatientID": "MRK-77310-X",
    "PatientBirthDate": "19310417",
    "AccessionNumber": "ACCMRK-5521",
    "ReferringPhysicianName": "Panzamark^Sancho",
}
_NAMES = ("Quixmark", "Dulcinea", "Panzamark")
SIGNS = (*_NAMES, *(name.upper() for name in _NAMES), *(name.lower() for name in _NAMES))
SIGNS += (MARKED["PatientID"], MARKED["PatientBirthDate"], MARKED["AccessionNumber"])


def traces_of_marked(text: str) -> list[str]:
    """The lines that give the marked person away."""
    return [line for line in text.splitlines() if any(sign in line for sign in SIGNS)]


def assert_not_in_logs(folder: Path, *others: str | Iterable[str]) -> None:
    """Fails with the lines of any log below `folder`, or of other captured output, that name the marked person."""
    texts = [file.read_text("utf-8", "replace") for file in folder.rglob("*.log*") if file.is_file()]
    texts += [other if isinstance(other, str) else "\n".join(other) for other in others]
    assert [line for text in texts for line in traces_of_marked(text)] == []
