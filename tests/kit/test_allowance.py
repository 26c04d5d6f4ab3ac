"""The time that an outgoing call may wait."""

import pytest

from app.kit.allowance import Allowance


def test_what_moves_gives_time_back_but_never_more_than_the_whole() -> None:
    allowance = Allowance(10, rate=100)
    allowance.record_wait(4, 100)
    assert allowance.remaining() == 7
    allowance.record_wait(1, 1_000_000)  # much that moved early pays for no silence later
    assert allowance.remaining() == 10 and allowance.remaining(3) == 3


def test_a_byte_a_second_uses_it_up() -> None:
    allowance, seconds = Allowance(10, rate=100), 0
    while not allowance.expired:
        allowance.record_wait(1, 1)
        seconds += 1
    assert seconds == 11
    with pytest.raises(TimeoutError):
        allowance.remaining()
    allowance.restart()
    assert allowance.remaining() == 10 and not allowance.quiet


def test_what_has_a_limit_of_its_own_costs_nothing() -> None:
    allowance = Allowance(10)
    allowance.pause()
    allowance.record_wait(1000, 0)
    assert not allowance.expired and allowance.remaining(5) == 5
    allowance.restart()
    assert allowance.remaining() == 10
