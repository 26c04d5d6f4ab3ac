"""For `pybabel extract -F pyproject.toml`: the texts of the scripts, which the build lists (web/strings.ts)."""

import ast
import json
from collections.abc import Iterator
from typing import IO, Any

from babel.messages.extract import extract_python


def script_strings(
    file: IO[bytes], keywords: Any, tags: Any, options: Any
) -> Iterator[tuple[int, str, str, list[str]]]:
    """Each as a message of its own: one and many of a count are two texts to the scripts."""
    for line, text in enumerate(json.load(file), 1):
        yield line, "_", text, []


_FAULTS = [
    "AppError",
    "NotFound",
    "Invalid",
    "BadRequest",
    "Unauthorized",
    "Forbidden",
    "Conflict",
    "TooLarge",
    "NotAcceptable",
    "Unsupported",
    "TooMany",
    "Unavailable",
    "SecondFactorRequired",
    "SessionLocked",
    "PasswordChangeRequired",
    "Throttled",
    "CrossSite",
    "Unexpected",
    "MethodNotAllowed",
]
_SAID = ("hint", "title", "description")  # of faults and of settings' fields


def code(file: IO[bytes], keywords: Any, tags: Any, options: Any) -> Iterator[tuple[int, str | None, Any, list[str]]]:
    """Our Python: what stands in _(), and what faults and settings say."""
    yield from extract_python(file, keywords, tags, options)
    file.seek(0)
    yield from said_at_the_doors(file)


def said_at_the_doors(file: IO[bytes]) -> Iterator[tuple[int, str, str, list[str]]]:
    """What faults and settings say: plain English in the code, translated where it is shown (app/http/problems.py,
    templates/settings/groups.html), and the titles of problems. Sentences made with values are not among them."""
    for node in ast.walk(ast.parse(file.read())):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            said = list(node.args[:1]) if name in _FAULTS else []
            if name in _FAULTS or name == "Field":
                said += [keyword.value for keyword in node.keywords if keyword.arg in _SAID]
        elif isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "_TITLES":
            said = list(node.value.values) if isinstance(node.value, ast.Dict) else []
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            said = [node.value] if str(node.value.value).endswith(".") and " " in str(node.value.value) else []
        elif isinstance(node, ast.AnnAssign) and getattr(node.target, "id", "") == "title" and node.value is not None:
            said = [node.value]
        else:
            continue
        for text in said:
            if isinstance(text, ast.Constant) and isinstance(text.value, str) and text.value:
                yield text.lineno, "_", text.value, []
