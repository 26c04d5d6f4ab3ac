"""The classic forwarder's JSON file: read strictly, faults by line and key."""

import json

import pytest

from app.kit.classic import NAMES, Classic, ClassicFaults, parse

PACS = {"pacs_host": "10.0.0.5", "pacs_port": 104, "pacs_ae_title": "PACS"}


def faults(text: str) -> list[str]:
    with pytest.raises(ClassicFaults) as raised:
        parse(text)
    return [str(one) for one in raised.value.faults]


def test_missing_keys_have_the_classic_defaults() -> None:
    found = parse(json.dumps(PACS))
    assert found == Classic(
        "DICOM_FORWARDER", 11112, "0.0.0.0", "10.0.0.5", 104, "PACS", True, "", "", True, 3
    )  # fmt: skip


def test_it_reads_back_what_it_writes() -> None:
    wanted = Classic("BOX", 104, "::", "pacs.example", 11112, "PACS 2", False, "/srv/dicom", "logs", False, 0)
    assert parse(wanted.text()) == wanted
    assert tuple(json.loads(wanted.text())) == NAMES


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{\n "pacs_host": "a",\n "pacs_port": 104\n "pacs_ae_title": "P"}', "line 4: missing comma or }"),
        ('{\n "pacs_host": "a",\n "pacs_host": "b"}', "line 3: duplicate key pacs_host"),
        ("[]", "line 1: it is not a JSON object with keys"),
        ("", "line 1: unexpected end of text"),
    ],
)
def test_what_is_no_json_is_told_by_line(text: str, words: str) -> None:
    assert faults(text) == [words]


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("pacs_port", "104", "enter a whole number without quotes"),
        ("pacs_port", True, "enter a whole number without quotes"),
        ("pacs_port", 70000, "a port must be a number from 1 to 65535"),
        ("local_port", 0, "a port must be a number from 1 to 65535"),
        ("local_ae_title", "SEVENTEEN_LETTERS", "an AE title has 1 to 16 ASCII characters"),
        ("pacs_ae_title", "A\\B", "an AE title has 1 to 16 ASCII characters"),
        ("pacs_host", "a b", "enter a host name or an IP address"),
        ("pacs_host", "10.0.0", "enter a host name or an IP address"),
        ("local_host", "everywhere", "enter the listening address"),
        ("store_locally", "yes", "enter true or false"),
        ("store_locally", 1, "enter true or false"),
        ("retry_attempts", -1, "enter a number from 0 to 100"),
        ("storage_dir", 7, "enter a text in double quotes"),
        ("retries", 3, "unknown key; known keys: local_ae_title"),
    ],
)
def test_a_wrong_value_is_told_by_line_and_key(key: str, value: object, words: str) -> None:
    (told,) = faults(json.dumps(PACS | {key: value}, indent=1))
    place = list(PACS | {key: value}).index(key) + 2
    assert told.startswith(f"line {place}, {key}: {words}")


def test_everything_that_is_wrong_is_told_at_once() -> None:
    told = faults('{\n "pacs_host": "x",\n "local_port": "a",\n "colour": 1\n}')
    assert [one.partition(":")[0] for one in told] == [
        "line 1, pacs_port", "line 1, pacs_ae_title", "line 3, local_port", "line 4, colour"
    ]  # fmt: skip
