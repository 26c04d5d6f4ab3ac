"""Plain language (CONTRIBUTING.md): patterns that are not used, in both catalogues, which hold every visible string of
templates, packages and the browser's scripts, and in docstrings, comments and log lines."""

import ast
import io
import pkgutil
import re
import tokenize
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from babel.messages.pofile import read_po

ROOT = Path(__file__).resolve().parents[1]
CATALOGUE = ROOT / "app/locale/es/LC_MESSAGES/filmroom.po"

# Pattern -> why. English first, then Spanish.
ENGLISH = {
    r"(?<!There )(?<!there )\b(is|are|was|were) no\b(?! longer)(?! more)": '"X is no Y" is "X is not a Y"',
    r"\bso many\b": "says no number",
    r"\bstands?\b": "texts do not stand; they are shown, listed or written",
    r"\b(is|are|was|were|be) told\b": "reported, shown or sent",
    r"\b(house|houses|room|rooms|door|doors|floor|floors)\b": "application, package, interface, layer, facility",
    r"^(Who|Whoever|What|Whose)\b(?!.*\?)": "a question as a subject; use a noun",
    r"\blet in\b|\bkept aside\b": "allowed; on hold",
    r"\b(is|are) over\b": "expired or ended",
    r"\bgives? up\b": "stops or cancels",
    r"\b(we|our|ours)\b": "this station or Filmroom",
}
SPANISH = {
    r"\b(quedan?|queda) aparte\b": "retenido",
    r"\bla casa\b|\bde la casa\b": "aplicación o centro",
}
# Docstrings, comments and log lines, sentence by sentence.
CODE = {
    r"(?<![Tt]here )\b(is|are|was|were|be) no\b(?! longer)(?! more)": '"X is no Y" is "X is not a Y"',
    r"\bso many\b": "name the number or the parameter",
    r"\bstands?\b(?!-)": "is, follows, represents",
    r"\b(told|said|heard)\b(?!`)": "reported, sent, logged",
    r"\b(house|houses|room|rooms|door|doors|floors|lobby)\b": "application, package, interface, layer",
    r"\b(is|are|was|were|be) over\b(?! [a-z0-9])": "expired or ended",
    r"\b([Ww]e|[Oo]urs?)\b": "this station, this side, or the passive",
    r"\b(gives?|gave|given) up\b|\blet in\b|\b(kept|put) aside\b": "cancelled or failed; allowed; on hold",
    r"\b([Nn]obody|[Ss]omebody|[Ee]verybody|[Ww]hoever)\b": "name the user, caller or process",
}
SUBJECT = r"^(Who|Whoever|What|Whose)\b(?!.*\?)"  # begins a docstring or comment
ALLOWED: set[str] = set()  # a string with the reason why it stays


def _broken(strings: Iterator[str], patterns: dict[str, str]) -> list[str]:
    return [
        f"{text[:90]!r}: {why}"
        for text in strings
        for pattern, why in patterns.items()
        if re.search(pattern, text) and text not in ALLOWED
    ]


def _texts(which: str) -> Iterator[str]:
    with CATALOGUE.open("rb") as file:
        for message in read_po(file, locale="es"):
            if message.id:
                found = message.id if which == "en" else message.string
                yield from [found] if isinstance(found, str) else found


@pytest.mark.parametrize(("language", "patterns"), [("en", ENGLISH), ("es", SPANISH)])
def test_visible_strings_use_plain_words(language: str, patterns: dict[str, str]) -> None:
    assert _broken(_texts(language), patterns) == []


@pytest.mark.parametrize(
    "planted", ["This is no file.", "What it can", "Callers that we let in", "The certificate is over."]
)
def test_a_planted_string_is_found(planted: str) -> None:
    assert _broken(iter([planted]), ENGLISH)


def _comments(source: str) -> Iterator[str]:
    """Blocks of comments: lines below each other are one."""
    block, last = "", -1
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            if token.start[0] != last + 1:
                yield block
                block = ""
            block, last = f"{block} {token.string.lstrip('#')}".strip(), token.start[0]
    yield block


def _python_texts(source: str) -> Iterator[str]:
    yield from _comments(source)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield ast.get_docstring(node) or ""
        if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("log.") and node.args:
            first = node.args[0]
            yield first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else ""


def _script_texts(source: str) -> Iterator[str]:
    for found in re.findall(r"/\*.*?\*/|(?:(?<=\n)[ \t]*//[^\n]*\n?)+|(?<![:\"'`/])//[^\n]*", source, re.S):
        yield re.sub(r"^\s*(/\*+|//|\*(?!/))|\*/$", " ", found, flags=re.M).strip()


def _faults(texts: Iterator[str]) -> Iterator[str]:
    for text in texts:
        if re.search(SUBJECT, text):
            yield f"{text[:90]!r}: a question as a subject; use a noun"
        sentences = re.split(r"(?<=[.:;])\s+", " ".join(text.split()))
        yield from _broken(iter(sentences), CODE)


@pytest.mark.parametrize(("folder", "read"), [("app", _python_texts), ("web/src", _script_texts)])
def test_code_is_described_in_plain_words(folder: str, read: Callable[[str], Iterator[str]]) -> None:
    files = [one for kind in ("py", "ts", "css") for one in sorted((ROOT / folder).rglob(f"*.{kind}"))]
    faults = [f"{one.relative_to(ROOT)}: {fault}" for one in files for fault in _faults(read(one.read_text()))]
    assert len(files) > 50 and faults == []


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ('def f():\n    """What f is given."""\n', _python_texts),
        ("x = 1  # the key stands here\n", _python_texts),
        ('log.info("the file is no file")\n', _python_texts),
        ("f();\n// Who opens it\n// is asked.\n", _script_texts),
        ("/** Told to stop, or said so: it\n * was told so. */\n", _script_texts),
    ],
)
def test_a_planted_comment_is_found(text: str, read: Callable[[str], Iterator[str]]) -> None:
    assert list(_faults(read(text)))


# Names of functions that do not say what is done to what (CONTRIBUTING.md); `tell` of a file object is Python's own.
VAGUE = frozenset(
    {
        "bring",
        "came",
        "come",
        "door",
        "gone",
        "hear",
        "heard",
        "here",
        "keep",
        "lobby",
        "look",
        "mine",
        "note",
        "one",
        "ours",
    }
    | {"place", "said", "say", "shown", "stays", "take", "tell", "told", "use", "whole", "wish"}
)
OF_PYTHON = {"app/media/zipping.py: tell"}


def _vague_names(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.strip("_") in VAGUE:
            yield node.name


def test_functions_have_names_of_the_field() -> None:
    files = sorted((ROOT / "app").rglob("*.py"))
    found = {f"{one.relative_to(ROOT)}: {name}" for one in files for name in _vague_names(one.read_text())}
    assert found == OF_PYTHON
    assert list(_vague_names("class A:\n    def _look(self): ...\n")) == ["_look"]


def test_the_glossary_names_code_that_exists() -> None:
    names = re.findall(r"`(app\.[\w.]+)`", (ROOT / "docs/dev/glossary.md").read_text())
    assert len(names) > 25
    for name in names:
        assert callable(pkgutil.resolve_name(name)), name


def test_no_two_classes_share_a_name() -> None:
    found: dict[str, list[str]] = {}
    for file in sorted((ROOT / "app").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ClassDef):
                found.setdefault(node.name, []).append(str(file.relative_to(ROOT)))
    assert len(found) > 300
    assert {name: files for name, files in found.items() if len(files) > 1} == {}
