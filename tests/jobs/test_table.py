"""The table of job kinds."""

import pytest

from app.worker import LANES, handler_of


@pytest.mark.parametrize("kind", [kind for _, kinds in LANES.values() for kind in kinds])
def test_each_kind_of_job_has_its_function(kind: str) -> None:
    assert callable(handler_of(kind))


def test_a_kind_that_is_not_in_the_table_is_a_fault() -> None:
    with pytest.raises(KeyError):
        handler_of("no.such")
