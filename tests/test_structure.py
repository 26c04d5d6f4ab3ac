"""How the tests themselves are made: what a reader may rely on in each of them."""

import ast
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.waiting import eventually, settled, stays

TESTS = Path(__file__).parent
FILES = sorted(TESTS.rglob("*.py"))
Parsed = list[tuple[str, ast.Module, list[str]]]


@pytest.fixture(scope="module")
def parsed() -> Parsed:
    """Each file of the tests: its name, its tree, its lines."""
    texts = [(str(path.relative_to(TESTS)), path.read_text()) for path in FILES]
    return [(name, ast.parse(text), text.splitlines()) for name, text in texts]


def _sleeps(node: ast.AST, looped: bool = False) -> Iterator[tuple[ast.Call, bool]]:
    """The calls of time.sleep below this node, and whether each is inside a loop of its own function."""
    for child in ast.iter_child_nodes(node):
        inside = looped or isinstance(child, ast.For | ast.While)
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            inside = False
        if isinstance(child, ast.Call) and ast.unparse(child.func) in ("time.sleep", "sleep"):
            yield child, inside
        yield from _sleeps(child, inside)


def test_no_test_waits_for_a_state_by_a_loop_of_its_own(parsed: Parsed) -> None:
    """tests/support/waiting.py has `eventually`, and `pace` for a load that is slow on purpose."""
    found = [
        f"{name}:{call.lineno}"
        for name, tree, _ in parsed
        if not name.startswith("support/")
        for call, looped in _sleeps(tree)
        if looped
    ]
    assert found == []


def test_a_fixed_pause_has_a_reason(parsed: Parsed) -> None:
    found = [
        f"{name}:{call.lineno}"
        for name, tree, lines in parsed
        if name != "support/waiting.py"
        for call, _ in _sleeps(tree)
        if "#" not in lines[call.lineno - 1]
    ]
    assert found == [], "a comment on the line says why it is no wait for a state"


def test_no_test_module_imports_another(parsed: Parsed) -> None:
    """What several tests use lies in tests/support; one test can be read, moved and run without another."""
    found = [
        f"{name}: {module}"
        for name, tree, _ in parsed
        for module in _imported(tree)
        if module.startswith("tests.") and any(part.startswith("test_") for part in module.split("."))
    ]
    assert found == []


def _imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{name.name}" for name in node.names)
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names)


def test_the_search_for_pauses_finds_them() -> None:
    text = "while True:\n    time.sleep(1)\ntime.sleep(2)\nfor x in y:\n    def f():\n        time.sleep(3)\n"
    assert [(call.lineno, looped) for call, looped in _sleeps(ast.parse(text))] == [(2, True), (3, False), (6, False)]


def test_a_wait_returns_the_value_and_says_what_was_missing() -> None:
    values = iter([0, 0, 7])
    assert eventually(lambda: next(values), "seven") == 7
    with pytest.raises(AssertionError, match=r"the study arrives: not within 0.05 s; last value: \['arriving'\]"):
        eventually(lambda: ["arriving"], "the study arrives", seconds=0.05, until=lambda states: "complete" in states)
    with pytest.raises(AssertionError, match="never there: not within 0 s; last value: ConnectionError"):
        eventually(_refused, "never there", seconds=0, ignoring=(OSError,))
    with pytest.raises(ConnectionError):
        eventually(_refused, "a fault that nobody expects", seconds=0.05)


def _refused() -> bool:
    raise ConnectionError


def test_a_value_that_changes_has_not_settled_and_what_stays_is_watched() -> None:
    assert settled(lambda: 5, "the count", quiet=0.02) == 5
    with pytest.raises(AssertionError, match="no change"):
        settled(time.monotonic, "the clock", quiet=0.05, seconds=0.1)
    until = time.monotonic() + 0.05
    with pytest.raises(AssertionError, match="quiet"):
        stays(lambda: time.monotonic() < until, "quiet", 5)
