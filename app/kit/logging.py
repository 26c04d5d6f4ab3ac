"""Logs: console and DIR/logs/<role>_YYYYMMDD.log, each line with a correlation id, never with patient data.

Masking here is the second line (SEC-5); the first is not to log data at all: messages name ids of rows, counts,
states and UIDs' digests, never DICOM values."""

import contextvars
import json
import logging
import re
import secrets
import sys
import time
import warnings
from pathlib import Path
from typing import Any

from app.kit import repeats
from app.kit.dailylog import DailyFile

NETWORK = "filmroom.network"  # logger of every operation on the DICOM network: logs/dicom_YYYYMMDD.log
correlation_id: contextvars.ContextVar[str] = contextvars.ContextVar("correlation_id", default="-")

_SENSITIVE = re.compile(
    r"(?i)\b(Patient'?s? ?Name|PatientName|Patient ?ID|PatientID|Patient'?s? Birth ?Date|PatientBirthDate|OtherPatientIDs?|Accession ?Number"
    r"|AccessionNumber|Patient(?:Address|TelephoneNumbers|MotherBirthName)|ReferringPhysicianName|password|token)\b(\s*[:=]\s*|\s+)(\S[^\n|;]*)"
)
_PERSON = re.compile(r"\b[^\s^|;=]{1,64}\^[^\s|;=]{0,64}")  # Family^Given anywhere
_CREDENTIALS = re.compile(
    r"(://[^\s/:@]{0,200}:)[^\s@]{1,400}@(?:[^\s@/?]{1,400}@)?"
)  # of an address: postgresql://user:password@host
_QUERY = re.compile(r"(\?)[^\s\"]+")  # URLs: a query string may carry a name


def new_correlation_id() -> str:
    value = secrets.token_hex(6)
    correlation_id.set(value)
    return value


def mask(text: str) -> str:
    """The text with anything that looks like a person's data replaced by ******."""
    text = _CREDENTIALS.sub(r"\1******@", text)
    text = _SENSITIVE.sub(lambda m: f"{m[1]}{m[2] if m[2].strip() else ': '}******", text)
    return _QUERY.sub(r"\1******", _PERSON.sub("******", text))


# An exception often quotes the invalid value: 'Doe', [parameters: (...)], Key (name)=(Doe).
_QUOTED = re.compile(r"\"[^\"\n]*\"|'[^'\n]*'|\[parameters: .*|=\([^)\n]{0,4000}\)")


def mask_trace(text: str) -> str:
    """A trace with its frames as they are and without the values that the exceptions' messages quote."""
    lines = [line if line.startswith(" ") else _QUOTED.sub("******", line) for line in text.split("\n")]
    return mask("\n".join(lines))


class _Formatter(logging.Formatter):
    converter = staticmethod(time.gmtime)

    def format(self, record: logging.LogRecord) -> str:
        return mask(super().format(record)).replace("\r", " ")

    def formatMessage(self, record: logging.LogRecord) -> str:
        # A message with line breaks could pass for other lines of the log; a trace keeps its own.
        return super().formatMessage(record).replace("\n", "\\n")

    def formatException(self, ei: Any) -> str:
        return mask_trace(super().formatException(ei))


class _JsonFormatter(_Formatter):
    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S") + f".{int(record.msecs):03d}Z",
            "level": record.levelname,
            "logger": record.name,
            "correlation_id": record.__dict__["correlation_id"],
            "message": mask(record.getMessage()),
        }
        if record.exc_info:
            entry["trace"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False)


def _correlate(record: logging.LogRecord) -> bool:
    # Both quote the values that they cannot read, which may be a patient's; pydicom sets its own level.
    if record.name.partition(".")[0] in ("pydicom", "pynetdicom"):
        return False
    record.correlation_id = correlation_id.get()
    return not repeats.exceeds_limit(record)


def setup(
    role: str, folder: Path, level: str = "INFO", as_json: bool = False, *, days: int = 30, mib: int = 100
) -> None:
    """Configures the process's logging once. role: web, dicom or worker; days: files older than that are deleted; mib:
    a day's file is at most this large, and there are at most two."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    plain = _Formatter(
        f"%(asctime)s.%(msecs)03dZ %(levelname)-7s {role} [%(correlation_id)s] %(name)s: %(message)s",
        "%Y-%m-%dT%H:%M:%S",
    )
    console = logging.StreamHandler(sys.stderr)
    console.setFormatter(_JsonFormatter() if as_json else plain)
    daily = DailyFile(folder, role, days, mib << 20)
    daily.setFormatter(plain)
    root = logging.getLogger()
    root.handlers = [console, daily]
    network = logging.getLogger(NETWORK)
    # Operations of other roles on the DICOM network (send, find, retrieve) are in the dicom role's file too.
    network.handlers = [] if role == "dicom" else [DailyFile(folder, "dicom", days, mib << 20)]
    for handler in (*root.handlers, *network.handlers):
        handler.setFormatter(handler.formatter or plain)
        handler.addFilter(_correlate)
    root.setLevel(level.upper())
    for noisy in (
        "pynetdicom",
        "pydicom",
        "weasyprint",
        "fontTools",
        "httpx",
        "alembic",
        "PIL",
        "websockets",
        "multipart",
        "python_multipart",
    ):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    # pydicom warns of odd values and quotes them on the console: they may be a patient's.
    warnings.filterwarnings("ignore", category=UserWarning, module=r"pydicom\b")
    # the middleware of app/http logs requests, without query strings
    logging.getLogger("uvicorn.access").disabled = True
