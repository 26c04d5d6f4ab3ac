"""What an outage writes into the log, how large a day's files become, and that passwords stay out."""

import logging
import time
from pathlib import Path

import pytest

from app.forward.forwarder import Forwarder
from app.kit import logging as kit_logging
from app.kit import repeats
from app.kit.arguments import mask_password
from app.kit.dailylog import DailyFile
from app.kit.errors import Conflict, Unavailable
from app.kit.logging import mask
from tests.support.dailylog import DAY, NOON, write_line


@pytest.fixture
def lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    """Call it for the lines that were written."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    repeats._causes.clear()
    kit_logging.setup("worker", tmp_path)
    root.handlers = root.handlers[1:]  # the file, not the console
    yield lambda: next(tmp_path.glob("worker_*.log")).read_text().splitlines()
    root.handlers[0].close()
    root.handlers, root.level = before, level
    repeats._causes.clear()


def _fail(fault: Exception, words: str, *values: object) -> None:
    try:
        raise fault
    except Exception:
        logging.getLogger("app.worker").exception(words, *values)


def test_an_outage_is_one_line_a_minute(lines, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    clock = [0.0]
    monkeypatch.setattr(repeats.time, "monotonic", lambda: clock[0])
    for number in range(1000):
        clock[0] += 0.1
        _fail(Unavailable("The database cannot be reached just now."), "the queue cannot be read, try %d", number)
        _fail(Unavailable("The database cannot be reached just now."), "%s failed; next try in %g s", "settle", 2)
    assert len(lines()) == 2, "100 s"
    assert "The database cannot be reached just now." in lines()[0] and "Traceback" not in "\n".join(lines())
    assert "1199 more like it" in lines()[1]


def test_the_forward_queue_meets_an_outage_as_one_line(lines) -> None:  # type: ignore[no-untyped-def]
    def away() -> None:
        raise Unavailable("The database cannot be reached just now.")

    for _ in range(100):
        Forwarder.__new__(Forwarder)._guard(away)
    assert len(lines()) == 1 and "the forward queue waits: The database cannot" in lines()[0], lines()


def test_other_causes_are_still_told(lines) -> None:  # type: ignore[no-untyped-def]
    for number in range(100):
        _fail(Unavailable("The database cannot be reached just now."), "trying again")
        _fail(Unavailable("The store is not writable at the moment."), "trying again")
        _fail(ValueError("odd"), "job %d failed", number)
        _fail(Conflict("Locked."), "one more")
        logging.getLogger("app.jobs").info("job %d done", number)
    text = "\n".join(lines())
    assert text.count("The database cannot") == text.count("The store is not writable") == 1
    assert text.count("ValueError") == 3, "three traces a minute"
    assert text.count("INFO") == 100


def test_many_causes_take_little_memory(lines) -> None:  # type: ignore[no-untyped-def]
    started = time.thread_time()
    for number in range(5000):
        _fail(ValueError(str(number)), "another cause each time")
    assert len(repeats._causes) <= 500 and time.thread_time() - started < 30


def test_a_file_of_a_day_is_limited_and_the_newest_lines_stay(tmp_path: Path) -> None:
    """Two processes write: who comes second follows to the new file."""
    first, second = (DailyFile(tmp_path, "web", most=10_000) for _ in range(2))
    for number in range(1000):
        write_line((first, second)[number % 2], f"{number:05} {'x' * 94}", NOON)
    first.close(), second.close()
    sizes = {p.name: p.stat().st_size for p in tmp_path.iterdir()}
    assert set(sizes) == {"web_20261120.log", "web_20261120.1.log"} and max(sizes.values()) <= 10_200
    kept = [
        int(line[:5])
        for name in ("web_20261120.1.log", "web_20261120.log")
        for line in (tmp_path / name).read_text().splitlines()
    ]
    assert kept == list(range(1000 - len(kept), 1000)), "no line in between is missing"


def test_files_are_deleted_after_the_set_days_also_after_a_pause(tmp_path: Path) -> None:
    (tmp_path / "web_20261101.log").touch(), (tmp_path / "web_20261101.1.log").touch()
    (tmp_path / "web_20261118.log").touch(), (tmp_path / "webber_20261101.log").touch()
    handler = DailyFile(tmp_path, "web", keep=3)
    write_line(handler, "x", NOON)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["web_20261118.log", "web_20261120.log", "webber_20261101.log"]
    write_line(handler, "x", NOON + DAY)
    handler.close()
    assert not (tmp_path / "web_20261118.log").exists()


def test_a_log_that_cannot_be_written_is_told_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As on a full disk, which /dev/full is."""
    (tmp_path / "web_20261120.log").symlink_to("/dev/full")
    handler = DailyFile(tmp_path, "web")
    for _ in range(50):
        write_line(handler, "x", NOON)
    handler.close()
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and "No space left on device" in lines[0], lines[:5]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://filmroom:s3cret@db:5432/x", "postgresql://filmroom:******@db:5432/x"),
        ("postgresql://:s3cret@db/x", "postgresql://:******@db/x"),
        ("postgresql://db/x?user=a&password=s3cret&sslmode=require", "postgresql://db/x?user=a&password=******&sslmode=require"),
        ("postgresql://db/x?sslpassword=s3cret&sslmode=require", "postgresql://db/x?sslpassword=******&sslmode=require"),
        ("postgresql://db/x?pass%77ord=s3cret", "postgresql://db/x?pass%77ord=******"),
        ("postgresql://u:a/s3cret@db/x", "postgresql://u:******@db/x"),
        ("postgresql://u:a@s3cret@db/x", "postgresql://u:******@db/x"),
        ("postgresql://u:a?s3cret:b@db/x", "postgresql://u:******@db/x"),
        ("postgresql://db/x", "postgresql://db/x"),
    ],
)  # fmt: skip
def test_passwords_of_addresses_are_masked(text: str, shown: str) -> None:
    assert mask_password(text) == shown
    assert "s3cret" not in mask(f"connecting to {text} failed")
