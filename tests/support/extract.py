"""For `make messages` (pybabel extract -F pyproject.toml): what our Python and the scripts say to people."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from typing import IO, Any

from babel.messages.extract import extract_python

from app.kit import paths

Found = tuple[int, str, Any, list[str]]

# web/strings.ts lists the same calls for the pages.
_CALL = re.compile(r"\bt\(\s*(?:'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\")")
_PLURAL = re.compile(r"\btn\(\s*'((?:[^'\\]|\\.)*)'\s*,\s*'((?:[^'\\]|\\.)*)'")
_SENTENCE = re.compile(r"(?!SELECT |UPDATE )[A-Z{].* .*[.?]", re.DOTALL)
_SILENT = ("log", "logger", "parser", "router")  # their texts are for logs, the console and the description of REST


def scripts(file: IO[bytes], keywords: Any, tags: Any, options: Any) -> Iterator[Found]:
    """t('...') and both of tn('...', '...'), each as a message of its own."""
    text = file.read().decode("utf-8")
    for pattern in (_CALL, _PLURAL):
        for match in pattern.finditer(text):
            for said in match.groups():
                if said:
                    yield text.count("\n", 0, match.start()) + 1, "_", re.sub(r"\\(.)", r"\1", said), []


def code(file: IO[bytes], keywords: Any, tags: Any, options: Any) -> Iterator[Found]:
    """Our Python: what stands in _(), in phrase(), in faults and settings, and every other sentence that is no
    docstring: warnings and reasons are translated where they are shown (app/http/i18n.py: say)."""
    yield from extract_python(file, keywords, tags, options)
    file.seek(0)
    tree = ast.parse(file.read())
    # the title and the help of settings are shown; of REST's own models the help is in its description only
    settings = any(isinstance(n, ast.ClassDef) and "Group" in _names(n.bases) for n in ast.walk(tree))
    for one, many in _plurals(tree):
        yield one.lineno, "ngettext", (one.value, many.value), []
    for text in _said(tree, settings):
        if isinstance(text, ast.Constant) and isinstance(text.value, str) and text.value:
            yield text.lineno, "_", text.value, []


def _plurals(tree: ast.AST) -> Iterator[tuple[ast.Constant, ast.Constant]]:
    """Both templates of phrases()."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "phrases":
            one, many = node.args
            if isinstance(one, ast.Constant) and isinstance(many, ast.Constant):
                yield one, many


def _names(nodes: list[Any]) -> set[str]:
    return {getattr(node, "id", getattr(node, "attr", "")) for node in nodes}


@cache
def faults() -> frozenset[str]:
    """The names of AppError and of every class made from it."""
    known = {"AppError", "NotDicom", "PermanentFault"}
    trees = [ast.parse(file.read_bytes()) for file in (paths.locale().parent).rglob("*.py")]
    classes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    while more := {one.name for one in classes if one.name not in known and known & _names(one.bases)}:
        known |= more
    return frozenset(known)


def _said(tree: ast.AST, settings: bool) -> Iterator[ast.AST]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = next(iter(_names([node.func])))
            if name in faults() or name == "phrase":
                yield from node.args[:1]
                yield from (keyword.value for keyword in node.keywords if keyword.arg == "hint")
            elif name == "Field" and settings:
                yield from (keyword.value for keyword in node.keywords if keyword.arg in ("title", "description"))
        elif isinstance(node, ast.Assign) and _names(node.targets) == {"_TITLES"} and isinstance(node.value, ast.Dict):
            yield from node.value.values
        elif isinstance(node, ast.AnnAssign) and _names([node.target]) == {"title"} and node.value is not None:
            yield node.value
    yield from _sentences(tree)


def _sentences(tree: ast.AST) -> Iterator[ast.AST]:
    """Constants that read as a sentence, but for docstrings, logs, and parts of f-strings (tests/test_translations.py
    says that no fault is one)."""
    silent: set[int] = set()
    for node in ast.walk(tree):
        quiet = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        quiet |= isinstance(node, ast.JoinedStr)
        if isinstance(node, ast.Call):
            owner = getattr(node.func, "value", None)
            quiet |= getattr(owner, "id", "") in _SILENT or _names([node.func]) <= {"Query", "Field", "ConfigError"}
        if quiet:
            silent |= {id(part) for part in ast.walk(node)}
    for node in ast.walk(tree):
        text = node.value if isinstance(node, ast.Constant) and id(node) not in silent else None
        if isinstance(text, str) and _SENTENCE.fullmatch(text):
            yield node
