"""For `pybabel extract -F pyproject.toml`: the texts of the scripts, which the build lists (web/strings.ts)."""

import json
from collections.abc import Iterator
from typing import IO, Any


def script_strings(
    file: IO[bytes], keywords: Any, tags: Any, options: Any
) -> Iterator[tuple[int, str, str, list[str]]]:
    """Each as a message of its own: one and many of a count are two texts to the scripts."""
    for line, text in enumerate(json.load(file), 1):
        yield line, "_", text, []
