"""The time that an outgoing call may wait."""

import pytest

from app.kit.allowance import Allowance


def test_what_moves_gives_time_back_but_never_more_than_the_whole() -> None:
    allowance = Allowance(10, rate=100)
    allowance.spent(4, 100)
    assert allowance.left() == 7
    allowance.spent(1, 1_000_000)  # much that moved early pays for no silence later
    assert allowance.left() == 10 and allowance.left(3) == 3


def test_a_byte_a_second_uses_it_up() -> None:
    allowance, seconds = Allowance(10, rate=100), 0
    while not allowance.over:
        allowance.spent(1, 1)
        seconds += 1
    assert seconds == 11
    with pytest.raises(TimeoutError):
        allowance.left()
    allowance.begin()
    assert allowance.left() == 10 and not allowance.quiet


def test_what_has_a_limit_of_its_own_costs_nothing() -> None:
    allowance = Allowance(10)
    allowance.hold()
    allowance.spent(1000, 0)
    assert not allowance.over and allowance.left(5) == 5
    allowance.begin()
    assert allowance.left() == 10
