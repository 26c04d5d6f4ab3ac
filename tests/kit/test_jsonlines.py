"""JSON with the line of every key: the same values as the standard library, and faults that say where."""

import json
import random
from pathlib import Path

import pytest

from app.kit.jsonlines import JsonFault, key_of, parse

ORTHANC = Path("/etc/orthanc/orthanc.json")


def _made(random_: random.Random, depth: int = 0) -> object:
    kind = random_.randrange(8 if depth < 4 else 6)
    if kind == 6:
        return [_made(random_, depth + 1) for _ in range(random_.randrange(5))]
    if kind == 7:
        return {f'k{n}\n\u00e9\\"{n}': _made(random_, depth + 1) for n in range(random_.randrange(5))}
    return [None, True, -17, 2.5e-3, 'a\tb \u20ac \U0001f600 \\ "', 10**15][kind]


def test_it_reads_what_the_standard_library_reads() -> None:
    random_ = random.Random(7)
    for _ in range(300):
        value = _made(random_)
        for indent in (None, 2):
            assert parse(json.dumps(value, indent=indent, ensure_ascii=bool(indent))).value == value


def test_it_knows_the_line_of_each_key() -> None:
    found = parse('{\n "a": 1,\n "b": [\n  {"c": 2},\n  3\n ]\n}\n')
    assert [found.line(p) for p in (("a",), ("b", 0, "c"), ("b", 1), ("b", 9), ("z",))] == [2, 4, 5, 3, 1]
    assert key_of(("nodes", 2, "port")) == "nodes[2].port"


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ('{"a": 1,\n}', 2, "unexpected comma before }"),
        ('{"a" 1}', 1, "missing colon"),
        ("[1\n 2]", 2, "missing comma or ]"),
        ('{\n"a": 1', 2, "unexpected end"),
        ('{"a": 01}', 1, "comma or }"),
        ("{}\n\n x", 3, "unexpected text after the end"),
        ('{\n"a": "b\n"}', 2, "unterminated text"),
        ('{"a":1,\n\n"a":2}', 3, "duplicate key"),
        ("[" * 5000, 1, "too deeply"),
        ("", 1, "unexpected end"),
        ("{a: 1}", 1, "double quotes"),
        ("[NaN]", 1, "missing or invalid value"),
        ("9" * 5000, 1, "missing or invalid value"),
        ("// c\n1", 1, "missing or invalid value"),
    ],
)
def test_a_fault_says_where_and_what(text: str, line: int, words: str) -> None:
    with pytest.raises(JsonFault) as raised:
        parse(text)
    assert raised.value.line == line and words in raised.value.words


def test_comments_are_taken_where_asked() -> None:
    text = '// one\n{ /* two\n lines */ "a": "no // comment", // end\n "b": 2 }'
    found = parse(text, comments=True)
    assert found.value == {"a": "no // comment", "b": 2} and found.line(("b",)) == 4


@pytest.mark.skipif(not ORTHANC.is_file(), reason="Debian's package orthanc is missing")
def test_orthancs_own_file_is_read() -> None:
    assert parse(ORTHANC.read_text("utf-8"), comments=True).value["DicomAet"]
