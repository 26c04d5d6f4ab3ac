"""A short run of each fuzzer, so that it works and finds what is coarse; `make fuzz` runs as long as one likes."""

import os
import random
import re
import subprocess
import sys

import pytest

from app.config import Config
from app.db import open_database
from tests.fuzz import objects, streams
from tests.fuzz.mutate import mutated
from tests.support import dcmtk
from tests.support.client import open_web
from tests.support.dimse import station
from tests.support.live import ROOT

PDUS = int(os.environ.get("FILMROOM_FUZZ_PDUS", "20000"))
SEED = int(os.environ.get("FILMROOM_FUZZ_SEED", "1"))
OBJECTS = int(os.environ.get("FILMROOM_FUZZ_OBJECTS", "1000"))
GROWTH = 64 << 20


def test_one_seed_is_one_row_of_mutations() -> None:
    assert mutated(random.Random(1), b"x" * 100) == mutated(random.Random(1), b"x" * 100)
    assert len({mutated(random.Random(n), bytes(range(200))) for n in range(200)}) > 150


@pytest.mark.slow
def test_mutated_pdus_harm_nobody(sqlite_config: Config) -> None:
    database = open_database(sqlite_config)
    with station(sqlite_config, database) as receiver:
        receiver.set(**streams.OPEN)
        report = streams.run(receiver, PDUS, SEED)
        print(report)
        assert not report.faults, report.faults[:3]
        assert not report.outcomes.get("hung") and report.growth < GROWTH, str(report)
        assert dcmtk.echoscu(receiver.port).code == 0
    database.dispose()


@pytest.mark.slow
def test_mutated_objects_harm_nobody(sqlite_config: Config) -> None:
    database = open_database(sqlite_config)
    with open_web(sqlite_config, database) as web:
        report = objects.run(web, objects.seeds(), OBJECTS, SEED)
    print(report)
    assert not report.faults, report.faults[:3]
    assert report.growth < GROWTH and {"stored", "refused"} <= set(report.outcomes), str(report)
    database.dispose()


@pytest.mark.slow
@pytest.mark.parametrize("decoder", ["query"])
def test_guided_by_coverage_the_decoders_stand(decoder: str) -> None:
    """A moment of what `make fuzz` does for minutes: the fuzzer runs, sees coverage grow, and finds nothing."""
    command = [sys.executable, "-W", "ignore", "-m", "tests.fuzz.guided", decoder, "2"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=240, check=False)
    said = (done.stdout + done.stderr).decode("utf-8", "replace")
    assert done.returncode == 0, said[-3000:]
    figures = dict(re.findall(r"stat::(\w+):\s+(\d+)", said))
    assert int(figures["number_of_executed_units"]) > 50 and int(figures["new_units_added"]) > 0, figures
