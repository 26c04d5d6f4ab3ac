"""What docs/integrator/network.md says of other programs is what the tests try."""

import pytest

from tests.support import matrix
from tests.support.matrix import CELLS, Cell


def test_the_table_in_the_documents_is_the_tests() -> None:
    text = matrix.DOC.read_text()
    assert matrix.written(text) == text, "run `python -m tests.support.matrix`"


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: f"{cell.service}-{cell.role}-{cell.peer}")
def test_each_mark_has_its_test(cell: Cell) -> None:
    file, function = cell.test.split("::")
    path = matrix.ROOT / "tests" / file
    assert function in matrix.functions(path), f"{cell.test} is not there"
