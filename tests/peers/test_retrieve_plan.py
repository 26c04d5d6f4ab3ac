"""What is asked for, given what there is and what is here."""

from app.network.retrieve_scu import storage_contexts
from app.network.storage_classes import COMMON_CLASSES
from app.retrieve.plan import ArchivedPart, Ask, Scope, There, full_requests, missing_count, plan
from app.retrieve.remote_queries import ArchiveState as Word
from app.retrieve.remote_queries import Match, local_counts, merge_answers, sort_matches

STUDY = Scope("1")


def there(**series: int | None) -> There:
    return There(True, dict(series.items()))


def test_nothing_here_is_asked_for_as_a_whole() -> None:
    assert plan(STUDY, there(a=3, b=2), ArchivedPart({})) == [Ask("STUDY", {"StudyInstanceUID": "1"})]
    assert plan(STUDY, There(), ArchivedPart({"a": 3})) == full_requests(STUDY), (
        "a node that tells nothing is asked for all"
    )


def test_a_whole_series_that_lacks_is_asked_for_alone() -> None:
    (one,) = plan(STUDY, there(a=3, b=2), ArchivedPart({"a": 3}))
    assert (one.level, one.keys["SeriesInstanceUID"]) == ("SERIES", "b")
    assert plan(STUDY, there(a=3, b=2), ArchivedPart({"a": 3, "b": 2})) == []


def test_of_a_part_only_the_missing_objects_are_asked_for() -> None:
    known = there(a=3)
    known.instances["a"] = ["x", "y", "z"]
    (one,) = plan(STUDY, known, ArchivedPart({"a": 2}, frozenset(("x", "z"))))
    assert (one.level, one.keys["SOPInstanceUID"]) == ("IMAGE", "y")
    assert missing_count(STUDY, known, ArchivedPart({"a": 2}, frozenset(("x", "z")))) == 1
    # as many as there should be, yet not those: counts alone would be deceived
    assert missing_count(STUDY, known, ArchivedPart({"a": 3}, frozenset(("x", "z")))) == 1


def test_single_objects_go_in_requests_of_a_hundred() -> None:
    scope = Scope("1", "a", tuple(f"1.{n}" for n in range(250)))
    asks = plan(scope, There(), ArchivedPart({}, frozenset(("1.0",))))
    assert [len(ask.keys["SOPInstanceUID"].split("\\")) for ask in asks] == [100, 100, 49]
    assert asks[0].paths()[0] == "studies/1/series/a/instances/1.1"
    assert missing_count(scope, There(), ArchivedPart({}, frozenset(scope.instances))) == 0


def test_what_is_unknown_stays_unknown() -> None:
    assert there(a=3, b=None).total is None and there(a=3, b=2).total == 5
    assert missing_count(STUDY, there(a=None), ArchivedPart({"a": 9})) is None
    assert missing_count(STUDY, There(), ArchivedPart({})) is None


def test_contexts_of_a_get_fit_into_one_association() -> None:
    for classes in ([], ["1.2.3"], list(COMMON_CLASSES), [f"1.2.{n}" for n in range(300)]):
        contexts = storage_contexts(classes)
        ids = [context.id for context in contexts]
        assert len(set(ids)) == len(ids) <= 126 and max(ids) <= 255 and min(ids) == 5 and all(n % 2 for n in ids)
        assert {context.abstract for context in contexts} >= set((classes or list(COMMON_CLASSES))[:126])
    alone = [context for context in storage_contexts(["1.2.3"]) if len(context.transfer) == 1]
    assert len(alone) > 10, "each compressed syntax has a context of its own: the peer need not convert"


def test_answers_of_several_nodes_become_one() -> None:
    found = merge_answers(
        "STUDY",
        [
            ("A", {"StudyInstanceUID": "1", "PatientName": "", "ModalitiesInStudy": "CT", "NumberOfStudyRelatedInstances": "9"}),
            ("B", {"StudyInstanceUID": "2", "StudyDate": "20260101"}),
            ("B", {"StudyInstanceUID": "1", "PatientName": "X^Y", "ModalitiesInStudy": "SR\\CT", "NumberOfStudyRelatedInstances": "10"}),
        ],
    )  # fmt: skip
    one = found[0]
    assert (one.where, one.images, one.values["PatientName"]) == (["A", "B"], 10, "X^Y")
    assert one.values["ModalitiesInStudy"] == "CT\\SR"
    assert [m.key for m in sort_matches(found, "-date")] == ["2", "1"]
    assert sort_matches([Match("1", {}, here=Word("all", 3)), Match("2", {})], here="all")[0].key == "1"


def test_all_is_said_only_when_it_is_known() -> None:
    assert (
        local_counts(0, 5).state == "none" and local_counts(5, 5).state == "all" and local_counts(4, 5).state == "part"
    )
    assert local_counts(4, None).state == "part", "how many there are was not told"
