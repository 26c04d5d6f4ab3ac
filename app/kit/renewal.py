"""The title and address of the DICOM receiver are boot configuration. A page that changes it asks the supervisor,
which reads the configuration again and starts the roles anew that go by it; without a supervisor there is no answer."""

import json
import time
from pathlib import Path
from typing import Any

from app.kit.rolestate import read_all
from app.kit.running import SUPERVISOR

KEYS = ("aet", "dicom_host", "dicom_port")
_ASKED, _ANSWER = "renew", "renewed.json"


def request_reload(folder: Path, seconds: float = 3.0) -> dict[str, Any] | None:
    """Has the configuration read again: what holds now, by KEYS; None without an answer. folder: Config.run."""
    if not any(one.role == SUPERVISOR for one in read_all(folder)):
        return None
    question, reply = folder / _ASKED, folder / _ANSWER
    reply.unlink(missing_ok=True)
    question.touch(0o600)
    until = time.monotonic() + seconds
    while question.exists():
        if time.monotonic() > until:
            question.unlink(missing_ok=True)
            return None
        time.sleep(0.02)
    try:
        found: dict[str, Any] = json.loads(reply.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return found


def is_asked(folder: Path) -> bool:
    return (folder / _ASKED).exists()


def send_reply(folder: Path, values: dict[str, Any]) -> None:
    """The reply first, the question gone last: who sees it gone finds the reply."""
    part = folder / f"{_ANSWER}.part"
    part.write_text(json.dumps(values), "utf-8")
    part.replace(folder / _ANSWER)
    (folder / _ASKED).unlink(missing_ok=True)
