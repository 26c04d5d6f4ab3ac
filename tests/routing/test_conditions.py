"""The judgement of conditions, without an archive: what each operator means, and laws that hold for all."""

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.kit.errors import Invalid
from app.routing.conditions import conditions_match, explain_conditions
from app.routing.patterns import condition_holds
from app.routing.rule import Conditions, read

SEND = {"do": "send", "nodes": ["PACS1"]}


class Values(dict[str, list[str]]):
    """An object given by its values."""

    def values(self, field: str) -> list[str] | None:
        return self.get(field)


CT = Values(
    Modality=["CT"],
    StudyDescription=["Chest with contrast"],
    ImageType=["ORIGINAL", "PRIMARY", "AXIAL"],
    SliceThickness=["1.25"],
    StudyDate=["20240102"],
    StudyTime=["101112.5"],
    PatientAge=["045Y"],
    AccessionNumber=[],
    calling=["MODALITY1"],
    time=["23:30:00"],
    weekday=["sat"],
)


@pytest.mark.parametrize(
    ("field", "op", "value", "wanted"),
    [
        ("Modality", "is", "ct", True),
        ("Modality", "is", "C", False),
        ("Modality", "is-not", "MR", True),
        ("BodyPartExamined", "is-not", "CHEST", True),
        ("ImageType", "is", "axial", True),
        ("ImageType", "is-not", "AXIAL", False),
        ("StudyDescription", "contains", "CONTRAST", True),
        ("StudyDescription", "starts", "chest", True),
        ("StudyDescription", "starts", "with", False),
        ("StudyDescription", "wildcard", "chest*contr?st", True),
        ("StudyDescription", "wildcard", "chest", False),
        ("StudyDescription", "regex", r"\bwith\b.*st$", True),
        ("StudyDescription", "regex", "^with", False),
        ("Modality", "one-of", ["MR", "CT"], True),
        ("Modality", "one-of", ["MR"], False),
        ("Modality", "exists", "", True),
        ("AccessionNumber", "exists", "", False),
        ("AccessionNumber", "missing", "", True),
        ("BodyPartExamined", "missing", "", True),
        ("SliceThickness", "less", "1.5", True),
        ("SliceThickness", "greater", "1.25", False),
        ("SliceThickness", "is", "1.250", True),
        ("SliceThickness", "between", ["1", "2"], True),
        ("PatientAge", "greater", "44", True),
        ("StudyDate", "between", ["2024-01-01", "20241231"], True),
        ("StudyDate", "less", "2024-01-02", False),
        ("StudyDate", "is", "2024-01-02", True),
        ("StudyTime", "between", ["10:00", "10:30"], True),
        ("StudyTime", "is", "10:11", True),
        ("time", "between", ["22:00", "06:00"], True),
        ("time", "between", ["06:00", "22:00"], False),
        ("weekday", "one-of", ["sat", "sun"], True),
        ("calling", "wildcard", "MODALITY*", True),
        ("node", "is", "PACS1", False),
        ("node", "missing", "", True),
    ],
)
def test_each_operator_means_what_it_says(field: str, op: str, value: Any, wanted: bool) -> None:
    rule = read({"conditions": {"items": [{"field": field, "op": op, "value": value}]}, "actions": [SEND]})
    assert conditions_match(rule.conditions, CT) is wanted
    assert explain_conditions(rule.conditions, CT).ok is wanted


texts = st.text(st.characters(min_codepoint=32, max_codepoint=0x24F), max_size=20)
many = st.none() | st.lists(texts, max_size=4)


@given(many, texts)
def test_not_is_the_opposite_of_is_for_everything_that_is_there(values: list[str] | None, wanted: str) -> None:
    assert condition_holds("StudyDescription", "is-not", wanted, values) is not condition_holds(
        "StudyDescription", "is", wanted, values
    )


@given(many)
def test_a_thing_is_there_or_missing(values: list[str] | None) -> None:
    assert condition_holds("Modality", "exists", "", values) is not condition_holds("Modality", "missing", "", values)


@given(many, st.lists(texts, min_size=1, max_size=4))
def test_one_of_several_is_any_of_them(values: list[str] | None, wanted: list[str]) -> None:
    each = [condition_holds("StudyDescription", "is", one, values) for one in wanted]
    assert condition_holds("StudyDescription", "one-of", wanted, values) is any(each)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=3), st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_between_is_neither_less_nor_greater(values: list[float], low: float, high: float) -> None:
    text = [f"{value!r}" for value in values]
    if len(values) == 1:
        outside = condition_holds("SliceThickness", "less", f"{low!r}", text) or condition_holds(
            "SliceThickness", "greater", f"{high!r}", text
        )
        assert condition_holds("SliceThickness", "between", [f"{low!r}", f"{high!r}"], text) is not outside


def _conditions(draw: Any, depth: int) -> dict[str, Any]:
    fields = ["Modality", "StudyDescription", "BodyPartExamined", "calling"]
    leaf = st.fixed_dictionaries(
        {
            "field": st.sampled_from(fields),
            "op": st.sampled_from(["is", "is-not", "contains", "exists", "missing", "starts"]),
            "value": st.sampled_from(["CT", "MR", "chest", "o", "MODALITY1"]),
        }
    )
    items: list[Any] = draw(st.lists(leaf, max_size=4))
    if depth:
        items += [_conditions(draw, 0) for _ in range(draw(st.integers(0, 2)))]
    return {"match": draw(st.sampled_from(["all", "any"])), "items": items}


@st.composite
def trees(draw: Any) -> Conditions:
    return Conditions.model_validate(_conditions(draw, 1))


@given(trees())
def test_the_explanation_says_what_the_judgement_does(tree: Conditions) -> None:
    told = explain_conditions(tree, CT)
    assert told.ok is conditions_match(tree, CT)
    assert len(told.inner) == len(tree.items)


@given(trees())
def test_any_is_all_turned_round(tree: Conditions) -> None:
    """De Morgan, for a tree without groups: any of them holds unless every opposite does."""
    turned = {"is": "is-not", "is-not": "is", "exists": "missing", "missing": "exists"}
    flat = [i for i in tree.items if getattr(i, "op", "") in turned]
    if not flat:
        return
    opposite = [i.model_copy(update={"op": turned[i.op]}) for i in flat]  # type: ignore[union-attr]
    some = Conditions.model_validate({"match": "any", "items": [i.model_dump() for i in flat]})
    none = Conditions.model_validate({"match": "all", "items": [i.model_dump() for i in opposite]})
    assert conditions_match(some, CT) is not conditions_match(none, CT)


def test_without_conditions_everything_is_meant() -> None:
    for match in ("all", "any"):
        assert conditions_match(Conditions.model_validate({"match": match, "items": []}), CT)


def test_a_wicked_expression_costs_no_time() -> None:
    rule = read(
        {"conditions": {"items": [{"field": "StudyDescription", "op": "regex", "value": "(a+)+$"}]}, "actions": [SEND]}
    )
    started = time.thread_time()
    assert not conditions_match(rule.conditions, Values(StudyDescription=["a" * 4000 + "b"]))
    assert time.thread_time() - started < 2


@pytest.mark.parametrize(
    ("data", "field", "words"),
    [
        ({"conditions": {"items": [{"field": "Modalitty", "value": "CT"}]}}, "conditions.items.0.field", "Modalitty"),
        (
            {"conditions": {"items": [{"field": "Modality", "op": "is", "value": ""}]}},
            "conditions.items.0.value",
            "Give",
        ),
        (
            {"conditions": {"items": [{"items": [{"field": "Rows", "op": "greater", "value": "many"}]}]}},
            "conditions.items.0.items.0.value",
            "number",
        ),
        (
            {"conditions": {"items": [{"field": "StudyDescription", "op": "regex", "value": "(open"}]}},
            "conditions.items.0.value",
            "missing )",
        ),
        (
            {"conditions": {"items": [{"field": "Modality", "op": "greater", "value": "A"}]}},
            "conditions.items.0.value",
            "",
        ),
        ({"conditions": {"items": [{"field": "Modality", "op": "like", "value": "A"}]}}, "conditions.items.0.op", ""),
        ({"conditions": {"items": [{"items": [{"items": []}]}]}}, "conditions.items.0.items.0.field", ""),
        ({"when": {"kind": "schedule"}}, "when.at", "times"),
        ({"when": {"kind": "schedule", "at": ["2:00"]}}, "when.at.0", "HH:MM"),
        ({"when": {"kind": "settled", "quiet": 0}}, "when.quiet", "greater"),
        ({"when": {"kind": "schedule", "every": True}}, "when.every", "integer"),
        ({"actions": []}, "actions", "something"),
        ({"actions": [{"do": "drop"}]}, "actions", "not sent"),
        ({"actions": [{"do": "drop"}, SEND]}, "actions.0", "last actions"),
        ({"actions": [{"do": "anonymize"}]}, "actions.0", "effect"),
        ({"actions": [{"do": "anonymize", "profile": "none"}, SEND]}, "actions.0.profile", "none"),
        (
            {"actions": [{"do": "change", "changes": [{"tag": "SOPInstanceUID", "value": "1.2"}]}, SEND]},
            "actions.0.changes.0.tag",
            "not changed",
        ),
        (
            {"actions": [{"do": "change", "changes": [{"tag": "StudyDate", "value": "yesterday"}]}, SEND]},
            "actions.0.changes.0.value",
            "YYYYMMDD",
        ),
        ({"actions": [{"do": "print"}]}, "actions.0", ""),
        ({"action": []}, "action", ""),
    ],
)
def test_a_bad_rule_is_refused_with_place_and_words(data: dict[str, Any], field: str, words: str) -> None:
    with pytest.raises(Invalid) as raised:
        read({"actions": [SEND], **data})
    assert field in raised.value.extra["errors"], raised.value.extra["errors"]
    assert words in str(raised.value.extra["errors"][field])
