"""When a scheduled route fires next: times of the day, weekdays, every so many minutes; over changes of the clocks too."""

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from app.kit import clock
from app.routing.rule import When
from app.routing.schedule import following


@pytest.fixture(autouse=True, params=["of the machine", "of the site"])
def berlin(request: pytest.FixtureRequest) -> Iterator[None]:
    """Berlin, with two changes of the clocks a year: as the machine's time zone, or set for a site elsewhere."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = "Europe/Berlin" if request.param == "of the machine" else "Asia/Tokyo"
    time.tzset()
    clock.use_zone("" if request.param == "of the machine" else "Europe/Berlin")
    yield
    clock.use_zone("")
    os.environ.pop("TZ") if before is None else os.environ.update(TZ=before)
    time.tzset()


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("Europe/Berlin"))


def _next(moment: str, **when: object) -> str:
    """Local time in, local time out; 2026-11-21 is a Saturday."""
    found = following(When.model_validate({"kind": "schedule", **when}), _moment(moment))
    assert found is not None
    return clock.local(found).strftime("%Y-%m-%d %H:%M")


@pytest.mark.parametrize(
    ("moment", "when", "wanted"),
    [
        ("2026-11-21T01:59", {"at": ["02:00", "14:30"]}, "2026-11-21 02:00"),
        ("2026-11-21T02:00", {"at": ["14:30", "02:00"]}, "2026-11-21 14:30"),
        ("2026-11-21T14:30", {"at": ["02:00", "14:30"]}, "2026-11-22 02:00"),
        ("2026-12-31T23:59", {"at": ["00:00"]}, "2027-01-01 00:00"),
        ("2026-11-21T03:00", {"at": ["02:00"], "weekdays": ["mon", "wed"]}, "2026-11-23 02:00"),
        ("2026-11-23T03:00", {"at": ["02:00"], "weekdays": ["mon"]}, "2026-11-30 02:00"),
        ("2026-11-23T01:00", {"at": ["02:00"], "weekdays": ["mon"]}, "2026-11-23 02:00"),
        ("2026-11-21T10:07", {"every": 15}, "2026-11-21 10:15"),
        ("2026-11-21T23:50", {"every": 45}, "2026-11-22 00:00"),
        ("2026-11-21T23:50", {"every": 45, "weekdays": ["sat"]}, "2026-11-28 00:00"),
        ("2026-03-29T01:00", {"at": ["03:30"]}, "2026-03-29 03:30"),  # the clocks go forward in between
        ("2026-03-29T01:59", {"at": ["02:30"]}, "2026-03-29 03:30"),  # a time that this day has not
        ("2026-10-25T01:00", {"at": ["04:00"]}, "2026-10-25 04:00"),  # and back
    ],
)
def test_the_next_time(moment: str, when: dict[str, object], wanted: str) -> None:
    assert _next(moment, **when) == wanted


@pytest.mark.parametrize("day", ["2026-03-29", "2026-10-25", "2026-11-21"])
def test_every_half_hour_goes_on_over_a_change_of_the_clocks(day: str) -> None:
    when = When.model_validate({"kind": "schedule", "every": 30})
    moment = _moment(f"{day}T00:00").astimezone(UTC)
    times = [moment]
    while times[-1] - moment < timedelta(hours=6):
        found = following(when, times[-1])
        assert found is not None and found > times[-1]
        times.append(found)
    assert max(later - earlier for earlier, later in pairwise(times)) <= timedelta(minutes=90)


def test_quiet_and_by_hand() -> None:
    moment = datetime(2026, 11, 21, 12, tzinfo=UTC)
    assert following(When.model_validate({"kind": "settled"}), moment) == moment + timedelta(seconds=10)
    assert following(When.model_validate({"kind": "settled", "quiet": 60}), moment) == moment + timedelta(seconds=60)
    assert following(When.model_validate({"kind": "object"}), moment) == moment
    assert following(When.model_validate({"kind": "hand"}), moment) is None
