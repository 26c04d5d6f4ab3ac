"""Answers of peers that are on disk but not yet in the database: one small file for each open lane.

Answers are committed together a few times a second. A role that is killed in between would send those objects again; so
each answer is first written to a file, which costs one system call, and read back by who takes the lane over."""

import contextlib
import json
import os
from pathlib import Path
from typing import NamedTuple

from app.kit.phrases import Phrase, as_phrase, packed, unpacked


class DeliveryAnswer(NamedTuple):
    """Outcome of one row of transfer_instance: its id, state, the peer's status and words."""

    row_id: int
    state: str
    status: int | None
    message: Phrase | None


class Journal:
    """The file of one lane. Survives the death of the process; a power cut may take its last moments, then those few
    objects go out twice."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_TRUNC, 0o600)
        self._path = path

    def write(self, answer: DeliveryAnswer) -> None:
        os.write(self._fd, json.dumps(packed(answer)).encode() + b"\n")

    def clear(self) -> None:
        """All of it is in the database now."""
        os.ftruncate(self._fd, 0)

    def close(self) -> None:
        """Call it once everything is in the database: the file goes."""
        with contextlib.suppress(OSError):
            os.close(self._fd)
        self._path.unlink(missing_ok=True)


def journal_path(run: Path, node_id: str, number: int) -> Path:
    """Where the journal of a node's lane lies."""
    return run / "forward" / f"{node_id}-{number}.jsonl"


def read_journal(path: Path) -> list[DeliveryAnswer]:
    """Entries left by a lane; a line that was cut off is left out."""
    found: list[DeliveryAnswer] = []
    with contextlib.suppress(FileNotFoundError):
        for line in path.read_bytes().split(b"\n"):
            with contextlib.suppress(ValueError, TypeError):
                row_id, state, status, message = json.loads(line)
                found.append(DeliveryAnswer(int(row_id), str(state), status, message and as_phrase(unpacked(message))))
    return found
