"""Nothing that looks like a person reaches a log."""

import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.kit import logging as kit
from tests.support.marked import MARKED, assert_not_in_logs, traces_of_marked


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    for handler in root.handlers:
        if handler not in handlers:
            handler.close()
    root.handlers = handlers
    root.setLevel(level)


@pytest.mark.parametrize(
    "said",
    [
        "Patient's Name: Quixmark Dulcinea",
        "PatientName=Quixmark^Dulcinea",
        "(0010,0010) PN [Quixmark^Dulcinea]",
        "PatientID: MRK-77310-X",
        "Patient ID = MRK-77310-X",
        "PatientBirthDate 19310417",
        "AccessionNumber: ACCMRK-5521",
        "ReferringPhysicianName: Panzamark",
        "stored /data/x for Quixmark^Dulcinea today",
        "GET http://127.0.0.1/storage?patient_name=Quixmark&x=1 200",
    ],
)
def test_it_masks_what_names_a_patient(said: str) -> None:
    assert traces_of_marked(kit.mask(said)) == []


@pytest.mark.parametrize(
    "said", ["stored 12 objects in 0.3 s", "GET /api/v1/studies 200 3 ms", "association 4 with CT_A801"]
)
def test_it_leaves_other_words_alone(said: str) -> None:
    assert kit.mask(said) == said


def test_a_file_and_the_console_stay_clean(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kit.setup("web", tmp_path)
    log = logging.getLogger("app.test")
    for key, value in MARKED.items():
        log.info("received %s=%s", key, value)
    try:
        raise ValueError(f"not a date: {MARKED['PatientName']!r}")
    except ValueError:
        log.exception("reading failed")
    logging.shutdown()
    assert_not_in_logs(tmp_path, capsys.readouterr().err)
    written = next(tmp_path.glob("web_*.log")).read_text()
    assert "reading failed" in written and "ValueError: not a date: ******" in written


def test_an_exception_does_not_say_the_values_it_quotes() -> None:
    trace = (
        "Traceback (most recent call last):\n"
        '  File "a.py", line 3, in f\n'
        "    f('x')\n"
        "sqlalchemy.exc.IntegrityError: duplicate key\n"
        "DETAIL:  Key (patient_name)=(Quixmark) already exists.\n"
        "[parameters: {'name': 'Quixmark'}]\n"
        "KeyError: 'Quixmark'"
    )
    masked = kit.mask_trace(trace)
    assert traces_of_marked(masked) == []
    assert "    f('x')" in masked and "IntegrityError" in masked


def test_a_message_cannot_forge_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kit.setup("web", tmp_path)
    logging.getLogger("app.test").warning("bad title %s", "A\n2026-01-01T00:00:00 INFO web: all is well")
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_json_lines_are_masked_and_carry_the_correlation_id(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kit.setup("web", tmp_path, as_json=True)
    kit.correlation_id.set("abc123def456")
    logging.getLogger("app.test").info("PatientName=%s", MARKED["PatientName"])
    entry = json.loads(capsys.readouterr().err)
    assert entry["correlation_id"] == "abc123def456"
    assert traces_of_marked(entry["message"]) == []


def test_what_pydicom_warns_of_is_not_quoted_on_the_console(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from app.kit import logging as ours; ours.setup('web', Path(sys.argv[1]));"
        "from pydicom.valuerep import validate_value, VR; from pydicom import config;"
        "validate_value(VR.IS, 'Marked1A', config.WARN); print('done')"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert "done" in done.stdout and "Marked" not in done.stderr
    loud = code.replace("ours.setup('web', Path(sys.argv[1]));", "")
    assert "Marked" in subprocess.run([sys.executable, "-c", loud], capture_output=True, text=True, check=True).stderr
