"""The file of the day: several writers, a new name at midnight, and the oldest go."""

import multiprocessing
from pathlib import Path

from app.kit.dailylog import DailyFile
from tests.support.dailylog import DAY, NOON, write_line


def test_a_new_day_is_a_new_file_and_only_so_many_stay(tmp_path: Path) -> None:
    (tmp_path / "dicom_notes.log").write_text("not ours to remove")
    handler = DailyFile(tmp_path, "dicom", keep=3)
    for day in range(5):
        write_line(handler, f"day {day}", NOON + day * DAY)
    handler.close()
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        *(f"dicom_202611{day}.log" for day in (22, 23, 24)),
        "dicom_notes.log",
    ]
    assert (tmp_path / "dicom_20261124.log").read_text() == "day 4\n"
    assert (tmp_path / "dicom_20261124.log").stat().st_mode & 0o777 == 0o600


def _many(folder: Path, who: int) -> None:
    handler = DailyFile(folder, "dicom")
    for number in range(300):
        write_line(handler, f"{who} {number} " + "x" * 200, NOON + (number // 150) * DAY)
    handler.close()


def test_several_processes_write_whole_lines_over_midnight(tmp_path: Path) -> None:
    start = multiprocessing.get_context("spawn")
    writers = [start.Process(target=_many, args=(tmp_path, who)) for who in range(3)]
    for one in writers:
        one.start()
    for one in writers:
        one.join(60)
        assert one.exitcode == 0
    for name in ("dicom_20261120.log", "dicom_20261121.log"):
        lines = (tmp_path / name).read_text().splitlines()
        assert len(lines) == 450 and all(len(line.split()) == 3 and line.endswith("x" * 200) for line in lines)
